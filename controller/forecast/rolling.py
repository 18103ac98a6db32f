"""Rolling day-ahead forecasts of loads: each local day from what was known at its origin.

An origin is 00:00 local of the day. Two ridges per interval of the day (weather, then the
errors it made), gradient boosting of what they leave, their mean by past errors, bands from
the mean's own errors, and the peak from simulated days: docs/forecast.md has the method.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from controller.forecast.day_table import DayTable
from controller.forecast.intervals import QUANTILES, Bands, error_bands
from controller.forecast.members import Ridged, boosted_members, members_of, ridged_series
from controller.forecast.mix import rolling_mix
from controller.forecast.scale import Scale
from controller.forecast.simulate_peak import simulated_errors, simulated_peak
from controller.forecast.special_days import DayCalendar, day_calendar
from controller.forecast.weather import without_gaps
from controller.forecast.weather_forecast import corrected_forecast, own_forecast
from controller.model.time import Grid

Array = NDArray[np.float64]
LEAST_DAYS = 28


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SeriesSet:
    """Loads and temperatures on one UTC grid; NaN is missing."""

    grid: Grid
    load: Array
    """(series, n) in any unit of power."""
    temperature: Array
    """(stations, n) measured, °C; (0, n) where there is none."""
    issued: Array | None = None
    """(stations, n) forecasts issued for each interval before the day's origin, °C."""
    timezone: str
    country: str | None = None

    def __post_init__(self) -> None:
        n = self.grid.count
        if self.load.ndim != 2 or self.load.shape[1] != n or self.temperature.shape[1:] != (n,):
            raise ValueError(f"loads and temperatures must be (k, {n}), as long as the grid")
        if self.issued is not None and self.issued.shape != self.temperature.shape:
            raise ValueError("issued and measured temperatures must be of the same stations")


@dataclass(frozen=True, slots=True, kw_only=True)
class RollingSettings:
    """How much is known, and how much work is done."""

    weather: Literal["actual", "issued", "none"] = "none"
    """Of the target day: measured, issued before it, or nothing."""
    lead_days: Literal[1, 2] = 1
    """1: all loads before the origin are known (D-1); 2: those of the day before it are not."""
    boosting: bool = True
    seed: int = 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DayForecast:
    """One local day of one series, in the load's unit."""

    series: int
    day: date
    grid: Grid
    point: Array
    """(n,) the median: least mean absolute error."""
    quantiles: tuple[float, ...]
    values: Array
    """(quantiles, n), ascending."""
    peak: float
    peak_quantiles: Array
    peak_chance: Array
    """(n,) P(this interval holds the day's peak)."""
    peak_at: int
    peak_window: tuple[int, int]
    """[start, stop): the likeliest two hours for the peak."""


def forecast_days(
    inputs: SeriesSet, first: date, last: date, settings: RollingSettings
) -> Iterator[DayForecast]:
    """The days `first` … `last` of every series, day by day, each as known at its own origin.

    Nothing after an origin moves its forecast. Raises ValueError where fewer than 28 days
    stand before `first`, or a day is not on the grid.
    """
    table = DayTable.of(inputs.grid, inputs.timezone)
    begin, end = _days_asked(table, first, last)
    with threadpool_limits(1):  # thousands of small systems: threads would only wait for each other
        forecasts = _all_series(inputs, table, begin, settings)
    for day in range(begin, end + 1):
        grid, slot = table.rows(day)
        for k, forecast in enumerate(forecasts):
            yield forecast.of_day(k, day, table.dates[day], grid, slot, settings.lead_days)


def _days_asked(table: DayTable, first: date, last: date) -> tuple[int, int]:
    begin, end = ((at - table.dates[0]).days for at in (first, last))
    if begin > end or end >= table.days or begin < 0:
        span = f"{table.dates[0]} to {table.dates[-1]}"
        raise ValueError(f"{first} to {last} is not within the series, {span}")
    if begin < LEAST_DAYS:
        raise ValueError(f"{begin} days before {first}; at least {LEAST_DAYS} are needed")
    return begin, end


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _SeriesForecast:
    scale: Scale
    point: Array
    bands: Bands
    off: Array

    def of_day(
        self, series: int, day: int, on: date, grid: Grid, slot: NDArray[np.int64], lead: int
    ) -> DayForecast:
        middle, level = self.point[day], self.bands.level[day]
        values = self.scale.load(middle + self.bands.offsets[:, day])[:, slot]
        past = simulated_errors(self.bands.scaled, day, day - lead + 1, self.off)
        days = self.scale.load(middle + level * past)[:, slot]
        peak = simulated_peak(days, round(1 / grid.step_h), QUANTILES)
        return DayForecast(
            series=series,
            day=on,
            grid=grid,
            point=values[len(QUANTILES) // 2],
            quantiles=QUANTILES,
            values=values,
            peak=peak.height,
            peak_quantiles=peak.quantiles,
            peak_chance=peak.chance,
            peak_at=peak.at,
            peak_window=peak.window,
        )


def _all_series(
    inputs: SeriesSet, table: DayTable, begin: int, settings: RollingSettings
) -> list[_SeriesForecast]:
    calendar = day_calendar(table.dates, inputs.country)
    measured, expected = _temperatures(inputs, table, calendar, settings)
    lead = settings.lead_days
    ridged = [
        ridged_series(table.table(load), measured, expected, calendar, begin=begin, lead=lead)
        for load in inputs.load
    ]
    members = [members_of(r, calendar, begin=begin, lead=lead) for r in ridged]
    if settings.boosting:
        more = boosted_members(ridged, calendar, begin=begin, lead=lead, seed=settings.seed)
        members = [np.concatenate(pair) for pair in zip(members, more, strict=True)]
    return [_banded(r, m, calendar, begin, settings) for r, m in zip(ridged, members, strict=True)]


def _temperatures(
    inputs: SeriesSet, table: DayTable, calendar: DayCalendar, settings: RollingSettings
) -> tuple[Array, Array]:
    """(stations, days, slots) measured and expected at each day's origin, without gaps."""
    raw = table.table(inputs.temperature)
    if not len(raw):
        raw = np.full((1, table.days, table.slots), 15.0)
    measured = without_gaps(raw)
    if settings.weather == "actual":
        return measured, measured
    own = own_forecast(measured, calendar.season, settings.lead_days)
    if settings.weather == "none" or inputs.issued is None:
        return measured, own
    issued = corrected_forecast(raw, table.table(inputs.issued), settings.lead_days)
    started = np.maximum.accumulate(np.isfinite(issued).any(axis=(0, 2)))
    instead = np.where(started[None, :, None], own, measured)
    return measured, np.where(np.isfinite(issued), issued, instead)


def _banded(
    ridged: Ridged, members: Array, calendar: DayCalendar, begin: int, settings: RollingSettings
) -> _SeriesForecast:
    lead = settings.lead_days
    point = rolling_mix(members, ridged.actual, lead)
    error = ridged.actual - point
    bands = error_bands(error, ridged.weather, calendar, lead=lead, first=begin)
    return _SeriesForecast(scale=ridged.scale, point=point, bands=bands, off=calendar.off)
