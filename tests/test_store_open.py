"""The data directory: one writer, any number of readers, virtual time standing still."""

import asyncio
import os
import sqlite3
import subprocess
import sys
import time
from datetime import timedelta

import pytest

from controller.clock import SystemClock
from controller.errors import StoreError
from controller.store import open_store
from controller.store.database import Database
from controller.store.schema import STATE
from simulators.clock import JumpClock, JumpLoop
from tests.store_nouns import NOON, ZONE, a_setpoint, a_transfer, an_event

CLOCK = SystemClock()


async def test_a_second_opener_is_told_who_holds_the_folder(tmp_path):
    async with open_store(tmp_path, CLOCK):
        with pytest.raises(StoreError, match=f"in use by process {os.getpid()}"):
            async with open_store(tmp_path, CLOCK):
                raise AssertionError
    async with open_store(tmp_path, CLOCK):
        pass


async def test_another_process_s_lock_counts_until_it_dies(tmp_path):
    hold = (
        "import sys, pathlib; from controller.store.folder import locked\n"
        "with locked(pathlib.Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    arguments = [sys.executable, "-c", hold, str(tmp_path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(arguments, stdin=pipe, stdout=pipe, text=True) as child:  # noqa: ASYNC220
        assert child.stdout
        assert child.stdout.readline() == "held\n"
        with pytest.raises(StoreError, match=f"in use by process {child.pid}"):
            async with open_store(tmp_path, CLOCK):
                raise AssertionError
        child.kill()
        child.wait()
        async with open_store(tmp_path, CLOCK) as store:
            assert await store.journal.take_fence() == 1


async def test_a_reader_beside_the_writer_sees_what_is_committed(tmp_path):
    async with open_store(tmp_path, CLOCK) as writing:
        async with open_store(tmp_path, CLOCK, read_only=True) as reading:
            for n in range(3):
                await writing.journal.post([a_transfer(n)], NOON)
                assert await reading.journal.transfers() == await writing.journal.transfers()
            assert (await reading.journal.verify_chains())["ledger"].entries == 3
            assert await reading.telemetry.span("minute", ZONE) is None
            with pytest.raises(StoreError, match="read-only"):
                await reading.journal.take_fence()
        await writing.journal.post([a_transfer(3)], NOON)


async def test_what_was_written_is_read_when_the_writer_is_gone(tmp_path):
    async with open_store(tmp_path, CLOCK) as writing:
        await writing.journal.save_event(an_event())
    async with open_store(tmp_path, CLOCK, read_only=True) as reading:
        assert len(await reading.journal.events()) == 1
    async with open_store(tmp_path, CLOCK) as writing:
        assert len(await writing.journal.events()) == 1


async def test_a_reader_where_nothing_is_says_so_and_makes_nothing(tmp_path):
    with pytest.raises(StoreError, match=r"there is no data in .*nowhere yet"):
        async with open_store(tmp_path / "nowhere", CLOCK, read_only=True):
            raise AssertionError
    assert list(tmp_path.iterdir()) == []


async def test_the_files_are_for_the_owner_only(tmp_path):
    folder = tmp_path / "data"
    async with open_store(folder, CLOCK) as store:
        await store.journal.take_fence()
        await store.journal.events()
        modes = {f.name: f.stat().st_mode & 0o777 for f in folder.iterdir()}
    assert {"state.db", "state.db-wal", "telemetry.db", "lock"} <= set(modes)
    assert set(modes.values()) == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        ("PRAGMA user_version = 99", "newer version"),
        ("PRAGMA application_id = 7", "another program"),
    ],
)
async def test_a_file_that_is_not_ours_to_write_is_left_alone(tmp_path, spoil, message):
    async with open_store(tmp_path, CLOCK):
        pass
    db = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    db.execute(spoil)
    db.close()
    for read_only in (False, True):
        with pytest.raises(StoreError, match=message):
            async with open_store(tmp_path, CLOCK, read_only=read_only):
                raise AssertionError


