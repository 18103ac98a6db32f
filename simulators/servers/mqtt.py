"""Homes over MQTT: one process and one connection for all of them, as a home gateway would be.

Commands and answers go by a topic per home. Readings go in batches of a hundred homes, a part of
the fleet at a time, or one message per home (`batched` False), the other shape of the wire.

`python -m simulators.servers.mqtt --config DIR --scenario FILE --out DIR --broker HOST:PORT`
"""

import asyncio
import os
import socket
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from controller.errors import InputError
from controller.model.commands import Control, Mode, Outcome, Override, Setpoint
from controller.model.ids import EventId, SetpointId
from controller.model.resources import Resource
from controller.model.settings import Point, Profile
from simulators.servers.firmware import Devices, Firmware, MeteredDevices, Verdict
from simulators.servers.shell import Clock, Scene, Served, main

BATCH = 100
SLICES = 5
LEAST_PAUSE_S = 0.02
"""Real seconds between two looks at the physics: faster than that nobody could tell."""

_WRITES = {
    Control.CAP_KW: "cap_kw",
    Control.POWER_KW: "power_kw_set",
    Control.OFF: "off",
    Control.OFFSET_C: "offset_c",
    Control.CHARGE_KW: "charge_kw",
}


class Command(msgspec.Struct, frozen=True):
    """A command as a home reads it."""

    op: str
    id: str
    seq: int
    fence: int
    expires: float
    start: float = 0.0
    until: float = 0.0
    hold_s: float = 0.0
    set: dict[str, float | bool] = {}


class Home:
    """One home's end of the wire."""

    def __init__(self, resource: Resource, profile: Profile, devices: Devices, clock: Clock):
        self.resource = resource
        self.profile = profile
        self.firmware = Firmware(resource.id, devices, clock.now)
        self._now = clock.now
        self._newest = (0, 0)

    def answer(self, command: Command) -> dict[str, Any]:
        """Do what is asked and say what became of it."""
        verdict = self._do(command)
        state, told = self.firmware.state(), self.firmware.told
        said: dict[str, Any] = {
            "id": command.id,
            "outcome": str(verdict.outcome),
            "detail": verdict.detail,
            "mode": str(state.mode),
        }
        if state.mode is Mode.HELD and told is not None:
            point = self.profile.points[_WRITES[told.control]]
            said["until"] = told.until.timestamp()
            said["setpoint_id"] = told.id
            said["set"] = {point.address: _shown(point, told.value)}
        return said

    def _do(self, command: Command) -> Verdict:
        if command.op == "state":
            return Verdict(outcome=Outcome.APPLIED)
        if (command.fence, command.seq) < self._newest:
            return Verdict(outcome=Outcome.REFUSED, detail="older than the last command")
        self._newest = (command.fence, command.seq)
        if command.expires <= self._now().timestamp():
            return Verdict(outcome=Outcome.LATE, detail="expired on the way")
        if command.op == "release":
            return self.firmware.release(command.fence)
        for control in self.profile.controls:
            point = self.profile.points[_WRITES[control]]
            if point.address in command.set:
                return self.firmware.hold(self._setpoint(command, control, point))
        return Verdict(outcome=Outcome.REFUSED, detail="nothing that this home can do")

    def _setpoint(self, command: Command, control: Control, point: Point) -> Setpoint:
        return Setpoint(
            id=SetpointId(command.id),
            event_id=EventId(""),
            resource_id=self.resource.id,
            control=control,
            value=_meant(point, float(command.set[point.address])),
            start=datetime.fromtimestamp(command.start, UTC),
            until=datetime.fromtimestamp(command.until, UTC),
            hold_s=command.hold_s,
            revision=0,
            fence=command.fence,
        )


