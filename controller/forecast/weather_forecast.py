"""Weather forecasts: our own from the stations' past, and the correction of issued ones."""

import numpy as np
from numpy.typing import NDArray

from controller.forecast.day_table import lagged
from controller.forecast.online_ridge import rolling_ridge

Array = NDArray[np.float64]
BLOCKS = 8
"""Three-hour means of the last day that the own forecast looks at."""
OWN_FIRST_DAY = 20
MOS_FIRST_DAY = 14
MOS_MEMORY_DAYS = 120.0


def own_forecast(temp_c: Array, season: Array, lead_days: int) -> Array:
    """(stations, days, slots) of each day, from what was measured up to `lead_days` before.

    A rolling ridge of the change against the last measured day on that day's course here and at
    all stations, the days before it and the season. The first days repeat the last one.
    """
    days, slots = temp_c.shape[1:]
    mean = temp_c.mean(axis=0)
    shared = [np.ones((days, 1)), season[:, :4], _course(mean, lead_days)]
    out = np.empty(temp_c.shape)
    for k, own in enumerate(temp_c):
        last = lagged(own, lead_days)
        local = [_course(own - mean, lead_days), *_days_before(own, lead_days), last[:, -1:] / 10]
        X = np.repeat(np.hstack([*shared, *local])[:, None, :], slots, axis=1)
        X = np.concatenate([X, last[..., None] / 10], axis=-1)
        change = rolling_ridge(
            X,
            ((own - last) / 10)[..., None],
            penalty=1.0,
            half_life_days=1500.0,
            lead_days=lead_days,
            refit_days=14,
            first_day=OWN_FIRST_DAY,
        )[..., 0]
        out[k] = _or_last(last + 10 * change, last, own)
    return out


def _course(temp_c: Array, lead_days: int) -> Array:
    """(days, BLOCKS) means over the last measured day, in units of 10 °C."""
    last = lagged(temp_c, lead_days)
    course: Array = last.reshape(len(last), BLOCKS, -1).mean(axis=2) / 10
    return course


def _days_before(temp_c: Array, lead_days: int) -> list[Array]:
    """Means of the day before the last measured one and of the last week, each (days, 1)."""
    daily = temp_c.mean(axis=1)
    eve = lagged(daily, lead_days + 1)
    week = np.stack([lagged(daily, lead_days + k) for k in range(7)]).mean(axis=0)
    return [eve[:, None] / 10, week[:, None] / 10]


def _or_last(forecast: Array, last: Array, measured: Array) -> Array:
    """The forecast, else the last measured day, else (the very first days) the first day."""
    held = np.where(np.isfinite(forecast), forecast, last)
    first: Array = np.where(np.isfinite(held), held, measured[0])
    return first


def corrected_forecast(measured: Array, issued: Array, lead_days: int) -> Array:
    """Issued forecasts less the error to be expected from their errors so far (MOS).

    Both are (stations, days, slots); `issued` is NaN where nothing was issued and stays so.
    Model output statistics after Glahn and Lowry (1972), here a rolling ridge per station and
    slot on its last errors, the other stations' and the forecast itself; it fades, because the
    forecasts change, and leaves the first two weeks as issued.
    """
    error = measured - issued
    started = np.flatnonzero(np.isfinite(error).any(axis=(0, 2)))
    if not len(started):
        return issued.copy()
    first, out = int(started[0]), issued.copy()
    error, issued, common = error[:, first:], issued[:, first:], _mean(error[:, first:])
    for k, own in enumerate(error):
        X = _error_regressors(own, common, issued[k], _mean(issued), lead_days)
        expected = rolling_ridge(
            X,
            own[..., None],
            penalty=8.0,
            half_life_days=MOS_MEMORY_DAYS,
            lead_days=lead_days,
            refit_days=3,
            first_day=MOS_FIRST_DAY,
        )[..., 0]
        out[k, first:] += np.where(np.isfinite(expected), np.clip(expected, -4.0, 4.0), 0.0)
    return out


def _error_regressors(
    own: Array, common: Array, issued: Array, issued_mean: Array, lead_days: int
) -> Array:
    """(days, slots, p): the last errors and where the forecast stands among the stations."""
    days, slots = own.shape
    per_hour = slots // 24
    columns = [np.ones((days, slots))]
    for error in (own, common):
        last = lagged(error, lead_days)
        recent = [last[:, -n * per_hour :] for n in (1, 4, 24)]
        columns += [np.repeat(_mean(part.T)[:, None], slots, axis=1) for part in recent]
        columns.append(last)
    columns += [issued - issued_mean, (issued - 15.0) / 10]
    return np.nan_to_num(np.stack(columns, axis=-1))


def _mean(values: Array) -> Array:
    """Over the first axis, of what is known; NaN where nothing is."""
    known = np.isfinite(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0)
    mean: Array = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return mean
