"""Clocks: one seam, real, accelerated and jumping."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.clock import DemoClock, Segment, StartLine, SystemClock, slowest_wall_s, wake
from simulators.clock import JumpClock, JumpLoop

EVENING = datetime(2014, 1, 27, 9, tzinfo=UTC)
LINE = StartLine(
    mono0_s=1000.0,
    segments=(
        Segment(start=EVENING, speed=3600),
        Segment(start=EVENING + timedelta(hours=18), speed=360),
        Segment(start=EVENING + timedelta(hours=23), speed=3600),
    ),
)


def test_a_start_line_survives_its_json():
    assert StartLine.from_json(LINE.to_json()) == LINE


@pytest.mark.parametrize("line", ["", "{}", "[]", '{"mono0_s": 1, "segments": [[1, 2]]}', "nan"])
def test_what_is_not_a_start_line_is_refused(line: str):
    with pytest.raises(ValueError, match=r"start line|ISO|argument"):
        StartLine.from_json(line)


@given(st.floats(0, 30 * 3600))
def test_simulated_and_monotonic_time_are_inverse(seconds: float):
    at = EVENING + timedelta(seconds=round(seconds, 3))

    back = LINE.simulated(LINE.monotonic(at))

    assert abs((back - at).total_seconds()) < 0.01


def test_time_stands_at_the_epoch_before_the_start():
    assert LINE.simulated(0.0) == EVENING


def test_five_slow_hours_take_fifty_seconds():
    slow = LINE.monotonic(EVENING + timedelta(hours=23)) - LINE.monotonic(
        EVENING + timedelta(hours=18)
    )

    assert slow == pytest.approx(50.0)
    assert slowest_wall_s(LINE.segments, timedelta(minutes=15), EVENING + timedelta(hours=20)) == (
        pytest.approx(2.5)
    )


async def test_a_held_demo_clock_waits_for_its_start_line():
    clock = DemoClock(EVENING)
    assert clock.now() == EVENING
    await clock.sleep_until(EVENING)

    sleeper = asyncio.ensure_future(clock.sleep_until(EVENING + timedelta(minutes=1)))
    await asyncio.sleep(0.02)
    assert not sleeper.done()
    clock.start(StartLine(mono0_s=time.monotonic(), segments=LINE.segments))
    await asyncio.wait_for(sleeper, 1.0)

    assert clock.now() >= EVENING + timedelta(minutes=1)


async def test_wake_says_whether_it_was_poked_and_clears_the_poke():
    clock, poked = SystemClock(), asyncio.Event()
    poked.set()

    assert await wake(clock, clock.now() + timedelta(hours=1), poked)
    assert not poked.is_set()
    assert not await wake(clock, clock.now(), poked)


async def test_a_cancelled_wake_leaves_no_task_behind():
    before = asyncio.all_tasks()
    waiting = asyncio.ensure_future(
        wake(SystemClock(), SystemClock().now() + timedelta(hours=1), asyncio.Event())
    )
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)

    assert asyncio.all_tasks() == before


def test_a_day_jumps_by_in_no_time():
    async def day() -> datetime:
        clock = JumpClock(EVENING)
        for _ in range(24 * 60):
            await clock.sleep_until(clock.now() + timedelta(minutes=1))
        return clock.now()

    began = time.perf_counter()
    with asyncio.Runner(loop_factory=JumpLoop) as runner:
        end = runner.run(day())

    assert end == EVENING + timedelta(days=1)
    assert time.perf_counter() - began < 5


async def test_on_any_other_loop_it_starts_at_its_epoch_too():
    """Found on a machine that had been up for hours: the loop's seconds count from its boot."""
    assert JumpClock(EVENING).now() - EVENING < timedelta(seconds=5)


def test_virtual_time_stands_still_while_work_is_offloaded():
    async def work() -> float:
        loop = asyncio.get_running_loop()
        clock = JumpClock(EVENING)
        with ThreadPoolExecutor(1) as pool:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(clock.sleep_until(EVENING + timedelta(hours=1)))
                await clock.offload(pool.submit(time.sleep, 0.1))
                return loop.time()

    with asyncio.Runner(loop_factory=JumpLoop) as runner:
        assert runner.run(work()) == 0.0


def test_the_same_program_runs_twice_the_same():
    async def trace() -> list[tuple[float, int]]:
        clock, out = JumpClock(EVENING), []

        async def tick(n: int) -> None:
            for k in range(5):
                await clock.sleep_until(EVENING + timedelta(seconds=n * (k + 1)))
                out.append((asyncio.get_running_loop().time(), n))

        async with asyncio.TaskGroup() as tasks:
            for n in range(1, 6):
                tasks.create_task(tick(n))
        return out

    with asyncio.Runner(loop_factory=JumpLoop) as one, asyncio.Runner(loop_factory=JumpLoop) as two:
        assert one.run(trace()) == two.run(trace())
