"""The hash chains over ledger and audit trail: append, read, verify.

Each entry's hash is SHA-256 over the hash before it and the canonical JSON of
[chain, seq, key, at, body], so that a changed, removed, added or swapped entry shows at its
place. An anchor written with every append names the number of entries and their head, so that a
cut-off tail shows too. One who can rewrite the whole file can make both fit again: against that,
keep the head of `verify` outside (on statements, in a mail, on another host).
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Sequence

import msgspec

from controller.ports import ChainReport

LEDGER = "ledger"
AUDIT = "audit"
GENESIS = "0" * 64


def append(
    db: sqlite3.Connection, chain: str, at: str, entries: Iterable[tuple[str | None, str]]
) -> int:
    """Append (key, body) pairs in their order; returns how many. Runs in the caller's transaction.

    `key` is unique within a chain where it is not None; `body` is canonical JSON.
    """
    last = db.execute(
        "SELECT seq, hash FROM entry WHERE chain = ? ORDER BY seq DESC LIMIT 1", (chain,)
    ).fetchone()
    first, head = last or (0, GENESIS)
    rows: list[tuple[str, int, str | None, str, str, str]] = []
    for seq, (key, body) in enumerate(entries, start=first + 1):
        head = _hash(head, (chain, seq, key, at, body))
        rows.append((chain, seq, key, at, body, head))
    if rows:
        db.executemany("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?)", rows)
        db.execute("INSERT INTO anchor VALUES (?, ?, ?)", (chain, rows[-1][1], head))
    return len(rows)


def known(db: sqlite3.Connection, chain: str, keys: Sequence[str]) -> dict[str, str]:
    """The bodies of those keys that are in the chain already."""
    rows = db.execute(
        "SELECT key, body FROM entry WHERE chain = ? AND key IN (SELECT value FROM json_each(?))",
        (chain, msgspec.json.encode(keys).decode()),
    )
    return dict(rows.fetchall())


def verify(db: sqlite3.Connection, chain: str) -> ChainReport:
    """Recompute every hash and compare the anchors; names the first entry that does not follow."""
    rows = db.execute(
        "SELECT e.seq, e.key, e.at, e.body, e.hash, a.head FROM entry e"
        " LEFT JOIN anchor a ON a.chain = e.chain AND a.entries = e.seq"
        " WHERE e.chain = ? ORDER BY e.seq",
        (chain,),
    )
    head, entries = GENESIS, 0
    try:
        for seq, key, at, body, stored, anchor in rows:
            follows = _hash(head, (chain, entries + 1, key, at, body))
            if seq != entries + 1 or stored != follows or anchor not in (None, stored):
                return _broken(db, chain, entries + 1, head)
            head, entries = stored, seq
    except sqlite3.OperationalError:  # a text that is no UTF-8 any more
        return _broken(db, chain, entries + 1, head)
    if (anchored := _last_anchor(db, chain)) != entries:
        return _broken(db, chain, min(anchored, entries) + 1, head)
    return ChainReport(entries=entries, broken_at=None, head=head)


def _hash(before: str, entry: tuple[str, int, str | None, str, str]) -> str:
    return hashlib.sha256(before.encode() + msgspec.json.encode(entry)).hexdigest()


def _broken(db: sqlite3.Connection, chain: str, at: int, head: str) -> ChainReport:
    (count,) = db.execute("SELECT count(*) FROM entry WHERE chain = ?", (chain,)).fetchone()
    return ChainReport(entries=count, broken_at=at, head=head)


def _last_anchor(db: sqlite3.Connection, chain: str) -> int:
    """How many entries the newest anchor knows of; 0 where there is none."""
    query = "SELECT coalesce(max(entries), 0) FROM anchor WHERE chain = ?"
    (entries,) = db.execute(query, (chain,)).fetchone()
    return int(entries)
