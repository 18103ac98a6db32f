"""Which readings a forecast may rest on: stuck meters, spikes, drop-outs and level shifts.

Loads are judged block by block (a block is the time between two forecasts, usually a local day)
with nothing but the readings up to the block's end. So what is trusted at one origin does not
depend on what comes after it, and a whole backtest needs one pass. The bars are each series' own:
a jump is suspicious when it is several times larger than any of the last four weeks, a constant
when it lasts longer than any before; so a furnace may jump and a vacant home may stand still.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from controller.forecast.doubts import REASONS, Pending, judged, shifted
from controller.forecast.usual import Block, Limits, Memory, run_lengths

FIRST_BLOCK_DAYS: Final = 14
"""The first readings have no past; so many days of them are judged together."""
MEMORY_BLOCKS: Final = 28

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Rows [first, stop) of one series that were not trusted, and why."""

    series: int
    first: int
    stop: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cleaned:
    """Loads a forecast may rest on, all (series, rows)."""

    kw: Floats = field(repr=False)
    """As metered; NaN where missing or not trusted."""
    level: Floats = field(repr=False)
    """Product of the level shifts known by then: `kw / level` runs on as before the shift."""
    why: NDArray[np.uint8] = field(repr=False)
    """Index into `REASONS`; 0 where the reading is trusted or absent."""

    def spans(self, *, since: int = 0) -> tuple[Span, ...]:
        """The stretches not trusted that end after row `since`, series by series."""
        return tuple(
            Span(series=s, first=int(a), stop=int(b), reason=REASONS[row[a]])
            for s, row in enumerate(self.why)
            for a, b in _stretches(row)
            if row[a] and b > since
        )

    def relevel(self, row: int) -> Floats:
        """(series, rows) `kw` brought to the level that was known before `row`."""
        now = self.level[:, max(row - 1, 0)][:, None]
        return self.kw / self.level * now


def clean(kw: Floats, edges: Sequence[int], per_day: int) -> Cleaned:
    """Judge (series, rows) loads; block j is the rows [edges[j], edges[j + 1]).

    `edges` ascend from 0 to the number of rows. The result for the rows before an edge is the
    same whatever the rows behind it hold. Raises ValueError for edges that do not cover the rows.
    """
    kw = np.asarray(kw, dtype=np.float64)
    edges = list(edges)
    if not edges or edges[0] != 0 or edges[-1] != kw.shape[1] or sorted(set(edges)) != edges:
        raise ValueError(f"edges must ascend from 0 to {kw.shape[1]}")
    run = run_lengths(kw)
    level, factor = np.ones_like(kw), np.ones(len(kw))
    trusted, why = np.full_like(kw, np.nan), np.zeros(kw.shape, np.uint8)
    memory = Memory.none(len(kw), len(edges) - 1, MEMORY_BLOCKS)
    pending = Pending(by_kw=np.zeros(len(kw)))
    for j, (a, b) in enumerate(pairwise(edges)):
        x, past = kw[:, a:b] / factor[:, None], trusted[:, :a]
        block = Block(x=x, run=run[:, a:b], past=past, per_day=per_day)
        limits = memory.limits(j) if j else Limits.of(block)
        reasons = judged(block, limits)
        factor = shifted(block, limits, reasons, pending, factor)
        level[:, a:b], why[:, a:b] = factor[:, None], reasons
        x = np.where(reasons > 0, np.nan, kw[:, a:b] / factor[:, None])
        trusted[:, a:b] = x
        memory.remember(j, Block(x=x, run=run[:, a:b], past=past, per_day=per_day))
    return Cleaned(kw=trusted * level, level=level, why=why)


def block_edges(edges: Sequence[int], rows: int, per_day: int, *, first_known: int) -> list[int]:
    """The edges of `clean` for forecasts that begin at `edges` and know the rows before them.

    `first_known` is the row up to which the first forecast knows the load: what comes before it
    needs no parting, and the first block is as long as that allows, up to 14 days.
    """
    least = min(FIRST_BLOCK_DAYS * per_day, max(first_known, 1))
    return [0, *(int(e) for e in edges if least <= e < rows), rows]


def _stretches(row: NDArray[np.uint8]) -> list[tuple[int, int]]:
    """Runs of one value: (first, stop)."""
    cuts = np.flatnonzero(np.diff(row)) + 1
    starts = np.concatenate([[0], cuts])
    return list(zip(starts.tolist(), [*cuts.tolist(), len(row)], strict=True)) if len(row) else []
