"""The tables of state.db and telemetry.db, and how their files are opened.

Every noun is one row with its canonical JSON in `body`; the columns beside it are the keys that
SQL needs. In state.db nothing is ever updated or deleted: triggers refuse it, and what changes
(an event's status, a command's state) is a fold over rows. To change a table: append a script to
the tuple, never edit one that was shipped; `user_version` counts the scripts a file has seen.
"""

import os
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from controller.errors import (
    DiskFullError,
    StoreDamagedError,
    StoreError,
    StoreFolderError,
    StoreMissingError,
    StoreVersionError,
)

_STATE_1 = """
CREATE TABLE config (
    seq INTEGER PRIMARY KEY, hash TEXT NOT NULL UNIQUE, at TEXT NOT NULL,
    body BLOB NOT NULL) STRICT;
CREATE TABLE forecast (
    seq INTEGER PRIMARY KEY, zone TEXT NOT NULL, body TEXT NOT NULL) STRICT;
CREATE TABLE event (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL, revision INTEGER NOT NULL, body TEXT NOT NULL,
    UNIQUE (id, revision)) STRICT;
CREATE TABLE event_log (
    seq INTEGER PRIMARY KEY, event_id TEXT NOT NULL, at TEXT NOT NULL, status TEXT NOT NULL,
    reason TEXT NOT NULL, actor TEXT NOT NULL) STRICT;
CREATE INDEX event_log_of ON event_log (event_id, seq);
CREATE TABLE plan (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, body TEXT NOT NULL) STRICT;
CREATE TABLE notice (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, body TEXT NOT NULL) STRICT;
CREATE TABLE offer (
    seq INTEGER PRIMARY KEY, notice_id TEXT NOT NULL UNIQUE, body TEXT NOT NULL) STRICT;
CREATE TABLE fence (
    number INTEGER PRIMARY KEY) STRICT;
CREATE TABLE command (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, at TEXT NOT NULL, body TEXT NOT NULL) STRICT;
CREATE TABLE step (
    seq INTEGER PRIMARY KEY, command INTEGER NOT NULL REFERENCES command (seq),
    state TEXT NOT NULL CHECK (state IN ('sending', 'done')), fence INTEGER NOT NULL,
    at TEXT NOT NULL, outcome TEXT, detail TEXT NOT NULL DEFAULT '',
    UNIQUE (command, state)) STRICT;
CREATE TABLE release (
    seq INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
CREATE TABLE override (
    seq INTEGER PRIMARY KEY, body TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE settlement (
    event_id TEXT NOT NULL, version INTEGER NOT NULL, PRIMARY KEY (event_id, version)) STRICT;
CREATE TABLE baseline (
    seq INTEGER PRIMARY KEY, event_id TEXT NOT NULL, version INTEGER NOT NULL,
    meter_id TEXT NOT NULL, body TEXT NOT NULL, UNIQUE (event_id, version, meter_id)) STRICT;
CREATE TABLE performance (
    seq INTEGER PRIMARY KEY, event_id TEXT NOT NULL, version INTEGER NOT NULL,
    body TEXT NOT NULL) STRICT;
CREATE INDEX performance_of ON performance (event_id, version, seq);
CREATE TABLE entry (
    chain TEXT NOT NULL, seq INTEGER NOT NULL, key TEXT, at TEXT NOT NULL, body TEXT NOT NULL,
    hash TEXT NOT NULL, PRIMARY KEY (chain, seq), UNIQUE (chain, key)) STRICT;
CREATE TABLE anchor (
    chain TEXT NOT NULL, entries INTEGER NOT NULL, head TEXT NOT NULL,
    PRIMARY KEY (chain, entries)) STRICT;
"""

_APPEND_ONLY = (
    "config", "forecast", "event", "event_log", "plan", "notice", "offer", "fence", "command",
    "step", "release", "override", "settlement", "baseline", "performance", "entry", "anchor",
)  # fmt: skip

_REFUSE = """
CREATE TRIGGER {table}_never_{what} BEFORE {what} ON {table}
BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END;
"""

_TELEMETRY_1 = """
CREATE TABLE source (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, zone TEXT NOT NULL, width INTEGER NOT NULL,
    UNIQUE (kind, zone)) STRICT;
CREATE TABLE frame (
    seq INTEGER PRIMARY KEY, source INTEGER NOT NULL REFERENCES source (id),
    at_us INTEGER NOT NULL, kw BLOB NOT NULL, quality BLOB NOT NULL,
    UNIQUE (source, at_us)) STRICT;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """One database file: its name, its tables by version, and how hard a commit is flushed."""

    file: str
    application_id: int
    """Marks the file as ours in its header, so that another program's is never written to."""
    scripts: tuple[str, ...]
    synchronous: str
    """FULL survives a power loss; NORMAL may lose the last commits then, but never a crash."""


