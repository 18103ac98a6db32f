"""Group commit: one flush for all who wait, one failure for one."""

import sqlite3
import threading
from concurrent.futures import Future

import pytest

from controller.errors import StoreError
from controller.store.writer import MOST_PER_COMMIT, Reader, Writer


@pytest.fixture
def path(tmp_path):
    db = sqlite3.connect(tmp_path / "x.db")
    db.executescript("PRAGMA journal_mode = WAL; CREATE TABLE t (n INTEGER PRIMARY KEY);")
    db.close()
    return tmp_path / "x.db"


@pytest.fixture
def writer(path):
    writer = Writer(connect(path), "test")
    yield writer
    writer.close()


def connect(path):
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False)


def insert(n):
    return lambda db: db.execute("INSERT INTO t VALUES (?)", (n,)).rowcount


def stored(path):
    db = connect(path)
    numbers = [n for (n,) in db.execute("SELECT n FROM t ORDER BY n")]
    db.close()
    return numbers


def held(writer):
    """The writer is busy until the returned event is set; until then work piles up."""
    started, go = threading.Event(), threading.Event()

    def wait(db):
        started.set()
        assert go.wait(10)

    writer.submit(wait)
    assert started.wait(10)
    return go


def commits(writer):
    """How many commits the writer makes from now on, as a list that grows."""
    made = []
    writer._db.set_trace_callback(lambda sql: made.append(sql) if sql == "COMMIT" else None)
    return made


def test_a_result_comes_after_the_commit_and_not_before(writer, path):
    """Whoever is told sees it from another connection at that very moment."""
    seen = []
    for n in range(20):
        future = writer.submit(insert(n))
        future.add_done_callback(lambda _, n=n: seen.append(n in stored(path)))
        assert future.result(10) == 1
    writer.close()
    assert seen == [True] * 20


def test_all_that_waits_is_committed_together(writer, path):
    made, go = commits(writer), held(writer)
    futures = [writer.submit(insert(n)) for n in range(100)]
    go.set()
    assert [f.result(10) for f in futures] == [1] * 100
    assert len(made) == 2, "one for the work that held it up, one for the hundred"
    assert stored(path) == list(range(100))


def test_a_batch_has_a_bound(writer):
    made, go = commits(writer), held(writer)
    futures = [writer.submit(insert(n)) for n in range(2 * MOST_PER_COMMIT + 1)]
    go.set()
    futures[-1].result(10)
    assert len(made) == 4


def test_a_failure_undoes_its_own_work_and_not_its_neighbours(writer, path):
    def half(db):
        insert(50)(db)
        raise ValueError("no")

    go = held(writer)
    futures = [writer.submit(work) for work in (insert(1), half, insert(1), insert(2))]
    go.set()
    assert futures[0].result(10) == 1
    with pytest.raises(ValueError, match="no"):
        futures[1].result(10)
    with pytest.raises(StoreError, match="UNIQUE"):
        futures[2].result(10)
    assert futures[3].result(10) == 1
    assert stored(path) == [1, 2]


def give_up(db):
    db.execute("ROLLBACK")


def give_up_and_fail(db):
    db.execute("ROLLBACK")
    raise sqlite3.OperationalError("database or disk is full")


@pytest.mark.parametrize("loss", [give_up, give_up_and_fail])
def test_where_the_transaction_is_lost_everyone_in_it_hears_so(writer, path, loss):
    """As on a full disk, where SQLite rolls back by itself: nobody may believe it is stored."""
    go = held(writer)
    futures = [writer.submit(work) for work in (insert(1), loss, insert(2))]
    go.set()
    for future in futures:
        with pytest.raises(StoreError):
            future.result(10)
    assert stored(path) == []
    assert writer.submit(insert(3)).result(10) == 1, "and the writer goes on"


def test_cancelling_does_not_stop_the_work(writer, path):
    go = held(writer)
    future = writer.submit(insert(1))
    assert not future.cancel()
    go.set()
    future.result(10)
    assert stored(path) == [1]


def test_closing_finishes_what_was_handed_in(writer, path):
    go = held(writer)
    futures = [writer.submit(insert(n)) for n in range(10)]
    go.set()
    writer.close()
    assert all(f.done() for f in futures)
    assert stored(path) == list(range(10))
    writer.close()
    with pytest.raises(StoreError, match="closed"):
        writer.submit(insert(11))


def test_a_reader_sees_one_snapshot_for_all_of_a_work(writer, path):
    reader = Reader(connect(path), "test")
    writer.submit(insert(1)).result(10)

    def count_twice(db):
        first = db.execute("SELECT count(*) FROM t").fetchone()
        writer.submit(insert(2)).result(10)
        return first, db.execute("SELECT count(*) FROM t").fetchone()

    assert reader.submit(count_twice).result(10) == ((1,), (1,))
    assert reader.submit(lambda db: db.execute("SELECT count(*) FROM t").fetchone()).result(10) == (
        2,
    )
    reader.close()
    with pytest.raises(StoreError, match="closed"):
        reader.submit(lambda db: None)


def test_the_database_s_own_errors_reach_the_reader_s_caller_as_ours(path):
    reader = Reader(connect(path), "test")
    future: Future = reader.submit(lambda db: db.execute("SELECT * FROM elsewhere"))
    with pytest.raises(StoreError, match="no such table"):
        future.result(10)
    reader.close()