class HomeGateway:
    """All homes on one connection: `await open()`, `run()` in a task, `await close()`."""

    def __init__(
        self,
        homes: Sequence[Home],
        devices: MeteredDevices,
        clock: Clock,
        *,
        every: timedelta = timedelta(minutes=5),
        batched: bool = True,
        prefix: str = "ps",
        client_id: str = "homes",
    ) -> None:
        self._homes = {home.resource.address: home for home in homes}
        self._by_id = {home.resource.id: home for home in homes}
        self._by_profile: dict[str, list[Home]] = {}
        for home in homes:
            self._by_profile.setdefault(home.profile.id, []).append(home)
        self._devices = devices
        self._clock = clock
        self._every = every
        self._batched = batched
        self._prefix = prefix
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._woken = False
        self._subscribed = asyncio.Event()
        self._client = self._make_client(client_id)
        self.answering = True
        """False: commands are executed and nothing is said; the answers of a bad line."""
        self.dropped = 0

    async def open(self, host: str, port: int) -> None:
        """Connect; returns when commands can come in. Raises TimeoutError."""
        self._client.connect_async(host, port, keepalive=30)
        self._client.loop_start()
        async with asyncio.timeout(10):
            await self._subscribed.wait()

    async def run(self) -> None:
        """Publish readings and overrides as they fall due, until cancelled.

        Each slice of a period belongs to every fifth home of each profile. What fell due while
        the process was busy is published late, not skipped.
        """
        step = self._every / SLICES
        due = self._clock.now()
        while True:
            due += step
            await self._clock.sleep_until(due)
            slice_ = int(due.timestamp() / step.total_seconds()) % SLICES
            self.publish_overrides()
            for homes in self._by_profile.values():
                self.publish_readings(due, homes[slice_::SLICES])
            behind = self._clock.now() >= due + step
            await asyncio.sleep(0 if behind else LEAST_PAUSE_S)

    async def close(self) -> None:
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)

    def publish_readings(self, at: datetime, homes: Sequence[Home]) -> None:
        """What these homes (of one profile) measure at `at`: a hundred in a message, or one."""
        cuts = self._devices.faults.cuts
        reached = [h for h in homes if h.resource.id not in cuts or h.firmware.reachable]
        if not reached:
            return
        indexes = np.array([self._devices.index_of[h.resource.id] for h in reached])
        own_kw, meter_kw = self._devices.mean_since_kw(indexes, at)
        measured = {
            "power_kw": own_kw,
            "meter_kw": meter_kw,
            "soc_frac": self._devices.soc_frac(at)[indexes],
            "temperature_c": self._devices.temperature_c(at)[indexes],
        }
        columns = {
            point.address: _column(point, measured[name])
            for name, point in reached[0].profile.points.items()
            if name in measured
        }
        names = [h.resource.address for h in reached]
        if self._batched:
            self._publish_batches(at, reached[0].profile.id, names, columns)
            return
        for i, name in enumerate(names):
            values = {key: v for key, column in columns.items() if (v := column[i]) is not None}
            self.publish(f"t/{name}", {"at": at.timestamp(), "values": values})

    def publish_overrides(self) -> None:
        for override in self._devices.overrides(self._clock.now()):
            self._publish_override(override)

    def publish(self, topic: str, body: object) -> None:
        """`body` as JSON, or as it is when it is bytes already."""
        payload = body if isinstance(body, bytes) else msgspec.json.encode(body)
        self._client.publish(f"{self._prefix}/{topic}", payload, qos=0)

    def _publish_batches(
        self, at: datetime, group: str, names: list[str], columns: dict[str, list[float | None]]
    ) -> None:
        for n in range(0, len(names), BATCH):
            body = {
                "at": at.timestamp(),
                "homes": names[n : n + BATCH],
                "values": {key: column[n : n + BATCH] for key, column in columns.items()},
            }
            self.publish(f"tb/{group}", body)

    def _publish_override(self, override: Override) -> None:
        home = self._by_id.get(override.resource_id)
        if home is not None:
            body = {
                "at": override.at.timestamp(),
                "source": str(override.source),
                "until": None if override.until is None else override.until.timestamp(),
                "reason": override.reason,
            }
            self.publish(f"o/{home.resource.address}", body)

    def _obey(self) -> None:
        """Take every command that has come in."""
        self._woken = False
        while self._waiting:
            topic, payload = self._waiting.popleft()
            home = self._homes.get(topic.rsplit("/", 1)[1])
            try:
                command = msgspec.json.decode(payload, type=Command)
            except msgspec.MsgspecError:
                self.dropped += 1
                continue
            if home is None or not home.firmware.reachable:
                self.dropped += 1
                continue
            answer = home.answer(command)
            if self.answering:
                self.publish(f"a/{home.resource.address}", answer)
        self.publish_overrides()

    def _make_client(self, client_id: str) -> Client:
        client = Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, protocol=MQTTProtocolVersion.MQTTv311
        )
        client.suppress_exceptions = True
        client.max_inflight_messages_set(0)
        client.reconnect_delay_set(1, 5)
        client.on_socket_open = self._on_socket_open
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        return client

    def _on_socket_open(self, client: Client, userdata: object, sock: Any) -> None:
        with suppress(OSError):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _on_connect(
        self, client: Client, userdata: object, flags: object, code: Any, properties: object
    ) -> None:
        client.subscribe(f"{self._prefix}/c/+", 0)

    def _on_subscribe(
        self, client: Client, userdata: object, mid: int, codes: list[Any], properties: object
    ) -> None:
        if not any(code.is_failure for code in codes):
            self._loop.call_soon_threadsafe(self._subscribed.set)

    def _on_message(self, client: Client, userdata: object, message: MQTTMessage) -> None:
        self._waiting.append((message.topic, bytes(message.payload)))
        if not self._woken:
            self._woken = True
            self._loop.call_soon_threadsafe(self._obey)


def _shown(point: Point, value: float) -> float | bool:
    """What a home with this point says for `value`."""
    if point.type == "bool":
        return value > 0.5
    return ((-value if point.sign < 0 else value) - point.offset) / point.scale


def _column(point: Point, values: NDArray[np.float64]) -> list[float | None]:
    """What homes with this point say; None where nothing is measured."""
    raw = (values * point.sign - point.offset) / point.scale
    found: list[float | None] = np.round(raw, 3).tolist()
    return [None if v != v else v for v in found] if np.isnan(raw).any() else found


def _meant(point: Point, shown: float) -> float:
    value = point.scale * shown + point.offset
    return value * point.sign


@asynccontextmanager
async def _serve(scene: Scene) -> AsyncIterator[Served]:
    """One connection per link, all to one broker."""
    if scene.broker is None:
        raise InputError("the homes need a broker", hint="Give --broker HOST:PORT.")
    host, port = scene.broker
    work: list[Coroutine[Any, Any, None]] = []
    async with AsyncExitStack() as stack:
        for link in scene.links:
            homes = [
                Home(r, scene.config.profiles[r.profile], scene.population, scene.clock)
                for r in scene.population.resources
                if r.link == link.id
            ]
            gateway = HomeGateway(
                homes,
                scene.population,
                scene.clock,
                every=link.poll_every,
                batched=bool(link.options.get("batched", True)),
                prefix=str(link.options.get("prefix", "ps")),
                client_id=f"{link.id}-{os.getpid()}",
            )
            await gateway.open(host, port)
            stack.push_async_callback(gateway.close)
            work.append(gateway.run())
        yield Served(ports={link.id: port for link in scene.links}, work=work)


if __name__ == "__main__":
    main("mqtt", _serve)
