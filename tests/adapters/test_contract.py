"""What every link must do, whatever its protocol: over real sockets, a minute per second."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from controller.model.commands import Mode, Outcome, Override, Reading
from tests.adapters.fakes import FREE_KW, HELD_KW
from tests.adapters.rigs import DEFAULT_PROFILE, FENCE, RIGS, A, B, C, Rig


@pytest.fixture(params=list(RIGS))
async def rig(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    async with RIGS[request.param](DEFAULT_PROFILE[request.param]) as rig:
        yield rig


async def test_an_applied_setpoint_is_held_with_its_value_and_end(rig: Rig):
    setpoint = rig.setpoint(value=10.0)
    receipts = await rig.apply(setpoint)
    assert receipts[setpoint.id].outcome is Outcome.APPLIED
    state = await rig.state()
    assert state.mode is Mode.HELD
    assert state.value == pytest.approx(10.0)
    assert state.until == setpoint.until
    assert state.setpoint_id == setpoint.id
    [executed] = rig.devices.executed
    assert executed.value == pytest.approx(10.0)
    assert (executed.until, executed.hold_s) == (setpoint.until, setpoint.hold_s)


async def test_a_device_frees_itself_at_until(rig: Rig):
    setpoint = rig.setpoint(minutes=0.3)
    await rig.apply(setpoint)
    assert (await rig.state()).mode is Mode.HELD
    await rig.clock.sleep_until(setpoint.until)
    assert (await rig.state()).mode is Mode.FREE


async def test_a_device_whose_clock_is_wrong_is_freed_by_its_timer(rig: Rig):
    """`until` is three hours away on the device's clock, `hold_s` is eighteen seconds."""
    rig.devices.skew[A] = timedelta(hours=-3)
    await rig.apply(rig.setpoint(minutes=0.3, hold_minutes=0.3))
    assert (await rig.state()).mode is Mode.HELD
    await rig.wait(0.4)
    assert (await rig.state()).mode is Mode.FREE


async def test_release_frees_and_is_safe_to_repeat(rig: Rig):
    await rig.apply(rig.setpoint(A), rig.setpoint(B))
    for _ in range(2):
        receipts = await rig.link.release([A, B, C])
        assert {(r.resource_id, r.outcome, r.setpoint_id) for r in receipts} == {
            (resource_id, Outcome.APPLIED, None) for resource_id in (A, B, C)
        }
    assert [s.mode for s in await rig.link.state([A, B, C])] == [Mode.FREE] * 3


async def test_the_same_setpoint_twice_is_executed_once(rig: Rig):
    setpoint = rig.setpoint()
    for _ in range(2):
        receipts = await rig.apply(setpoint)
        assert receipts[setpoint.id].outcome is Outcome.APPLIED
    assert len(rig.devices.executed) == 1


async def test_a_newer_setpoint_replaces_the_older(rig: Rig):
    await rig.apply(rig.setpoint(value=10.0))
    newer = rig.setpoint(value=8.0, minutes=90)
    await rig.apply(newer)
    state = await rig.state()
    assert state.value == pytest.approx(8.0)
    assert state.until == newer.until


async def test_an_older_controller_is_refused(rig: Rig):
    held = rig.setpoint(value=10.0)
    await rig.apply(held)
    stale = rig.setpoint(value=5.0, fence=FENCE - 1)
    receipts = await rig.apply(stale)
    assert receipts[stale.id].outcome is Outcome.REFUSED
    assert (await rig.state()).value == pytest.approx(10.0)


async def test_a_refusal_is_a_receipt_and_touches_no_sibling(rig: Rig):
    rig.devices.refusing.add(A)
    refused, fine = rig.setpoint(A), rig.setpoint(B)
    receipts = await rig.apply(refused, fine)
    assert receipts[refused.id].outcome is Outcome.REFUSED
    assert receipts[refused.id].detail
    assert receipts[fine.id].outcome is Outcome.APPLIED


