"""State on disk: everything that must outlive the process, in two SQLite files.

What lives here: `schema` (the tables), `writer` and `database` (threads, group commit), `codec`
(model values as JSON), `chain` (the hash chains), `journal` with `commands` and `settlements`
(state.db), `telemetry` (telemetry.db), `folder` (the lock). SQL is written nowhere else.

How to add a noun: a table (seq, its keys, body) as a new script in `schema`, its name among the
append-only ones, two methods in `ports.Journal` and in `journal`. How to add another store: a
folder beside this one that implements `ports.Journal` and `ports.Telemetry` and passes the tests
of this one.
"""

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from controller.ports import Clock, Journal, Telemetry
from controller.store.database import Database
from controller.store.folder import locked
from controller.store.journal import SqliteJournal
from controller.store.schema import STATE, TELEMETRY
from controller.store.telemetry import SqliteTelemetry

__all__ = ["Store", "open_store"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """The open store."""

    folder: Path
    journal: Journal
    telemetry: Telemetry


@asynccontextmanager
async def open_store(
    folder: Path, clock: Clock, *, read_only: bool = False
) -> AsyncIterator[Store]:
    """Open the data directory `folder`: alone for writing, or read-only beside a writer.

    Raises StoreError if another process holds it, if it is damaged or of a newer version, or,
    read-only, if there is nothing there yet. On leaving, what was handed in is finished first.
    """
    with ExitStack() as stack:
        if not read_only:
            stack.enter_context(locked(folder))
        state = Database(folder / STATE.file, STATE, clock, read_only=read_only)
        stack.callback(state.close)
        frames = Database(folder / TELEMETRY.file, TELEMETRY, clock, read_only=read_only)
        stack.callback(frames.close)
        yield Store(folder=folder, journal=SqliteJournal(state), telemetry=SqliteTelemetry(frames))
