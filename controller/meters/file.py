"""One meter file on its way in: its rows as arrays, its faults with their places."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from controller.errors import Fault
from controller.meters.tables import Bad, UnusableError, open_table
from controller.model.ids import MeterId
from controller.model.time import QUARTER_HOUR

MOST_KW = 1_000_000.0
"""No customer's meter reads more than a gigawatt, either way."""
YEARS = (1990, 2100)
SHOWN = 5
"""Faults of one kind that are spelled out per file; the rest are counted."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST, _END = ((datetime(y, 1, 1, tzinfo=UTC) - EPOCH) // QUARTER_HOUR for y in YEARS)
_STEP_S = int(QUARTER_HOUR.total_seconds())
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(slots=True, kw_only=True, eq=False)
class MeterFile:
    """A file, its faults, and the columns of its good rows, all (rows,)."""

    path: Path
    index: Mapping[MeterId, int]
    """Place of each meter of the fleet, in its order."""
    skip_unknown: bool
    faults: list[Fault] = field(default_factory=list)
    unknown: Counter[str] = field(default_factory=Counter)
    """Rows per id that is not in `index`."""
    rows: int = 0
    duplicates: int = 0
    slot: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    """Quarter hours since 1970."""
    meter: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    kw: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))

    def read(self) -> None:
        """Fill `slot`, `meter` and `kw` from the file; what is wrong goes to `faults`."""
        try:
            table, numbers, bad = open_table(self.path)
        except UnusableError as error:
            self.spell(error.bad)
            return
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            why = str(error).splitlines()[0]
            self.fault("file", why, "a readable Parquet or CSV file")
            return
        self.spell(bad)
        self.rows = table.num_rows
        meter = self._meters(table["meter_id"], numbers)
        slot, timed = self._slots(table["time_utc"], numbers)
        kw, possible = self._values(table["kw"], numbers)
        good: Any = timed & possible & (meter >= 0)
        if good.all():
            good = slice(None)
        self.slot, self.meter, self.kw = slot[good], meter[good], kw[good]

    def fault(self, place: str, value: str, expected: str) -> None:
        fault = Fault(file=str(self.path), place=place, value=value, expected=expected)
        self.faults.append(fault)

    def spell(self, bad: Bad) -> None:
        """A fault for each of the first bad places of a kind, and one that counts the others."""
        for expected, places in bad.items():
            for place, value in places[:SHOWN]:
                self.fault(place, value, expected)
            if (more := len(places) - SHOWN) > 0:
                self.fault(f"{more} more places", "as the last", expected)

    def _bad_rows(
        self, bad: Mask, numbers: Ints, value: Callable[[int], object], expected: str
    ) -> None:
        """`spell` for rows that a mask picks; only the first are looked at."""
        at = np.flatnonzero(bad)
        shown = [(f"row {numbers[i]}", str(value(int(i)))) for i in at[:SHOWN]]
        self.spell({expected: shown})
        if (more := len(at) - SHOWN) > 0:
            self.fault(f"{more} more rows", "as the last", expected)

    def _meters(self, column: Any, numbers: Ints) -> Ints:
        """(rows,) index into the meters; -1 where the fleet does not know the id, -2 without."""
        parts = [np.empty(0, np.int64)]
        for chunk in column.chunks:
            names = [*chunk.dictionary.to_pylist(), None]
            codes = chunk.indices.fill_null(len(names) - 1).to_numpy(zero_copy_only=False)
            place = np.array([-2 if n is None else self.index.get(n, -1) for n in names])
            counts = np.bincount(codes, minlength=len(names))
            for i in np.flatnonzero((place == -1) & (counts > 0)):
                self.unknown[str(names[i])] += int(counts[i])
            parts.append(place[codes])
        meter = np.concatenate(parts)
        self._bad_rows(meter == -2, numbers, lambda _: "no meter_id", "a meter id")
        if not self.skip_unknown:
            strangers = [("meter_id", f"{n} ({rows} rows)") for n, rows in self.unknown.items()]
            self.spell({"a meter of the fleet": strangers})
        return meter

    def _slots(self, column: Any, numbers: Ints) -> tuple[Ints, Mask]:
        """(rows,) quarter hours since 1970, and which of them are whole and within reason."""
        step = _STEP_S * _PER_SECOND[column.type.unit]
        ticks = column.cast(pa.int64()).fill_null(1).to_numpy()
        slot = ticks // step
        timed = (ticks % step == 0) & (slot >= _FIRST) & (slot < _END)
        expected = f"the start of a quarter hour in the years {YEARS[0]}–{YEARS[1] - 1}"
        text = pa.string()
        self._bad_rows(
            ~timed, numbers, lambda i: column[i].cast(text).as_py() or "no time", expected
        )
        return slot, timed

    def _values(self, column: Any, numbers: Ints) -> tuple[NDArray[np.float32], Mask]:
        """(rows,) kW, and which of them are possible; null becomes NaN."""
        wide = column if pa.types.is_float32(column.type) else column.cast(pa.float64())
        kw = wide.to_numpy()
        possible = ~(np.abs(kw) > MOST_KW)
        expected = f"a power within ±{MOST_KW:,.0f} kW"
        self._bad_rows(~possible, numbers, lambda i: f"{kw[i]:g} kW", expected)
        with np.errstate(over="ignore"):
            return kw.astype(np.float32, copy=False), possible
