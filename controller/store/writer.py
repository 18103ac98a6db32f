"""One writer thread per file, with group commit; one reader thread beside it.

A durable commit costs one flush to the disk, however much it holds. So whatever waits while a
commit runs goes into the next one together: callers pay for one flush, not for one each. Every
piece of work has a savepoint of its own, so that a failure does not undo its neighbours, and
hears of its result only when it is on the disk.
"""

import sqlite3
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, Generic, TypeVar

from controller.errors import StoreError
from controller.store.schema import failed

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

MOST_PER_COMMIT = 1000
"""Bounds how long the first of a batch waits for the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job(Generic[T]):
    work: Work[T]
    future: Future[T]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failed:
    error: Exception


class Writer:
    """Owns the one writing connection of a file (opened in autocommit mode)."""

    def __init__(self, db: sqlite3.Connection, name: str) -> None:
        self._db = db
        self._jobs: SimpleQueue[_Job[Any] | None] = SimpleQueue()
        self._gate = Lock()
        self._open = True
        self._thread = Thread(target=self._run, name=f"{name} writer", daemon=True)
        self._thread.start()

    def submit(self, work: Work[T]) -> Future[T]:
        """Run `work` in the next transaction; the future resolves once that is committed.

        It fails with StoreError where the database failed, else with what `work` raised; then
        nothing of this work was stored. Work is done in the order in which it was handed in.
        Cancelling the future has no effect.
        """
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()
        with self._gate:
            if not self._open:
                raise StoreError("the store is closed")
            self._jobs.put(_Job(work=work, future=future))
        return future

    def close(self) -> None:
        """Finish what was handed in, then close the connection. Safe to repeat."""
        with self._gate:
            if self._open:
                self._jobs.put(None)
            self._open = False
        self._thread.join()

    def _run(self) -> None:
        while batch := self._next_batch():
            self._commit(batch)
        self._db.close()

    def _next_batch(self) -> list[_Job[Any]]:
        """Everything that waits, at least one; empty once `close` was called and all is done."""
        batch: list[_Job[Any]] = []
        job = self._jobs.get()
        while job is not None:
            batch.append(job)
            if len(batch) == MOST_PER_COMMIT:
                return batch
            try:
                job = self._jobs.get_nowait()
            except Empty:
                return batch
        if batch:
            self._jobs.put(None)  # the last batch; the end is for the next turn
        return batch

    def _commit(self, batch: list[_Job[Any]]) -> None:
        """One transaction for the batch; futures resolve after the commit and not before."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            results = [self._in_savepoint(job.work) for job in batch]
            self._db.execute("COMMIT")
        except Exception as error:  # a task boundary: every caller of the batch hears of it
            with suppress(sqlite3.Error):
                self._db.rollback()
            results = [_Failed(error=error)] * len(batch)
        for job, result in zip(batch, results, strict=True):
            if isinstance(result, _Failed):
                job.future.set_exception(_as_store_error(result.error))
            else:
                job.future.set_result(result)

    def _in_savepoint(self, work: Work[Any]) -> Any:
        """The result of `work`, or `_Failed` with its traces undone.

        Raises sqlite3.Error where SQLite gave up the whole transaction (a full disk): then the
        neighbours' work is gone too, and they must hear it.
        """
        self._db.execute("SAVEPOINT work")
        try:
            result = work(self._db)
        except Exception as error:  # a task boundary: the caller gets it through the future
            if not self._db.in_transaction:
                raise sqlite3.OperationalError(f"transaction lost: {error}") from error
            self._db.execute("ROLLBACK TO work")
            result = _Failed(error=error)
        self._db.execute("RELEASE work")
        return result


class Reader:
    """Owns a reading connection in a thread of its own; every work sees one snapshot."""

    def __init__(self, db: sqlite3.Connection, name: str) -> None:
        self._db = db
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"{name} reader")

    def submit(self, work: Work[T]) -> Future[T]:
        """Run `work` on what is committed now. The future fails as a `Writer`'s does."""
        try:
            return self._thread.submit(self._in_snapshot, work)
        except RuntimeError as error:
            raise StoreError("the store is closed") from error

    def close(self) -> None:
        self._thread.shutdown()
        self._db.close()

    def _in_snapshot(self, work: Work[T]) -> T:
        try:
            self._db.execute("BEGIN")
            try:
                return work(self._db)
            finally:
                self._db.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise _as_store_error(error) from error


def _as_store_error(error: Exception) -> Exception:
    if not isinstance(error, sqlite3.Error):
        return error
    wrapped = failed("the database failed", error)
    wrapped.__cause__ = error
    return wrapped
