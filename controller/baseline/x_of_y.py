"""x_of_y: of the Y newest like days, the mean of the X highest, middle or lowest."""

import numpy as np
from numpy.typing import NDArray

from controller.baseline.recent_n import day_count
from controller.baseline.sample import Choice, Usage, Verdict, newest
from controller.model.contracts import BaselineRule, Pick


def choose(rule: BaselineRule, usage: Usage, *, working: bool) -> Choice:
    """Rank the Y days by their energy in the event hours and keep X of them.

    Days of low usage are replaced first (PJM: below 25 % of the mean). With Y' < Y days to be had,
    X of the Y' are kept. Equal days: the newer counts as the higher for HIGH and MID, as the lower
    for LOW, so the newer is preferred. MID drops (Y' − X) // 2 at the top and the rest below.
    The family of PJM (high 4 of 5), NYISO (5 of 10), CAISO (10 in 10), Korea (mid 6 of 10).
    """
    window = newest(usage, day_count(rule, working), rule.low_usage_frac, None)
    rank = _rank(usage, window, rule.pick)
    first = _first_rank(window.used.sum(axis=1), pick_count(rule, working), rule.pick)
    picked = (rank >= first[:, None]) & (rank < first[:, None] + pick_count(rule, working))
    out = window.used & ~picked
    verdict, number = window.verdict.copy(), window.number.copy()
    verdict[out] = Verdict.RANKED_OUT
    number[out] = _from_the_top(rank, window, rule.pick)[out]
    return Choice(verdict=verdict, number=number)


def pick_count(rule: BaselineRule, working: bool) -> int:
    """X, by the class of the event day."""
    other = rule.pick_days if rule.pick_days_non_working is None else rule.pick_days_non_working
    return rule.pick_days if working else other


def _rank(usage: Usage, window: Choice, pick: Pick) -> NDArray[np.int64]:
    """(meters, days) place of each day of the window, 0 first; a stable sort keeps newer first."""
    last = np.iinfo(np.int64).max
    key = np.where(window.used, usage.net_wh if pick is Pick.LOW else -usage.net_wh, last)
    order = np.argsort(key, axis=1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(order.shape[1])[None, :], axis=1)
    return rank


def _first_rank(had: NDArray[np.int64], x: int, pick: Pick) -> NDArray[np.int64]:
    return np.maximum(had - x, 0) // 2 if pick is Pick.MID else np.zeros_like(had)


def _from_the_top(rank: NDArray[np.int64], window: Choice, pick: Pick) -> NDArray[np.float64]:
    """Rank as told to people: 1 = highest."""
    had = window.used.sum(axis=1, keepdims=True)
    return (had - rank if pick is Pick.LOW else rank + 1).astype(np.float64)
