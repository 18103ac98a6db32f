"""Clocks: the system's, and the demo's piecewise-linear one. (JumpLoop lives in simulators.)

The demo clock is a pure function of the system's monotonic clock and a fixed list of
(simulated start, speed) that every process is given with one start line, so all processes of
one machine agree without talking, and an NTP step cannot move it.
"""

import asyncio
import json
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeVar

T = TypeVar("T")


class Waits(Protocol):
    """The waiting half of `controller.ports.Clock`, which lies a layer further out."""

    async def sleep_until(self, at: datetime) -> None: ...


async def offload(future: Future[T]) -> T:
    """Await a concurrent future without cancelling the work when the waiter is cancelled."""
    return await asyncio.shield(asyncio.wrap_future(future))


class SystemClock:
    """Real time."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep_until(self, at: datetime) -> None:
        while (wait := (at - self.now()).total_seconds()) > 0:
            await asyncio.sleep(min(wait, 3600.0))

    async def offload(self, future: Future[T]) -> T:
        return await offload(future)


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """From simulated `start` on, `speed` simulated seconds pass per real second."""

    start: datetime
    speed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StartLine:
    """When the demo began: the monotonic second at which simulated time left the epoch."""

    mono0_s: float
    segments: tuple[Segment, ...]

    def to_json(self) -> str:
        segments = [[s.start.isoformat(), s.speed] for s in self.segments]
        return json.dumps({"mono0_s": self.mono0_s, "segments": segments})

    @classmethod
    def from_json(cls, line: str) -> "StartLine":
        """Raises ValueError on anything but a start line."""
        try:
            raw = json.loads(line)
            segments = tuple(
                Segment(start=datetime.fromisoformat(at), speed=float(speed))
                for at, speed in raw["segments"]
            )
            return cls(mono0_s=float(raw["mono0_s"]), segments=segments)
        except (KeyError, TypeError, json.JSONDecodeError) as error:
            raise ValueError(f"not a start line: {line[:80]!r}") from error

    def simulated(self, mono_s: float) -> datetime:
        """Simulated instant at a monotonic second; the first segment's start before mono0."""
        left = max(0.0, mono_s - self.mono0_s)
        for here, after in zip(self.segments, self.segments[1:], strict=False):
            real = (after.start - here.start).total_seconds() / here.speed
            if left < real:
                return here.start + timedelta(seconds=left * here.speed)
            left -= real
        last = self.segments[-1]
        return last.start + timedelta(seconds=left * last.speed)

    def monotonic(self, at: datetime) -> float:
        """Monotonic second at which simulated time reaches `at`."""
        mono_s = self.mono0_s
        for i, here in enumerate(self.segments):
            end = self.segments[i + 1].start if i + 1 < len(self.segments) else None
            if end is None or at < end:
                return mono_s + max(0.0, (at - here.start).total_seconds()) / here.speed
            mono_s += (end - here.start).total_seconds() / here.speed
        raise AssertionError("a start line has at least one segment")


class DemoClock:
    """Accelerated time, held at `epoch` until `start` is called with the common start line."""

    def __init__(self, epoch: datetime) -> None:
        self.epoch = epoch
        self._line: StartLine | None = None
        self._started = asyncio.Event()

    def start(self, line: StartLine) -> None:
        self._line = line
        self._started.set()

    def now(self) -> datetime:
        return self.epoch if self._line is None else self._line.simulated(time.monotonic())

    async def sleep_until(self, at: datetime) -> None:
        if at <= self.epoch:
            return
        await self._started.wait()
        while self._line is not None and self.now() < at:
            wait = self._line.monotonic(at) - time.monotonic()
            await asyncio.sleep(max(wait, 0.0))

    async def offload(self, future: Future[T]) -> T:
        return await offload(future)


def slowest_wall_s(segments: Sequence[Segment], step: timedelta, at: datetime) -> float:
    """Real seconds that one `step` lasts in the segment that rules at `at`."""
    speed = next((s.speed for s in reversed(segments) if s.start <= at), segments[0].speed)
    return step.total_seconds() / speed


async def wake(clock: Waits, at: datetime, poked: asyncio.Event) -> bool:
    """Wait until `at` or until `poked` is set, whichever is first; True when it was poked.

    Clears the event. Leaves no task behind when cancelled.
    """
    timer = asyncio.ensure_future(clock.sleep_until(at))
    poke = asyncio.ensure_future(poked.wait())
    try:
        await asyncio.wait({timer, poke}, return_when=asyncio.FIRST_COMPLETED)
        return poked.is_set()
    finally:
        poked.clear()
        timer.cancel()
        poke.cancel()
        await asyncio.gather(timer, poke, return_exceptions=True)
