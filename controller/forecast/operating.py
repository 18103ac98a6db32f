"""Operating forecasts: what each of many meters would draw if nobody called it.

One ridge for all meters at once: they share the columns (time of day, kind of day, weather)
and therefore the normal matrix, and differ only in their right-hand side, so 2,000 meters cost
little more than one. The fit is linear in the load: the forecast of a sum is the sum of the
forecasts. It is a best estimate (mean) to steer by; money uses the baselines instead.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from controller.forecast.features import (
    DAY,
    WEATHER_COLUMNS,
    Calendar,
    harmonics,
    joined_temperature,
    local_calendar,
    wave_numbers,
    weather_columns,
)
from controller.forecast.resample import coarsen
from controller.forecast.ridge import Normal
from controller.model.time import Grid, Series

HALF_LIFE_DAYS: Final = 20.0
SMOOTH_WAVES: Final = 4
WEATHER_WAVES: Final = 3
NEUTRAL_C: Final = 18.0
"""Outside temperature at which nothing is heated or cooled."""

# Penalties in days of data, as in `load`. Slots of the day keep sharp edges (a shift, opening
# hours) where the days agree and are drawn to a smooth day where they do not.
FREE, KIND_PENALTY, SLOT_PENALTY, WEATHER_PENALTY = 1e-6, 0.01, 0.001, 0.04
ODD_DAY, ODD_SPREAD = 6.0, 1.5
"""A day is left out (an outage, a past call) when its mean is further from the fit than so many
usual days' and than so many standard deviations of the meter's daily means."""
HEADROOM: Final = 1.1
"""No forecast goes beyond this multiple of the highest load ever metered."""
CORRECTION_BOUND: Final = 0.5
"""A correction moves the forecast by at most this part of its mean over the window."""


def operating_forecast(
    history_kw: NDArray[np.float64],
    history_grid: Grid,
    temperature: Series,
    weather: Series,
    grid: Grid,
    *,
    timezone: str,
    holidays: Sequence[str],
) -> NDArray[np.float64]:
    """(m, grid.count) expected load in kW of m meters from their (m, n) history; NaN is missing.

    `temperature` (°C) is measured over the history, `weather` forecast for `grid`. Meters without
    a value give NaN. Raises ValueError on shapes that do not fit and on unaligned grids.
    """
    problem = _Problem(history_kw, history_grid, temperature, weather, grid, timezone, holidays)
    return problem.bounded(problem.ahead(problem.temp_c) @ problem.coefficients).T


def weather_share(
    history_kw: NDArray[np.float64],
    history_grid: Grid,
    temperature: Series,
    weather: Series,
    grid: Grid,
    *,
    timezone: str,
    holidays: Sequence[str],
    neutral_c: float = NEUTRAL_C,
) -> NDArray[np.float64]:
    """(m, grid.count) kW of each meter's operating forecast that is there because of the weather.

    The forecast less the same forecast had it been `neutral_c` all along: what heating and
    cooling draw, whatever device does it. Not below 0. Parameters as in `operating_forecast`.
    """
    problem = _Problem(history_kw, history_grid, temperature, weather, grid, timezone, holidays)
    whole = problem.bounded(problem.ahead(problem.temp_c) @ problem.coefficients)
    neutral = np.full_like(problem.temp_c, neutral_c)
    rest = problem.bounded(problem.ahead(neutral) @ problem.coefficients)
    return np.maximum(whole - rest, 0.0).T


class _Problem:
    """The shared regression of one call."""

    def __init__(
        self,
        history_kw: NDArray[np.float64],
        history_grid: Grid,
        temperature: Series,
        weather: Series,
        grid: Grid,
        timezone: str,
        holidays: Sequence[str],
    ) -> None:
        shape = np.shape(history_kw)
        if len(shape) != 2 or shape[1] != history_grid.count:
            raise ValueError(f"history of shape {shape} on a grid of {history_grid.count}")
        aligned = grid.step == history_grid.step
        if not aligned or (grid.start - history_grid.start) % grid.step:
            raise ValueError("history and forecast are not aligned")
        if grid.start < history_grid.start:
            raise ValueError("the history begins after the forecast")
        self.load = np.asarray(history_kw, dtype=np.float64).T
        self.axis = Grid(
            start=history_grid.start,
            step=grid.step,
            count=max(history_grid.count, (grid.end - history_grid.start) // grid.step),
        )
        self.rows = slice(self.axis.index(grid.start), self.axis.index(grid.start) + grid.count)
        self.calendar = local_calendar(self.axis, timezone, holidays)
        self.temp_c = joined_temperature(self.axis, temperature, weather)
        self.per_day = DAY // grid.step
        self.coefficients = self._fitted()

    def ahead(self, temp_c: NDArray[np.float64]) -> NDArray[np.float64]:
        """Columns of the forecast's rows under the temperatures `temp_c` of the whole axis."""
        return self._columns(temp_c)[self.rows]

    def bounded(self, kw: NDArray[np.float64]) -> NDArray[np.float64]:
        """(rows, m) kept between nothing (or the highest feed-in) and the highest load metered."""
        known = ~np.isnan(self.load).all(axis=0)
        load = np.where(known, self.load, 0.0)
        low, high = np.nanmin(load, axis=0), np.nanmax(load, axis=0)
        out = np.clip(kw, np.minimum(low, 0.0) * HEADROOM, np.maximum(high, 0.0) * HEADROOM)
        return np.where(known, out, np.nan)

    def _fitted(self) -> NDArray[np.float64]:
        """(columns, m): fitted with gaps filled by like slots, odd days replaced, fitted again."""
        count = self.load.shape[0]
        columns = self._columns(self.temp_c)[:count]
        age = (count - 1 - np.arange(count)) / self.per_day
        weight = 0.5 ** (age / HALF_LIFE_DAYS)
        missing = np.isnan(self.load)
        filled = np.where(
            missing, _like_slot_means(self.load, self.calendar, self.per_day), self.load
        )
        normal = Normal(self._penalty(), filled.shape[1])
        normal.add(columns, filled, weight)
        fit = normal.fit()
        guess = fit.predict(columns)
        replace = missing | _odd_days(self.load, guess, self.calendar.day[:count])
        if not replace.any():
            return fit.coefficients
        again = np.where(replace, guess, self.load)
        moment = (columns * weight[:, None]).T @ again
        refitted: NDArray[np.float64] = fit.covariance @ moment
        return refitted

    def _columns(self, temp_c: NDArray[np.float64]) -> NDArray[np.float64]:
        calendar, waves = self.calendar, harmonics(self.calendar.frac, WEATHER_WAVES)
        slot = slot_of_day(calendar, self.per_day)
        dummies = np.eye(self.per_day)[slot]
        weather = weather_columns(temp_c, self.axis.step_h)
        responses = (weather[:, :, None] * waves[:, None, :]).reshape(len(weather), -1)
        off = ~calendar.working[:, None]
        smooth = harmonics(calendar.frac, SMOOTH_WAVES)
        return np.hstack([smooth, smooth * off, dummies, dummies * off, responses])

    def _penalty(self) -> NDArray[np.float64]:
        smooth, slots = 1 + 2 * SMOOTH_WAVES, self.per_day
        responses = WEATHER_PENALTY * (1 + wave_numbers(WEATHER_WAVES) ** 2)
        parts = [
            np.full(smooth, FREE),
            np.full(smooth, KIND_PENALTY),
            np.full(slots, SLOT_PENALTY),
            np.full(slots, SLOT_PENALTY * 2),
            np.tile(responses, WEATHER_COLUMNS),
        ]
        return np.concatenate(parts) * self.per_day