async def test_a_damaged_file_is_named(tmp_path):
    tmp_path.joinpath("state.db").write_bytes(b"not a database, " * 512)
    with pytest.raises(StoreError, match=r"state\.db cannot be opened"):
        async with open_store(tmp_path, CLOCK):
            raise AssertionError
    assert tmp_path.joinpath("state.db").read_bytes() == b"not a database, " * 512


async def test_an_empty_file_from_an_interrupted_start_is_filled(tmp_path):
    tmp_path.joinpath("state.db").touch()
    async with open_store(tmp_path, CLOCK) as store:
        assert await store.journal.take_fence() == 1


async def test_a_store_in_a_place_that_cannot_be_written_says_so(tmp_path):
    tmp_path.joinpath("file").touch()
    with pytest.raises(StoreError, match="cannot be used"):
        async with open_store(tmp_path / "file" / "data", CLOCK):
            raise AssertionError


async def test_a_failed_block_still_closes_and_unlocks(tmp_path):
    async def fail_inside():
        async with open_store(tmp_path, CLOCK) as store:
            await store.journal.take_fence()
            raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        await fail_inside()
    async with open_store(tmp_path, CLOCK) as again:
        assert await again.journal.take_fence() == 2
        journal = again.journal
    with pytest.raises(StoreError, match="closed"):
        await journal.events()


def on_jump_loop(work):
    async def main():
        return await work(JumpClock(NOON))

    with asyncio.Runner(loop_factory=JumpLoop) as runner:
        return runner.run(main())


def test_virtual_time_stands_still_while_a_write_is_out(tmp_path):
    """A timer that is due in an hour waits for a write that takes real time."""

    async def work(clock):
        database = Database(tmp_path / STATE.file, STATE, clock, read_only=False)
        order = []

        async def alarm():
            await clock.sleep_until(NOON + timedelta(hours=1))
            order.append("alarm")

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(alarm())
            await database.write(lambda _: time.sleep(0.15))
            order.append("write")
            assert clock.now() == NOON
            await database.read(lambda _: time.sleep(0.15))
            order.append("read")
            assert clock.now() == NOON
        database.close()
        return order, clock.now()

    assert on_jump_loop(work) == (["write", "read", "alarm"], NOON + timedelta(hours=1))


def test_a_virtual_day_of_writing_is_the_same_twice(tmp_path):
    async def work(clock, folder):
        async with open_store(folder, clock) as store:
            fence = await store.journal.take_fence()
            for n in range(96):
                at = NOON + n * timedelta(minutes=15)
                await clock.sleep_until(at)
                assert clock.now() == at
                await store.journal.plan_commands([a_setpoint(n)], clock.now())
                await store.journal.begin_sending([a_setpoint(n).id], fence, clock.now())
            return [(c.setpoint.id, c.state, c.at) for c in await store.journal.commands()]

    one, two = (
        on_jump_loop(lambda c, d=d: work(c, tmp_path / d)) for d in ("one", "two")
    )  # fmt: skip
    assert one == two
    assert len(one) == 96


async def test_many_callers_at_once_are_all_served(tmp_path):
    async with open_store(tmp_path, CLOCK) as store, asyncio.TaskGroup() as tasks:
        for n in range(200):
            tasks.create_task(store.journal.post([a_transfer(n)], NOON))
            tasks.create_task(store.telemetry.span("meter", ZONE))
    async with open_store(tmp_path, CLOCK, read_only=True) as store:
        report = (await store.journal.verify_chains())["ledger"]
        assert (report.entries, report.broken_at) == (200, None)


async def test_a_cancelled_caller_s_write_is_still_done(tmp_path):
    async with open_store(tmp_path, CLOCK) as store:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await store.journal.post([a_transfer()], NOON)
    async with open_store(tmp_path, CLOCK, read_only=True) as store:
        assert len(await store.journal.transfers()) == 1
