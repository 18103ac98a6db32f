"""The `peakshare` command. Each command imports its own stage, so that --help stays quick.

`run` is the only place that knows every concrete class; `demo` is nothing but `simulate`, `run`
and one day; commands that change anything are HTTP clients of the running controller. Exit
codes: 0 done, 1 the job failed, 2 wrong usage or input. To add a command: a function here (or in
`groups`) that imports its module, takes --json, and has an example in its help: a test runs it.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from controller.cli.failure import complain, wants_json
from controller.cli.groups import event_app, meter_app
from controller.cli.options import (
    DATA,
    DEFAULT_MODEL,
    Country,
    DataFolder,
    Folder,
    IdColumn,
    Json,
    LoadFile,
    Model,
    Reason,
    TemperatureFiles,
    Value,
    Zone,
)
from controller.errors import UsageError

app = typer.Typer(
    name="peakshare",
    help="Demand response and virtual power plant controller.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(event_app, name="event")
app.add_typer(meter_app, name="meter")

_INTERRUPTED = 130
"""What Typer makes of an interrupt."""


class _Options:
    debug = False


@app.callback(invoke_without_command=True)
def options(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Show version and commit.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --version: as data.")] = False,
) -> None:
    """Demand response and virtual power plant controller."""
    _Options.debug = debug
    if version:
        from controller.cli.version import show

        show(as_json=as_json)
        raise typer.Exit
    if context.invoked_subcommand is None:
        context.fail("Missing command.")
    if as_json:
        context.fail(f"--json goes behind the command: {context.invoked_subcommand} --json")


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Where the results go.")] = Path("out/demo"),
    config: Annotated[Path | None, typer.Option(help="Configuration folder.")] = None,
    seed: Annotated[int | None, typer.Option(help="World and behaviour; any number.")] = None,
    as_json: Json = False,
) -> None:
    """Play one real hot day: simulators, broker, controller, settlement, report.

    Example: peakshare demo --config configs/demo --seed 2
    """
    from controller.cli.demo import play

    raise typer.Exit(play(config, out, seed, as_json=as_json))


@app.command()
def check(config: Folder, as_json: Json = False) -> None:
    """Validate a configuration folder; every fault at once.

    Example: peakshare check configs/demo
    """
    from controller.cli.offline import check as run_check

    run_check(config, as_json=as_json)


@app.command()
def run(
    config: Folder,
    data: DataFolder = DATA,
    feed: Annotated[
        Path | None, typer.Option(help="Feed folder: area load, weather forecast.")
    ] = None,
    links: Annotated[
        Path | None, typer.Option(help="JSON file with the addresses of links, by link id.")
    ] = None,
    start_line: Annotated[
        Path | None, typer.Option(help="Run on a demo clock: file of its start line.")
    ] = None,
    epoch: Annotated[
        str | None, typer.Option(help="Demo clock: held here until it starts.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Random source of ids and staggers.")] = None,
    as_json: Json = False,
) -> None:
    """Run the controller until it is stopped. Its one line when it is ready is always data.

    Example: peakshare run configs/demo --data out/run --feed out/feed
    """
    from controller.cli.run import run_controller

    del as_json  # its ready line is data anyway; errors as data are `obey`'s business

    raise typer.Exit(
        run_controller(config, data, feed=feed, links=links, start_line=start_line,
                       epoch=epoch, seed=seed)
    )  # fmt: skip


@app.command()
def simulate(
    config: Folder,
    out: Annotated[Path, typer.Option(help="Feed, addresses and truth go here.")] = Path("out/sim"),
    seed: Annotated[int | None, typer.Option(help="World and behaviour; any number.")] = None,
    as_json: Json = False,
) -> None:
    """Run the simulated sites, homes and duty desk of a configuration until interrupted.

    Example: peakshare simulate configs/demo --out out/sim
    """
    from controller.cli.demo import simulate_only

    raise typer.Exit(simulate_only(config, out, seed, as_json=as_json))


@app.command()
def status(data: DataFolder = DATA, as_json: Json = False) -> None:
    """Show what the controller is doing now.

    Example: peakshare status
    """
    from controller.cli import live

    live.status(data, as_json=as_json)


@app.command()
def plan(
    data: DataFolder = DATA,
    instance: Annotated[
        Path | None, typer.Option(help="Plan this instance file instead, offline.")
    ] = None,
    time_limit: Annotated[float, typer.Option(help="Seconds for --instance.")] = 30.0,
    gap: Annotated[float, typer.Option(help="Proven gap that ends --instance.")] = 1e-4,
    seed: Annotated[int, typer.Option(help="Random draws of --instance.")] = 0,
    as_json: Json = False,
) -> None:
    """Show the plan in force (who was chosen, who was left and why), or plan an instance file.

    An instance file: peakshare plan --instance day.json --time-limit 30 --json

    Example: peakshare plan --json
    """
    if instance is not None:
        from controller.cli.plan_instance import plan_instance

        raise typer.Exit(plan_instance(instance, time_limit, gap, seed, as_json))
    from controller.cli import live

    live.plan(data, as_json=as_json)


@app.command()
def stop(
    reason: Reason,
    release_all: Annotated[
        bool, typer.Option("--all", help="Release every device at once and command no more.")
    ] = False,
    data: DataFolder = DATA,
    as_json: Json = False,
) -> None:
    """Stop the controller, or with --all give back every device (emergency stop).

    An emergency stop holds, also over restarts, until `peakshare resume`.

    Example: peakshare stop --all --reason "fire at substation north"
    """
    from controller.cli import live

    live.stop(data, reason, release_all=release_all, as_json=as_json)


@app.command()
def resume(
    reason: Reason,
    data: DataFolder = DATA,
    as_json: Json = False,
) -> None:
    """Lift an emergency stop: open events are planned anew and commanded again.

    Example: peakshare resume --reason "the fire is out"
    """
    from controller.cli import live

    live.resume(data, reason, as_json=as_json)


@app.command()
def settle(data: DataFolder = DATA, as_json: Json = False) -> None:
    """Settle ended events from their meters; settling again adds nothing.

    Example: peakshare settle
    """
    from controller.cli import live

    live.settle(data, as_json=as_json)


@app.command()
def statement(
    customer_id: str,
    data: DataFolder = DATA,
    out: Annotated[Path | None, typer.Option(help="Write the page here.")] = None,
    as_json: Json = False,
) -> None:
    """Make a customer's statement as an HTML page.

    Example: peakshare statement c-home-00001 --out statement.html
    """
    from controller.cli import live

    live.statement(data, customer_id, out, as_json=as_json)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="A demo's folder, with result.json.")] = Path(
        "out/demo"
    ),
    as_json: Json = False,
) -> None:
    """Write the HTML report of a played day again from its files.

    Example: peakshare report out/demo
    """
    from controller.cli.offline import report as write_report

    write_report(folder, as_json=as_json)


@app.command()
def forecast(
    config: Annotated[
        Path | None, typer.Argument(help="Configuration folder, with --feed and --issued-at.")
    ] = None,
    feed: Annotated[
        Path | None, typer.Option(help="Feed folder: area load, weather forecast.")
    ] = None,
    load: LoadFile | None = None,
    temperature: TemperatureFiles = None,
    horizon: Annotated[str, typer.Option(help="How far ahead: 24h, 90min, 2d.")] = "24h",
    issued_at: Annotated[
        str | None, typer.Option(help="ISO instant with offset; without: the end of the loads.")
    ] = None,
    timezone: Zone = "UTC",
    country: Country = None,
    limit: Annotated[
        float | None, typer.Option(help="Also P(load > limit), in the file's unit.")
    ] = None,
    model: Model = DEFAULT_MODEL,
    value: Value = None,
    id_column: IdColumn = None,
    as_json: Json = False,
) -> None:
    """Forecast from load files, or an area's load for the day after `issued-at`.

    From files: peakshare forecast --load load.csv --temperature stations.csv --horizon 24h

    Example: peakshare forecast configs/demo --feed out/demo/feed --issued-at 2014-01-27T20:00+11:00
    """
    if (config is None) == (load is None):
        raise UsageError("forecast needs either --load FILE or CONFIG with --feed and --issued-at")
    if load is not None:
        from controller.cli import forecasting

        forecasting.forecast(
            load, temperature or [], horizon=horizon, issued_at=issued_at, timezone=timezone,
            country=country, limit=limit, model=model, value=value, id=id_column, as_json=as_json,
        )  # fmt: skip
        return
    from controller.cli.offline import forecast as run_forecast

    if config is None or feed is None or issued_at is None:
        raise UsageError("forecast CONFIG needs --feed FOLDER and --issued-at INSTANT")
    run_forecast(config, feed, issued_at, as_json=as_json)


@app.command()
def backtest(
    load: LoadFile,
    timezone: Zone,
    first: Annotated[str, typer.Option("--from", help="First local day forecast: 2013-01-01.")],
    last: Annotated[str, typer.Option("--to", help="Last local day forecast, included.")],
    temperature: TemperatureFiles = None,
    country: Country = None,
    known_to: Annotated[
        str, typer.Option(help="Loads known to the day's begin (D-1) or a day less (D-2).")
    ] = "D-1",
    temperature_forecast: Annotated[
        str, typer.Option(help="The day's weather: actual, issued or none.")
    ] = "none",
    model: Model = DEFAULT_MODEL,
    value: Value = None,
    id_column: IdColumn = None,
    as_json: Json = False,
) -> None:
    """Forecast every day of a span as it would have been, and score it against the meter.

    Example: peakshare backtest --load load.csv --timezone UTC --from 2024-02-15 --to 2024-02-20
    """
    from controller.cli import forecasting

    forecasting.backtest(
        load, temperature or [], timezone=timezone, country=country, first=first, last=last,
        known_to=known_to, weather=temperature_forecast, model=model, value=value, id=id_column,
        as_json=as_json,
    )  # fmt: skip


def main() -> None:
    """Entry point: errors to stderr without a traceback, exit codes by kind."""
    sys.exit(obey(sys.argv[1:]))


def obey(words: Sequence[str], call: Callable[..., Any] = app) -> int:
    """Do what a command line says; its exit code. Typer hands back an `Exit` as its number."""
    _Options.debug = False
    try:
        code = call(list(words), standalone_mode=False, prog_name="peakshare")
    except (typer.Abort, KeyboardInterrupt):
        code = _INTERRUPTED
    except Exception as error:
        return complain(error, as_json=wants_json(words), debug=_Options.debug)
    if code == _INTERRUPTED:
        print("interrupted", file=sys.stderr)
        return 1
    return code if isinstance(code, int) else 0