async def test_an_unreachable_device_delays_no_sibling(rig: Rig):
    rig.mute(A)
    loop = asyncio.get_running_loop()
    silent, fine, also = rig.setpoint(A), rig.setpoint(B), rig.setpoint(C)
    began, came = loop.time(), {}
    async for receipts in rig.link.apply([silent, fine, also]):
        for receipt in receipts:
            came[receipt.resource_id] = (receipt.outcome, loop.time() - began)
    assert came[A][0] is Outcome.UNREACHABLE
    assert came[A][1] < rig.timeout_s + 0.3
    assert (came[B][0], came[C][0]) == (Outcome.APPLIED, Outcome.APPLIED)
    assert max(came[B][1], came[C][1]) < rig.timeout_s
    assert (await rig.state(A)).mode is Mode.UNKNOWN
    [receipt] = await rig.link.release([A])
    assert receipt.outcome is Outcome.UNREACHABLE


async def test_a_line_that_is_down_answers_for_every_setpoint_within_the_deadline(rig: Rig):
    await rig.cut()
    setpoints = [rig.setpoint(A), rig.setpoint(B)]
    async with asyncio.timeout(rig.timeout_s + 0.3):
        receipts = await rig.apply(*setpoints)
    assert {receipts[s.id].outcome for s in setpoints} == {Outcome.UNREACHABLE}
    await rig.mend()


async def test_reports_carry_readings_and_overrides(rig: Rig):
    await rig.apply(rig.setpoint(B))
    rig.devices.override(C, rig.clock.now())
    seen = await rig.reports_until(lambda item: isinstance(item, Override))
    if not any(isinstance(item, Reading) for item in seen):
        seen += await rig.reports_until(lambda item: isinstance(item, Reading))
    seen += await rig.reports_until(lambda i: isinstance(i, Reading) and i.resource_id == B)
    overrides = [item for item in seen if isinstance(item, Override)]
    assert {o.resource_id for o in overrides} == {C}
    power = {i.resource_id: i.power_kw for i in seen if isinstance(i, Reading) and i.resource_id}
    assert power[A] == pytest.approx(FREE_KW)
    assert power[B] == pytest.approx(HELD_KW)
    at = next(i.at for i in seen if isinstance(i, Reading))
    assert abs(at - rig.clock.now()) < timedelta(minutes=2)


async def test_an_overridden_device_says_so(rig: Rig):
    rig.devices.override(A, rig.clock.now())
    setpoint = rig.setpoint()
    receipts = await rig.apply(setpoint)
    assert receipts[setpoint.id].outcome is Outcome.OVERRIDDEN
    assert (await rig.state()).mode is Mode.OVERRIDDEN


async def test_reports_resume_after_the_line_was_down(rig: Rig):
    reports = rig.link.reports()
    assert await anext(reports)
    await rig.cut()
    await rig.wait(0.5)
    await rig.mend()
    mended = rig.clock.now()
    async with asyncio.timeout(5):
        async for batch in reports:
            if any(isinstance(item, Reading) and item.at > mended for item in batch):
                break
    assert (await rig.wait_for(Mode.FREE)).mode is Mode.FREE


async def test_a_value_out_of_range_never_reaches_the_wire(rig: Rig):
    for value in (-1.0, 1e9, float("nan")):
        setpoint = rig.setpoint(value=value)
        receipts = await rig.apply(setpoint)
        assert receipts[setpoint.id].outcome is Outcome.REFUSED
        assert receipts[setpoint.id].detail
    assert rig.devices.executed == []


async def test_a_setpoint_that_is_over_never_reaches_the_wire(rig: Rig):
    setpoint = rig.setpoint()
    over = replace(setpoint, start=setpoint.start - timedelta(hours=3),
                   until=setpoint.start - timedelta(hours=2))  # fmt: skip
    receipts = await rig.apply(over)
    assert receipts[over.id].outcome is Outcome.LATE
    assert rig.devices.executed == []


async def test_malformed_bytes_do_not_end_the_link(rig: Rig):
    await rig.garble()
    async with asyncio.timeout(5):
        await rig.wait_for(Mode.FREE)
        setpoint = rig.setpoint()
        receipts = await rig.apply(setpoint)
    assert receipts[setpoint.id].outcome is Outcome.APPLIED


async def test_nothing_to_apply_is_nothing_to_wait_for(rig: Rig):
    async with asyncio.timeout(0.2):
        assert await rig.apply() == {}


async def test_reports_end_when_cancelled(rig: Rig):
    async def read() -> None:
        async for _ in rig.link.reports():
            pass

    async with asyncio.timeout(1), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(read())
        await asyncio.sleep(0.12)
        task.cancel()
    assert task.cancelled()
