"""A customer without a history of its own borrows from its class.

Each classmate's forecast, brought to the newcomer's size, is one thing the newcomer may turn out
to do; all of them together, weighed alike, are its distribution. So the band is as wide as the
class is mixed, and narrows with the first readings as they tell the size.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from controller.forecast.case import Floats
from controller.forecast.usual import quantile

LEAST_READINGS_H: Final = 24.0
"""A day of readings tells a customer's size better than its rating."""


def borrowed_kw(
    mates_kw: Floats,
    quantiles: Sequence[float],
    *,
    own_kw: Floats,
    known_kw: Floats,
    step_h: float,
    rated_kw: float | None = None,
    mates_rated_kw: Floats | None = None,
) -> Floats:
    """(quantiles, n) for a newcomer from its class's (quantiles, mates, n) forecasts.

    `own_kw` (rows,) are the newcomer's first readings and `known_kw` (mates, rows) what the class
    drew at the same times: with a day of readings each mate is scaled by the ratio of the two;
    else by the ratio of the ratings. Raises ValueError when neither is known for any mate.
    """
    share = _shares(own_kw, known_kw, step_h)
    if share is None and rated_kw is not None and mates_rated_kw is not None:
        share = rated_kw / np.where(mates_rated_kw > 0, mates_rated_kw, np.nan)
    usable = ~np.isnan(mates_kw).any(axis=(0, 2))
    if share is not None:
        usable &= np.isfinite(share)
    if share is None or not usable.any():
        raise ValueError("neither a day of readings nor a rating that others of the class have too")
    each = mates_kw[:, usable] * share[usable][:, None]
    pooled = np.moveaxis(_filled(each, quantiles), -1, 0).reshape(mates_kw.shape[2], -1)
    return np.stack([quantile(pooled, q) for q in quantiles])


def _shares(own_kw: Floats, known_kw: Floats, step_h: float) -> Floats | None:
    """(mates,) newcomer ÷ mate over the readings both have; None without a day of readings."""
    both = ~np.isnan(own_kw) & ~np.isnan(known_kw)
    enough = both.sum(axis=1) * step_h >= LEAST_READINGS_H
    if not enough.any():
        return None
    own = np.where(both, own_kw, 0.0).sum(axis=1)
    mates = np.where(both, known_kw, 0.0).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        share: Floats = np.where(enough & (mates > 0), own / mates, np.nan)
    return share


def _filled(each: Floats, quantiles: Sequence[float]) -> Floats:
    """(100, mates, n): evenly spaced draws of each mate from its quantiles, ends held."""
    levels = np.linspace(0.005, 0.995, 100)
    at = np.interp(levels, quantiles, np.arange(len(quantiles)))
    low = np.floor(at).astype(np.int64)
    high = np.minimum(low + 1, len(quantiles) - 1)
    part = (at - low)[:, None, None]
    return each[low] * (1 - part) + each[high] * part
