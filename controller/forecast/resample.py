"""Half hours to quarter hours and means over coarser grids, every mean kept."""

import numpy as np
from numpy.typing import NDArray

from controller.model.time import Grid, Series


def split_half_hours(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Quarter-hour means (2n,) of half-hour means (n,): smooth, each pair's mean is kept.

    Within a half hour the load is taken as a straight line whose slope is that between its
    neighbours (one-sided at an end or beside a gap); a NaN gives two. The line is flattened
    where a quarter would leave the sign of its half hour, so that no load turns into feed-in.
    """
    values = np.asarray(values, dtype=np.float64)
    step = np.diff(values)
    before = np.concatenate([[np.nan], step])
    after = np.concatenate([step, [np.nan]])
    slope = np.where(np.isnan(before), after, np.where(np.isnan(after), before, 0.0))
    both = ~np.isnan(before) & ~np.isnan(after)
    slope[both] = (before[both] + after[both]) / 2
    rise = np.clip(np.nan_to_num(slope) / 4, -np.abs(values), np.abs(values))
    return np.stack([values - rise, values + rise], axis=1).reshape(-1)


def coarsen(series: Series, grid: Grid) -> Series:
    """Means of a finer `series` over `grid`: NaN where not one fine interval is known.

    The step of `grid` must be a whole multiple of the series' and both must be aligned.
    Raises ValueError otherwise.
    """
    parts, rest = divmod(grid.step, series.grid.step)
    if rest:
        raise ValueError(f"{grid.step} is not a whole number of {series.grid.step}")
    fine = Grid(start=grid.start, step=series.grid.step, count=grid.count * parts)
    values = series.on(fine).values.reshape(grid.count, parts)
    known = ~np.isnan(values)
    count = known.sum(axis=1)
    total = np.where(known, values, 0.0).sum(axis=1)
    return Series(grid=grid, values=np.where(count > 0, total / np.maximum(count, 1), np.nan))
