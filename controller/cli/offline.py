"""Commands that need no running controller."""

import asyncio
import json
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from controller.cli.files import write_text
from controller.cli.instants import instant_of
from controller.cli.live import show
from controller.errors import Fault, FeedError, NotRunningError, PlayedDayError
from controller.model.time import Interval

LEAST_HISTORY = timedelta(days=7)
STALE = timedelta(hours=3)
"""A feed that ends earlier than that before a forecast says nothing about tomorrow."""


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
    from controller.model.time import Grid

    config = load_config(folder)
    at = instant_of("--issued-at", issued_at)
    known = read_feed(feed)
    _require_history(feed, known.load.grid.span, at)
    zone = ZoneInfo(config.area.timezone)
    day = at.astimezone(zone).date() + timedelta(days=1)
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


def _require_history(feed: Path, known: Interval, at: datetime) -> None:
    """Raises FeedError where the area's load does not lead up to `at`."""
    if known.start + LEAST_HISTORY <= at <= known.end + STALE:
        return
    fault = Fault(
        file=str(feed), place="area_load", value=f"from {known.start} to {known.end}",
        expected=f"{LEAST_HISTORY.days} days or more up to {at}",
    )  # fmt: skip
    raise FeedError("the feed does not lead up to that instant", [fault])


def report(folder: Path, *, as_json: bool) -> None:
    """Write report.html again from a demo's files. Raises PlayedDayError, OutputError."""
    from controller.cli.report import render

    file = folder / "report_input.json"

    def no_day(place: str, error: Exception) -> PlayedDayError:
        expected = "the file that `peakshare demo` writes"
        fault = Fault(file=str(file), place=place, value=repr(error), expected=expected)
        return PlayedDayError("there is no played day to report on", [fault])

    try:
        inputs = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise no_day("file", error) from error
    try:
        page = render(inputs)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise no_day("content", error) from error
    written = folder / "report.html"
    write_text(written, page)
    show({"report": str(written)}, as_json, f"written to {written}")
