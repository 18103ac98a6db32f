"""Killed with -9 at any moment, the store has every acknowledged write and whole chains."""

import asyncio
import subprocess
import sys
from datetime import timedelta
from itertools import count
from pathlib import Path
from random import Random

import numpy as np
import pytest

from controller.clock import SystemClock
from controller.model.time import Interval
from controller.ports import Frames
from controller.store import open_store
from tests.store_nouns import NOON, ZONE, a_receipt, a_setpoint, a_transfer

KILLS = 20
WORKERS = 6


async def write_until_killed(folder: Path, run: int) -> None:
    """Concurrent writers; each prints what it was told is stored, at once."""
    async with open_store(folder, SystemClock()) as store:
        fence = await store.journal.take_fence()
        acknowledge("fence", fence)

        async def keep_writing(worker):
            for n in count():
                number = (run * WORKERS + worker) * 1_000_000 + n
                await store.journal.post([a_transfer(number), a_transfer(-number - 1)], NOON)
                acknowledge("transfer", number)
                await store.journal.audit(NOON, "kill", "post", str(number), "")
                acknowledge("audit", number)
                setpoint = a_setpoint(number)
                await store.journal.plan_commands([setpoint], NOON)
                await store.journal.begin_sending([setpoint.id], fence, NOON)
                acknowledge("sending", setpoint.id)
                await store.journal.end_sending([a_receipt(number)], fence)
                acknowledge("done", setpoint.id)
                at = NOON + timedelta(seconds=number)
                values = np.full((1, 50), float(worker))
                frames = Frames(times=(at,), values=values, quality=np.zeros((1, 50), np.uint8))
                await store.telemetry.save_frames("minute", ZONE, frames)
                acknowledge("frame", number)

        async with asyncio.TaskGroup() as tasks:
            for worker in range(WORKERS):
                tasks.create_task(keep_writing(worker))


def acknowledge(what: str, which: object) -> None:
    sys.stdout.write(f"{what} {which}\n")
    sys.stdout.flush()


def kill_after(lines: int, folder: Path, run: int) -> list[tuple[str, str]]:
    """What the writer had acknowledged when it was killed."""
    code = (
        "import asyncio, pathlib, sys; from tests.test_store_kill import write_until_killed\n"
        "asyncio.run(write_until_killed(pathlib.Path(sys.argv[1]), int(sys.argv[2])))"
    )
    root = Path(__file__).parent.parent
    arguments = [sys.executable, "-c", code, str(folder), str(run)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, cwd=root) as child:
        assert child.stdout
        acknowledged = [child.stdout.readline() for _ in range(lines)]
        child.kill()
        acknowledged += child.stdout.readlines()
    whole = [line.split() for line in acknowledged if line.endswith("\n")]
    assert len(whole) >= lines, "the writer died of itself"
    return [(what, which) for what, which in whole]


async def missing(folder: Path, acknowledged: list[tuple[str, str]]) -> set[tuple[str, str]]:
    """What was acknowledged and is not there; also checks what must hold whatever was lost."""
    async with open_store(folder, SystemClock(), read_only=True) as store:
        ids = {t.id for t in await store.journal.transfers()}
        audited = {subject for _, _, _, subject, _ in await store.journal.audit_log()}
        commands = await store.journal.commands()
        minutes = await store.telemetry.frames(
            "minute", ZONE, Interval(start=NOON, end=NOON + timedelta(days=36500))
        )
        chains = await store.journal.verify_chains()
    assert {name: report.broken_at for name, report in chains.items()} == {
        "ledger": None,
        "audit": None,
    }
    assert all((f"transfer-{-int(i[9:]) - 1}") in ids for i in ids), "a posting is whole or not"
    stored = {("transfer", i.removeprefix("transfer-")) for i in ids}
    stored |= {("audit", subject) for subject in audited}
    stored |= {("sending", c.setpoint.id) for c in commands if c.state != "planned"}
    stored |= {("done", c.setpoint.id) for c in commands if c.state == "done"}
    stored |= {("frame", str(round((t - NOON).total_seconds()))) for t in minutes.times}
    return {a for a in acknowledged if a[0] != "fence"} - stored


@pytest.mark.slow
async def test_no_acknowledged_write_is_lost_to_kill_9(tmp_path):
    random, fences = Random(7), []
    acknowledged: list[tuple[str, str]] = []
    for run in range(KILLS):
        acknowledged += kill_after(random.randint(1, 400), tmp_path, run)
        fences = [int(number) for what, number in acknowledged if what == "fence"]
        assert await missing(tmp_path, acknowledged) == set()
    assert fences == list(range(1, KILLS + 1))
    assert len(acknowledged) > KILLS * 50
