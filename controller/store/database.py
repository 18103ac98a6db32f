"""One database file behind one seam: work goes to its threads, results come by the clock."""

from pathlib import Path
from typing import TypeVar

from controller.errors import StoreError
from controller.ports import Clock
from controller.store.schema import Schema, open_for_reading, open_for_writing
from controller.store.writer import Reader, Work, Writer

T = TypeVar("T")


class Database:
    """A writer and a reader of one file. `read_only` leaves the writer out.

    Both calls wait through `clock.offload`, so virtual time stands still while they run.
    Raises StoreError where the file cannot be opened.
    """

    def __init__(self, path: Path, schema: Schema, clock: Clock, *, read_only: bool) -> None:
        self._clock = clock
        self._writer = None if read_only else Writer(open_for_writing(path, schema), path.stem)
        try:
            self._reader = Reader(open_for_reading(path, schema), path.stem)
        except StoreError:
            self._close_writer()
            raise

    async def write(self, work: Work[T]) -> T:
        """Run `work` in a transaction of the writer; returns once it is committed.

        Raises StoreError where the database fails or was opened read-only, else what `work`
        raised; nothing of it is stored then.
        """
        if self._writer is None:
            raise StoreError("the store is opened read-only", hint="Ask the running controller.")
        return await self._clock.offload(self._writer.submit(work))

    async def read(self, work: Work[T]) -> T:
        """Run `work` on what is committed now, in one snapshot. Raises StoreError."""
        return await self._clock.offload(self._reader.submit(work))

    def close(self) -> None:
        """Finish what was handed in and close. Blocks for the last commit; safe to repeat."""
        self._reader.close()
        self._close_writer()

    def _close_writer(self) -> None:
        if self._writer is not None:
            self._writer.close()
