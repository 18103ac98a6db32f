"""What a day-ahead model is asked, and what it answers: many series, many days, one grid."""

from dataclasses import dataclass, field, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from controller.model.time import Grid

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

Weather = Literal["actual", "issued", "none"]
WEATHERS: Final[tuple[Weather, ...]] = ("actual", "issued", "none")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """Forecast each of the days `first_day` … `last_day` as if it were just about to begin.

    Day d is the rows [edges[d], edges[d + 1]) and is forecast at its begin: loads are known up to
    edges[d − lag_days], measured temperatures up to edges[d]. Of what comes after, `actual` lets
    a model see the measured temperatures of day d, `issued` the issued ones, `none` nothing.
    """

    grid: Grid
    ids: tuple[str, ...]
    kw: Floats = field(repr=False)
    """(series, grid.count); NaN is missing or not trusted."""
    edges: Ints
    """(days + 1,) the rows at which local days begin."""
    timezone: str
    country: str | None
    """Whose holidays count: an ISO 3166 code, with a subdivision if need be (AU-VIC)."""
    stations: tuple[str, ...]
    temp_c: Floats = field(repr=False)
    """(stations, grid.count) measured."""
    issued_c: Floats = field(repr=False)
    """(stations, grid.count) issued before the day began."""
    weather: Weather
    lag_days: int
    first_day: int
    last_day: int

    @property
    def per_day(self) -> int:
        """Intervals of an ordinary day."""
        return round(24 / self.grid.step_h)

    def rows(self, day: int) -> slice:
        return slice(int(self.edges[day]), int(self.edges[day + 1]))

    def known(self, day: int) -> int:
        """The row up to which loads are known when `day` is forecast."""
        return int(self.edges[max(day - self.lag_days, 0)])

    def of(self, series: int) -> "Case":
        """This case for one series alone."""
        return replace(self, ids=(self.ids[series],), kw=self.kw[series : series + 1])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rolled:
    """A model's answer; NaN where it has none."""

    model: str
    quantiles: tuple[float, ...]
    kw: Floats = field(repr=False)
    """(quantiles, series, rows of the grid), never crossing."""
    peak_kw: Floats = field(repr=False)
    """(quantiles, series, days) of the day's highest load."""
    peak_row: Ints = field(repr=False)
    """(series, days) the row that is nearest to the peak with the best chance; −1 for none."""
    peak_chance: Floats = field(repr=False)
    """(series, rows) probability that the day's peak falls into the row."""

    def median_peak(self) -> Floats:
        """(series, days). Raises ValueError where 0.5 was not forecast."""
        middle: Floats = self.peak_kw[self.quantiles.index(0.5)]
        return middle

    def median(self) -> Floats:
        """(series, rows). Raises ValueError where 0.5 was not forecast."""
        middle: Floats = self.kw[self.quantiles.index(0.5)]
        return middle
