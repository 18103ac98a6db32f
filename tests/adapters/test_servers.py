"""The simulators as processes: ready, start line, real physics, the end, the truth."""

import asyncio
import json
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import pytest

from adapters.broker import Broker
from adapters.registry import open_link
from controller.clock import DemoClock, Segment, StartLine
from controller.config import load_config
from controller.model.commands import Control, Mode, Outcome, Reading, Setpoint
from controller.model.ids import EventId, LinkId, SetpointId, new_uuid7
from controller.model.settings import Config
from controller.ports import Link
from simulators.scenario import read_scenario
from simulators.truth import read_parts

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "configs" / "demo"
DAY = DEMO / "scenarios" / "day.toml"
SPEED = 120.0


@asynccontextmanager
async def server(
    protocol: str, out: Path, *extra: str
) -> AsyncIterator[tuple[Process, dict[LinkId, int]]]:
    """A simulator process up to its ready line, and its ports."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"simulators.servers.{protocol}",
        "--config", str(DEMO), "--scenario", str(DAY), "--out", str(out), *extra,
        stdin=PIPE, stdout=PIPE, stderr=PIPE, cwd=ROOT,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        ready = json.loads(await process.stdout.readline())
        assert ready["ready"] is True
        yield process, ready["links"]
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        process._transport.close()  # type: ignore[attr-defined]


async def test_every_server_plays_its_part_of_a_real_fleet(tmp_path: Path):
    """All four at once on one clock: each device is read, commanded, read back and released."""
    config = load_config(DEMO)
    scenario = read_scenario(DAY, config.area.timezone)
    clock = DemoClock(scenario.epoch)
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(Broker())
        address = f"{broker.host}:{broker.port}"
        started = await asyncio.gather(
            stack.enter_async_context(server("opcua", tmp_path)),
            stack.enter_async_context(server("modbus", tmp_path)),
            stack.enter_async_context(server("mqtt", tmp_path, "--broker", address)),
            stack.enter_async_context(server("duty_desk", tmp_path)),
        )
        ports = {link: port for _, found in started for link, port in found.items()}
        assert set(ports) == set(config.links)
        links: dict[LinkId, Link] = {}
        for link in config.links.values():
            there = replace(link, port=ports[link.id])
            opened = open_link(there, config.fleet, config.profiles, clock, fence=1, run_id="t")
            links[link.id] = await stack.enter_async_context(opened)
        line = StartLine(mono0_s=time.monotonic(),
                         segments=(Segment(start=scenario.epoch, speed=SPEED),))  # fmt: skip
        for process, _ in started:
            assert process.stdin is not None
            process.stdin.write(line.to_json().encode() + b"\n")
        clock.start(line)
        async with asyncio.timeout(15), asyncio.TaskGroup() as tasks:
            for link_id in links:
                tasks.create_task(reads_commands_and_releases(config, links, link_id, clock))
        for process, _ in started:
            process.terminate()
        assert [await process.wait() for process, _ in started] == [0, 0, 0, 0]
        for process, _ in started:
            assert process.stderr is not None
            assert await process.stderr.read() == b""
    parts = [tmp_path / f"{name}.npz" for name in ("modbus", "opcua", "mqtt", "duty_desk")]
    truth = read_parts(parts, ZoneInfo(config.area.timezone))
    assert set(truth.resource_ids) == {r.id for r in config.fleet}
    assert set(truth.executions.values()) == {1}


async def reads_commands_and_releases(
    config: Config, links: dict[LinkId, Link], link_id: LinkId, clock: DemoClock
) -> None:
    link = links[link_id]
    resources = config.fleet.where(link=link_id)
    told = config.links[link_id].protocol == "duty_desk"
    meters = {r.meter_id for r in resources}
    async for batch in link.reports():
        meters -= {r.meter_id for r in batch if isinstance(r, Reading)}
        if not meters or told:
            break
    if told:
        return
    able = [r for r in resources if not r.protected]
    now = clock.now()
    setpoints = [setpoint(config, r.id, now, Random(n)) for n, r in enumerate(able)]
    receipts = [r async for batch in link.apply(setpoints) for r in batch]
    assert len(receipts) == len(able)
    outcomes = {r.outcome for r in receipts}
    assert outcomes <= {Outcome.APPLIED, Outcome.REFUSED, Outcome.OVERRIDDEN}
    applied = [r.resource_id for r in receipts if r.outcome is Outcome.APPLIED]
    assert len(applied) >= len(able) - 2
    states = {s.resource_id: s for s in await link.state(applied)}
    by_id = {s.resource_id: s for s in setpoints}
    for r in applied:
        assert states[r].mode in (Mode.HELD, Mode.OVERRIDDEN)
        if states[r].mode is Mode.HELD:
            assert states[r].setpoint_id in (by_id[r].id, None)
            assert states[r].value == pytest.approx(by_id[r].value, abs=0.051)
    released = await link.release(applied)
    assert {r.outcome for r in released} <= {Outcome.APPLIED}
    assert not [s for s in await link.state(applied) if s.mode is Mode.HELD]


def setpoint(config: Config, resource_id, now, random: Random) -> Setpoint:
    resource = config.fleet[resource_id]
    control = config.profiles[resource.profile].controls[0]
    value = {
        Control.CAP_KW: 0.6 * resource.rated_kw,
        Control.OFF: 1.0,
        Control.CHARGE_KW: 1.0,
        Control.POWER_KW: -1.0,
    }[control]
    return Setpoint(
        id=SetpointId(new_uuid7(now, random)),
        event_id=EventId("event"),
        resource_id=resource_id,
        control=control,
        value=round(value, 1),
        start=now.replace(microsecond=0),
        until=now.replace(microsecond=0) + timedelta(hours=1),
        hold_s=3600,
        revision=1,
        fence=1,
    )


@pytest.mark.parametrize("started", [False, True])
async def test_a_server_ends_when_its_supervisor_is_gone(tmp_path: Path, started: bool):
    """stdin is its lifeline: closed, it ends by itself and still writes its truth."""
    segments = (Segment(start=datetime(2014, 1, 27, 9, tzinfo=UTC), speed=SPEED),)
    line = StartLine(mono0_s=time.monotonic(), segments=segments)
    async with server("modbus", tmp_path) as (process, _):
        assert process.stdin is not None
        if started:
            process.stdin.write(line.to_json().encode() + b"\n")
            await process.stdin.drain()
            await asyncio.sleep(0.2)
            assert process.returncode is None
        process.stdin.close()
        async with asyncio.timeout(5):
            assert await process.wait() == 0
    assert (tmp_path / "modbus.npz").exists()


async def test_wrong_input_is_told_and_ends_with_2(tmp_path: Path):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "simulators.servers.mqtt", "--config", str(DEMO), "--scenario",
        str(DAY), "--out", str(tmp_path), stdin=PIPE, stdout=PIPE, stderr=PIPE, cwd=ROOT,
    )  # fmt: skip
    _, error = await process.communicate()
    assert process.returncode == 2
    assert b"broker" in error
    assert b"Traceback" not in error
