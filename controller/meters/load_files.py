"""Load and temperature files in: any CSV or Parquet, on one grid, for forecast and backtest.

`time_utc` is the start of the interval, in any order. What the columns are is told by their names
(`load_columns`); rows are read and checked in `load_table`; here they are laid on one grid. The
resolution, 15, 30 or 60 minutes, is found from the distances between the rows. An instant that
comes twice: the later row counts, and it is said how often. Every fault of every file is found
before anything is used.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from controller.errors import InputError
from controller.meters.load_table import LoadTable, read_table
from controller.meters.load_weather import weather_on
from controller.model.time import Grid

WHOLE: Final = "all"
"""The id of the one series of a file without ids."""
STEPS_S: Final = (900, 1800, 3600)
MOST_CELLS: Final = 200_000_000
"""Series × intervals: 1.6 GB of float64."""
MOST_REPEATED: Final = 0.02
"""A larger part of repeated instants with other values is a file with an id nobody named."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadFiles:
    """What the files hold, on one grid; NaN is missing."""

    grid: Grid
    """From the first load to the last load or temperature of any kind."""
    ids: tuple[str, ...]
    kw: Floats = field(repr=False)
    """(series, grid.count) mean power."""
    known_until: datetime
    """End of the last interval with a load."""
    unit: str
    """The unit the file speaks: kW, MW …"""
    kw_per_unit: float
    rated_kw: Mapping[str, float]
    """Contracted or rated power of those series that name one."""
    stations: tuple[str, ...]
    temp_c: Floats = field(repr=False)
    """(stations, grid.count) measured."""
    issued_c: Floats = field(repr=False)
    """(stations, grid.count) the forecast that was issued for the day before it began."""
    notes: tuple[str, ...]
    ignored: tuple[str, ...]
    """Columns without a role, once each."""


def read_load_files(
    load: Path,
    temperatures: Sequence[Path] = (),
    *,
    value: str | None = None,
    id: str | None = None,
) -> LoadFiles:
    """Read and check all files. Raises InputError with the faults of all of them.

    `value` and `id` name the load's and the series' column where the names leave a choice.
    """
    main = read_table(load, load=True, value=value, id=id)
    others = [read_table(path, load=False) for path in temperatures]
    _refuse([main, *others])
    step_s, phase_s = _step(main)
    _fault_off_grid(main, step_s, phase_s)
    _refuse([main, *others])
    notes = [*_unit_notes(main), *_naive_notes([main, *others])]
    ids, series = _series(main)
    kw, first_s, repeats = _laid(main, ids, series, step_s)
    _refuse([main])
    if said := _repeat_note(repeats):
        notes.append(said)
    known_s = first_s + kw.shape[1] * step_s
    grid = Grid(start=_instant(first_s), step=timedelta(seconds=step_s), count=kw.shape[1])
    sky = weather_on(grid, [main, *others], ids, series)
    notes += sky.notes
    kw = np.pad(kw, ((0, 0), (0, sky.grid.count - kw.shape[1])), constant_values=np.nan)
    return LoadFiles(
        grid=sky.grid,
        ids=ids,
        kw=kw,
        known_until=_instant(known_s),
        unit=main.roles.unit,
        kw_per_unit=main.roles.kw_per_unit,
        rated_kw=_rated(main, ids, series),
        stations=sky.stations,
        temp_c=sky.temp_c,
        issued_c=sky.issued_c,
        notes=tuple(notes),
        ignored=tuple(dict.fromkeys(n for table in (main, *others) for n in table.roles.ignored)),
    )


def _refuse(tables: Sequence[LoadTable]) -> None:
    faults = [fault for table in tables for fault in table.faults]
    if faults:
        bad = sum(bool(table.faults) for table in tables)
        raise InputError(f"{bad} of {len(tables)} files cannot be used", faults)


def _instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _step(table: LoadTable) -> tuple[int, int]:
    """The commonest distance between neighbouring instants, and where on it most rows lie."""
    times = np.unique(table.time_s)
    if len(times) < 2:
        table.fault("file", f"{len(times)} instant", "at least two, to tell the resolution")
        return 3600, 0
    gaps, counts = np.unique(np.diff(times), return_counts=True)
    step_s = int(gaps[np.argmax(counts)])
    if step_s not in STEPS_S:
        table.fault("time_utc", f"rows mostly {step_s / 60:g} min apart", "15, 30 or 60 min")
        return 3600, 0
    phases, counts = np.unique(times % step_s, return_counts=True)
    return step_s, int(phases[np.argmax(counts)])


