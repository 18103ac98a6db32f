"""What is usual for a meter: the bounds of its last weeks that `doubts` compares a reading with."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

HALF_WINDOW_H: Final = 2.0
"""A reading's neighbours are those so many hours before and after it."""
FIRST_SLACK: Final = 1.5
"""In the first block, all but the half per cent most unusual readings, and this much more, are
taken for usual."""
FIRST_LONGEST: Final = 3.0
"""… and a run of equal readings so many times as long as the second longest."""
ALWAYS: Final = 0.9
"""A run over more than this part of the readings is no fault but what the meter reads."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Block:
    """The rows that are judged together."""

    x: Floats
    """(series, rows) readings, at the level of the past."""
    run: Ints
    """(series, rows) how many equal readings end here."""
    past: Floats
    """(series, earlier rows) trusted, at the same level."""
    per_day: int

    @property
    def half_window(self) -> int:
        return max(2, round(HALF_WINDOW_H * self.per_day / 24))

    def steps(self) -> Floats:
        """(series, rows) change from the reading before, which may be one interval further off."""
        x = np.hstack([self._tail(2), self.x])
        before = np.where(np.isnan(x[:, 1:-1]), x[:, :-2], x[:, 1:-1])
        steps: Floats = x[:, 2:] - before
        return steps

    def wiggles(self) -> Floats:
        """(series, rows) distance from the median of the neighbours, itself among them."""
        half = self.half_window
        x = np.hstack([self._tail(half), self.x, np.full((len(self.x), half), np.nan)])
        windows = np.lib.stride_tricks.sliding_window_view(x, 2 * half + 1, axis=1)
        return self.x - median(windows)

    def _tail(self, rows: int) -> Floats:
        tail = self.past[:, max(0, self.past.shape[1] - rows) :]
        return np.pad(tail, ((0, 0), (rows - tail.shape[1], 0)), constant_values=np.nan)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Limits:
    """A series' usual bounds, each (series,); NaN where nothing is known yet."""

    scale: Floats
    """The usual size of a reading."""
    low: Floats
    high: Floats
    step: Floats
    """The largest usual change between neighbours."""
    wiggle: Floats
    """The largest usual distance from the neighbours' median."""
    longest: Floats
    """The longest usual run of equal readings."""

    @classmethod
    def of(cls, block: Block) -> "Limits":
        """From the first block's own readings, a few of which may be wrong."""

        def most(values: Floats) -> Floats:
            return FIRST_SLACK * quantile(np.abs(values), 0.995)

        low, high = quantile(block.x, 0.005), quantile(block.x, 0.995)
        return cls(
            scale=median(np.abs(block.x)),
            low=low,
            high=high,
            step=most(block.steps()),
            wiggle=most(block.wiggles()),
            longest=FIRST_LONGEST / 2 * _second_longest(block.run),
        )


@dataclass(slots=True, kw_only=True, eq=False)
class Memory:
    """What each block taught, (series, blocks); the last `blocks` of them count."""

    blocks: int
    scale: Floats
    low: Floats
    high: Floats
    step: Floats
    wiggle: Floats
    longest: Floats

    @classmethod
    def none(cls, series: int, count: int, blocks: int) -> "Memory":
        scale, low, high, step, wiggle = (np.full((series, count), np.nan) for _ in range(5))
        return cls(
            blocks=blocks, scale=scale, low=low, high=high, step=step, wiggle=wiggle,
            longest=np.zeros(series),
        )  # fmt: skip

    def limits(self, j: int) -> Limits:
        """The bounds before block `j`."""
        last = slice(max(0, j - self.blocks), j)
        return Limits(
            scale=median(self.scale[:, last]),
            low=np.fmin.reduce(self.low[:, last], axis=1),
            high=np.fmax.reduce(self.high[:, last], axis=1),
            step=np.fmax.reduce(self.step[:, last], axis=1),
            wiggle=np.fmax.reduce(self.wiggle[:, last], axis=1),
            longest=self.longest,
        )

    def remember(self, j: int, block: Block) -> None:
        """Learn from block `j`, in which `x` is NaN where it was not trusted."""
        self.scale[:, j] = median(np.abs(block.x))
        self.low[:, j] = np.fmin.reduce(block.x, axis=1)
        self.high[:, j] = np.fmax.reduce(block.x, axis=1)
        self.step[:, j] = np.fmax.reduce(np.abs(block.steps()), axis=1)
        self.wiggle[:, j] = np.fmax.reduce(np.abs(block.wiggles()), axis=1)
        longest = np.where(np.isnan(block.x), 0, block.run).max(axis=1, initial=0)
        self.longest = np.maximum(self.longest, longest)


def run_lengths(kw: Floats) -> Ints:
    """(series, rows) how many equal readings end at each row; 0 where there is none."""
    run = np.zeros(kw.shape, np.int64)
    for t in range(kw.shape[1]):
        again = kw[:, t] == kw[:, t - 1] if t else np.zeros(len(kw), bool)
        run[:, t] = np.where(np.isnan(kw[:, t]), 0, np.where(again, run[:, t - 1], 0) + 1)
    return run


def median(values: Floats) -> Floats:
    """Along the last axis, of those that are known; NaN where none is."""
    return quantile(values, 0.5)


def quantile(values: Floats, q: float) -> Floats:
    """The known value at rank `q` (the upper of two) along the last axis; NaN where none is."""
    if values.shape[-1] == 0:
        return np.full(values.shape[:-1], np.nan)
    ordered = np.sort(values, axis=-1)
    known = np.count_nonzero(~np.isnan(ordered), axis=-1)
    at = np.minimum((known * q).astype(np.int64), np.maximum(known - 1, 0))
    picked: Floats = np.take_along_axis(ordered, at[..., None], axis=-1)[..., 0]
    return picked


def _second_longest(run: Ints) -> Floats:
    """(series,) of the runs that end in these rows; the longest where there is hardly another."""
    ends = np.where(np.diff(run, axis=1, append=1) <= 0, run, 0)
    ordered = np.sort(np.hstack([np.zeros((len(run), 2), np.int64), ends]), axis=1)
    always = ordered[:, -1] > ALWAYS * np.count_nonzero(run, axis=1)
    return np.where(always, ordered[:, -1], ordered[:, -2]).astype(np.float64)
