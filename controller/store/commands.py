"""The command protocol as SQL: planned → sending(fence), committed before the wire → done.

A command is one row; each step it makes is another, and a step is made at most once (UNIQUE).
All functions run inside the caller's transaction, so check and step are one.
"""

import sqlite3
from collections.abc import Sequence
from datetime import datetime

import msgspec

from controller.errors import StoreError
from controller.model.commands import Outcome, Receipt, Setpoint
from controller.model.ids import SetpointId
from controller.ports import Command
from controller.store.codec import decode, encode, instant, instant_text

_BEGIN = """
INSERT INTO step (command, state, fence, at)
SELECT seq, 'sending', ?, ? FROM command
WHERE id IN (SELECT value FROM json_each(?))
AND NOT EXISTS (SELECT 1 FROM step WHERE step.command = command.seq)
ORDER BY seq
RETURNING (SELECT id FROM command WHERE seq = step.command)
"""
_END = """
INSERT INTO step (command, state, fence, at, outcome, detail)
SELECT seq, 'done', ?, ?, ?, ? FROM command WHERE id = ?
ON CONFLICT DO NOTHING
"""
_FOLD = """
SELECT command.body, coalesce(step.state, 'planned'), step.fence, coalesce(step.at, command.at),
       step.outcome, coalesce(step.detail, '')
FROM command LEFT JOIN step
ON step.seq = (SELECT max(seq) FROM step WHERE step.command = command.seq)
ORDER BY command.seq
"""


def take_fence(db: sqlite3.Connection) -> int:
    """A number larger than any before."""
    query = "INSERT INTO fence SELECT coalesce(max(number), 0) + 1 FROM fence RETURNING number"
    ((number,),) = db.execute(query).fetchall()
    return int(number)


def plan(db: sqlite3.Connection, setpoints: Sequence[Setpoint], at: datetime) -> None:
    """Write new commands. One that is there already is left alone; StoreError if it differs."""
    rows = [(s.id, instant_text(at), encode(s).decode()) for s in setpoints]
    insert = "INSERT INTO command (id, at, body) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
    if db.executemany(insert, rows).rowcount < len(rows):
        _require_same(db, setpoints)


def begin(
    db: sqlite3.Connection, ids: Sequence[SetpointId], fence: int, at: datetime
) -> Sequence[SetpointId]:
    """planned → sending for those that may, in the order of `ids`; none under an older fence.

    Raises StoreError for a fence that nobody took.
    """
    if not _holds(db, fence):
        return ()
    made = db.execute(_BEGIN, (fence, instant_text(at), _json(ids))).fetchall()
    begun = {made_id for (made_id,) in made}
    return tuple(i for i in dict.fromkeys(ids) if i in begun)


def end(db: sqlite3.Connection, receipts: Sequence[Receipt], fence: int) -> None:
    """The commands of these receipts are done; the first outcome of each stands.

    Also one that was only planned, which then never goes out. Under an older fence nothing
    changes: who took over reads the devices back. Releases are facts and are always kept.
    Raises StoreError for a fence that nobody took and for a setpoint that nobody planned.
    """
    releases = [(encode(r).decode(),) for r in receipts if r.setpoint_id is None]
    db.executemany("INSERT INTO release (body) VALUES (?)", releases)
    done = [r for r in receipts if r.setpoint_id is not None]
    _require_known(db, [r.setpoint_id for r in done if r.setpoint_id is not None])
    if done and _holds(db, fence):
        db.executemany(
            _END, [(fence, instant_text(r.at), r.outcome, r.detail, r.setpoint_id) for r in done]
        )


def fold(db: sqlite3.Connection) -> Sequence[Command]:
    """Every command with its newest step, in the order in which they were planned."""
    return tuple(_command(*row) for row in db.execute(_FOLD))


def _command(
    body: str, state: str, fence: int | None, at: str, outcome: str | None, detail: str
) -> Command:
    setpoint = decode(Setpoint, body)
    return Command(
        setpoint=setpoint,
        state=state,
        fence=setpoint.fence if fence is None else fence,
        at=instant(at),
        outcome=None if outcome is None else Outcome(outcome),
        detail=detail,
    )


def _holds(db: sqlite3.Connection, fence: int) -> bool:
    """Whether `fence` is the newest. Raises StoreError if it was never taken."""
    (newest,) = db.execute("SELECT coalesce(max(number), 0) FROM fence").fetchone()
    if not 0 < fence <= newest:
        raise StoreError(f"fence {fence} was never taken (the newest is {newest})")
    return bool(fence == newest)


def _require_known(db: sqlite3.Connection, ids: Sequence[SetpointId]) -> None:
    query = (
        "SELECT value FROM json_each(?)"
        " WHERE NOT EXISTS (SELECT 1 FROM command WHERE id = value) LIMIT 1"
    )
    if (unknown := db.execute(query, (_json(ids),)).fetchone()) is not None:
        raise StoreError(f"there is no command {unknown[0]}: it was never planned")


def _require_same(db: sqlite3.Connection, setpoints: Sequence[Setpoint]) -> None:
    for s in setpoints:
        (body,) = db.execute("SELECT body FROM command WHERE id = ?", (s.id,)).fetchone()
        if decode(Setpoint, body) != s:
            raise StoreError(f"setpoint {s.id} is already there with other content")


def _json(ids: Sequence[str]) -> str:
    return msgspec.json.encode(ids).decode()