def _fault_off_grid(table: LoadTable, step_s: int, phase_s: int) -> None:
    off = table.time_s % step_s != phase_s
    expected = f"every row a whole number of {step_s // 60} min from the others"
    table.fault_rows(
        off, lambda i: _instant(int(table.time_s[i])).isoformat(), "time_utc", expected
    )


def _series(table: LoadTable) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """The ids in the order a reader would put them, and (rows,) the index of each row's."""
    if table.roles.id is None:
        return (WHOLE,), np.zeros(table.rows, np.int64)
    names, place = np.unique(table.keys[table.roles.id].astype(str), return_inverse=True)
    order = sorted(range(len(names)), key=lambda i: _natural(str(names[i])))
    rank = np.empty(len(names), np.int64)
    rank[order] = np.arange(len(names))
    return tuple(str(names[i]) for i in order), rank[place.ravel()]


def _natural(name: str) -> tuple[int, int, str]:
    """Numbers by size, then names."""
    return (0, int(name), name) if name.isdecimal() else (1, 0, name)


def _laid(
    table: LoadTable, ids: Sequence[str], series: NDArray[np.int64], step_s: int
) -> tuple[Floats, int, Counter[str]]:
    """(series, times) kW between the first and the last load, its first second, and repeats."""
    values = table.values[str(table.roles.value)] * table.roles.kw_per_unit
    if table.roles.energy:
        values = values / (step_s / 3600)
    known = ~np.isnan(values)
    if not known.any():
        table.fault(str(table.roles.value), "no number at all", "at least one load")
        return np.empty((len(ids), 0)), 0, Counter()
    first_s, last_s = (int(f(table.time_s[known])) for f in (np.min, np.max))
    count = (last_s - first_s) // step_s + 1
    if (cells := count * len(ids)) > MOST_CELLS:
        what = f"{len(ids):,} series × {count:,} intervals"
        table.fault("file", what, f"at most {MOST_CELLS:,} values")
        return np.empty((len(ids), 0)), 0, Counter()
    cell = series[known] * count + (table.time_s[known] - first_s) // step_s
    out = np.full(cells, np.nan)
    out[cell] = values[known]
    repeats = _repeats(table, ids, cell, count, differing=out[cell] != values[known])
    return out.reshape(len(ids), count), first_s, repeats


def _repeats(
    table: LoadTable,
    ids: Sequence[str],
    cell: NDArray[np.int64],
    count: int,
    *,
    differing: NDArray[np.bool_],
) -> Counter[str]:
    """Rows overruled by a later one of the same series and instant, with another value, by id."""
    overruled = int(np.count_nonzero(differing))
    if table.roles.id is None and overruled > MOST_REPEATED * len(cell):
        which = ", ".join(table.roles.ignored) or "no other column"
        table.fault(
            "time_utc", f"{overruled:,} rows repeat an instant with another load",
            f"one series, or a column that tells them apart named with --id (there are: {which})",
        )  # fmt: skip
    counts = np.bincount(cell[differing] // count, minlength=len(ids))
    return Counter({ids[i]: int(n) for i, n in enumerate(counts) if n})


def _repeat_note(repeats: Counter[str]) -> str | None:
    if not repeats:
        return None
    worst = ", ".join(f"{name}: {n}" for name, n in repeats.most_common(5))
    rows = repeats.total()
    return f"{rows} rows repeat an instant with another load; the later row counts ({worst})"


def _unit_notes(table: LoadTable) -> list[str]:
    name = str(table.roles.value)
    if table.roles.energy:
        return [f"{name} is an energy per interval and was divided by the interval's length"]
    bare = name.lower().rsplit("_", 1)[-1] not in ("w", "kw", "mw", "gw")
    return [f"{name} names no unit; it was read as kW"] if bare else []


def _naive_notes(tables: Sequence[LoadTable]) -> list[str]:
    return [
        f"{table.path.name}: {table.naive} of {table.rows} times name no zone; read as UTC"
        for table in tables
        if table.naive
    ]


def _rated(table: LoadTable, ids: Sequence[str], series: NDArray[np.int64]) -> Mapping[str, float]:
    """The last rating that each id names."""
    if table.roles.rated is None:
        return {}
    rated = table.values[table.roles.rated]
    good = np.isfinite(rated) & (rated > 0)
    return {ids[int(s)]: float(kw) for s, kw in zip(series[good], rated[good], strict=True)}
