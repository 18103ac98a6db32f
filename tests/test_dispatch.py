"""Dispatch: journal before the wire, one effect per command, every device given back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest

from controller.dispatch.executor import Executor
from controller.dispatch.gate import admit, per_minute
from controller.dispatch.restore import restore
from controller.dispatch.setpoints import Wanted, differs
from controller.model.commands import Control, Outcome, Setpoint
from controller.model.ids import EventId, LinkId, ResourceId, SetpointId
from controller.model.resources import Fleet
from controller.ports import Journal
from controller.store import open_store
from tests.fakes import RULES, START, FakeLink, SetClock, a_fleet, a_resource

HOUR = timedelta(hours=1)


def want(name: str, value: float = 300.0, *, until: timedelta = HOUR, kw: float = 200.0) -> Wanted:
    return Wanted(
        event_id=EventId("e"),
        resource_id=ResourceId(name),
        control=Control.CAP_KW,
        value=value,
        start=START,
        until=START + until,
        reduction_kw=kw,
    )


def an_executor(journal: Journal, link: FakeLink, fleet: Fleet, fence: int) -> Executor:
    return Executor(
        journal=journal, links={LinkId("a"): link}, fleet=fleet, clock=link.clock,
        rules=RULES, random=Random(1), fence=fence,
    )  # fmt: skip


@asynccontextmanager
async def a_dispatch(
    folder: Path, link: FakeLink, *names: str
) -> AsyncIterator[tuple[Executor, Journal]]:
    async with open_store(folder, link.clock) as store:
        fence = await store.journal.take_fence()
        fleet = a_fleet(*[a_resource(n) for n in names])
        yield an_executor(store.journal, link, fleet, fence), store.journal


@pytest.fixture
def link() -> FakeLink:
    return FakeLink(SetClock())


async def test_a_command_is_journaled_before_it_leaves(tmp_path: Path, link: FakeLink):
    """When the device sees a setpoint, the journal already says `sending`."""
    seen: list[str] = []

    class Watching(FakeLink):
        async def apply(self, setpoints):
            seen.extend(c.state for c in await journal.commands())
            async for receipts in super().apply(setpoints):
                yield receipts

    watching = Watching(link.clock)
    async with a_dispatch(tmp_path, watching, "f1") as (executor, journal):
        await executor.send([want("f1")], revision=1)

        assert seen == ["sending"]
        assert [c.state for c in await journal.commands()] == ["done"]


async def test_the_dead_hold_back_no_one(tmp_path: Path, link: FakeLink):
    link.dead = {"f1"}
    async with a_dispatch(tmp_path, link, "f1", "f2") as (executor, _):
        receipts = await executor.send([want("f1"), want("f2")], revision=1)

        assert {r.resource_id: r.outcome for r in receipts} == {
            "f1": Outcome.UNREACHABLE,
            "f2": Outcome.APPLIED,
        }
        assert set(executor.obeys) == {"f2"}


async def test_a_dead_link_gives_a_receipt_for_each_of_its_devices(tmp_path: Path, link: FakeLink):
    link.down = True
    async with a_dispatch(tmp_path, link, "f1", "f2") as (executor, journal):
        receipts = await executor.send([want("f1"), want("f2")], revision=1)

        assert [r.outcome for r in receipts] == [Outcome.UNREACHABLE] * 2
        assert {c.outcome for c in await journal.commands()} == {Outcome.UNREACHABLE}


async def test_an_overtaken_controller_sends_nothing(tmp_path: Path, link: FakeLink):
    """Once another controller has taken the fence, nothing of ours reaches the wire."""
    async with a_dispatch(tmp_path, link, "f1") as (executor, journal):
        await journal.take_fence()

        assert await executor.send([want("f1")], revision=1) == []
        assert link.wire == []


async def test_after_an_emergency_stop_nothing_leaves_but_releases(tmp_path: Path, link: FakeLink):
    async with a_dispatch(tmp_path, link, "f1", "f2") as (executor, _):
        await executor.send([want("f1")], revision=1)
        executor.stopped = "drill"

        await executor.send([want("f2")], revision=2)
        released = await executor.release(list(executor.obeys))

        assert [r.resource_id for r in released] == ["f1"]
        assert link.holding == {}


async def test_a_restart_sends_nothing_that_a_device_already_holds(tmp_path: Path, link: FakeLink):
    """Killed between wire and receipt: the device is read back, not commanded again."""
    async with a_dispatch(tmp_path, link, "f1") as (executor, journal):
        setpoint = await _half_sent(executor, journal, "f1")
        async for _ in link.apply([setpoint]):
            break  # the controller dies here: no receipt was journaled

        again = an_executor(journal, link, executor.fleet, await journal.take_fence())
        await restore(again)

        assert link.executed == [setpoint.id]
        assert link.wire == [setpoint.id]
        assert again.obeys[ResourceId("f1")].id == setpoint.id
        assert [c.state for c in await journal.commands()] == ["done"]


async def test_a_restart_resends_what_never_arrived_under_its_own_id(
    tmp_path: Path, link: FakeLink
):
    async with a_dispatch(tmp_path, link, "f1") as (executor, journal):
        setpoint = await _half_sent(executor, journal, "f1")

        again = an_executor(journal, link, executor.fleet, await journal.take_fence())
        receipts = await restore(again)

        assert link.executed == [setpoint.id]
        assert [r.outcome for r in receipts] == [Outcome.APPLIED]


async def test_a_restart_leaves_ended_commands_alone(tmp_path: Path, link: FakeLink):
    async with a_dispatch(tmp_path, link, "f1") as (executor, journal):
        await _half_sent(executor, journal, "f1")
        link.clock.at = START + 2 * HOUR

        again = an_executor(journal, link, executor.fleet, await journal.take_fence())
        await restore(again)

        assert link.wire == []
        assert again.obeys == {}


def test_the_gate_never_lets_a_protected_load_be_called():
    fleet = a_fleet(a_resource("hospital", protected=True))

    passed, refused = admit([want("hospital")], fleet, {}, {})

    assert passed == []
    assert refused[0].reason == "protected load"


def test_the_gate_lifts_a_cap_to_the_safety_floor():
    fleet = a_fleet(a_resource("f1", floor_kw=350.0))

    passed, _ = admit([want("f1", 300.0)], fleet, {ResourceId("f1"): 480.0}, {})

    assert [w.value for w in passed] == [350.0]


def test_the_gate_looks_at_the_reading_not_the_forecast():
    """A site that draws no more than its floor now is left alone, whatever was forecast."""
    fleet = a_fleet(a_resource("f1"))

    passed, refused = admit([want("f1")], fleet, {ResourceId("f1"): 95.0}, {})

    assert passed == []
    assert "safety floor" in refused[0].reason


def test_the_gate_honours_an_opt_out():
    fleet = a_fleet(a_resource("f1"))

    passed, refused = admit([want("f1")], fleet, {}, {ResourceId("f1"): "opted out (device)"})

    assert passed == []
    assert refused[0].reason == "opted out (device)"


def test_no_more_than_the_limit_starts_in_a_minute():
    batches = per_minute([want(f"f{i}", kw=400.0) for i in range(5)], 1000.0)

    assert [len(b) for b in batches] == [2, 2, 1]
    assert per_minute([want("big", kw=5000.0)], 1000.0)[0][0].resource_id == "big"


def test_a_device_is_written_only_on_change():
    held = Setpoint(
        id=SetpointId("s"), event_id=EventId("e"), resource_id=ResourceId("f1"),
        control=Control.CAP_KW, value=300.0, start=START, until=START + HOUR, hold_s=3600,
        revision=1, fence=1,
    )  # fmt: skip

    assert not differs(want("f1", 302.0), held, deadband_kw=5.0)
    assert differs(want("f1", 310.0), held, deadband_kw=5.0)
    assert differs(want("f1", 300.0, until=2 * HOUR), held, deadband_kw=5.0)
    assert differs(want("f1"), None, deadband_kw=5.0)


def test_the_gate_lets_a_held_site_keep_its_cap_at_the_floor():
    """It draws its floor because of our cap: that is no reason to give it up at the renewal."""
    fleet = a_fleet(a_resource("f1"))

    passed, refused = admit(
        [want("f1", 50.0)], fleet, {ResourceId("f1"): 100.0}, {}, held={ResourceId("f1")}
    )

    assert [w.value for w in passed] == [100.0]
    assert refused == []


async def test_a_stop_in_mid_sending_is_not_overtaken_by_what_was_on_its_way(tmp_path: Path):
    """The release waits for the batch on the wire, so the batch cannot land after it."""
    gate = asyncio.Event()

    class Slow(FakeLink):
        async def apply(self, setpoints):
            await gate.wait()
            async for receipts in super().apply(setpoints):
                yield receipts

    slow = Slow(SetClock())
    async with a_dispatch(tmp_path, slow, "f1") as (executor, _):
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(executor.send([want("f1")], revision=1))
            await asyncio.sleep(0.05)
            executor.stopped = "fire"
            tasks.create_task(executor.release([ResourceId("f1")]))
            await asyncio.sleep(0.05)
            gate.set()

        assert slow.holding == {}
        assert executor.obeys == {}


async def test_what_is_no_longer_wanted_when_its_minute_comes_is_not_sent(
    tmp_path: Path, link: FakeLink
):
    async with a_dispatch(tmp_path, link, "f1", "f2") as (executor, _):
        big = [want("f1", kw=80_000.0), want("f2", kw=80_000.0)]

        await executor.send(big, 1, lambda wants: [w for w in wants if w.resource_id == "f1"])

        assert set(link.holding) == {"f1"}


async def test_a_restart_knows_who_was_told_ahead(tmp_path: Path, link: FakeLink):
    """Free until its start, but it will obey: a new plan must be able to call it off."""
    async with a_dispatch(tmp_path, link, "f1") as (executor, journal):
        ahead = replace(want("f1", until=2 * HOUR), start=START + HOUR)
        await executor.send([ahead], revision=1)
        link.holding.clear()  # such a device shows nothing before the start

        again = an_executor(journal, link, executor.fleet, await journal.take_fence())
        await restore(again)
        assert again.obeys[ResourceId("f1")].start == ahead.start

        await again.release([ResourceId("f1")])
        third = an_executor(journal, link, executor.fleet, await journal.take_fence())
        await restore(third)
        assert third.obeys == {}


async def test_a_restart_after_a_stop_sends_nothing_again(tmp_path: Path, link: FakeLink):
    async with a_dispatch(tmp_path, link, "f1") as (executor, journal):
        await _half_sent(executor, journal, "f1")

        again = an_executor(journal, link, executor.fleet, await journal.take_fence())
        again.stopped = "fire"
        await restore(again)

        assert link.wire == []
        assert [c.state for c in await journal.commands()] == ["done"]


async def test_a_command_whose_end_passed_while_nobody_ran_is_closed_and_owed(
    tmp_path: Path, link: FakeLink
):
    """It may have reached its device: who gives back must look at it."""
    async with a_dispatch(tmp_path, link, "f1") as (executor, journal):
        await _half_sent(executor, journal, "f1")
        link.clock.at = START + 2 * HOUR

        again = an_executor(journal, link, executor.fleet, await journal.take_fence())
        receipts = await restore(again)

        assert [r.resource_id for r in receipts] == ["f1"]
        assert [c.state for c in await journal.commands()] == ["done"]


async def test_a_command_sent_again_holds_no_longer_than_was_left(tmp_path: Path, link: FakeLink):
    async with a_dispatch(tmp_path, link, "f1") as (executor, journal):
        await _half_sent(executor, journal, "f1")
        link.clock.at = START + HOUR / 2

        again = an_executor(journal, link, executor.fleet, await journal.take_fence())
        await restore(again)

        assert link.holding[ResourceId("f1")].hold_s == 1800


async def test_a_renewal_that_never_arrived_is_not_taken_for_held(tmp_path: Path, link: FakeLink):
    """Same value, no ids: only its end tells the lease that is held from the one that follows."""

    class WithoutIds(FakeLink):
        async def state(self, resource_ids):
            return [replace(s, setpoint_id=None) for s in await super().state(resource_ids)]

    plain = WithoutIds(link.clock)
    async with a_dispatch(tmp_path, plain, "f1") as (executor, journal):
        await executor.send([want("f1")], revision=1)
        renewal = executor._setpoint(want("f1", until=2 * HOUR), 1)
        await journal.plan_commands([renewal], START)
        await journal.begin_sending([renewal.id], executor.fence, START)

        again = an_executor(journal, plain, executor.fleet, await journal.take_fence())
        await restore(again)

        assert plain.wire[-1] == renewal.id
        assert plain.holding[ResourceId("f1")].until == START + 2 * HOUR


async def _half_sent(executor: Executor, journal: Journal, name: str) -> Setpoint:
    """A command that was journaled as `sending` when the controller died."""
    setpoint = executor._setpoint(want(name), 1)
    await journal.plan_commands([setpoint], START)
    await journal.begin_sending([setpoint.id], executor.fence, START)
    return setpoint
