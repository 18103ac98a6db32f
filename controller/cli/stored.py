"""Reading commands while no controller runs: the same answers from its store, read-only.

What needs live state (status) or a controller's work (settle) is not answered here.
"""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from controller.app import results
from controller.app.statements import statement_page
from controller.app.versions import stored_versions
from controller.clock import SystemClock
from controller.errors import UnknownNameError
from controller.model.ids import CustomerId, EventId
from controller.store import Store, open_store

T = TypeVar("T")


def events(data: Path) -> list[dict[str, Any]]:
    """As GET /events. Raises StoreError, also where nothing is stored."""

    async def read(store: Store) -> list[dict[str, Any]]:
        return [results.event_row(e) for e in await store.journal.events()]

    return _read(data, read)


def event(data: Path, event_id: str) -> dict[str, Any]:
    """As GET /events/ID. Raises StoreError, and UnknownNameError for an unknown event."""

    async def read(store: Store) -> dict[str, Any]:
        for known in await store.journal.events():
            if known.id == event_id:
                return results.event_page(known, await store.journal.event_log(EventId(event_id)))
        raise UnknownNameError(f"there is no event {event_id!r}")

    return _read(data, read)


def plan(data: Path) -> dict[str, Any]:
    """As GET /plan: the newest plan. Raises StoreError."""

    async def read(store: Store) -> dict[str, Any]:
        plans = await store.journal.plans()
        return results.plan(plans[-1] if plans else None)

    return _read(data, read)


def statement(data: Path, customer_id: str) -> str:
    """As GET /statements/ID: what is settled. Raises StoreError, and UnknownNameError."""

    async def read(store: Store) -> str:
        clock = SystemClock()
        with ThreadPoolExecutor(1) as threads:
            versions = await stored_versions(store.journal, clock, threads)
            return await statement_page(
                CustomerId(customer_id), journal=store.journal, telemetry=store.telemetry,
                versions=versions, now=clock.now(),
            )  # fmt: skip

    return _read(data, read)


def _read(data: Path, read: Callable[[Store], Awaitable[T]]) -> T:
    async def opened() -> T:
        async with open_store(data, SystemClock(), read_only=True) as store:
            return await read(store)

    return asyncio.run(opened())
