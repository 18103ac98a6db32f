"""Commands that need no running controller."""

import asyncio
import json
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from controller.cli.live import show
from controller.errors import Fault, InputError, NotRunningError


def check(folder: Path, *, as_json: bool) -> None:
    """Validate a configuration folder and say what is in it."""
    from controller.config import check_config

    summary = asdict(check_config(folder))
    text = "\n".join(f"{name.replace('_', ' ')}: {value}" for name, value in summary.items())
    show(summary, as_json, f"{folder} is valid\n{text}")


def meter_import(folder: Path, data: Path, files: list[Path], *, as_json: bool) -> None:
    """Import through the running controller, or straight into its data directory."""
    from controller.cli.client import find

    paths = [str(f.resolve()) for f in files]
    try:
        done = find(data).post("/meters/import", {"paths": paths})
    except NotRunningError:
        done = asyncio.run(_import_here(folder, data, files))
    show(done, as_json, f"{done['rows']} rows of {done['files']} files imported")


async def _import_here(folder: Path, data: Path, files: list[Path]) -> dict[str, int]:
    from controller.clock import SystemClock
    from controller.config import load_config
    from controller.meters import import_meters, read_meter_files
    from controller.store import open_store

    config = load_config(folder)
    read = read_meter_files(files, config.fleet.meters)
    async with open_store(data, SystemClock()) as store:
        await import_meters(store.telemetry, config.area.id, read)
    return {"rows": read.rows, "meters": len(config.fleet.meters), "files": len(files)}


def forecast(folder: Path, feed: Path, issued_at: str, *, as_json: bool) -> None:
    """Forecast the area for the local day after `issued_at`."""
    from controller.app.day_ahead import local_day
    from controller.app.feed import read_feed
    from controller.config import load_config
    from controller.forecast.load import forecast_load
    from controller.model.time import Grid, Interval

    config = load_config(folder)
    at = _instant(issued_at)
    zone = ZoneInfo(config.area.timezone)
    day = at.astimezone(zone).date() + timedelta(days=1)
    known = read_feed(feed)
    past = Interval(start=known.load.grid.start, end=at)
    made = forecast_load(
        known.load.on(known.load.grid.within(past)),
        known.temperature.on(known.temperature.grid.within(past)),
        known.weather.on(Grid.over(local_day(day, config.area.timezone))),
        Grid.over(local_day(day, config.area.timezone)),
        made_at=at,
        timezone=config.area.timezone,
        holidays=config.programs[config.shaving.program_id].holidays,
        weather_mae_c=known.weather_mae_c,
    )
    peak_at, peak_kw = made.peak
    rows = [
        {"start": made.grid.at(i).isoformat(), **{str(q): round(float(made.kw[j, i]), 1)
         for j, q in enumerate(made.quantiles)}}
        for i in range(made.grid.count)
    ]  # fmt: skip
    text = "\n".join([
        f"peak {peak_kw:.0f} kW in the quarter hour from {peak_at.astimezone(zone):%Y-%m-%d %H:%M}",
        *made.notes,
    ])  # fmt: skip
    show({"peak_kw": peak_kw, "peak_at": peak_at.isoformat(), "intervals": rows}, as_json, text)


def report(folder: Path) -> None:
    """Write report.html again from a demo's files."""
    from controller.cli.report import write_report

    try:
        inputs = json.loads((folder / "report_input.json").read_text())
    except (OSError, ValueError) as error:
        fault = Fault(
            file=str(folder / "report_input.json"), place="file", value=str(error),
            expected="the file that `peakshare demo` writes",
        )  # fmt: skip
        raise InputError("there is no played day to report on", [fault]) from error
    print(f"written to {write_report(folder, inputs)}")


def _instant(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"{text!r} is not an ISO instant") from error
    if at.tzinfo is None:
        raise InputError(f"{text!r} needs an offset, e.g. 2014-01-27T20:00+11:00")
    return at
