"""Several forecasts into one, weighted by how they did so far."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
MEMORY_DAYS = 90.0
SHARPNESS = 4.0
"""Weights go with the error to the minus this: 2 is the textbook's, more trusts the better more."""


def rolling_mix(members: Array, actual: Array, lead_days: int) -> Array:
    """(days, slots) mean of `members` (m, days, slots), weighted by their errors before each day.

    The error is the fading mean absolute one of the days on which all members that are known at
    the end had a forecast (inverse-error weights; Bates and Granger, 1969). A member that knows
    nothing of a day is left out of it; all weigh the same while nothing is known.
    """
    error = np.abs(members - actual)
    common: NDArray[np.bool_] = np.asarray(np.isfinite(error).all(axis=0))
    keep = 0.5 ** (1 / MEMORY_DAYS)
    total, days = np.zeros(len(members)), members.shape[1]
    weights = np.ones((len(members), days))
    for day in range(days):
        past = day - lead_days
        if past >= 0 and common[past].any():
            total = keep * total + error[:, past][:, common[past]].mean(axis=1)
        if total.any():
            weights[:, day] = (total.mean() / np.maximum(total, 1e-9 * total.max())) ** SHARPNESS
    known = np.isfinite(members)
    part = np.where(known, weights[:, :, None], 0.0)
    share = part.sum(axis=0)
    mixed = np.where(known, members * part, 0.0).sum(axis=0)
    out: Array = np.where(share > 0, mixed / np.where(share > 0, share, 1.0), np.nan)
    return out
