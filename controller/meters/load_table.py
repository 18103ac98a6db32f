"""One load or temperature file on its way in: its columns as arrays, its faults with their rows.

CSV is read as text first and turned into numbers here, so that every bad cell can be named.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from controller.errors import Fault
from controller.meters.load_columns import TIME, Roles, roles_of

MOST_ROWS: Final = 30_000_000
MOST_BYTES: Final = 2_000_000_000
YEARS: Final = (1990, 2100)
SHOWN: Final = 5
"""Faults of one kind that are spelled out per file; the rest are counted."""
MOST_KW: Final = 1e9
COLDEST_C, HOTTEST_C = -90.0, 70.0
_FIRST_S, _END_S = (int(pd.Timestamp(f"{year}-01-01", tz="UTC").timestamp()) for year in YEARS)
_NOTHING: Final = ("", "NaN", "nan", "NA", "null", "NULL", "None")
_INSTANT: Final = "an instant such as 2014-01-27T09:00:00Z"

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(slots=True, kw_only=True, eq=False)
class LoadTable:
    """A file's columns, all (rows,); what is wrong with it stands in `faults`."""

    path: Path
    roles: Roles = field(default_factory=Roles)
    rows: int = 0
    time_s: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    """Seconds since 1970 of each interval's start."""
    naive: int = 0
    """Rows whose time carried no zone and was read as the UTC that the column's name promises."""
    values: dict[str, Floats] = field(default_factory=dict)
    """Numbers by column: the load, the rating, the temperatures."""
    keys: dict[str, NDArray[Any]] = field(default_factory=dict)
    """Texts by column: the series id, the station."""
    faults: list[Fault] = field(default_factory=list)

    def fault(self, place: str, value: str, expected: str) -> None:
        self.faults.append(Fault(file=str(self.path), place=place, value=value, expected=expected))

    def fault_rows(
        self, bad: NDArray[np.bool_], shown: Callable[[int], object], place: str, expected: str
    ) -> None:
        """A fault for each of the first rows that `bad` picks, and one that counts the others."""
        at = np.flatnonzero(bad)
        for i in at[:SHOWN]:
            self.fault(f"row {i + 1}, {place}", str(shown(int(i))), expected)
        if (more := len(at) - SHOWN) > 0:
            self.fault(f"{more:,} more rows", "as the last", expected)


def read_table(
    path: Path, *, load: bool, value: str | None = None, id: str | None = None
) -> LoadTable:
    """The file's columns that have a role. Never raises for what is in the file: see `faults`."""
    table = LoadTable(path=path)
    try:
        _read(table, load=load, value=value, id=id)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        why = (str(error).splitlines() or ["unreadable"])[0]
        table.fault("file", why, "a readable Parquet or CSV file")
    return table


def _read(table: LoadTable, *, load: bool, value: str | None, id: str | None) -> None:
    if (size := table.path.stat().st_size) > MOST_BYTES:
        table.fault("file", f"{size:,} bytes", f"at most {MOST_BYTES:,} bytes")
        return
    with table.path.open("rb") as file:
        parquet = file.read(4) == b"PAR1"
    names = _parquet_names(table) if parquet else _csv_names(table.path)
    if table.faults:
        return
    table.roles = roles_of(str(table.path), names, load=load, value=value, id=id)
    table.faults += table.roles.faults
    if table.faults:
        return
    time = next(name for name in names if name.strip().lower() == TIME)
    numbers = [n for n in (table.roles.value, table.roles.rated) if n is not None]
    numbers += [t.column for t in table.roles.temperatures]
    keys = [n for n in (table.roles.id, table.roles.station) if n is not None]
    columns = _columns(table, [time, *numbers, *keys], parquet=parquet)
    table.rows = len(columns[time])
    if not table.rows or table.rows > MOST_ROWS:
        table.fault("file", f"{table.rows:,} rows", f"1 to {MOST_ROWS:,} rows")
        return
    _set_times(table, columns[time])
    for name in numbers:
        table.values[name] = _numbers(table, columns[name], name)
    for name in keys:
        table.keys[name] = _texts(table, columns[name], name)


def _parquet_names(table: LoadTable) -> list[str]:
    opened = pa.parquet.ParquetFile(table.path)
    if (rows := opened.metadata.num_rows) > MOST_ROWS:
        table.fault("file", f"{rows:,} rows", f"1 to {MOST_ROWS:,} rows")
    names = [str(name) for name in opened.schema_arrow.names]
    return [name for name in names if not name.startswith("__index_level_")]


