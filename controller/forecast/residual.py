"""What a rolling model's own recent errors say about its next ones."""

import numpy as np
from numpy.typing import NDArray

from controller.forecast.day_table import lagged
from controller.forecast.special_days import DayCalendar
from controller.forecast.weather import Weather

Array = NDArray[np.float64]
UNIT = 0.03
"""Degrees in units of 10 °C are brought to the size of a typical error, so one penalty fits all."""


def error_regressors(error: Array, weather: Weather, calendar: DayCalendar, lead: int) -> Array:
    """(days, slots, p) of what was known of `error` (days, slots) `lead` days before each day.

    The last hours, the same slot yesterday, two days, one and two weeks ago, means over days
    and over days of the same kind, and how the weather changes against the last known day.
    """
    slots = error.shape[1]
    last = lagged(error, lead)
    hours = [_spread(_nanmean(last[:, -n * slots // 24 :]), slots) for n in (1, 3, 6, 12, 24)]
    earlier = [last, lagged(error, lead + 1), lagged(error, 7), lagged(error, 14)]
    means = [_recent_mean(error, days, lead) for days in (3, 7, 21)]
    alike = [_mean_alike(error, kind, lead) for kind in (calendar.off, calendar.weekday)]
    daily = _nanmean(error)[:, None]
    levels = [lagged(daily, lead + 1), _recent_mean(daily, 7, lead), _recent_mean(daily, 28, lead)]
    off, off_last = calendar.off[:, None], lagged(calendar.off, lead)[:, None]
    columns = [np.ones_like(error), *hours, *earlier, *means, *alike]
    columns += [np.repeat(level, slots, axis=1) for level in levels]
    columns += [UNIT * column for column in _changes(weather, lead)]
    columns += [UNIT * np.repeat(off, slots, axis=1), (off - off_last) * hours[-1]]
    columns += [off * means[0], calendar.holiday[:, None] * means[0]]
    return np.nan_to_num(np.stack(columns, axis=-1))


def _changes(weather: Weather, lead: int) -> list[Array]:
    """Each (days, slots), in units of 10 °C."""
    warmer = weather.day_mean - lagged(weather.day_mean, lead)
    built_up = weather.smooth[72.0] - weather.day_mean
    here = weather.now - lagged(weather.now, lead)
    return [here / 10, warmer / 10, np.maximum(warmer, 0) / 10, built_up / 10]


def _recent_mean(table: Array, days: int, lead: int) -> Array:
    """Per slot over the last `days` known ones; 0 where none is."""
    known = np.isfinite(table)
    pad = np.zeros((1, table.shape[1]))
    total = np.vstack([pad, np.where(known, table, 0.0).cumsum(axis=0)])
    count = np.vstack([pad, known.cumsum(axis=0)])
    stop = np.maximum(np.arange(len(table)) - lead + 1, 0)
    start = np.maximum(stop - days, 0)
    mean: Array = (total[stop] - total[start]) / np.maximum(count[stop] - count[start], 1)
    return mean


def _mean_alike(
    table: Array, kind: NDArray[np.float64] | NDArray[np.int64], lead: int, keep: float = 0.7
) -> Array:
    """Fading mean per slot over earlier days of the same kind, drawn to 0 while they are few."""
    total = {k: np.zeros(table.shape[1]) for k in np.unique(kind)}
    count = {k: np.full(table.shape[1], 0.3) for k in np.unique(kind)}
    out = np.zeros_like(table)
    for day in range(len(table)):
        past = day - lead
        if past >= 0:
            k, known = kind[past], np.isfinite(table[past])
            total[k] = np.where(known, keep * total[k] + np.nan_to_num(table[past]), total[k])
            count[k] = np.where(known, keep * count[k] + 1, count[k])
        out[day] = total[kind[day]] / count[kind[day]]
    return out


def _nanmean(table: Array) -> Array:
    """(days,) over the slots known; NaN where none is."""
    known = np.isfinite(table)
    count = known.sum(axis=1)
    total = np.where(known, table, 0.0).sum(axis=1)
    mean: Array = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return mean


def _spread(per_day: Array, slots: int) -> Array:
    return np.repeat(per_day[:, None], slots, axis=1)
