"""The `peakshare` command. Each command imports its own stage, so that --help stays quick.

`run` is the only place that knows every concrete class; `demo` is nothing but `simulate`, `run`
and one day; commands that change anything are HTTP clients of the running controller. Exit
codes: 0 done, 1 the job failed, 2 wrong usage or input. To add a command: a function here that
imports its module, and an example in its help.
"""

import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from controller.errors import PeakshareError

app = typer.Typer(
    name="peakshare",
    help="Demand response and virtual power plant controller.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
event_app = typer.Typer(help="Events of the grid.", no_args_is_help=True, rich_markup_mode=None)
meter_app = typer.Typer(help="Meter readings.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(event_app, name="event")
app.add_typer(meter_app, name="meter")

Json = Annotated[bool, typer.Option("--json", help="Print data instead of text.")]
Folder = Annotated[Path, typer.Argument(help="Configuration folder, e.g. configs/demo.")]
DataFolder = Annotated[
    Path, typer.Option("--data", help="Data directory of the controller.", envvar="PEAKSHARE_DIR")
]
DATA = Path("out/run")


_INTERRUPTED = 130
"""What Typer makes of an interrupt."""


class _Options:
    debug = False


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
) -> None:
    """Demand response and virtual power plant controller."""
    _Options.debug = debug


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Where the results go.")] = Path("out/demo"),
    config: Annotated[Path | None, typer.Option(help="Configuration folder.")] = None,
    seed: Annotated[int | None, typer.Option(help="World and behaviour; any number.")] = None,
    as_json: Json = False,
) -> None:
    """Play one real hot day: simulators, broker, controller, settlement, report.

    Example: peakshare demo --seed 2
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
) -> None:
    """Run the controller until it is stopped.

    Example: peakshare run configs/demo --data out/run --feed out/feed
    """
    from controller.cli.run import run_controller

    raise typer.Exit(
        run_controller(config, data, feed=feed, links=links, start_line=start_line,
                       epoch=epoch, seed=seed)
    )  # fmt: skip


@app.command()
def simulate(
    config: Folder,
    out: Annotated[Path, typer.Option(help="Feed, addresses and truth go here.")] = Path("out/sim"),
    seed: Annotated[int | None, typer.Option(help="World and behaviour; any number.")] = None,
) -> None:
    """Run the simulated sites, homes and duty desk of a configuration until interrupted.

    Example: peakshare simulate configs/demo --out out/sim
    """
    from controller.cli.demo import simulate_only

    raise typer.Exit(simulate_only(config, out, seed))


@event_app.command("create")
def event_create(
    file: Annotated[Path, typer.Argument(help="An OpenADR 3.1 event as JSON.")],
    data: DataFolder = DATA,
    as_json: Json = False,
) -> None:
    """Send an event to the running controller.

    Example: peakshare event create event.json
    """
    from controller.cli import live

    live.create_event(data, file, as_json=as_json)


@event_app.command("list")
def event_list(data: DataFolder = DATA, as_json: Json = False) -> None:
    """List events and where they are in their lives.

    Example: peakshare event list --json
    """
    from controller.cli import live

    live.list_events(data, as_json=as_json)


@event_app.command("show")
def event_show(event_id: str, data: DataFolder = DATA, as_json: Json = False) -> None:
    """Show one event with its log.

    Example: peakshare event show 019b3f00-0000-7000-8000-000000000000
    """
    from controller.cli import live

    live.show_event(data, event_id, as_json=as_json)


@event_app.command("approve")
def event_approve(event_id: str, data: DataFolder = DATA, as_json: Json = False) -> None:
    """Approve a draft event.

    Example: peakshare event approve 019b3f00-0000-7000-8000-000000000000
    """
    from controller.cli import live

    live.approve_event(data, event_id, as_json=as_json)


@event_app.command("cancel")
def event_cancel(
    event_id: str,
    reason: Annotated[str, typer.Option(help="Why; kept in the audit trail.")],
    data: DataFolder = DATA,
    as_json: Json = False,
) -> None:
    """Cancel an event; its devices are released.

    Example: peakshare event cancel 019b3f00-… --reason "grid recovered"
    """
    from controller.cli import live

    live.cancel_event(data, event_id, reason, as_json=as_json)


@app.command()
def status(data: DataFolder = DATA, as_json: Json = False) -> None:
    """Show what the controller is doing now.

    Example: peakshare status
    """
    from controller.cli import live

    live.status(data, as_json=as_json)


@app.command()
def plan(data: DataFolder = DATA, as_json: Json = False) -> None:
    """Show the plan in force: who was chosen, who was left and why.

    Example: peakshare plan --json
    """
    from controller.cli import live

    live.plan(data, as_json=as_json)


@app.command()
def stop(
    reason: Annotated[str, typer.Option(help="Why; kept in the audit trail.")],
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
    reason: Annotated[str, typer.Option(help="Why; kept in the audit trail.")],
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
) -> None:
    """Make a customer's statement as an HTML page.

    Example: peakshare statement c-home-00001 --out statement.html
    """
    from controller.cli import live

    live.statement(data, customer_id, out)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="A demo's folder, with result.json.")] = Path(
        "out/demo"
    ),
) -> None:
    """Write the HTML report of a played day again from its files.

    Example: peakshare report out/demo
    """
    from controller.cli.offline import report as write_report

    write_report(folder)


@app.command()
def forecast(
    config: Folder,
    feed: Annotated[Path, typer.Option(help="Feed folder: area load, weather forecast.")],
    issued_at: Annotated[str, typer.Option(help="ISO instant with offset.")],
    as_json: Json = False,
) -> None:
    """Forecast the area's load for the day after `issued-at`.

    Example: peakshare forecast configs/demo --feed out/demo/feed --issued-at 2014-01-27T20:00+11:00
    """
    from controller.cli.offline import forecast as run_forecast

    run_forecast(config, feed, issued_at, as_json=as_json)


@meter_app.command("import")
def meter_import(
    files: Annotated[list[Path], typer.Argument(help="Parquet or CSV: meter_id, time_utc, kw.")],
    config: Annotated[Path, typer.Option(help="Configuration folder.")],
    data: DataFolder = DATA,
    as_json: Json = False,
) -> None:
    """Import 15-minute meter readings: whole, or nothing.

    Example: peakshare meter import meters/*.parquet --config configs/demo
    """
    from controller.cli.offline import meter_import as run_import

    run_import(config, data, files, as_json=as_json)


def main() -> None:
    """Entry point: errors to stderr without a traceback, exit codes by kind."""
    sys.exit(_guarded(app))


def _guarded(call: Callable[..., Any]) -> int:
    """The exit code of a command. Typer hands back an `Exit` as its number."""
    try:
        code = call(standalone_mode=False, prog_name="peakshare")
    except (typer.Abort, KeyboardInterrupt):
        code = _INTERRUPTED
    except Exception as error:
        return _complain(error)
    if code == _INTERRUPTED:
        print("interrupted", file=sys.stderr)
        return 1
    return code if isinstance(code, int) else 0


def _complain(error: Exception) -> int:
    """What went wrong and what to do about it, to stderr; the exit code."""
    if _Options.debug:
        traceback.print_exception(error)
    cause = _cause(error)
    usage = getattr(cause, "format_message", None)
    if isinstance(cause, PeakshareError):
        print(f"error {cause.code}: {cause}\n  {cause.hint}", file=sys.stderr)
        return cause.exit_code
    if usage is not None:
        print(_usage(usage(), getattr(cause, "ctx", None)), file=sys.stderr)
        return 2
    print(f"error {PeakshareError.code}: {type(cause).__name__}: {cause}", file=sys.stderr)
    print(f"  {PeakshareError.hint}", file=sys.stderr)
    return 1


def _cause(error: Exception) -> Exception:
    """What a task group wrapped: an error of ours if there is one, else the first."""
    if not isinstance(error, ExceptionGroup):
        return error
    causes = [_cause(e) for e in error.exceptions]
    return next((c for c in causes if isinstance(c, PeakshareError)), causes[0])


def _usage(message: str, context: Any) -> str:
    """The fault of a command line; a command group without a command is its help."""
    if message.startswith("Usage:"):
        return message
    command = getattr(context, "command_path", "peakshare")
    return f"error: {message}\n  See `{command} --help`."
