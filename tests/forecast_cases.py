"""The demo's area as quarter hours, and meters made up for the forecasts' tests."""

import csv
import gzip
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from controller.forecast.load import forecast_load
from controller.forecast.resample import split_half_hours
from controller.model.plans import Forecast
from controller.model.time import QUARTER_HOUR, Grid, Interval, Series

AREA = Path(__file__).parents[1] / "configs" / "demo" / "area" / "victoria-2014-01.csv.gz"
MELBOURNE = "Australia/Melbourne"
HOLIDAYS = ("2014-01-01", "2014-01-27")
HOT_DAY = date(2014, 1, 28)


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """One hundredth of Victoria in January 2014: load in kW, temperature in °C."""

    load: Series
    temperature: Series


@cache
def the_area() -> Area:
    with gzip.open(AREA, "rt") as text:
        rows = list(csv.DictReader(text))
    start = datetime.fromisoformat(rows[0]["time_utc"]).astimezone(UTC)
    grid = Grid(start=start, step=QUARTER_HOUR, count=2 * len(rows))
    megawatts = np.array([float(r["demand_mw"]) for r in rows])
    celsius = np.array([float(r["temp_c"]) for r in rows])
    return Area(
        load=Series(grid=grid, values=split_half_hours(megawatts * 10)),
        temperature=Series(grid=grid, values=split_half_hours(celsius)),
    )


def local_midnight(day: date) -> datetime:
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(MELBOURNE))
    return midnight.astimezone(UTC)


def day_grid(day: date) -> Grid:
    span = Interval(start=local_midnight(day), end=local_midnight(day + timedelta(days=1)))
    return Grid.over(span)


def evening_before(day: date) -> datetime:
    return local_midnight(day) - timedelta(hours=4)


def weather_error_c(grid: Grid, mae_c: float, seed: int) -> NDArray[np.float64]:
    """An error of a weather forecast that lasts some hours, of about the stated size."""
    random = np.random.default_rng([seed, grid.start.toordinal()])
    keep, last = np.exp(-grid.step_h / 6), random.standard_normal()
    error = np.empty(grid.count)
    for i, shock in enumerate(random.standard_normal(grid.count)):
        last = keep * last + np.sqrt(1 - keep**2) * shock
        error[i] = last
    return error * mae_c * np.sqrt(np.pi / 2)


def until(series: Series, at: datetime) -> Series:
    return series.on(series.grid.within(Interval(start=series.grid.start, end=at)))


def forecast_of(
    day: date,
    *,
    seed: int | None = None,
    mae_c: float = 0.8,
    days: int = 27,
    area: Area | None = None,
) -> Forecast:
    """The forecast for a January day issued at 20:00 the evening before."""
    area = area or the_area()
    made_at = evening_before(day)
    first = max(area.load.grid.start, local_midnight(day - timedelta(days=days)))
    count = (made_at - first) // QUARTER_HOUR
    past = Grid(start=first, step=QUARTER_HOUR, count=count)
    ahead = Grid.over(Interval(start=made_at, end=day_grid(day).end))
    weather = area.temperature.on(ahead).values
    if seed is not None:
        weather = weather + weather_error_c(ahead, mae_c, seed)
    return forecast_load(
        area.load.on(past),
        area.temperature.on(past),
        Series(grid=ahead, values=weather),
        day_grid(day),
        made_at=made_at,
        timezone=MELBOURNE,
        holidays=HOLIDAYS,
        weather_mae_c=mae_c,
    )
