"""One rig per protocol: three fake devices behind a real server, and a link to them."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any, TypeVar

from adapters.broker import Broker
from adapters.registry import open_link
from controller.clock import DemoClock, Segment, StartLine
from controller.config import load_config
from controller.model.commands import (
    Control,
    DeviceState,
    Mode,
    Outcome,
    Override,
    Reading,
    Receipt,
    Setpoint,
)
from controller.model.ids import (
    CustomerId,
    EventId,
    FeederId,
    LinkId,
    MeterId,
    ProfileId,
    ResourceId,
    SetpointId,
    ZoneId,
    new_uuid7,
)
from controller.model.resources import Fleet, Meter, Resource, ResourceKind
from controller.model.settings import LinkSettings, Profile
from controller.ports import Link
from simulators.servers.modbus import ModbusGateway
from simulators.servers.mqtt import Home, HomeGateway
from simulators.servers.opcua import PlantServer
from simulators.servers.panel import Panel
from tests.adapters.fakes import FakeDevices

EPOCH = datetime(2014, 1, 28, 6, 0, tzinfo=UTC)
SPEED = 60.0
"""A simulated minute per second."""

A, B, C = ResourceId("dev-a"), ResourceId("dev-b"), ResourceId("dev-c")
FENCE = 7
PROFILES = load_config(Path(__file__).parents[2] / "configs" / "demo").profiles
DEFAULT_PROFILE = {
    "modbus": ProfileId("plc-load-modbus"),
    "opcua": ProfileId("plant-opcua"),
    "mqtt": ProfileId("home-ac"),
}

T = TypeVar("T")
Step = Callable[[], Awaitable[None]]


@dataclass(kw_only=True)
class Rig:
    """A link, the devices at its other end, and ways to disturb what lies between."""

    link: Link
    devices: FakeDevices
    clock: DemoClock
    profile: Profile
    timeout_s: float
    cut: Step
    """Take the whole line down."""
    mend: Step
    mute: Callable[[ResourceId], None]
    """Make one device silent, its neighbours not."""
    garble: Step
    """Send the adapter bytes that are no message."""
    random: Random = field(default_factory=lambda: Random(1))

    def setpoint(
        self,
        resource_id: ResourceId = A,
        *,
        value: float = 10.0,
        control: Control | None = None,
        minutes: float = 60.0,
        hold_minutes: float = 240.0,
        fence: int = FENCE,
    ) -> Setpoint:
        """A setpoint from now on, `until` a whole second as devices have it."""
        now = self.clock.now()
        until = (now + timedelta(minutes=minutes)).replace(microsecond=0) + timedelta(seconds=1)
        return Setpoint(
            id=SetpointId(new_uuid7(now, self.random)),
            event_id=EventId("event"),
            resource_id=resource_id,
            control=control or self.profile.controls[0],
            value=value,
            start=now.replace(microsecond=0),
            until=until,
            hold_s=hold_minutes * 60,
            revision=1,
            fence=fence,
        )

    async def apply(self, *setpoints: Setpoint) -> dict[SetpointId, Receipt]:
        """Every receipt by setpoint; more than one for a setpoint is a fault."""
        found: dict[SetpointId, Receipt] = {}
        async for receipts in self.link.apply(setpoints):
            for receipt in receipts:
                assert receipt.setpoint_id is not None
                assert receipt.setpoint_id not in found
                found[receipt.setpoint_id] = receipt
        return found

    async def state(self, resource_id: ResourceId = A) -> DeviceState:
        [state] = await self.link.state([resource_id])
        return state

    async def wait(self, minutes: float) -> None:
        await self.clock.sleep_until(self.clock.now() + timedelta(minutes=minutes))

    async def wait_for(self, mode: Mode, resource_id: ResourceId = A) -> DeviceState:
        """Ask until the device says `mode`; the test's own timeout ends it."""
        while (state := await self.state(resource_id)).mode is not mode:
            await self.wait(0.2)
        return state

    async def reports_until(
        self, wanted: Callable[[Reading | Override], bool]
    ) -> list[Reading | Override]:
        """Everything reported up to and with the first that is `wanted`."""
        seen: list[Reading | Override] = []
        async for batch in self.link.reports():
            seen += batch
            if any(wanted(item) for item in batch):
                break
        return seen


