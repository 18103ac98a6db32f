"""Time: half-open intervals, regular grids and the series on them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

QUARTER_HOUR = timedelta(minutes=15)


def require_utc(at: datetime, what: str = "instant") -> datetime:
    """`at` in UTC. Raises ValueError when it carries no time zone: a naive instant is a bug."""
    if at.tzinfo is None:
        raise ValueError(f"{what} {at.isoformat()} has no time zone")
    return at.astimezone(UTC)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Interval:
    """A half-open stretch of time [start, end), aware UTC."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        require_utc(self.start, "start")
        require_utc(self.end, "end")
        if self.end < self.start:
            raise ValueError(f"interval ends {self.end} before it starts {self.start}")

    @property
    def duration(self) -> timedelta:
        return self.end - self.start

    def __contains__(self, at: datetime) -> bool:
        return self.start <= at < self.end

    def overlaps(self, other: "Interval") -> bool:
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """`count` equal intervals of length `step` from `start` (aware UTC) on."""

    start: datetime
    step: timedelta
    count: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", require_utc(self.start, "start"))
        if self.step <= timedelta(0) or self.count < 0:
            raise ValueError(f"a grid needs step > 0 and count >= 0, not {self.step}, {self.count}")

    @classmethod
    def over(cls, interval: Interval, step: timedelta = QUARTER_HOUR) -> "Grid":
        """The grid that covers `interval` exactly. Raises ValueError if it does not divide."""
        count, rest = divmod(interval.duration, step)
        if rest:
            raise ValueError(f"{interval.duration} is not a whole number of {step}")
        return cls(start=interval.start, step=step, count=count)

    @property
    def end(self) -> datetime:
        return self.start + self.step * self.count

    @property
    def span(self) -> Interval:
        return Interval(start=self.start, end=self.end)

    @property
    def step_h(self) -> float:
        """Length of one interval in hours: kW × step_h = kWh."""
        return self.step.total_seconds() / 3600

    def at(self, i: int) -> datetime:
        """Start of interval `i`; `at(count)` is the end."""
        return self.start + self.step * i

    def interval(self, i: int) -> Interval:
        return Interval(start=self.at(i), end=self.at(i + 1))

    def intervals(self) -> Iterator[Interval]:
        return (self.interval(i) for i in range(self.count))

    def index(self, at: datetime) -> int:
        """Index of the interval that holds `at`; below 0 before the start, >= count after."""
        return (at - self.start) // self.step

    def within(self, span: Interval) -> "Grid":
        """The part of this grid whose intervals lie wholly inside `span`."""
        first = max(0, -((self.start - span.start) // self.step))
        last = min(self.count, self.index(span.end))
        return Grid(start=self.at(first), step=self.step, count=max(0, last - first))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Series:
    """One mean value per interval of `grid`; `values` is (count,) float64, NaN = missing."""

    grid: Grid
    values: NDArray[np.float64] = field(repr=False)

    def __post_init__(self) -> None:
        values = np.asarray(self.values, dtype=np.float64)
        if values.shape != (self.grid.count,):
            raise ValueError(f"{values.shape} values on a grid of {self.grid.count}")
        object.__setattr__(self, "values", values)

    @classmethod
    def full(cls, grid: Grid, value: float) -> "Series":
        return cls(grid=grid, values=np.full(grid.count, value))

    @classmethod
    def missing(cls, grid: Grid) -> "Series":
        return cls.full(grid, np.nan)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Series):
            return NotImplemented
        return self.grid == other.grid and np.array_equal(self.values, other.values, equal_nan=True)

    def __hash__(self) -> int:
        return hash((self.grid.start, self.grid.step, self.values.tobytes()))

    def value_at(self, at: datetime) -> float:
        """The mean of the interval that holds `at`; NaN outside the grid."""
        i = self.grid.index(at)
        return float(self.values[i]) if 0 <= i < self.grid.count else float("nan")

    def on(self, grid: Grid) -> "Series":
        """This series on another grid of the same step: NaN where it knows nothing."""
        if grid.step != self.grid.step or (grid.start - self.grid.start) % grid.step:
            raise ValueError("series and grid are not aligned")
        out = np.full(grid.count, np.nan)
        shift = (grid.start - self.grid.start) // grid.step
        lo, hi = max(0, -shift), min(grid.count, self.grid.count - shift)
        if hi > lo:
            out[lo:hi] = self.values[lo + shift : hi + shift]
        return Series(grid=grid, values=out)
