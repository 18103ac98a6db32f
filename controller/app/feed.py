"""The utility's feed: area load and temperature so far, the issued weather forecast."""

import itertools
from dataclasses import dataclass
from datetime import UTC, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from controller.errors import Fault, InputError
from controller.model.time import Grid, Series

AREA_FILE = "area_load.parquet"
WEATHER_FILE = "weather_forecast.parquet"
METER_FOLDER = "meters"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """What is known of area and weather when a forecast is issued."""

    load: Series
    temperature: Series
    weather: Series
    """Forecast temperatures, °C."""
    weather_mae_c: float


def read_feed(folder: Path) -> Feed:
    """Read a feed folder. Raises InputError with every fault at once."""
    faults: list[Fault] = []
    area = _columns(folder / AREA_FILE, ("load_kw", "temp_c"), faults)
    weather = _columns(folder / WEATHER_FILE, ("temp_forecast_c", "mae_c"), faults)
    if faults:
        raise InputError(f"the feed in {folder} cannot be used", faults)
    return Feed(
        load=area["load_kw"],
        temperature=area["temp_c"],
        weather=weather["temp_forecast_c"],
        weather_mae_c=float(np.nanmax(weather["mae_c"].values)),
    )


def _columns(path: Path, names: tuple[str, ...], faults: list[Fault]) -> dict[str, Series]:
    """The named columns of a regular table with `time_utc` (start of the interval)."""
    try:
        table = pq.read_table(path, columns=["time_utc", *names])
    except (OSError, KeyError, pa.ArrowException) as error:
        expected = "a Parquet table with time_utc, " + ", ".join(names)
        place = ", ".join(names)
        faults.append(Fault(file=str(path), place=place, value=str(error)[:120], expected=expected))
        return {}
    times = table.column("time_utc").to_pylist()
    steps = {b - a for a, b in itertools.pairwise(times)}
    if len(times) < 2 or len(steps) != 1 or times[0].tzinfo is None:
        value = f"{len(times)} rows, steps {sorted(steps)[:3]}"
        faults.append(Fault(file=str(path), place="time_utc", value=value,
                            expected="regular steps, in UTC, ascending"))  # fmt: skip
        return {}
    step: timedelta = steps.pop()
    grid = Grid(start=times[0].astimezone(UTC), step=step, count=len(times))
    return {
        name: Series(grid=grid, values=table.column(name).to_numpy(zero_copy_only=False))
        for name in names
    }
