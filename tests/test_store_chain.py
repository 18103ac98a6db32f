"""Whatever is done to an entry of ledger or audit trail shows, and shows where."""

import sqlite3
from contextlib import closing, contextmanager

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from controller.store import chain
from controller.store.codec import encode, instant_text
from controller.store.schema import STATE, open_for_writing
from tests.store_nouns import NOON, a_transfer

ENTRIES = 12
SEQS = st.integers(1, ENTRIES)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Twelve ledger entries in three postings, and three audit entries."""
    db = open_for_writing(tmp_path_factory.mktemp("chain") / "state.db", STATE)
    at = instant_text(NOON)
    for first in (0, 4, 11):
        last = {0: 4, 4: 11, 11: 12}[first]
        bodies = [(f"transfer-{n}", encode(a_transfer(n)).decode()) for n in range(first, last)]
        chain.append(db, chain.LEDGER, at, bodies)
    for n in range(3):
        chain.append(db, chain.AUDIT, at, [(None, f'["operator","act","{n}",""]')])
    yield db
    db.close()


@contextmanager
def copy(original):
    """A copy in memory that an attacker may write to: the triggers are dropped."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        original.backup(db)
        triggers = db.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for (name,) in triggers:
            db.execute(f"DROP TRIGGER {name}")
        yield db


def attempt(db, sql, *values):
    """Do it, unless the tables' own constraints refuse it."""
    try:
        assume(db.execute(sql, values).rowcount == 1)
    except sqlite3.IntegrityError:
        assume(False)


def do(db, sql, *values):
    assert db.execute(sql, values).rowcount == 1


def broken_at(db, name=chain.LEDGER):
    return chain.verify(db, name).broken_at


def other_text(data, text):
    """`text` with one character changed, added or removed."""
    i = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(exclude_categories=["Cs"], exclude_characters=text[i]))
    return data.draw(
        st.sampled_from([text[:i] + other + text[i + 1 :], text[:i] + other + text[i:],
                         text[:i] + text[i + 1 :]])
    )  # fmt: skip


def test_an_untouched_chain_is_whole(original):
    with copy(original) as db:
        for name, entries in ((chain.LEDGER, ENTRIES), (chain.AUDIT, 3)):
            report = chain.verify(db, name)
            assert (report.entries, report.broken_at) == (entries, None)
            assert len(report.head) == 64


@settings(max_examples=400, deadline=None)
@given(data=st.data(), seq=SEQS, column=st.sampled_from(["key", "at", "body", "hash"]))
def test_a_changed_text_shows_at_its_entry(original, data, seq, column):
    with copy(original) as db:
        query = f"SELECT {column} FROM entry WHERE chain = 'ledger' AND seq = ?"
        (text,) = db.execute(query, (seq,)).fetchone()
        update = f"UPDATE entry SET {column} = ? WHERE chain = 'ledger' AND seq = ?"
        attempt(db, update, other_text(data, text), seq)
        assert broken_at(db) == seq
        assert broken_at(db, chain.AUDIT) is None


@pytest.mark.parametrize("seq", range(1, ENTRIES + 1))
def test_an_entry_forged_with_a_fitting_hash_of_its_own_shows(original, seq):
    """The next entry does not follow from it; for the last one the anchor differs."""
    with copy(original) as db:
        rows = db.execute(
            "SELECT seq, key, at, body, hash FROM entry WHERE chain = 'ledger' ORDER BY seq"
        ).fetchall()
        before = rows[seq - 2][4] if seq > 1 else chain.GENESIS
        _, key, at, _, _ = rows[seq - 1]
        body = encode(a_transfer(seq - 1, amount_minor=1_000_000)).decode()
        forged = chain._hash(before, (chain.LEDGER, seq, key, at, body))
        update = "UPDATE entry SET body = ?, hash = ? WHERE chain = 'ledger' AND seq = ?"
        do(db, update, body, forged, seq)
        assert broken_at(db) in (seq, seq + 1)


@pytest.mark.parametrize("seq", range(1, ENTRIES + 1))
def test_a_removed_entry_shows_also_where_it_was_the_last(original, seq):
    with copy(original) as db:
        do(db, "DELETE FROM entry WHERE chain = 'ledger' AND seq = ?", seq)
        assert broken_at(db) == seq


