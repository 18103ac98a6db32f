"""`SqliteTelemetry`: frames of dense telemetry on telemetry.db.

A frame is all columns of one (kind, zone) at one instant: float32 kW and one quality byte each,
little endian, 5 bytes per value. Columns may only be appended as a fleet grows: an older, narrower
frame reads as missing there, and a frame narrower than what is stored is refused, because its
columns would mean other devices.
"""

import sqlite3
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from controller.errors import StoreError
from controller.model.ids import ZoneId
from controller.model.time import Interval, require_utc
from controller.ports import Frames
from controller.store.database import Database

MISSING = 3
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KW = np.dtype("<f4")
_INSERT = "INSERT INTO frame (source, at_us, kw, quality) VALUES (?, ?, ?, ?)"
_REPLACE = "UPDATE frame SET kw = ?, quality = ? WHERE source = ? AND at_us = ?"
_SPAN = """
SELECT min(at_us), max(at_us) FROM frame
WHERE source = (SELECT id FROM source WHERE kind = ? AND zone = ?)
"""


class SqliteTelemetry:
    """Implements `ports.Telemetry`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save_frames(self, kind: str, zone: ZoneId, frames: Frames) -> None:
        """Raises ValueError for shapes that do not fit, StoreError for fewer columns than stored.

        The arrays are copied: the caller may go on writing into them.
        """
        at_us = [_microseconds(t) for t in frames.times]
        kw = np.array(frames.values, dtype=_KW, order="C")
        quality = np.array(frames.quality, dtype=np.uint8, order="C")
        if kw.ndim != 2 or len(kw) != len(at_us) or quality.shape != kw.shape:
            raise ValueError(
                f"{len(at_us)} times, {kw.shape} values and {quality.shape} quality bytes"
            )
        if at_us:
            await self._database.write(lambda db: _save(db, (kind, zone), at_us, kw, quality))

    async def frames(self, kind: str, zone: ZoneId, span: Interval) -> Frames:
        """Frames with start <= time < end, in order of time."""
        first, end = _microseconds(span.start), _microseconds(span.end)
        return await self._database.read(lambda db: _load(db, (kind, zone), first, end))

    async def span(self, kind: str, zone: ZoneId) -> Interval | None:
        first, last = await self._database.read(
            lambda db: db.execute(_SPAN, (kind, zone)).fetchone()
        )
        return None if first is None else Interval(start=_instant(first), end=_instant(last))


def _save(
    db: sqlite3.Connection,
    name: tuple[str, str],
    at_us: list[int],
    kw: NDArray[np.float32],
    quality: NDArray[np.uint8],
) -> None:
    source = _source(db, name, kw.shape[1])
    query = "SELECT kw, quality FROM frame WHERE source = ? AND at_us = ?"
    for i, at in enumerate(at_us):
        stored = db.execute(query, (source, at)).fetchone()
        if stored is None:
            db.execute(_INSERT, (source, at, kw[i].tobytes(), quality[i].tobytes()))
        else:
            db.execute(_REPLACE, (*_merge(stored, kw[i], quality[i]), source, at))


def _merge(
    stored: tuple[bytes, bytes], kw: NDArray[np.float32], quality: NDArray[np.uint8]
) -> tuple[bytes, bytes]:
    """The new values where there are any, else the old ones, each with its quality."""
    old_kw, old_quality = stored
    before = np.full(len(kw), np.nan, dtype=_KW)
    before[: len(old_quality)] = np.frombuffer(old_kw, dtype=_KW)
    keep = np.isnan(kw) & ~np.isnan(before)
    quality_before = np.full(len(kw), MISSING, dtype=np.uint8)
    quality_before[: len(old_quality)] = np.frombuffer(old_quality, dtype=np.uint8)
    return (
        np.where(keep, before, kw).tobytes(),
        np.where(keep, quality_before, quality).tobytes(),
    )


def _source(db: sqlite3.Connection, name: tuple[str, str], width: int) -> int:
    """The id of (kind, zone), widened to `width`. Raises StoreError where it is wider."""
    upsert = """
        INSERT INTO source (kind, zone, width) VALUES (?, ?, ?)
        ON CONFLICT DO UPDATE SET width = max(width, excluded.width)
        RETURNING id, width
    """
    ((source, stored),) = db.execute(upsert, (*name, width)).fetchall()
    if stored > width:
        raise StoreError(
            f"{name[0]} frames of {name[1]} have {stored} columns, not {width}",
            hint="Columns are only ever added at the end; after any other change of the fleet "
            "start a new data directory and import the meter history again.",
        )
    return int(source)


def _load(db: sqlite3.Connection, name: tuple[str, str], first: int, end: int) -> Frames:
    query = "SELECT id, width FROM source WHERE kind = ? AND zone = ?"
    source, width = db.execute(query, name).fetchone() or (0, 0)
    rows = db.execute(
        "SELECT at_us, kw, quality FROM frame WHERE source = ? AND at_us >= ? AND at_us < ?"
        " ORDER BY at_us",
        (source, first, end),
    ).fetchall()
    values = np.full((len(rows), width), np.nan, dtype=np.float32)
    quality = np.full((len(rows), width), MISSING, dtype=np.uint8)
    for i, (_, row_kw, row_quality) in enumerate(rows):
        values[i, : len(row_quality)] = np.frombuffer(row_kw, dtype=_KW)
        quality[i, : len(row_quality)] = np.frombuffer(row_quality, dtype=np.uint8)
    times = tuple(_instant(at) for at, _, _ in rows)
    return Frames(times=times, values=values, quality=quality)


def _microseconds(at: datetime) -> int:
    return (require_utc(at, "frame time") - _EPOCH) // timedelta(microseconds=1)


def _instant(at_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=at_us)
