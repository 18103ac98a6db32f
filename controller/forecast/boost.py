"""Gradient boosting of what the ridges leave over, pooled over series, refitted quarterly."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from controller.forecast.special_days import DayCalendar
from controller.forecast.weather import Weather

Array = NDArray[np.float64]
Single = NDArray[np.float32]
REFIT_DAYS = 91
LEAST_DAYS = 120
PARAMETERS: dict[str, object] = {
    "objective": "l1",
    "learning_rate": 0.04,
    "num_leaves": 31,
    "min_data_in_leaf": 100,
    "feature_fraction": 0.5,
    "bagging_fraction": 0.6,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "verbose": -1,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
}
ROUNDS = 200


def boost_regressors(
    errors: Array, baseline: Array, weather: Weather, calendar: DayCalendar
) -> Single:
    """(days, slots, p) in single precision: clock, calendar, weather, past errors, the ridges'."""
    days, slots = baseline.shape
    clock = np.repeat(np.arange(slots)[None, :] * 24.0 / slots, days, axis=0)
    daily = [calendar.weekday, calendar.off, calendar.holiday, *calendar.season[:, :2].T]
    columns = [clock, *(np.repeat(np.asarray(c, float)[:, None], slots, axis=1) for c in daily)]
    columns += [weather.now, weather.just_before, weather.just_after, *weather.smooth.values()]
    columns += [weather.day_max, weather.day_min, weather.day_mean, weather.eve_max]
    columns += [baseline, baseline - baseline.mean(axis=1, keepdims=True)]
    return np.concatenate([np.stack(columns, axis=-1), errors[..., 1:]], axis=-1).astype(np.float32)


def rolling_boost(
    X: Sequence[Single], Y: Sequence[Array], *, lead_days: int, first: int, seed: int
) -> list[Array]:
    """Per series (days, slots) predictions of `Y` from day `first` on, NaN before.

    All series learn together, each in units of its own typical error, from the days up to the
    origin of the quarter's first day; the model then stands for 91 days.
    """
    import lightgbm  # lazy: a second to import

    out = [np.full(y.shape, np.nan) for y in Y]
    days = len(Y[0])
    for day in range(first, days, REFIT_DAYS):
        end = day - lead_days + 1
        scales = [_typical(y[:end]) for y in Y]
        known = [np.isfinite(y[:end]) for y in Y]
        if sum(int(k.any(axis=1).sum()) for k in known) < LEAST_DAYS:
            continue
        rows = np.concatenate([x[:end][k] for x, k in zip(X, known, strict=True)])
        aims = [y[:end][k] / s for y, k, s in zip(Y, known, scales, strict=True)]
        data = lightgbm.Dataset(rows, np.clip(np.concatenate(aims), -8.0, 8.0))
        model = lightgbm.train({**PARAMETERS, "seed": seed}, data, num_boost_round=ROUNDS)
        coming = slice(day, min(days, day + REFIT_DAYS))
        for x, s, o in zip(X, scales, out, strict=True):
            part = x[coming]
            found = np.asarray(model.predict(part.reshape(-1, part.shape[2]), num_threads=1))
            o[coming] = s * found.reshape(part.shape[:2])
    return out


def _typical(error: Array) -> float:
    known = np.abs(error[np.isfinite(error)])
    return float(known.mean()) + 1e-9 if known.size else 1.0