def test_a_removed_ledger_shows(original):
    with copy(original) as db:
        db.execute("DELETE FROM entry WHERE chain = 'ledger'")
        assert broken_at(db) == 1


@settings(max_examples=100, deadline=None)
@given(one=SEQS, other=SEQS, columns=st.sampled_from(["seq", "body"]))
def test_swapped_entries_show(original, one, other, columns):
    assume(one != other)
    with copy(original) as db:
        if columns == "seq":
            for old, new in ((one, -1), (other, one), (-1, other)):
                attempt(db, "UPDATE entry SET seq = ? WHERE chain = 'ledger' AND seq = ?", new, old)
        else:
            query = "SELECT body FROM entry WHERE chain = 'ledger' AND seq = ?"
            bodies = [db.execute(query, (seq,)).fetchone()[0] for seq in (other, one)]
            for seq, body in zip((one, other), bodies, strict=True):
                do(db, "UPDATE entry SET body = ? WHERE chain = 'ledger' AND seq = ?", body, seq)
        assert broken_at(db) is not None
        assert broken_at(db) <= min(one, other)


@settings(max_examples=50, deadline=None)
@given(like=SEQS, seq=st.integers(-2, ENTRIES + 3))
def test_an_added_entry_shows(original, like, seq):
    with copy(original) as db:
        insert = """INSERT INTO entry SELECT chain, ?, 'extra', at, body, hash FROM entry
                    WHERE chain = 'ledger' AND seq = ?"""
        attempt(db, insert, seq, like)
        assert broken_at(db) is not None


@pytest.mark.parametrize("seq", range(1, ENTRIES + 1))
def test_an_entry_moved_to_the_other_chain_breaks_both(original, seq):
    with copy(original) as db:
        move = "UPDATE entry SET chain = 'audit', seq = seq + 3 WHERE chain = 'ledger' AND seq = ?"
        do(db, move, seq)
        assert broken_at(db) == seq
        assert broken_at(db, chain.AUDIT) is not None


def test_a_chain_passed_off_as_the_other_shows(original):
    """Ledger entries, hashes, anchors and all, where the audit trail was."""
    with copy(original) as db:
        for table in ("entry", "anchor"):
            db.execute(f"DELETE FROM {table} WHERE chain = 'audit'")
            db.execute(f"UPDATE {table} SET chain = 'audit'")
        assert broken_at(db, chain.AUDIT) == 1


@pytest.mark.parametrize("what", ["DELETE FROM anchor", "UPDATE anchor SET head = 'x'"])
def test_a_touched_anchor_shows(original, what):
    with copy(original) as db:
        db.execute(what)
        assert broken_at(db) is not None


def test_a_text_that_is_no_text_any_more_shows_at_its_entry(original):
    with copy(original) as db:
        update = "UPDATE entry SET body = CAST(x'ff22' AS TEXT) WHERE chain = 'ledger' AND seq = 7"
        do(db, update)
        assert broken_at(db) == 7


def test_the_tables_of_state_refuse_updates_and_deletes(original):
    names: dict[str, set[str]] = {"table": set(), "trigger": set(), "index": set()}
    for kind, name in original.execute("SELECT type, name FROM sqlite_schema"):
        names[kind].add(name)
    tables, triggers = names["table"], names["trigger"]
    assert {"entry", "command", "step", "event_log", "fence"} <= tables
    assert triggers == {f"{t}_never_{w}" for t in tables for w in ("UPDATE", "DELETE")}
    with pytest.raises(sqlite3.IntegrityError, match="entry is append-only"):
        original.execute("UPDATE entry SET body = '' WHERE seq = 1")
    with pytest.raises(sqlite3.IntegrityError, match="entry is append-only"):
        original.execute("DELETE FROM entry")
    replace = "INSERT OR REPLACE INTO entry SELECT * FROM entry WHERE seq = 1"
    with pytest.raises(sqlite3.IntegrityError, match="entry is append-only"):
        original.execute(replace)