def slot_of_day(calendar: Calendar, per_day: int) -> NDArray[np.int64]:
    """(rows,) which interval of the local day each row is."""
    return np.minimum((calendar.frac * per_day).astype(np.int64), per_day - 1)


def _like_slot_means(
    load: NDArray[np.float64], calendar: Calendar, per_day: int
) -> NDArray[np.float64]:
    """(rows, m) mean of the same slot on days of the same kind; a meter's mean where unknown."""
    rows = len(load)
    group = slot_of_day(calendar, per_day)[:rows] + per_day * calendar.working[:rows]
    known = ~np.isnan(load)
    value = np.where(known, load, 0.0)
    belongs = np.zeros((2 * per_day, rows))
    belongs[group, np.arange(rows)] = 1.0
    count, total = belongs @ known, belongs @ value
    whole = value.sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    means = np.where(count > 0, total / np.maximum(count, 1), whole)
    return means[group]


def _odd_days(
    load: NDArray[np.float64], guess: NDArray[np.float64], day: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """(rows, m) True on days that look like nothing else this meter did in like weather."""
    days = int(day[-1]) + 1
    belongs = np.zeros((days, len(day)))
    belongs[day, np.arange(len(day))] = 1.0
    known = ~np.isnan(load)
    count = np.maximum(belongs @ known, 1)
    error = np.abs(belongs @ np.where(known, load - guess, 0.0)) / count
    spread = (belongs @ guess / np.maximum(belongs.sum(axis=1), 1)[:, None]).std(axis=0)
    limit = np.maximum(ODD_DAY * np.median(error, axis=0), ODD_SPREAD * spread)
    odd: NDArray[np.bool_] = error > np.maximum(limit, 1e-9)
    return np.logical_and(odd[day], known)


def correct(
    forecast: Series,
    readings: Series,
    *,
    until: datetime,
    window_h: float = 2.0,
    decay_h: float | None = 6.0,
) -> Series:
    """`forecast` shifted after `until` by what the readings of the last hours differ from it.

    The mean difference over [until − window_h, until) is added and fades with a time constant
    of `decay_h` (None: it stays); it is bounded by half the forecast's mean over the window, and
    nothing falls below 0 that was not forecast to. Without readings in the window the forecast
    stands. `readings` may come on a finer grid; those at or after `until` are not looked at.
    """
    window = _window(forecast.grid, until, window_h)
    seen, expected = coarsen(readings, window).values, forecast.on(window).values
    known = ~np.isnan(seen) & ~np.isnan(expected)
    if not known.any():
        return forecast
    bound = CORRECTION_BOUND * abs(float(expected[known].mean()))
    shift = float(np.clip((seen - expected)[known].mean(), -bound, bound))
    grid = forecast.grid
    ahead_h = (np.arange(grid.count) - (until - grid.start) / grid.step) * grid.step_h
    keep = np.ones(grid.count) if decay_h is None else np.exp(-np.maximum(ahead_h, 0.0) / decay_h)
    moved = forecast.values + shift * np.where(ahead_h > -grid.step_h, keep, 0.0)
    return Series(grid=grid, values=np.maximum(moved, np.minimum(forecast.values, 0.0)))


def _window(grid: Grid, until: datetime, hours: float) -> Grid:
    """The finished intervals of `grid`'s lattice in the last `hours` before `until`."""
    count = max(1, round(hours / grid.step_h))
    return Grid(start=grid.at(grid.index(until) - count), step=grid.step, count=count)