STATE = Schema(
    file="state.db",
    application_id=0x50530001,
    scripts=(
        _STATE_1
        + "".join(
            _REFUSE.format(table=t, what=w) for t in _APPEND_ONLY for w in ("UPDATE", "DELETE")
        ),
    ),
    synchronous="FULL",
)
TELEMETRY = Schema(
    file="telemetry.db",
    application_id=0x50530002,
    scripts=(_TELEMETRY_1,),
    synchronous="NORMAL",
)


def open_for_writing(path: Path, schema: Schema) -> sqlite3.Connection:
    """A connection in autocommit mode, WAL, tables up to date; makes the file with mode 0600.

    Raises StoreError where the file is no database of ours, or of a newer version.
    """
    if sqlite3.sqlite_version_info < (3, 37):
        raise StoreVersionError(f"SQLite 3.37 or newer is needed, this is {sqlite3.sqlite_version}")
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise StoreFolderError(f"{path} cannot be used: {error.strerror}") from error
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        _version(db, path, schema)  # before anything is written to it
        if db.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
            message = f"{path} cannot be used with a write-ahead log (a network share?)"
            raise StoreFolderError(message)
        db.executescript(
            f"PRAGMA synchronous = {schema.synchronous}; PRAGMA busy_timeout = 5000;"
            "PRAGMA foreign_keys = ON; PRAGMA journal_size_limit = 67108864;"
            "PRAGMA recursive_triggers = ON;"  # else INSERT OR REPLACE deletes past the triggers
        )
        _migrate(db, path, schema)
    except sqlite3.Error as error:
        db.close()
        raise failed(f"{path} cannot be opened", error) from error
    except StoreError:
        db.close()
        raise
    return db


def open_for_reading(path: Path, schema: Schema) -> sqlite3.Connection:
    """A connection that cannot write, beside a writer or without. Raises StoreError."""
    if not path.exists():
        raise StoreMissingError(f"there is no data in {path.parent} yet ({path.name} is missing)")
    uri = f"{path.resolve().as_uri()}?mode=ro"
    try:
        db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise failed(f"{path} cannot be opened", error) from error
    try:
        db.execute("PRAGMA busy_timeout = 5000")
        version = _version(db, path, schema)
    except sqlite3.Error as error:
        db.close()
        raise failed(f"{path} cannot be read", error) from error
    except StoreError:
        db.close()
        raise
    if version != len(schema.scripts):
        db.close()
        raise StoreVersionError(
            f"{path} is of version {version}, this program reads {len(schema.scripts)}",
            hint="Start the controller once: it brings its tables up to date.",
        )
    return db


def failed(what: str, error: sqlite3.Error) -> StoreError:
    """What a failure of SQLite means to its user."""
    message = f"{what}: {error}"
    codes = [getattr(e, "sqlite_errorcode", 0) for e in (error, error.__cause__)]
    match next(filter(None, codes), 0) & 0xFF:  # without what extends it
        case sqlite3.SQLITE_FULL:
            return DiskFullError(message)
        case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
            return StoreDamagedError(message)
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM:
            return StoreFolderError(message)
    return StoreError(
        message, hint="Is the data directory whole, on a local disk, and used by nobody else?"
    )


def _migrate(db: sqlite3.Connection, path: Path, schema: Schema) -> None:
    """Run the scripts the file has not seen, each in a transaction with its version."""
    for number in range(_version(db, path, schema) + 1, len(schema.scripts) + 1):
        db.executescript(
            f"BEGIN IMMEDIATE; {schema.scripts[number - 1]}"
            f"PRAGMA application_id = {schema.application_id};"
            f"PRAGMA user_version = {number}; COMMIT;"
        )


def _version(db: sqlite3.Connection, path: Path, schema: Schema) -> int:
    """How many scripts the file has seen. Raises StoreError if it is not ours or newer."""
    (owner,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if owner != schema.application_id and (owner or version or tables):
        raise StoreVersionError(
            f"{path} is a database of another program", hint="Choose another folder."
        )
    if version > len(schema.scripts):
        raise StoreVersionError(
            f"{path} was written by a newer version of Peakshare (tables of version {version})",
            hint="Use that version, or a copy of the data from before the upgrade.",
        )
    return int(version)
