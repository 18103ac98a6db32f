"""Settlements and the ledger as SQL: settling again makes the same rows and adds nothing."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime

from controller.errors import StoreError
from controller.model.ids import EventId
from controller.model.money import Baseline, Performance, Transfer
from controller.store import chain
from controller.store.codec import decode, encode, instant_text


def save(
    db: sqlite3.Connection,
    event_id: EventId,
    version: int,
    baselines: Sequence[Baseline],
    performances: Sequence[Performance],
) -> None:
    """One version of an event's settlement. StoreError if it is there with other content."""
    header = "INSERT INTO settlement VALUES (?, ?) ON CONFLICT DO NOTHING"
    if db.execute(header, (event_id, version)).rowcount == 0:
        if _load(db, event_id, version) != (tuple(baselines), tuple(performances)):
            raise StoreError(
                f"settlement {version} of event {event_id} is there with other content",
                hint="What was settled stands. Were its meter values corrected since? The "
                "correction is not booked by settling again: keep the file that brought it.",
            )
        return
    db.executemany(
        "INSERT INTO baseline (event_id, version, meter_id, body) VALUES (?, ?, ?, ?)",
        ((event_id, version, b.meter_id, encode(b).decode()) for b in baselines),
    )
    db.executemany(
        "INSERT INTO performance (event_id, version, body) VALUES (?, ?, ?)",
        ((event_id, version, encode(p).decode()) for p in performances),
    )


def newest(
    db: sqlite3.Connection, event_id: EventId
) -> tuple[Sequence[Baseline], Sequence[Performance]]:
    """The newest version; empty where not settled."""
    query = "SELECT max(version) FROM settlement WHERE event_id = ?"
    (version,) = db.execute(query, (event_id,)).fetchone()
    return ((), ()) if version is None else _load(db, event_id, version)


def post(db: sqlite3.Connection, transfers: Sequence[Transfer], at: datetime) -> int:
    """Append the new ones to the ledger, all or none; returns how many were new.

    Raises StoreError if an id is there (or twice in this call) with other content.
    """
    stored = chain.known(db, chain.LEDGER, [t.id for t in transfers])
    booked = {key: decode(Transfer, body) for key, body in stored.items()}
    new: list[tuple[str, str]] = []
    for transfer in transfers:
        if transfer.id not in booked:
            booked[transfer.id] = transfer
            new.append((transfer.id, encode(transfer).decode()))
        elif booked[transfer.id] != transfer:
            message = f"transfer {transfer.id} is in the ledger with other content"
            raise StoreError(message, hint="Correct it by a transfer of its own; nothing posted.")
    return chain.append(db, chain.LEDGER, instant_text(at), new)


def _load(
    db: sqlite3.Connection, event_id: EventId, version: int
) -> tuple[tuple[Baseline, ...], tuple[Performance, ...]]:
    key = (event_id, version)
    baselines = db.execute(
        "SELECT body FROM baseline WHERE event_id = ? AND version = ? ORDER BY seq", key
    ).fetchall()
    performances = db.execute(
        "SELECT body FROM performance WHERE event_id = ? AND version = ? ORDER BY seq", key
    ).fetchall()
    return (
        tuple(decode(Baseline, body) for (body,) in baselines),
        tuple(decode(Performance, body) for (body,) in performances),
    )
