"""A mixed-integer program as numpy arrays, and the builder that fills one block by block."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from controller.plan.arrays import Bools, Floats, Ints


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Milp:
    """Minimise cost·x + offset, row_low <= A x <= row_high, low <= x <= high, some x whole.

    A is sparse: value[i] stands in row[i], column[i], sorted by row then column, no duplicates.
    """

    cost: Floats = field(repr=False)
    offset: float
    low: Floats = field(repr=False)
    high: Floats = field(repr=False)
    whole: Bools = field(repr=False)
    row: Ints = field(repr=False)
    column: Ints = field(repr=False)
    value: Floats = field(repr=False)
    row_low: Floats = field(repr=False)
    row_high: Floats = field(repr=False)
    priority: Ints = field(repr=False)
    """Where a tree search should branch first: higher before lower, 0 is anywhere."""


class MilpBuilder:
    """Collects columns and rows; every call adds a block and returns its indexes."""

    def __init__(self) -> None:
        self._columns: list[tuple[Floats, Floats, Floats, Bools, Ints]] = []
        self._rows: list[tuple[Floats, Floats]] = []
        self._entries: list[tuple[Ints, Ints, Floats]] = []
        self._column_count = 0
        self._row_count = 0

    def columns(
        self,
        cost: Floats,
        low: ArrayLike = 0.0,
        high: ArrayLike = np.inf,
        whole: bool = False,
        priority: int = 0,
    ) -> Ints:
        """New variables in the shape of `cost`; bounds broadcast. Returns their indexes."""
        shape, count = cost.shape, cost.size
        bounds = [np.broadcast_to(np.asarray(b, dtype=np.float64), shape) for b in (low, high)]
        kind = np.full(count, whole), np.full(count, priority)
        self._columns.append((cost.ravel(), bounds[0].ravel(), bounds[1].ravel(), *kind))
        self._column_count += count
        return np.arange(self._column_count - count, self._column_count).reshape(shape)

    @property
    def column_count(self) -> int:
        return self._column_count

    def rows(self, shape: tuple[int, ...], low: ArrayLike, high: ArrayLike) -> Ints:
        """New rows with their bounds; entries are put in by `put`. Returns their indexes."""
        count = int(np.prod(shape))
        bounds = [np.broadcast_to(np.asarray(b, dtype=np.float64), shape) for b in (low, high)]
        self._rows.append((bounds[0].ravel(), bounds[1].ravel()))
        self._row_count += count
        return np.arange(self._row_count - count, self._row_count).reshape(shape)

    def put(self, rows: Ints, columns: Ints, values: ArrayLike, where: ArrayLike = True) -> None:
        """Coefficients; the three broadcast together, zeros and masked ones are left out."""
        value = np.asarray(values, dtype=np.float64)
        row, column, value, mask = np.broadcast_arrays(rows, columns, value, where)
        keep = mask & (value != 0)
        self._entries.append((row[keep], column[keep], value[keep]))

    def milp(self, offset: float = 0.0) -> Milp:
        """The program; rows and columns in the order they were added, duplicates summed."""
        cost, low, high, whole, priority = (
            _joined([c[i].astype(np.float64) for c in self._columns]) for i in range(5)
        )
        row, column, value = (
            _joined([e[i].astype(np.float64) for e in self._entries]) for i in range(3)
        )
        key = row.astype(np.int64) * max(1, self._column_count) + column.astype(np.int64)
        unique, inverse = np.unique(key, return_inverse=True)
        summed = np.zeros(len(unique))
        np.add.at(summed, inverse, value)
        return Milp(
            cost=cost,
            offset=offset,
            low=low,
            high=high,
            whole=whole.astype(bool),
            row=unique // max(1, self._column_count),
            column=unique % max(1, self._column_count),
            value=summed,
            row_low=_joined([r[0] for r in self._rows]),
            row_high=_joined([r[1] for r in self._rows]),
            priority=priority.astype(np.int64),
        )


def _joined(parts: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    return np.concatenate(parts) if parts else np.zeros(0)
