"""Bands from a rolling forecast's own errors: scaled, ranked and corrected as they come in."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.forecast.day_table import lagged
from controller.forecast.online_ridge import rolling_ridge
from controller.forecast.special_days import DayCalendar
from controller.forecast.weather import Weather

Array = NDArray[np.float64]
QUANTILES = tuple(round(0.05 * k, 2) for k in range(1, 20))
LOOKBACK_DAYS = 365
NEIGHBOUR_H = 1.5
"""Errors of this many hours around a slot are ranked together."""
BLOCKS = 4
"""Coverage is held apart in the four quarters of the day."""
STEP = 0.02
"""How much wider (in logarithm) a band gets per day that misses it wholly."""
LEAST_DAYS = 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bands:
    """In the unit of the errors."""

    level: Array
    """(days, slots) the error's size to be expected."""
    scaled: Array
    """(days, slots) past errors over their level; NaN where unknown."""
    offsets: Array
    """(quantiles, days, slots) to be added to the forecast; NaN before enough is known."""


def error_bands(
    error: Array, weather: Weather | None, calendar: DayCalendar, *, lead: int, first: int
) -> Bands:
    """Bands of the days from `first` on, each from the (days, slots) errors known at its origin.

    Empirical quantiles of the last year's errors over their expected level (split conformal
    prediction with a scale; Lei et al., 2018), widened and narrowed day by day until they cover
    what they say (adaptive conformal inference; Gibbs and Candès, 2021), sides apart.
    """
    level = error_level(error, weather, calendar, lead)
    scaled = error / level
    offsets = np.full((len(QUANTILES), *error.shape), np.nan)
    width = Width(len(QUANTILES), error.shape[1])
    begin = max(first - LOOKBACK_DAYS // 2, _enough(error, lead))
    ranked = None
    for day in range(begin, len(error)):
        if ranked is None or (day - begin) % 7 == 0:
            known = scaled[max(0, day - lead + 1 - LOOKBACK_DAYS) : max(0, day - lead + 1)]
            ranked = _ranked(known)
        past = day - lead
        if np.isfinite(offsets[:, past]).any():
            width.learn(error[past], offsets[:, past])
        offsets[:, day] = width.applied(ranked * level[day])
    return Bands(level=level, scaled=scaled, offsets=offsets)


def error_level(error: Array, weather: Weather | None, calendar: DayCalendar, lead: int) -> Array:
    """(days, slots) the expected size of the error: by slot, season, kind of day and weather.

    A rolling ridge on the logarithm of past absolute errors, and on how large the last days'
    were; 1 before enough is known.
    """
    size = np.abs(error)
    floor = 1e-4
    log_size = np.log(size + floor)
    columns = [np.ones_like(error), *_spread(calendar.season[:, :4].T, error)]
    columns += _spread(np.stack([calendar.off, calendar.holiday]), error)
    for days in (1, 7, 28):
        columns += _spread(_fading_size(log_size, days, lead)[None], error)
    if weather is not None:
        change = np.abs(weather.day_mean - lagged(weather.day_mean, lead)) / 10
        heat, cold = (weather.day_max - 24.0) / 10, (8.0 - weather.day_min) / 10
        columns += [np.nan_to_num(change), np.maximum(heat, 0), np.maximum(cold, 0)]
    X = np.stack(columns, axis=-1)
    penalty = np.full(X.shape[2], 20.0)
    penalty[0] = 1e-3
    expected = rolling_ridge(
        X,
        log_size[..., None],
        penalty=penalty,
        half_life_days=400.0,
        lead_days=lead,
        refit_days=7,
        first_day=_enough(error, lead),
    )[..., 0]
    level: Array = np.where(np.isfinite(expected), np.exp(expected), 1.0)
    return level


def _enough(error: Array, lead: int) -> int:
    """The first day at whose origin 20 days of errors are known."""
    known = np.flatnonzero(np.isfinite(error).any(axis=1))
    return int(known[LEAST_DAYS]) + lead if len(known) > LEAST_DAYS else len(error)


def _spread(rows: Array, like: Array) -> list[Array]:
    return [np.repeat(row[:, None], like.shape[1], axis=1) for row in rows]


def _fading_size(log_size: Array, days: int, lead: int) -> Array:
    """(days,) fading mean of the daily log errors known, less their mean so far."""
    out, now, seen, whole, count = np.zeros(len(log_size)), 0.0, 0.0, 0.0, 0
    for day in range(len(log_size)):
        past = log_size[day - lead] if day >= lead else log_size[:0]
        known = past[np.isfinite(past)]
        if known.size:
            keep = 1 - 1 / days
            now, seen = keep * now + (1 - keep) * known.mean(), keep * seen + 1 - keep
            whole, count = whole + float(known.mean()), count + 1
        out[day] = (now / seen - whole / count) if count else 0.0
    return out


def _ranked(scaled: Array) -> Array:
    """(quantiles, slots) of the (days, slots) scaled errors around each slot."""
    slots = scaled.shape[1]
    reach = max(1, round(NEIGHBOUR_H * slots / 24))
    near = np.clip(np.arange(slots)[:, None] + np.arange(-reach, reach + 1), 0, slots - 1)
    pool = scaled[:, near].transpose(0, 2, 1).reshape(-1, slots)
    ranked: Array = np.nanquantile(pool, QUANTILES, axis=0)
    return np.maximum.accumulate(ranked, axis=0)


class Width:
    """A factor per quantile and quarter of the day that learns from each day's misses."""

    def __init__(self, quantiles: int, slots: int) -> None:
        self._log = np.zeros((quantiles, BLOCKS))
        self._block = np.arange(slots) * BLOCKS // slots
        self._aim = np.array(QUANTILES)[:, None]
        self._outward = np.sign(self._aim - 0.5)

    def learn(self, error: Array, offsets: Array) -> None:
        """One past day's (slots,) errors against the (quantiles, slots) offsets it was given."""
        known = np.isfinite(error)
        for block in range(BLOCKS):
            mine = known & (self._block == block)
            if mine.any():
                below = (error[mine] <= offsets[:, mine]).mean(axis=1, keepdims=True)
                self._log[:, [block]] += STEP * self._outward * (self._aim - below)

    def applied(self, offsets: Array) -> Array:
        """Widened around the median offset, and put in order again."""
        middle = offsets[len(QUANTILES) // 2]
        wide = middle + (offsets - middle) * np.exp(self._log)[:, self._block]
        return np.sort(wide, axis=0)
