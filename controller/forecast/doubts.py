"""The rules by which `clean` doubts a reading; every bar is a multiple of what is usual."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from controller.forecast.usual import Block, Floats, Limits, median

Codes = NDArray[np.uint8]

REASONS: Final = ("", "stuck", "spike", "drop-out", "implausible", "jump")
STUCK, SPIKE, DROP_OUT, IMPLAUSIBLE, JUMP = range(1, 6)

STUCK_LEAST, STUCK_LEAST_H, STUCK_TIMES = 6, 3.0, 2.0
"""A meter is stuck at the earliest after so many equal readings, so many hours, and so many times
the longest run ever trusted."""
SPIKE_TIMES, SPIKE_LEAST = 2.5, 0.15
"""A spike leaves its neighbours by so many times what is usual and by this part of the load."""
JUMP_TIMES, JUMP_LEAST = 2.5, 0.25
"""The same for a step from one reading to the next."""
FAR_SPREADS: Final = 2.0
"""Implausible: so many times the usual range beyond it."""
NOTHING, NEVER_LOW = 0.02, 0.2
"""A drop-out lies below the first part of the load, where the usual range is above the second."""
STILL_OUT: Final = 0.4
"""A jump lasts while the load stays away by this part of it."""
BELIEVED_AFTER_DAYS: Final = 7
"""What lasts so long without a trusted reading is how things are now."""
REFERENCE_DAYS: Final = 14
LEAST_SHIFT, MOST_SHIFT = 0.1, 10.0
"""A shift by a factor beyond these is taken as it comes, without bringing the past to its level."""


def judged(block: Block, limits: Limits) -> Codes:
    """(series, rows) the reason not to trust each reading, 0 where there is none."""
    x, scale = block.x, limits.scale[:, None]
    out = np.zeros(x.shape, np.uint8)
    with np.errstate(invalid="ignore"):
        out[_wiggly(block, limits)] = SPIKE
        spread = np.maximum(limits.high - limits.low, 0.5 * limits.scale)[:, None] * FAR_SPREADS
        out[(x > limits.high[:, None] + spread) | (x < limits.low[:, None] - spread)] = IMPLAUSIBLE
        seldom = limits.low[:, None] > NEVER_LOW * scale
        out[seldom & (np.abs(x) < NOTHING * scale)] = DROP_OUT
        out[_stuck(block, limits)] = STUCK
    believed = _long_in_doubt(block)
    out[believed] = np.where(out[believed] == STUCK, STUCK, 0)
    return out


def _wiggly(block: Block, limits: Limits) -> NDArray[np.bool_]:
    bar = np.maximum(SPIKE_TIMES * limits.wiggle, SPIKE_LEAST * limits.scale)
    wiggly: NDArray[np.bool_] = np.abs(block.wiggles()) > bar[:, None]
    return wiggly


def _stuck(block: Block, limits: Limits) -> NDArray[np.bool_]:
    """Rows of a run that grew too long within this block; its first reading was a true one."""
    least = max(STUCK_LEAST, round(STUCK_LEAST_H * block.per_day / 24))
    bar = np.maximum(least, STUCK_TIMES * limits.longest)
    reach = block.run.copy()
    for t in range(reach.shape[1] - 2, -1, -1):
        goes_on = block.run[:, t + 1] == block.run[:, t] + 1
        reach[:, t] = np.where(goes_on, reach[:, t + 1], reach[:, t])
    stuck: NDArray[np.bool_] = (reach >= bar[:, None]) & (block.run > 1)
    return stuck


def _long_in_doubt(block: Block) -> NDArray[np.bool_]:
    """(series,) without a trusted reading in the last week."""
    recent = block.past[:, max(0, block.past.shape[1] - BELIEVED_AFTER_DAYS * block.per_day) :]
    if recent.shape[1] < BELIEVED_AFTER_DAYS * block.per_day:
        return np.zeros(len(block.x), bool)
    return np.asarray(np.isnan(recent).all(axis=1), dtype=np.bool_)


@dataclass(slots=True, kw_only=True, eq=False)
class Pending:
    """Jumps that have not come back yet: their size per series in kW, 0 for none."""

    by_kw: Floats


def shifted(
    block: Block, limits: Limits, reasons: Codes, pending: Pending, factor: Floats
) -> Floats:
    """(series,) the level from this block on; doubted rows after a jump are added to `reasons`.

    A jump that comes back was an excursion. One that lasts through the whole next block is a
    level shift: from then on readings are trusted, and divided by it.
    """
    trusted = Block(
        x=np.where(reasons > 0, np.nan, block.x), run=block.run, past=block.past,
        per_day=block.per_day,
    )  # fmt: skip
    bar = np.maximum(JUMP_TIMES * limits.step, JUMP_LEAST * limits.scale)[:, None]
    steps = trusted.steps()
    with np.errstate(invalid="ignore"):
        jumps = np.abs(steps) > bar
    believed = _long_in_doubt(block)
    out = factor.copy()
    for s in np.flatnonzero((jumps.any(axis=1) | (pending.by_kw != 0)) & ~believed):
        out[s] *= _follow(int(s), trusted, jumps[s], steps[s], reasons, pending)
    pending.by_kw[believed] = 0.0
    return out


def _follow(
    s: int, block: Block, jumps: NDArray[np.bool_], steps: Floats, reasons: Codes, pending: Pending
) -> float:
    """Doubt the rows of one series that a jump has moved; the factor of a confirmed shift, or 1."""
    usual, x = _reference(block, s), block.x[s]
    known = ~np.isnan(x) & ~np.isnan(usual)
    away = np.where(known, x - usual, 0.0)
    at, by_kw = 0, float(pending.by_kw[s])
    if by_kw and _lasts(away, known, by_kw).all() and known.sum() >= block.per_day / 2:
        pending.by_kw[s] = 0.0
        share = float(median((x[known] / usual[known])[None, :])[0])
        return share if LEAST_SHIFT < share < MOST_SHIFT and usual[known].min() > 0 else 1.0
    while at < len(x):
        if not by_kw:
            nexts = np.flatnonzero(jumps[at:])
            if not len(nexts):
                break
            at += int(nexts[0])
            by_kw = float(steps[at])
        back = np.flatnonzero(~_lasts(away[at:], known[at:], by_kw))
        stop = at + int(back[0]) if len(back) else len(x)
        reasons[s, at:stop] = np.where(
            ~np.isnan(x[at:stop]) & (reasons[s, at:stop] == 0), JUMP, reasons[s, at:stop]
        )
        if not len(back):
            pending.by_kw[s] = by_kw
            return 1.0
        at, by_kw = max(stop, at) + 1, 0.0
    pending.by_kw[s] = 0.0
    return 1.0


def _lasts(away: Floats, known: NDArray[np.bool_], by_kw: float) -> NDArray[np.bool_]:
    """(rows,) True while the load is still off by much of the jump, or says nothing."""
    lasts: NDArray[np.bool_] = ~known | (away * np.sign(by_kw) > STILL_OUT * abs(by_kw))
    return lasts


def _reference(block: Block, s: int) -> Floats:
    """(rows,) the same time of day's median over the last weeks of one series."""
    rows, start = block.x.shape[1], block.past.shape[1]
    usual = np.full((rows, REFERENCE_DAYS), np.nan)
    for k in range(REFERENCE_DAYS):
        days = -(-rows // block.per_day) + k
        at = start + np.arange(rows) - days * block.per_day
        inside = at >= 0
        usual[inside, k] = block.past[s, at[inside]]
    return median(usual)
