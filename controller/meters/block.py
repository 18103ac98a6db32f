"""From the rows of many files to one (times, meters) block."""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from controller.meters.file import EPOCH, SHOWN, Ints, Mask, MeterFile
from controller.model.time import QUARTER_HOUR

MOST_CELLS = 500_000_000
"""Times × meters of one import: 2 GB of float32."""

Values = NDArray[np.float32]


def scatter(files: Sequence[MeterFile], meters: int) -> tuple[tuple[datetime, ...], Values]:
    """The times that occur, in order, and (times, meters) kW; NaN where no row says anything.

    Repetitions are counted in their file; two different values for one place are a fault.
    """
    files = [file for file in files if len(file.slot)]
    if not files:
        return (), np.empty((0, meters), np.float32)
    first = min(int(file.slot.min()) for file in files)
    present = np.zeros(max(int(file.slot.max()) for file in files) - first + 1, np.bool_)
    for file in files:
        present[file.slot - first] = True
    times = tuple(_instant(first + int(i)) for i in np.flatnonzero(present))
    cells = len(times) * meters
    if cells > MOST_CELLS:
        what = f"{len(times)} times × {meters} meters together"
        files[0].fault("file", what, f"at most {MOST_CELLS:,} values in one import")
        return (), np.empty((0, meters), np.float32)
    row_of = np.cumsum(present) - 1
    values, seen = np.full(cells, np.nan, np.float32), np.zeros(cells, np.bool_)
    for file in files:
        _put(file, row_of[file.slot - first] * meters + file.meter, values, seen)
    return times, values.reshape(len(times), meters)


def _put(file: MeterFile, cell: Ints, values: Values, seen: Mask) -> None:
    """Write a file's rows into their cells."""
    before = np.count_nonzero(seen)
    seen[cell] = True
    file.duplicates = len(cell) - int(np.count_nonzero(seen) - before)
    if not file.duplicates:
        values[cell] = file.kw
        return
    known = ~np.isnan(file.kw)
    old = values[cell]
    values[cell[known]] = file.kw[known]
    new = values[cell]
    other = np.where(np.isnan(old) | (old == file.kw), new, old)
    _fault_clashes(file, np.flatnonzero(known & (other != file.kw)), other)


def _fault_clashes(file: MeterFile, at: Ints, other: Values) -> None:
    names = list(file.index)
    for i in at[:SHOWN]:
        place = f"{names[file.meter[i]]} at {_instant(int(file.slot[i])):%Y-%m-%dT%H:%MZ}"
        file.fault(place, f"{file.kw[i]:g} kW", f"{other[i]:g} kW, as another row says")
    if (more := len(at) - SHOWN) > 0:
        file.fault(f"{more} more rows", "as the last", "one value per meter and time")


def _instant(slot: int) -> datetime:
    return EPOCH + slot * QUARTER_HOUR
