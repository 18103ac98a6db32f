"""The day's peak from simulated days: how high, and in which interval."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
SIMULATED_DAYS = 300


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DailyPeak:
    """In the unit of the forecast."""

    height: float
    """The median: least mean absolute error."""
    quantiles: Array
    chance: Array
    """(n,) that each interval holds the peak."""
    window: tuple[int, int]
    """[start, stop) of the intervals within one hour of `at`."""
    at: int
    """The interval around which ±1 h most likely holds the peak."""


def simulated_peak(days: Array, per_hour: int, quantiles: tuple[float, ...]) -> DailyPeak:
    """The peak over (simulations, n) simulated days."""
    top = days.max(axis=1)
    n = days.shape[1]
    chance = np.bincount(days.argmax(axis=1), minlength=n) / len(days)
    sums = np.concatenate([[0.0], np.cumsum(chance)])
    start = np.maximum(np.arange(n) - per_hour, 0)
    stop = np.minimum(np.arange(n) + per_hour + 1, n)
    within = sums[stop] - sums[start]
    mean_day = days.mean(axis=0)
    at = int(np.lexsort((mean_day, np.round(within, 9)))[-1])
    return DailyPeak(
        height=float(np.median(top)),
        quantiles=np.quantile(top, quantiles),
        chance=chance,
        window=(int(start[at]), int(stop[at])),
        at=at,
    )


def simulated_errors(scaled: Array, day: int, known_before: int, off: Array) -> Array:
    """(≤ 300, slots) whole past days' scaled errors, most alike first.

    Whole days keep the true correlation between the hours. Alike are days of the same kind
    and season, and recent ones; a day with a gap is left out.
    """
    past = np.arange(max(0, known_before - 3 * 365), max(0, known_before))
    past = past[np.isfinite(scaled[past]).all(axis=1)]
    ago = day - past
    season = np.abs((ago + 182) % 365 - 182) / 182
    rank = season + 0.5 * (off[past] != off[day]) + ago / 1500
    nearest = past[np.argsort(rank, kind="stable")[:SIMULATED_DAYS]]
    chosen: Array = scaled[nearest]
    return chosen