def a_setpoint(resource_id: ResourceId = A, start: datetime = EPOCH) -> Setpoint:
    """A cap of 1 kW for an hour, named after its device."""
    return Setpoint(
        id=SetpointId(f"id-{resource_id}"),
        event_id=EventId("event"),
        resource_id=resource_id,
        control=Control.CAP_KW,
        value=1.0,
        start=start,
        until=start + timedelta(hours=1),
        hold_s=3600.0,
        revision=1,
        fence=FENCE,
    )


async def outcomes(link: Link, *setpoints: Setpoint) -> list[Outcome]:
    """What came of each setpoint, in the order of the receipts."""
    return [r.outcome async for receipts in link.apply(setpoints) for r in receipts]


def running_clock(speed: float = SPEED) -> DemoClock:
    clock = DemoClock(EPOCH)
    segments = (Segment(start=EPOCH, speed=speed),)
    clock.start(StartLine(mono0_s=time.monotonic(), segments=segments))
    return clock


def fleet_of(profile: Profile, link: LinkId, addresses: dict[ResourceId, str]) -> Fleet:
    """Devices of one profile, each behind a meter of its own."""
    resources = tuple(
        Resource(
            id=r,
            kind=ResourceKind.FACTORY,
            zone=ZoneId("zone"),
            feeder=FeederId("feeder"),
            meter_id=MeterId(f"meter-{r}"),
            rated_kw=200.0,
            link=link,
            profile=profile.id,
            address=address,
        )
        for r, address in addresses.items()
    )
    meters = tuple(
        Meter(id=r.meter_id, customer_id=CustomerId(f"customer-{r.id}"), resource_ids=(r.id,))
        for r in resources
    )
    return Fleet(resources=resources, meters=meters)


def settings_of(protocol: str, port: int, timeout_s: float, **options: str | float) -> LinkSettings:
    return LinkSettings(
        id=LinkId("link"),
        protocol=protocol,
        host="127.0.0.1",
        port=port,
        timeout_s=timeout_s,
        poll_every=timedelta(seconds=6),
        options={"retry_most_s": 0.2, **options},
    )


@asynccontextmanager
async def modbus_rig(profile_id: ProfileId) -> AsyncIterator[Rig]:
    profile, clock, devices = PROFILES[profile_id], running_clock(), FakeDevices()
    fleet = fleet_of(profile, LinkId("link"), {A: "1", B: "2", C: "3"})
    panels = {int(r.address): Panel(r, profile, devices, clock.now) for r in fleet}
    gateway = ModbusGateway(panels)
    settings = settings_of("modbus", await gateway.open(), timeout_s=1.0)

    async def mend() -> None:
        await gateway.open()

    async def garble() -> None:
        """The next connection is answered with noise, as by a wrong server on the port."""
        await gateway.drop()
        async with noise_server(gateway.port):
            await rig.apply(rig.setpoint())
        await gateway.open()

    try:
        async with open_link(settings, fleet, PROFILES, clock, fence=FENCE, run_id="t") as link:
            rig = Rig(link=link, devices=devices, clock=clock, profile=profile, timeout_s=1.0,
                      cut=gateway.drop, mend=mend, mute=devices.mute, garble=garble)  # fmt: skip
            yield rig
    finally:
        await gateway.close()


