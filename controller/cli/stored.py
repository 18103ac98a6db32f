"""Reading commands while no controller runs: the same answers from its store, read-only.

What needs live state (status) or a controller's work (statement, settle) is not answered here.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

from controller.app import results
from controller.clock import SystemClock
from controller.errors import EventError
from controller.model.ids import EventId
from controller.ports import Journal
from controller.store import open_store

T = TypeVar("T")


def events(data: Path) -> list[dict[str, Any]]:
    """As GET /events. Raises StoreError, also where nothing is stored."""

    async def read(journal: Journal) -> list[dict[str, Any]]:
        return [results.event_row(e) for e in await journal.events()]

    return _read(data, read)


def event(data: Path, event_id: str) -> dict[str, Any]:
    """As GET /events/ID. Raises StoreError, and EventError for an unknown event."""

    async def read(journal: Journal) -> dict[str, Any]:
        for known in await journal.events():
            if known.id == event_id:
                return results.event_page(known, await journal.event_log(EventId(event_id)))
        raise EventError(f"there is no event {event_id!r}")

    return _read(data, read)


def plan(data: Path) -> dict[str, Any]:
    """As GET /plan: the newest plan. Raises StoreError."""

    async def read(journal: Journal) -> dict[str, Any]:
        plans = await journal.plans()
        return results.plan(plans[-1] if plans else None)

    return _read(data, read)


def _read(data: Path, read: Callable[[Journal], Awaitable[T]]) -> T:
    async def opened() -> T:
        async with open_store(data, SystemClock(), read_only=True) as store:
            return await read(store.journal)

    return asyncio.run(opened())
