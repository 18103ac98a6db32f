"""Parquet and CSV files as three Arrow columns: ids as a dictionary, instants, numbers."""

import csv
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

Bad = Mapping[str, Sequence[tuple[str, str]]]
"""What was expected → the places where it was not so, and what stood there."""

_COLUMNS = ("meter_id", "time_utc", "kw")
_COLUMNS_TEXT = f"the columns {', '.join(_COLUMNS)}"
_INSTANT_TEXT = "an instant with time zone, such as 2014-01-27T09:15:00Z"
_NOTHING = ("", "NaN", "nan", "null", "NULL")
_CSV_TYPES = {
    "meter_id": pa.dictionary(pa.int32(), pa.string()),
    "time_utc": pa.timestamp("us", tz="UTC"),
    "kw": pa.float64(),
}


class UnusableError(Exception):
    """A file whose rows cannot be looked at."""

    def __init__(self, bad: Bad) -> None:
        super().__init__()
        self.bad = bad


def open_table(path: Path) -> tuple[Any, NDArray[np.int64], Bad]:
    """A file as an Arrow table, the number of each row in the file (from 1), and what is bad.

    Raises UnusableError, or what Arrow or the system says of the file.
    """
    with path.open("rb") as file:
        parquet = file.read(4) == b"PAR1" or path.suffix in (".parquet", ".pq")
    if parquet:
        return _numbered(_parquet(path))
    if path.suffix != ".csv":
        what = f"a {path.suffix or 'nameless'} file"
        raise UnusableError({"a .parquet or .csv file": [("file", what)]})
    header = _csv_header(path)
    if header is None:
        raise UnusableError({_COLUMNS_TEXT: [("file", "empty")]})
    _require_columns(header)
    convert = pa.csv.ConvertOptions(column_types=_CSV_TYPES, null_values=_NOTHING)
    try:
        return _numbered(pa.csv.read_csv(path, convert_options=convert))
    except pa.ArrowInvalid as error:
        return _csv_by_row(path, str(error))


def _numbered(table: Any) -> tuple[Any, NDArray[np.int64], Bad]:
    return table, np.arange(1, table.num_rows + 1), {}


def _parquet(path: Path) -> Any:
    schema = pa.parquet.read_schema(path)
    _require_columns(schema.names)
    _require_types(schema)
    table = pa.parquet.ParquetFile(path, read_dictionary=["meter_id"]).read()
    if not pa.types.is_dictionary(table.schema.field("meter_id").type):
        place = table.schema.get_field_index("meter_id")
        table = table.set_column(place, "meter_id", table["meter_id"].dictionary_encode())
    return table


def _require_columns(names: Sequence[str]) -> None:
    bad = [(f"column {name}", "missing") for name in _COLUMNS if name not in names]
    for name, times in Counter(names).items():
        if name not in _COLUMNS:
            bad.append((f"column {name}", "unknown"))
        elif times > 1:
            bad.append((f"column {name}", f"{times} times"))
    if bad:
        raise UnusableError({_COLUMNS_TEXT: bad})


def _require_types(schema: Any) -> None:
    ids, times, kw = (schema.field(name).type for name in _COLUMNS)
    text = ids.value_type if pa.types.is_dictionary(ids) else ids
    bad: dict[str, list[tuple[str, str]]] = {}
    if not (pa.types.is_string(text) or pa.types.is_large_string(text)):
        bad["text"] = [("column meter_id", str(ids))]
    if not (pa.types.is_timestamp(times) and times.tz):
        bad["a timestamp with time zone, such as timestamp[us, tz=UTC]"] = [
            ("column time_utc", str(times))
        ]
    if not (pa.types.is_floating(kw) or pa.types.is_integer(kw) or pa.types.is_decimal(kw)):
        bad["a number"] = [("column kw", str(kw))]
    if bad:
        raise UnusableError(bad)


def _csv_header(path: Path) -> list[str] | None:
    """The cells of the first line; None in an empty file."""
    with path.open(encoding="utf-8-sig", newline="") as lines:
        return next(csv.reader(lines), None)


def _csv_by_row(path: Path, why: str) -> tuple[Any, NDArray[np.int64], Bad]:
    """The slow way, to name every row that the fast way stumbled over; the others are kept."""
    bad: dict[str, list[tuple[str, str]]] = defaultdict(list)
    good: list[tuple[int, str, datetime | None, float | None]] = []
    with path.open(encoding="utf-8-sig", newline="") as lines:
        rows = csv.reader(lines)
        header = next(rows)
        for number, row in enumerate(filter(None, rows), 1):
            if len(row) != len(header):
                bad[f"{len(header)} fields"].append((f"row {number}", f"{len(row)} fields"))
                continue
            cells = dict(zip(header, row, strict=True))
            at, kw = _instant(cells["time_utc"]), _number(cells["kw"])
            if at is False:
                bad[_INSTANT_TEXT].append((f"row {number}", cells["time_utc"]))
            if kw is False:
                bad["a number of kW"].append((f"row {number}", cells["kw"]))
            if at is not False and kw is not False:
                good.append((number, cells["meter_id"], at, kw))
    if not bad:
        raise UnusableError({"a readable CSV file": [("file", why)]})
    return _table_of(good), np.array([number for number, *_ in good], np.int64), bad


def _table_of(rows: Sequence[tuple[int, str, datetime | None, float | None]]) -> Any:
    _, ids, times, kw = zip(*rows, strict=True) if rows else ((), (), (), ())
    columns = zip(_CSV_TYPES.items(), (ids, times, kw), strict=True)
    return pa.table({name: pa.chunked_array([pa.array(c, kind)]) for (name, kind), c in columns})


def _instant(text: str) -> datetime | Literal[False] | None:
    """None where nothing stands; False where it is no instant."""
    if text in _NOTHING:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return False
    return at if at.tzinfo else False


def _number(text: str) -> float | Literal[False] | None:
    if text in _NOTHING:
        return None
    try:
        return float(text)
    except ValueError:
        return False