def _csv_names(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig") as file:
        line = file.readline(1_000_000)
    header = pa.csv.read_csv(pa.BufferReader(line.encode()))
    return [str(name) for name in header.column_names]


def _columns(table: LoadTable, names: Sequence[str], *, parquet: bool) -> dict[str, Any]:
    """Each column as a pandas series: as stored in Parquet, as text (missing: None) in CSV."""
    if parquet:
        arrow = pa.parquet.read_table(table.path, columns=list(names))
    else:
        arrow = pa.csv.read_csv(
            table.path,
            parse_options=pa.csv.ParseOptions(newlines_in_values=False),
            convert_options=pa.csv.ConvertOptions(
                include_columns=list(names),
                column_types=dict.fromkeys(names, pa.string()),
                null_values=_NOTHING,
                strings_can_be_null=True,
            ),
        )
    return {name: arrow[name] for name in names}


def _set_times(table: LoadTable, column: Any) -> None:
    """Instants as seconds; text without a zone, like a naive stamp, is UTC by the column's name."""
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        stamps = column.cast(pa.timestamp("us", tz=getattr(column.type, "tz", None)), safe=False)
        missing = column.is_null().to_numpy()
        ticks = stamps.cast(pa.int64()).fill_null(0).to_numpy()
        table.naive = 0 if getattr(column.type, "tz", None) else len(ticks)
    elif pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        text = column.to_pandas()
        parsed = pd.to_datetime(text, utc=True, format="ISO8601", errors="coerce")
        missing = parsed.isna().to_numpy()
        ticks = parsed.dt.as_unit("us").astype("int64").to_numpy()
        zoned = text.str.contains(r"(?:[zZ]|[+-]\d\d:?\d\d|[+-]\d\d)$", regex=True, na=True)
        table.naive = int(np.count_nonzero(~zoned.to_numpy(dtype=bool) & ~missing))
    else:
        table.fault(f"column {TIME}", str(column.type), _INSTANT)
        return
    table.fault_rows(missing, lambda i: column[i].as_py() or "nothing", TIME, _INSTANT)
    outside = ~missing & ((ticks < _FIRST_S * 10**6) | (ticks >= _END_S * 10**6))
    years = f"an instant in the years {YEARS[0]}–{YEARS[1] - 1}"
    table.fault_rows(outside, lambda i: column[i].as_py(), TIME, years)
    broken = ~missing & ~outside & (ticks % (900 * 10**6) != 0)
    quarter = "the start of a quarter, half or whole hour"
    table.fault_rows(broken, lambda i: column[i].as_py(), TIME, quarter)
    table.time_s = ticks // 10**6


def _numbers(table: LoadTable, column: Any, name: str) -> Floats:
    """(rows,) float64, NaN where nothing stands."""
    values: Floats
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        text = column.to_pandas()
        values = pd.to_numeric(text, errors="coerce").to_numpy(dtype=np.float64)
        bad = np.isnan(values) & text.notna().to_numpy() & ~text.isin(_NOTHING).to_numpy()
        table.fault_rows(bad, lambda i: text.iloc[i], name, "a number")
    elif pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        values = np.asarray(column.cast(pa.float64()).fill_null(float("nan")), np.float64)
    elif pa.types.is_decimal(column.type) or pa.types.is_boolean(column.type):
        values = column.to_pandas().to_numpy(dtype=np.float64)
    else:
        table.fault(f"column {name}", str(column.type), "numbers")
        return np.full(len(column), np.nan)
    if name == table.roles.value:
        limit = MOST_KW / table.roles.kw_per_unit
        expected = f"a finite number within ±{limit:g}"
        table.fault_rows(np.abs(values) > limit, lambda i: values[i], name, expected)
    elif name != table.roles.rated:
        far = (values < COLDEST_C) | (values > HOTTEST_C)
        expected = f"a temperature in °C within {COLDEST_C:g} … {HOTTEST_C:g}, or nothing"
        table.fault_rows(far, lambda i: values[i], name, expected)
    return values


def _texts(table: LoadTable, column: Any, name: str) -> NDArray[Any]:
    """(rows,) text; a number is written without a fraction where it has none."""
    missing = column.is_null().to_numpy()
    table.fault_rows(missing, lambda _: "nothing", name, "an id")
    if pa.types.is_floating(column.type):
        column = column.fill_null(0.0).cast(pa.int64(), safe=False)
    elif pa.types.is_dictionary(column.type):
        column = column.cast(pa.string())
    texts: NDArray[Any] = column.cast(pa.string()).fill_null("").to_numpy(zero_copy_only=False)
    return texts
