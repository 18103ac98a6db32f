"""`SqliteJournal`: the journal of `controller.ports` on state.db. Docstrings stand at the port."""

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from controller.errors import StoreError
from controller.model.commands import Override, Receipt, Setpoint
from controller.model.events import DREvent, EventStatus, Notice, Offer
from controller.model.ids import EventId, SetpointId, ZoneId
from controller.model.money import Baseline, Performance, Transfer
from controller.model.plans import Forecast, Plan
from controller.ports import ChainReport, Command, EventLogEntry
from controller.store import chain, commands, settlements
from controller.store.codec import decode, encode, instant, instant_text
from controller.store.database import Database

T = TypeVar("T")
_AuditText: type[tuple[str, str, str, str]] = tuple[str, str, str, str]
_Row = tuple[object, ...]

_EVENTS = """
SELECT body, (SELECT status FROM event_log WHERE event_id = id ORDER BY seq DESC LIMIT 1)
FROM event newest
WHERE revision = (SELECT max(revision) FROM event WHERE id = newest.id)
ORDER BY (SELECT min(seq) FROM event WHERE id = newest.id)
"""
_LOG = """
INSERT INTO event_log (event_id, at, status, reason, actor)
SELECT * FROM (SELECT ? AS event_id, ?, ?, ?, ?) AS line
WHERE EXISTS (SELECT 1 FROM event WHERE id = line.event_id)
"""


