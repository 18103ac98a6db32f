"""What all links share below the contract: pauses, doubts, overrides, batches, cancellation."""

import asyncio

import pytest

from adapters.parts import BackOff, Doubts, OverrideWatch, batches, cancellable
from controller.model.commands import Mode
from controller.model.ids import SetpointId
from simulators.clock import JumpLoop
from tests.adapters.rigs import EPOCH, A, B, C, a_setpoint


async def test_a_cancellation_that_a_library_swallows_still_ends_the_task():
    """As `asyncio.wait_for` may before Python 3.12: without this a poll would go on for ever."""

    async def swallows() -> None:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            return

    async def polls() -> None:
        while True:
            with cancellable():
                await swallows()

    async with asyncio.timeout(1), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(polls())
        await asyncio.sleep(0)
        task.cancel()
    assert task.cancelled()


async def test_a_deadline_inside_is_no_cancellation():
    with cancellable(), pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await asyncio.sleep(1)


def test_pauses_between_attempts_grow_and_are_forgotten_after_success():
    async def story() -> list[float]:
        pause, loop, waits = BackOff(most_s=0.4), asyncio.get_running_loop(), []
        for _ in range(4):
            pause.failed()
            began = loop.time()
            while not pause.over():
                await asyncio.sleep(0.05)
            waits.append(round(loop.time() - began, 2))
        pause.failed()
        pause.worked()
        assert pause.over()
        return waits

    with asyncio.Runner(loop_factory=JumpLoop) as runner:
        assert runner.run(story()) == pytest.approx([0.1, 0.2, 0.4, 0.4], abs=0.051)


def test_doubts_are_bounded():
    doubts = Doubts(most=2)
    for name in "abc":
        doubts.remember(SetpointId(name))
    assert [SetpointId(name) in doubts for name in "abc"] == [False, True, True]


def test_an_override_is_told_once_each_time_a_customer_steps_in():
    watch = OverrideWatch()
    modes = [Mode.FREE, Mode.OVERRIDDEN, Mode.OVERRIDDEN, Mode.FREE, Mode.OVERRIDDEN]
    told = [len(watch.seen(A, mode, EPOCH)) for mode in modes]
    assert told == [0, 1, 0, 0, 1]


def test_no_device_stands_twice_in_one_batch():
    a, b, c = (a_setpoint(r) for r in (A, B, C))
    assert batches([a, b, a, c], 50) == [[a, b], [a, c]]
    assert batches([a, b, c], 2) == [[a, b], [c]]
    assert batches([], 2) == []
