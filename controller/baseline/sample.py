"""The sample: the newest like days of each meter, tested for unusual usage to a fixed point."""

from dataclasses import dataclass, field
from enum import IntEnum
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from controller.units import wh_array


class Verdict(IntEnum):
    """What became of a candidate day."""

    UNSEEN = 0
    """Older than needed: never looked at."""
    USED = 1
    INCOMPLETE = 2
    LOW = 3
    HIGH = 4
    RANKED_OUT = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Usage:
    """Candidate days in the event hours, newest first; integer Wh so that every engine agrees.

    `net_wh` and `gross_wh` (Σ|load|, for the usage test of meters that also feed in) are
    (meters, days); `complete` is False where an interval of the event hours is missing.
    """

    net_wh: NDArray[np.int64] = field(repr=False)
    gross_wh: NDArray[np.int64] = field(repr=False)
    complete: NDArray[np.bool_] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Choice:
    """The verdict on each candidate day, (meters, days), and the number that explains it.

    `number` is the sample's mean in Wh for LOW and HIGH, the rank (1 = highest) for RANKED_OUT.
    """

    verdict: NDArray[np.int8] = field(repr=False)
    number: NDArray[np.float64] = field(repr=False)

    @property
    def used(self) -> NDArray[np.bool_]:
        used: NDArray[np.bool_] = self.verdict == Verdict.USED
        return used


def usage(kw: NDArray[np.float64], step_h: float) -> Usage:
    """Event-hour energy of (meters, days, k) kW in whole Wh, each interval rounded once.

    The product kW × h × 1000 is taken in float64 and rounded half away from zero: what any engine
    with IEEE arithmetic repeats bit for bit.
    """
    known = np.isfinite(kw)
    wh = wh_array(np.where(known, kw, 0.0), step_h)
    return Usage(
        net_wh=wh.sum(axis=2), gross_wh=np.abs(wh).sum(axis=2), complete=np.all(known, axis=2)
    )


def newest(usage: Usage, count: int, low_frac: float, high_frac: float | None) -> Choice:
    """The `count` newest complete days of usual usage, per meter.

    A day of the sample below `low_frac` or above `high_frac` × the sample's mean is dropped and
    the next older day takes its place; the test repeats until it drops nobody, because a
    replacement can be an outlier too. Limits are compared exactly: at the limit a
    day stays.
    """
    low, high = _exact(low_frac), _exact(high_frac) if high_frac is not None else None
    verdict = np.full(usage.complete.shape, Verdict.UNSEEN, dtype=np.int8)
    number = np.zeros(verdict.shape)
    alive = usage.complete.copy()
    while True:
        sample = alive & (np.cumsum(alive, axis=1) <= count)
        days = sample.sum(axis=1, keepdims=True)
        total = np.where(sample, usage.gross_wh, 0).sum(axis=1, keepdims=True)
        scaled = usage.gross_wh * days
        is_low = sample & (scaled * low.denominator < low.numerator * total)
        is_high = np.zeros_like(is_low)
        if high is not None:
            is_high = sample & (scaled * high.denominator > high.numerator * total)
        out = is_low | is_high
        verdict[is_low], verdict[is_high] = Verdict.LOW, Verdict.HIGH
        number[out] = np.broadcast_to(total / np.maximum(days, 1), out.shape)[out]
        if not out.any():
            break
        alive &= ~out
    verdict[sample] = Verdict.USED
    _mark_incomplete(verdict, usage.complete, sample, count)
    return Choice(verdict=verdict, number=number)


def _mark_incomplete(
    verdict: NDArray[np.int8],
    complete: NDArray[np.bool_],
    sample: NDArray[np.bool_],
    count: int,
) -> None:
    """Incomplete days count as looked at where they are newer than the oldest day taken."""
    newer_than_oldest = np.cumsum(sample[:, ::-1], axis=1)[:, ::-1] > 0
    searched_all = sample.sum(axis=1, keepdims=True) < count
    verdict[~complete & (newer_than_oldest | searched_all)] = Verdict.INCOMPLETE


def _exact(frac: float) -> Fraction:
    """The decimal a program's author wrote, not its nearest binary fraction."""
    return Fraction(str(frac))
