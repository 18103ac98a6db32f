"""The data directory: one controller at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from controller.errors import StoreFolderError, StoreLockedError


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold `folder` for this process; makes it (mode 0700) where it is missing.

    The kernel gives the lock back when the process dies, however it dies. A forked child would
    inherit it and keep it: worker processes must be spawned. Raises StoreLockedError naming the
    process that holds it, StoreFolderError where the folder cannot be used.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        message = f"data directory {folder} cannot be used: {error.strerror}"
        raise StoreFolderError(message) from error
    try:
        _take(file, folder)
        yield
    finally:
        os.close(file)


def _take(file: int, folder: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(file, 20, 0).decode().strip() or "unknown"
        message = f"data directory {folder} is in use by process {holder}"
        raise StoreLockedError(message) from error
    os.ftruncate(file, 0)
    os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
