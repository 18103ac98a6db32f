"""Meter files in: 15-minute means of many meters as Parquet or CSV, checked whole, then stored.

A file has the columns `meter_id` (text), `time_utc` (start of the quarter hour, an instant with
time zone) and `kw` (mean power, drawn > 0; empty or NaN = missing), one row per meter and quarter
hour, in any order. Every fault of every file is found before anything is stored.

What lives here: `tables` (files to three columns), `file` (columns to checked arrays), `block`
(arrays to one block). Columns stay columns all the way, which is what makes it quick. How to add
a file format: a function in `tables` that gives the same three columns.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from controller.errors import MeterFileError
from controller.meters.block import scatter
from controller.meters.file import MeterFile
from controller.model.ids import ZoneId
from controller.model.resources import Meter
from controller.ports import Frames, Telemetry

__all__ = ["MeterImport", "import_meters", "read_meter_files"]

_OK, _MISSING = 0, 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MeterImport:
    """What the files hold: `values` is (times, meters) float32 kW in the given order of meters.

    Only times that occur in a file are there; NaN = missing.
    """

    times: tuple[datetime, ...]
    values: NDArray[np.float32] = field(repr=False)
    rows: int
    """Rows read, duplicates and left-out ones included."""
    duplicates: int
    """Rows that said again what another row had said."""
    unknown: Mapping[str, int]
    """Rows per meter id that was left out because the fleet has no such meter."""


def read_meter_files(
    paths: Sequence[Path], meters: Sequence[Meter], *, skip_unknown: bool = False
) -> MeterImport:
    """Read and check all files. Raises MeterFileError with the faults of all of them.

    A fault is: no Parquet or CSV file; a column too many, too few or of the wrong type; a time
    without zone or off the quarter hour; an infinite or impossible value; two different values
    for one meter and time; a meter id that is not in `meters`. With `skip_unknown` rows of such
    ids are left out and counted instead.
    """
    index = {meter.id: i for i, meter in enumerate(meters)}
    files = [MeterFile(path=path, index=index, skip_unknown=skip_unknown) for path in paths]
    for file in files:
        file.read()
    times, values = scatter(files, len(meters))
    if faults := [fault for file in files for fault in file.faults]:
        bad = sum(bool(file.faults) for file in files)
        raise MeterFileError(f"{bad} of {len(files)} meter files cannot be imported", faults)
    return MeterImport(
        times=times,
        values=values,
        rows=sum(file.rows for file in files),
        duplicates=sum(file.duplicates for file in files),
        unknown=dict(sum((file.unknown for file in files), Counter())),
    )


async def import_meters(telemetry: Telemetry, zone: ZoneId, imported: MeterImport) -> None:
    """Store as 'meter' frames of `zone`; values that are missing here leave stored ones alone."""
    quality = np.where(np.isnan(imported.values), _MISSING, _OK).astype(np.uint8)
    frames = Frames(times=imported.times, values=imported.values, quality=quality)
    await telemetry.save_frames("meter", zone, frames)
