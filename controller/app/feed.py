"""The utility's feed: area load and temperature so far, the issued weather forecast.

Tables come as Parquet or CSV, whichever is there; pandas reads them, and nothing further in
sees a data frame.
"""

from dataclasses import dataclass
from datetime import UTC, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from controller.errors import Fault, FeedError
from controller.model.time import Grid, Series

AREA_TABLE = "area_load"
WEATHER_TABLE = "weather_forecast"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """What is known of area and weather when a forecast is issued."""

    load: Series
    """Of the area, kW."""
    temperature: Series
    """Measured, °C."""
    weather: Series
    """Forecast temperatures, °C."""
    weather_mae_c: float


def read_feed(folder: Path) -> Feed:
    """Read `area_load` and `weather_forecast` (.parquet or .csv) of a feed folder.

    Columns: time_utc (start of the interval, with zone), load_kw, temp_c; time_utc,
    temp_forecast_c, mae_c. Raises FeedError with every fault at once.
    """
    faults: list[Fault] = []
    area = _columns(folder, AREA_TABLE, ("load_kw", "temp_c"), faults)
    weather = _columns(folder, WEATHER_TABLE, ("temp_forecast_c", "mae_c"), faults)
    if faults:
        raise FeedError(f"the feed in {folder} cannot be used", faults)
    return Feed(
        load=area["load_kw"],
        temperature=area["temp_c"],
        weather=weather["temp_forecast_c"],
        weather_mae_c=float(np.nanmax(weather["mae_c"].values)),
    )


def _columns(
    folder: Path, name: str, columns: tuple[str, ...], faults: list[Fault]
) -> dict[str, Series]:
    """The named columns of a regular table; what is wrong goes to `faults`."""
    path = next(
        (p for p in (folder / f"{name}.parquet", folder / f"{name}.csv") if p.exists()),
        folder / f"{name}.parquet",
    )

    def wrong(place: str, value: object, expected: str) -> dict[str, Series]:
        faults.append(Fault(file=str(path), place=place, value=str(value), expected=expected))
        return {}

    try:
        table = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    except (OSError, ValueError) as error:
        return wrong("file", str(error).splitlines()[0][:120], "a readable Parquet or CSV table")
    missing = [c for c in ("time_utc", *columns) if c not in table.columns]
    if missing:
        return wrong("columns", ", ".join(table.columns), "also " + ", ".join(missing))
    try:
        times = pd.DatetimeIndex(pd.to_datetime(table["time_utc"], utc=True))
        values = {c: table[c].to_numpy(dtype=np.float64) for c in columns}
    except (ValueError, TypeError) as error:
        return wrong("values", str(error).splitlines()[0][:120], "instants and numbers")
    steps_s = times.to_series().diff().dropna().dt.total_seconds().unique()
    if len(times) < 2 or len(steps_s) != 1 or steps_s[0] <= 0:
        return wrong("time_utc", f"{len(times)} rows, {len(steps_s)} different steps",
                     "regular, ascending steps")  # fmt: skip
    step = timedelta(seconds=float(steps_s[0]))
    grid = Grid(start=times[0].to_pydatetime().astimezone(UTC), step=step, count=len(times))
    return {c: Series(grid=grid, values=v) for c, v in values.items()}
