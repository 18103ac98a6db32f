"""The real processes over real sockets: killed, ended, stopped and orphaned in mid-event."""

import asyncio
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from controller.cli.outcome import not_whole
from controller.ports import Command
from tests.process_cases import (
    MARK,
    Past,
    ask,
    demo_family,
    eventually,
    hasty_town,
    journal_of,
    on_the_wire,
    pids,
    played,
    started_again,
    until,
)

pytestmark = pytest.mark.slow

A_LITTLE = timedelta(minutes=10)
"""The stagger of releases."""


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hasty_town(tmp_path_factory.mktemp("configs"))


def told_again(past: Past) -> list[str]:
    """Devices that were told again what they did already; an end moved a little is no news."""
    news: dict[str, Command] = {}
    again: list[str] = []
    for command in past.commands:
        now, before = command.setpoint, news.get(command.setpoint.resource_id)
        news[now.resource_id] = command
        if before is None or before.outcome != "applied":
            continue
        was = before.setpoint
        same = (was.control, was.value) == (now.control, now.value)
        moved = abs(was.until - now.until) >= A_LITTLE
        if same and not moved and not released_between(past, before, command):
            again.append(now.resource_id)
    return again


def released_between(past: Past, before: Command, after: Command) -> bool:
    resource_id = before.setpoint.resource_id
    return any(
        r.resource_id == resource_id and before.at <= r.at <= after.at for r in past.releases
    )


def solvers(mark: Path) -> list[str]:
    """The solver processes of a run."""
    return [line for line in pids(str(mark)).values() if "spawn_main" in line]


async def test_killed_and_then_ended_in_mid_event_the_day_still_comes_out_whole(
    town: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """kill -9, then SIGTERM: each time the next controller carries on where the devices are."""
    monkeypatch.setenv(MARK, str(tmp_path))
    # Slower while there is no controller: a start takes seconds of ours.
    speeds = [(-75, 900.0), (20, 300.0), (75, 1500.0), (170, 900.0)]
    async with played(town, tmp_path, speeds) as demo:
        await until(demo, "16:21")
        before = await ask(demo)
        assert before["devices_held"] > 50
        controller = demo.controller
        assert controller is not None
        await on_the_wire(demo, "16:31")  # at the worst moment: sent, and no receipt kept
        controller.kill()
        await controller.ended()

        controller = await demo.start_controller()
        after = await started_again(demo, 1)
        assert after["devices_held"] > 0.8 * before["devices_held"]
        assert len(solvers(tmp_path)) == 1

        await until(demo, "16:50")
        given_up, before, asked_at = before["given_up"], await ask(demo), demo.now()
        assert before["given_up"] == given_up
        assert await controller.stop() == 0
        past = await journal_of(demo.data)
        assert [r for r in past.releases if r.at >= asked_at] == []

        await demo.start_controller()
        after = await started_again(demo, 2)
        assert after["devices_held"] > 0.8 * before["devices_held"]

        await demo.play()
        inputs = await demo.finish()

    assert pids(str(tmp_path)) == {}
    result = inputs["result"]
    assert inputs["truth"]["setpoints_repeated"] == []
    assert told_again(await journal_of(demo.data)) == []
    assert result["devices"]["still_curtailed"] == 0
    assert result["devices"]["released"] == result["devices"]["commanded"] > 50
    assert result["settlement"]["posted"] > 0
    assert list(not_whole(result)) == []


def test_an_emergency_stop_gives_everything_back_and_an_orphaned_family_ends(
    town: Path, tmp_path: Path
):
    """`stop --all` in mid-event; afterwards the supervisor is killed with -9."""
    with demo_family(town, tmp_path) as family:
        family.until_held("16:05")
        stop = [sys.executable, "-m", "controller", "stop", "--all", "--reason", "fire at north"]
        done = subprocess.run(
            [*stop, "--data", str(tmp_path / "data")], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "devices released" in done.stdout

        stopped = family.client.get("/status")
        assert stopped["stopped"] == "fire at north"
        assert stopped["devices_held"] == 0
        past = asyncio.run(journal_of(tmp_path / "data"))
        commanded = {c.setpoint.resource_id for c in past.commands}
        assert len(commanded) > 50

        time.sleep(2.0)  # half an hour of the played day: two boundaries
        later = family.client.get("/status")
        assert later["target_kw"] > 0
        assert later["devices_held"] == 0
        assert later["all_free"]
        past_then = asyncio.run(journal_of(tmp_path / "data"))
        assert past_then.commands == past.commands
        assert {r.resource_id for r in past_then.releases} == commanded

        assert len(family.alive()) >= 7
        family.process.kill()
        assert eventually(lambda: not family.alive(), 3.0), family.alive()


def test_an_interrupted_demo_gives_everything_back_and_leaves_nobody_behind(
    town: Path, tmp_path: Path
):
    """Ctrl-C in mid-event: released as by `stop --all`, exit code 1, every process ended."""
    with demo_family(town, tmp_path) as family:
        family.until_held("16:05")
        family.process.send_signal(signal.SIGINT)
        began = time.monotonic()
        _, said = family.process.communicate(timeout=20.0)
        took_s = time.monotonic() - began

        assert took_s < 10.0
        assert family.process.returncode == 1
        assert said.splitlines()[-1] == "interrupted"
        assert "Traceback" not in said
        assert eventually(lambda: not family.alive(), 1.0), family.alive()

    past = asyncio.run(journal_of(tmp_path / "data"))
    assert "stop: the demonstration was interrupted" in past.audit
    released = {r.resource_id for r in past.releases if r.outcome == "applied"}
    assert released == {c.setpoint.resource_id for c in past.commands}
