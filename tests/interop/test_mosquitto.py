"""Our MQTT link over Eclipse Mosquitto: commands, receipts, release, a broker that goes away."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import pytest

from controller.model.commands import Mode, Outcome, Reading
from tests.adapters.rigs import DEFAULT_PROFILE, A, B, C, Rig, mqtt_rig

pytestmark = pytest.mark.interop

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


class Mosquitto:
    """A Mosquitto of our own on loopback; the same verbs as the embedded broker."""

    host = "127.0.0.1"

    def __init__(self) -> None:
        self.port = 0
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> "Mosquitto":
        server = await asyncio.start_server(lambda _r, _w: None, self.host, 0)
        self.port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        await self.restart()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            await self._process.wait()
            self._process = None

    async def restart(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            str(MOSQUITTO), "-p", str(self.port), stderr=asyncio.subprocess.DEVNULL
        )
        async with asyncio.timeout(5):
            while True:
                with suppress(OSError):
                    _, writer = await asyncio.open_connection(self.host, self.port)
                    writer.close()
                    return
                await asyncio.sleep(0.02)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    if MOSQUITTO is None:
        if os.environ.get("CI"):
            pytest.fail("mosquitto is missing; .ci/run installs it")
        pytest.skip("mosquitto is not installed")
    async with mqtt_rig(DEFAULT_PROFILE["mqtt"], make_broker=Mosquitto) as rig:
        yield rig


async def test_commands_are_applied_read_back_and_released(rig: Rig):
    setpoints = [rig.setpoint(A, value=10.0), rig.setpoint(B, value=10.0)]

    receipts = await rig.apply(*setpoints)

    assert {r.outcome for r in receipts.values()} == {Outcome.APPLIED}
    assert (await rig.state()).mode is Mode.HELD
    await rig.link.release([A, B, C])
    assert [s.mode for s in await rig.link.state([A, B, C])] == [Mode.FREE] * 3


async def test_a_home_frees_itself_while_the_broker_is_gone(rig: Rig):
    setpoint = rig.setpoint(minutes=0.3)
    await rig.apply(setpoint)

    await rig.cut()
    await rig.clock.sleep_until(setpoint.until)
    await rig.mend()
    await rig.wait(2)

    assert (await rig.state()).mode is Mode.FREE


async def test_readings_come_again_after_the_broker_came_back(rig: Rig):
    """A clean session has lost its subscriptions: both sides subscribe anew."""
    await rig.cut()
    await rig.wait(1)
    await rig.mend()

    async with asyncio.timeout(20):
        async for batch in rig.link.reports():
            if any(isinstance(r, Reading) for r in batch):
                break