@asynccontextmanager
async def mqtt_rig(
    profile_id: ProfileId, *, batched: bool = True, make_broker: Callable[[], Any] = Broker
) -> AsyncIterator[Rig]:
    profile, clock, devices = PROFILES[profile_id], running_clock(), FakeDevices()
    fleet = fleet_of(profile, LinkId("link"), {A: "home-a", B: "home-b", C: "home-c"})
    devices.index_of = fleet.index_of
    homes = [Home(r, profile, devices, clock) for r in fleet]
    gateway = HomeGateway(homes, devices, clock, every=timedelta(seconds=30), batched=batched)

    async def garble() -> None:
        bodies = [b"", b"{", b"\xff\xfe", b"[]", b'{"at":-1}', b"x" * 100_000,
                  b'{"at":1,"homes":["home-a"],"values":{"w":[1,2]}}',
                  b'{"at":1e300,"values":{"w":1}}', b'{"at":1,"values":{"w":"1"}}']  # fmt: skip
        for topic in ("a/home-a", "o/home-a", "t/home-a", "tb/0", "a/stranger", "t/stranger"):
            for body in bodies:
                gateway.publish(topic, body)

    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(make_broker())
        await gateway.open(broker.host, broker.port)
        stack.push_async_callback(gateway.close)
        settings = settings_of("mqtt", broker.port, timeout_s=0.6)
        link = await stack.enter_async_context(
            open_link(settings, fleet, PROFILES, clock, fence=FENCE, run_id="t")
        )
        await stack.enter_async_context(running(gateway.run()))
        yield Rig(link=link, devices=devices, clock=clock, profile=profile,
                  timeout_s=settings.timeout_s, cut=broker.stop, mend=broker.restart,
                  mute=devices.mute, garble=garble)  # fmt: skip


class LoopThread:
    """An event loop in a thread, for a server that takes too long to start for every test."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[None, None, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    async def arun(self, work: Coroutine[None, None, T]) -> T:
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()


@lru_cache
def plant_server(profile_id: ProfileId) -> tuple[LoopThread, PlantServer]:
    """One server for the whole run; `opcua_rig` puts other panels behind its nodes."""
    thread = LoopThread()
    server = PlantServer(_panels(profile_id, FakeDevices(), running_clock()))
    thread.run(server.open())
    return thread, server


def _panels(profile_id: ProfileId, devices: FakeDevices, clock: DemoClock) -> list[Panel]:
    profile = PROFILES[profile_id]
    fleet = fleet_of(profile, LinkId("link"), {A: "SiteA", B: "SiteB", C: "SiteC"})
    return [Panel(r, profile, devices, clock.now) for r in fleet]


@asynccontextmanager
async def opcua_rig(profile_id: ProfileId) -> AsyncIterator[Rig]:
    thread, server = plant_server(profile_id)
    profile, clock, devices = PROFILES[profile_id], running_clock(), FakeDevices()
    panels = _panels(profile_id, devices, clock)
    server.panels = {p.resource.address: p for p in panels}
    fleet = fleet_of(
        profile, LinkId("link"), {r.id: r.address for r in (p.resource for p in panels)}
    )
    settings = settings_of("opcua", server.port, timeout_s=1.0)

    async def cut() -> None:
        await thread.arun(server.drop())

    async def mend() -> None:
        await thread.arun(server.restore())

    async def garble() -> None:
        """The next connection is answered with noise, as by a wrong server on the port."""
        await cut()
        async with noise_server(server.port):
            await rig.apply(rig.setpoint())
        await mend()

    async with open_link(settings, fleet, PROFILES, clock, fence=FENCE, run_id="t") as link:
        rig = Rig(link=link, devices=devices, clock=clock, profile=profile, timeout_s=1.0,
                  cut=cut, mend=mend, mute=devices.mute, garble=garble)  # fmt: skip
        yield rig


@asynccontextmanager
async def running(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """`work` beside the body, cancelled when the body ends."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(work)
        yield
        task.cancel()


RIGS = {"modbus": modbus_rig, "opcua": opcua_rig, "mqtt": mqtt_rig}


@asynccontextmanager
async def noise_server(port: int) -> AsyncIterator[None]:
    """A server that answers anything with bytes of no protocol, and hangs up only at the end."""
    lines: list[asyncio.StreamWriter] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines.append(writer)
        while await reader.read(1000):
            writer.write(b"\x00\x01HTTP/1.1 400 \xff\xfe\x00\x00" * 20)

    server = await asyncio.start_server(answer, "127.0.0.1", port)
    yield
    server.close()
    for line in lines:  # since Python 3.12 wait_closed waits for them
        line.close()
    await server.wait_closed()
