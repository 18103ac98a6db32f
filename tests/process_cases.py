"""A town's day with real processes over real sockets, and what a test asks of it."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from datetime import time as clock_time
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4
from zoneinfo import ZoneInfo

from controller.cli.client import Client, find
from controller.cli.demo import Demo, make_demo
from controller.clock import Segment, SystemClock
from controller.errors import NotRunningError
from controller.model.commands import Receipt
from controller.model.time import Interval
from controller.ports import Command
from controller.store import open_store
from tests.town import make_town

T = TypeVar("T")

PAGE = """
epoch = 2014-01-27T20:00:00
day = 2014-01-28
end = "19:40"
seed = 1

[area]
file = "../area/victoria-2014-01.csv.gz"
fraction = 0.01

[weather]
mae_c = 0.8

[history]
start = 2014-01-01

[clock]
quiet_speed = 28800
event_speed = 900
lead = "70 min"
tail = "10 min"

[desk]
accept = 1.0
"""
"""A day without faults, much faster than the demonstration's."""

MARK = "PEAKSHARE_TEST_FAMILY"
"""An environment variable that every process of one run inherits."""


@dataclass(frozen=True, kw_only=True)
class Past:
    """What a journal holds."""

    commands: Sequence[Command]
    releases: Sequence[Receipt]
    audit: list[str]
    """action: text"""


def hasty_town(root: Path) -> Path:
    """A small town whose day takes half a minute."""
    town = make_town(root)
    (town / "scenarios" / "day.toml").write_text(PAGE)
    return town


@asynccontextmanager
async def played(town: Path, out: Path, speeds: Sequence[tuple[int, float]]) -> AsyncIterator[Demo]:
    """A demo with its day running; `speeds` are (minutes after the event's start, speed)."""
    demo = make_demo(town, out, None, quiet=True)
    async with AsyncExitStack() as stack:
        await demo.prepare(stack)
        stack.push_async_callback(_end_controller, demo)
        await demo.start_controller()
        window = await demo.wait_for_plan()
        demo.start_clock(_segments(demo, window, speeds))
        yield demo


async def until(demo: Demo, local: str) -> None:
    """Wait for a local clock time of the played day; the supervisor just looks on."""
    assert demo.line is not None
    at = demo.scenario.at(clock_time.fromisoformat(local))
    await asyncio.sleep(max(0.0, demo.line.monotonic(at) - time.monotonic()))


async def started_again(demo: Demo, times: int) -> dict[str, Any]:
    """The first status of a controller that has read its devices back and carries on."""
    while True:
        status = await ask(demo)
        said = [text for _, _, text in status.get("happenings", ())]
        if sum("started again and carries on" in text for text in said) == times:
            return status
        await asyncio.sleep(0.02)


async def ask(demo: Demo) -> dict[str, Any]:
    """Its status; empty while nobody answers."""
    try:
        return dict(await asyncio.to_thread(demo.client.get, "/status"))
    except NotRunningError:
        return {}


async def on_the_wire(demo: Demo, local: str) -> bool:
    """Wait until commands are being sent, at most until a local time; whether any are."""
    give_up = demo.scenario.at(clock_time.fromisoformat(local))
    async with open_store(demo.data, SystemClock(), read_only=True) as store:
        while demo.now() < give_up:
            if any(c.state == "sending" for c in await store.journal.commands()):
                return True
            await asyncio.sleep(0.002)
    return False


async def journal_of(data: Path) -> Past:
    """What the journal of a data directory holds, read beside its controller."""
    async with open_store(data, SystemClock(), read_only=True) as store:
        return Past(
            commands=await store.journal.commands(),
            releases=await store.journal.releases(),
            audit=[f"{what}: {text}" for _, _, what, _, text in await store.journal.audit_log()],
        )


@dataclass(kw_only=True)
class Family:
    """`peakshare demo` as a person starts it, with all the processes it starts."""

    process: subprocess.Popen[str]
    out: Path
    mark: str

    @property
    def client(self) -> Client:
        return find(self.out / "data")

    def until_held(self, local: str, timezone: str = "Australia/Melbourne") -> dict[str, Any]:
        """The status once devices are held at or after a local time of the event day."""

        def held() -> dict[str, Any] | None:
            assert self.process.poll() is None, self.process.communicate()
            try:
                status = dict(self.client.get("/status"))
            except NotRunningError:
                return None
            now = datetime.fromisoformat(status["now"]).astimezone(ZoneInfo(timezone))
            late = now.strftime("%d %H:%M") >= f"28 {local}"
            return status if late and status["devices_held"] else None

        found = eventually(held, 60.0)
        assert found, "no device was ever held"
        return found

    def alive(self) -> list[str]:
        """Command lines of its living processes."""
        return list(pids(self.mark).values())


@contextmanager
def demo_family(town: Path, out: Path) -> Iterator[Family]:
    """Run `peakshare demo`; whoever of it is still there afterwards is killed."""
    mark = uuid4().hex
    process = subprocess.Popen(
        [sys.executable, "-m", "controller", "demo", "--config", str(town), "--out", str(out)],
        env={**os.environ, MARK: mark}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip
    try:
        yield Family(process=process, out=out, mark=mark)
    finally:
        for pid in pids(mark):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.communicate()


def pids(mark: str) -> dict[int, str]:
    """The living processes that carry this mark, and their command lines."""
    found: dict[int, str] = {}
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            environment = (process / "environ").read_bytes().split(b"\0")
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if f"{MARK}={mark}".encode() in environment:
                found[int(process.name)] = line
    return found


def eventually(ask_again: Callable[[], T], within_s: float) -> T:
    """What it says as soon as that is true, else what it says at the end."""
    give_up = time.monotonic() + within_s
    while not (said := ask_again()) and time.monotonic() < give_up:
        time.sleep(0.05)
    return said


async def _end_controller(demo: Demo) -> None:
    if demo.controller is not None:
        await demo.controller.stop()


def _segments(
    demo: Demo, window: Interval, speeds: Sequence[tuple[int, float]]
) -> tuple[Segment, ...]:
    epoch = demo.scenario.epoch
    quiet = demo.scenario.page.clock.quiet_speed
    return (
        Segment(start=epoch, speed=3600.0),  # duty desks are asked the evening before
        Segment(start=epoch + timedelta(hours=1), speed=quiet),
        *(Segment(start=window.start + timedelta(minutes=m), speed=s) for m, s in speeds),
        Segment(start=demo.scenario.end, speed=1.0),
    )
