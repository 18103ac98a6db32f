"""The temperatures of all files on the loads' grid, station by station.

A station is a column (`temp_c_<station>`), a value of `station_id`, the plain `temp_c` of a file
or, beside a series id, the `temp_c` of each series. Issued forecasts (`temp_forecast_c…`) go with
the measured values of the same name. A coarser temperature holds for the whole of its interval
(a straight line to the next value would know that value before its time); a finer one is averaged.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from controller.meters.load_columns import PLAIN
from controller.meters.load_table import LoadTable
from controller.model.time import Grid

MOST_STATIONS: Final = 200
COARSEST_S: Final = 6 * 3600

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sky:
    """Measured and issued temperatures, both (stations, grid.count)."""

    grid: Grid
    """The loads' grid, drawn out to the last temperature of any kind."""
    stations: tuple[str, ...]
    temp_c: Floats = field(repr=False)
    issued_c: Floats = field(repr=False)
    notes: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True, eq=False)
class _Rows:
    """Temperatures of one station and kind from one file."""

    station: str
    kind: str
    time_s: Ints
    temp_c: Floats
    file: str


def weather_on(
    grid: Grid, tables: Sequence[LoadTable], ids: Sequence[str], series: NDArray[np.int64]
) -> Sky:
    """All temperatures of `tables` from `grid`'s start on; the first table holds the loads.

    `series` is (rows,) which of `ids` each of the load's rows belongs to.
    """
    notes: list[str] = []
    rows = _from_loads(tables[0], ids, series, notes)
    rows += [r for table in tables[1:] for r in _of_table(table)]
    rows = _told_apart([r for r in rows if len(r.time_s)])
    stations = tuple(dict.fromkeys(r.station for r in rows))
    if len(stations) > MOST_STATIONS:
        notes.append(f"{len(stations)} stations; the first {MOST_STATIONS} are used")
        stations = stations[:MOST_STATIONS]
    whole = _drawn_out(grid, [r for r in rows if r.station in stations])
    place = {station: i for i, station in enumerate(stations)}
    out = {k: np.full((len(stations), whole.count), np.nan) for k in ("measured", "issued")}
    overruled = 0
    for r in rows:
        if r.station in place:
            line = out[r.kind][place[r.station]]
            laid, repeats = _on_grid(r, whole)
            overruled += repeats
            line[:] = np.where(np.isnan(laid), line, laid)
    if overruled:
        notes.append(
            f"{overruled} temperatures repeat an instant with another value; the later row counts"
        )
    return Sky(
        grid=whole,
        stations=tuple(s or "temp_c" for s in stations),
        temp_c=out["measured"],
        issued_c=out["issued"],
        notes=tuple(notes),
    )


def _from_loads(
    table: LoadTable, ids: Sequence[str], series: NDArray[np.int64], notes: list[str]
) -> list[_Rows]:
    """The load file's own temperatures; where they differ by series, each series is a station."""
    if table.roles.station is not None or len(ids) == 1 or not table.roles.temperatures:
        return _of_table(table)
    shared = _of_table(table)
    if all(_agree(r) for r in shared):
        return shared
    notes.append("the load file's temperatures differ by series: each series is a station")
    return [
        _Rows(
            station=f"{ids[i]}" if t.station == PLAIN else f"{ids[i]}/{t.station}",
            kind=t.kind,
            time_s=table.time_s[mine],
            temp_c=table.values[t.column][mine],
            file=table.path.stem,
        )
        for i in range(min(len(ids), MOST_STATIONS))
        for mine in [series == i]
        for t in table.roles.temperatures
    ]


def _agree(rows: _Rows) -> bool:
    """Every instant has one value, however often it is said."""
    order = np.argsort(rows.time_s, kind="stable")
    time_s, temp_c = rows.time_s[order], rows.temp_c[order]
    same = np.diff(time_s) == 0
    return bool((np.abs(np.diff(temp_c))[same] < 1e-6).all())


def _of_table(table: LoadTable) -> list[_Rows]:
    """The stations of one file: long with `station_id`, else by its columns."""
    rows = []
    for t in table.roles.temperatures:
        temp_c = table.values[t.column]
        known = ~np.isnan(temp_c)
        if table.roles.station is None:
            parts = [(t.station, known)]
        else:
            keys = table.keys[table.roles.station].astype(str)
            names = np.unique(keys)[: MOST_STATIONS + 1]
            suffix = f"/{t.station}" if t.station != PLAIN else ""
            parts = [(f"{name}{suffix}", known & (keys == name)) for name in names]
        rows += [
            _Rows(
                station=station,
                kind=t.kind,
                time_s=table.time_s[mine],
                temp_c=temp_c[mine],
                file=table.path.stem,
            )
            for station, mine in parts
        ]
    return rows


def _told_apart(rows: list[_Rows]) -> list[_Rows]:
    """Nameless temperatures of two files that contradict each other are two stations."""
    for kind in ("measured", "issued"):
        plain = [r for r in rows if r.station == PLAIN and r.kind == kind]
        if len(plain) > 1 and not _agree(_joined(plain)):
            named = {r.file for r in plain}
            for r in rows:
                if r.station == PLAIN and r.file in named:
                    r.station = r.file
    return rows


def _joined(rows: Sequence[_Rows]) -> _Rows:
    return _Rows(
        station=PLAIN,
        kind=rows[0].kind,
        time_s=np.concatenate([r.time_s for r in rows]),
        temp_c=np.concatenate([r.temp_c for r in rows]),
        file="",
    )


def _drawn_out(grid: Grid, rows: Sequence[_Rows]) -> Grid:
    step_s, start_s = int(grid.step.total_seconds()), int(grid.start.timestamp())
    last = max((int(r.time_s.max()) + _step_s(r.time_s, step_s) for r in rows), default=start_s)
    count = max(grid.count, (last - start_s) // step_s)
    return Grid(start=grid.start, step=timedelta(seconds=step_s), count=count)


def _step_s(time_s: Ints, otherwise: int) -> int:
    """The commonest distance between a station's instants."""
    times = np.unique(time_s)
    if len(times) < 2:
        return otherwise
    gaps, counts = np.unique(np.diff(times), return_counts=True)
    return int(min(gaps[np.argmax(counts)], COARSEST_S))


def _on_grid(rows: _Rows, grid: Grid) -> tuple[Floats, int]:
    """(grid.count,) temperatures, and how many rows a later one overruled."""
    step_s, start_s = int(grid.step.total_seconds()), int(grid.start.timestamp())
    order = np.argsort(rows.time_s, kind="stable")
    time_s, temp_c = rows.time_s[order], rows.temp_c[order]
    last = np.append(np.diff(time_s) != 0, True)
    overruled = int(np.count_nonzero(~last[:-1] & (np.diff(temp_c) != 0)))
    time_s, temp_c = time_s[last], temp_c[last]
    holds = max(1, -(-_step_s(time_s, step_s) // step_s))
    slot = (time_s - start_s) // step_s
    total, seen = np.zeros(grid.count), np.zeros(grid.count)
    for ahead in range(holds):
        at = slot + ahead
        inside = (at >= 0) & (at < grid.count)
        np.add.at(total, at[inside], temp_c[inside])
        np.add.at(seen, at[inside], 1.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return total / seen, overruled
