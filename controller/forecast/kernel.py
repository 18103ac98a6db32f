"""Days alike: a kernel ridge on whole days, for what acts together and no straight line shows."""

import numpy as np
from numpy.typing import NDArray

from controller.forecast.day_table import lagged
from controller.forecast.special_days import DayCalendar
from controller.forecast.weather import Weather

Array = NDArray[np.float64]
REFIT_DAYS = 28
LEAST_DAYS = 60
MEMORY_DAYS = 1100
HALF_LIFE_DAYS = 500.0
WIDTH, RIDGE = 3.0, 0.3
COURSE = 8
"""Three-hour means in which a day's temperature is compared."""


def day_features(weather: Weather, errors: Array, calendar: DayCalendar, lead: int) -> Array:
    """(days, p) what makes two days alike: weather, season, kind of day, yesterday's errors."""
    days = len(errors)
    course = weather.now.reshape(days, COURSE, -1).mean(axis=2) / 8.0
    heat = np.stack([weather.smooth[h][:, 0] for h in (24.0, 72.0)], axis=1) / 8.0
    kind = np.stack([calendar.off, calendar.holiday, calendar.weekday == 5], axis=1) * 1.5
    ends = np.stack([calendar.weekday == 0, calendar.weekday == 4], axis=1) * 1.0
    last = np.nan_to_num(lagged(errors, lead))
    size = float(np.sqrt(np.mean(last[: max(1, LEAST_DAYS * 2)] ** 2))) or 1.0
    late = last.reshape(days, COURSE, -1).mean(axis=2) / (2 * size)
    return np.hstack([course, heat, calendar.season[:, :2] * 1.5, kind, ends, late / 2])


def rolling_kernel(X: Array, Y: Array, *, lead_days: int, first: int) -> Array:
    """(days, slots) predictions of `Y` by kernel ridge regression on (days, p) `X`.

    Gaussian kernel of width `WIDTH`; older days count less (a larger ridge); refitted every
    28 days from the days up to the origin; days with a gap teach nothing.
    """
    out = np.full(Y.shape, np.nan)
    for day in range(first, len(X), REFIT_DAYS):
        past = np.arange(max(0, day - lead_days + 1 - MEMORY_DAYS), day - lead_days + 1)
        past = past[np.isfinite(Y[past]).all(axis=1)]
        if len(past) < LEAST_DAYS:
            continue
        own = _alike(X[past], X[past])
        own[np.diag_indices(len(past))] += RIDGE * 2.0 ** ((day - past) / HALF_LIFE_DAYS)
        weights = np.linalg.solve(own, Y[past])
        coming = slice(day, min(len(X), day + REFIT_DAYS))
        out[coming] = _alike(X[coming], X[past]) @ weights
    return out


def _alike(a: Array, b: Array) -> Array:
    square = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    alike: Array = np.exp(-np.maximum(square, 0) / (2 * WIDTH**2))
    return alike