class SqliteJournal:
    """Implements `ports.Journal`. Every method that writes is durable before it returns."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # Configuration and forecasts

    async def save_config(self, config_hash: str, body: bytes, at: datetime) -> None:
        insert = "INSERT INTO config (hash, at, body) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
        row = (config_hash, instant_text(at), body)
        await self._database.write(lambda db: _insert(db, insert, row))

    async def configs(self) -> Sequence[tuple[str, datetime, bytes]]:
        query = "SELECT hash, at, body FROM config ORDER BY seq"
        rows = await self._rows(query)
        return tuple((config_hash, instant(at), body) for config_hash, at, body in rows)

    async def save_forecast(self, zone: ZoneId, forecast: Forecast) -> None:
        row = (zone, encode(forecast).decode())
        insert = "INSERT INTO forecast (zone, body) VALUES (?, ?)"
        await self._database.write(lambda db: _insert(db, insert, row))

    async def forecasts(self, zone: ZoneId) -> Sequence[Forecast]:
        query = "SELECT body FROM forecast WHERE zone = ? ORDER BY seq"
        return await self._nouns(Forecast, query, zone)

    # Events and plans

    async def save_event(self, event: DREvent) -> bool:
        row = (event.id, event.revision, encode(event).decode())
        insert = "INSERT INTO event (id, revision, body) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
        return await self._database.write(lambda db: _insert(db, insert, row))

    async def log_event(
        self, event_id: EventId, at: datetime, status: EventStatus, reason: str, actor: str
    ) -> None:
        """Raises StoreError for an event that is not stored."""
        row = (event_id, instant_text(at), status.value, reason, actor)
        await self._database.write(lambda db: _log_event(db, row))

    async def events(self) -> Sequence[DREvent]:
        return await self._database.read(
            lambda db: tuple(_event(*row) for row in db.execute(_EVENTS))
        )

    async def event_log(self, event_id: EventId) -> Sequence[EventLogEntry]:
        query = "SELECT at, status, reason, actor FROM event_log WHERE event_id = ? ORDER BY seq"
        return tuple(
            EventLogEntry(
                event_id=event_id,
                at=instant(at),
                status=EventStatus(status),
                reason=reason,
                actor=actor,
            )
            for at, status, reason, actor in await self._rows(query, event_id)
        )

    async def save_plan(self, plan: Plan) -> None:
        """The same plan again changes nothing; StoreError if its id is there with other content."""
        row = (plan.id, encode(plan).decode())
        insert = "INSERT INTO plan (id, body) VALUES (?, ?) ON CONFLICT DO NOTHING"
        query = "SELECT body FROM plan WHERE id = ?"
        await self._database.write(lambda db: _insert_once(db, insert, row, query, plan))

    async def plans(self) -> Sequence[Plan]:
        return await self._nouns(Plan, "SELECT body FROM plan ORDER BY seq")

    # Told contracts

    async def save_notice(self, notice: Notice) -> None:
        """The same notice again changes nothing; StoreError if its id has other content."""
        row = (notice.id, encode(notice).decode())
        insert = "INSERT INTO notice (id, body) VALUES (?, ?) ON CONFLICT DO NOTHING"
        query = "SELECT body FROM notice WHERE id = ?"
        await self._database.write(lambda db: _insert_once(db, insert, row, query, notice))

    async def notices(self) -> Sequence[Notice]:
        return await self._nouns(Notice, "SELECT body FROM notice ORDER BY seq")

    async def save_offer(self, offer: Offer) -> bool:
        row = (offer.notice_id, encode(offer).decode())
        insert = "INSERT INTO offer (notice_id, body) VALUES (?, ?) ON CONFLICT DO NOTHING"
        return await self._database.write(lambda db: _insert(db, insert, row))

    async def offers(self) -> Sequence[Offer]:
        return await self._nouns(Offer, "SELECT body FROM offer ORDER BY seq")

    # Commands

    async def take_fence(self) -> int:
        return await self._database.write(commands.take_fence)

    async def plan_commands(self, setpoints: Sequence[Setpoint], at: datetime) -> None:
        """Known ones are left alone; StoreError if one is there with other content."""
        await self._database.write(lambda db: commands.plan(db, setpoints, at))

    async def begin_sending(
        self, ids: Sequence[SetpointId], fence: int, at: datetime
    ) -> Sequence[SetpointId]:
        """Raises StoreError for a fence that was never taken."""
        return await self._database.write(lambda db: commands.begin(db, ids, fence, at))

    async def end_sending(self, receipts: Sequence[Receipt], fence: int) -> None:
        """The first outcome stands; planned ones are closed unsent; an older fence ends none.

        Raises StoreError for a fence never taken and a setpoint never planned.
        """
        await self._database.write(lambda db: commands.end(db, receipts, fence))

    async def commands(self) -> Sequence[Command]:
        return await self._database.read(commands.fold)

    async def releases(self) -> Sequence[Receipt]:
        return await self._nouns(Receipt, "SELECT body FROM release ORDER BY seq")

    async def save_override(self, override: Override) -> None:
        """The very same override again changes nothing."""
        row = (encode(override).decode(),)
        insert = "INSERT INTO override (body) VALUES (?) ON CONFLICT DO NOTHING"
        await self._database.write(lambda db: _insert(db, insert, row))

    async def overrides(self) -> Sequence[Override]:
        return await self._nouns(Override, "SELECT body FROM override ORDER BY seq")

    # Money

    async def save_settlement(
        self,
        event_id: EventId,
        version: int,
        baselines: Sequence[Baseline],
        performances: Sequence[Performance],
    ) -> None:
        """The same version again changes nothing; StoreError if it has other content."""
        await self._database.write(
            lambda db: settlements.save(db, event_id, version, baselines, performances)
        )

    async def settlement(
        self, event_id: EventId
    ) -> tuple[Sequence[Baseline], Sequence[Performance]]:
        return await self._database.read(lambda db: settlements.newest(db, event_id))

    async def post(self, transfers: Sequence[Transfer], at: datetime) -> int:
        return await self._database.write(lambda db: settlements.post(db, transfers, at))

    async def transfers(self) -> Sequence[Transfer]:
        query = "SELECT body FROM entry WHERE chain = ? ORDER BY seq"
        return await self._nouns(Transfer, query, chain.LEDGER)

    # Audit

    async def audit(self, at: datetime, actor: str, action: str, subject: str, text: str) -> None:
        entry = (None, encode((actor, action, subject, text)).decode())
        when = instant_text(at)
        await self._database.write(lambda db: chain.append(db, chain.AUDIT, when, [entry]))

    async def audit_log(self) -> Sequence[tuple[datetime, str, str, str, str]]:
        query = "SELECT at, body FROM entry WHERE chain = ? ORDER BY seq"
        rows = await self._rows(query, chain.AUDIT)
        return tuple((instant(at), *decode(_AuditText, body)) for at, body in rows)

    async def verify_chains(self) -> dict[str, ChainReport]:
        return await self._database.read(
            lambda db: {name: chain.verify(db, name) for name in (chain.LEDGER, chain.AUDIT)}
        )

    async def _rows(self, query: str, *keys: object) -> list[tuple[Any, ...]]:
        return await self._database.read(lambda db: db.execute(query, keys).fetchall())

    async def _nouns(self, kind: type[T], query: str, *keys: object) -> Sequence[T]:
        """Every value of `kind` whose body `query` finds."""
        return await self._database.read(
            lambda db: tuple(decode(kind, body) for (body,) in db.execute(query, keys))
        )


def _insert(db: sqlite3.Connection, insert: str, row: _Row) -> bool:
    """Whether a row was added."""
    return db.execute(insert, row).rowcount == 1


def _insert_once(db: sqlite3.Connection, insert: str, row: _Row, query: str, noun: object) -> None:
    """Insert; StoreError if the key (the row's first value) is there with another noun."""
    if not _insert(db, insert, row):
        (body,) = db.execute(query, row[:1]).fetchone()
        if decode(type(noun), body) != noun:
            message = f"{type(noun).__name__} {row[0]} is already there with other content"
            raise StoreError(message, hint="Nothing is ever overwritten: give it a new id.")


def _log_event(db: sqlite3.Connection, row: _Row) -> None:
    if not _insert(db, _LOG, row):
        raise StoreError(f"there is no event {row[0]}", hint="Save the event before its log.")


def _event(body: str, status: str | None) -> DREvent:
    event = decode(DREvent, body)
    return event if status is None else replace(event, status=EventStatus(status))
