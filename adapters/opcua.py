"""OPC UA: one session with a server that stands for many devices, read and written in batches.

A resource's `address` is the name of its object; the node of a point is `<address>.<point>` in
the link's namespace. After a failure the session is thrown away and a new one made (why:
docs/decisions/0007); devices are polled, so no subscription is lost with it.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaerrors import UaError

from adapters.parts import (
    BackOff,
    Doubts,
    Opening,
    OverrideWatch,
    Spoken,
    batches,
    cancellable,
    poll_times,
    receipt,
    refusal,
    release_receipt,
    require_private,
)
from adapters.points import (
    Raw,
    RawByPoint,
    hold_values,
    mode_of,
    outcome_of,
    read_back,
    readings_of,
    release_values,
    state_of,
    watched,
)
from adapters.profile import UnfitValueError
from controller.model.commands import (
    DeviceState,
    Mode,
    Outcome,
    Override,
    Reading,
    Receipt,
    Setpoint,
)
from controller.model.ids import ResourceId
from controller.model.settings import LinkSettings, Profile

T = TypeVar("T")

_CHUNK = 50
"""Devices in one request."""

_FAREWELL_S = 0.3
"""Real seconds for taking leave of a broken session."""

_VARIANTS = {
    "int16": ua.VariantType.Int16,
    "uint16": ua.VariantType.UInt16,
    "int32": ua.VariantType.Int32,
    "uint32": ua.VariantType.UInt32,
    "float32": ua.VariantType.Float,
    "float64": ua.VariantType.Double,
    "bool": ua.VariantType.Boolean,
    "string": ua.VariantType.String,
}
_NO_WAY_TO_THE_DEVICE = frozenset(
    {
        StatusCodes.BadNoCommunication,
        StatusCodes.BadNotConnected,
        StatusCodes.BadCommunicationError,
        StatusCodes.BadDeviceFailure,
        StatusCodes.BadTimeout,
        StatusCodes.BadWaitingForInitialData,
    }
)


@asynccontextmanager
async def open_opcua(opening: Opening) -> AsyncIterator["OpcuaLink"]:
    """The link to one OPC UA server. It opens even while the server is down.

    Options: `namespace` (urn:peakshare:plant), the URI of the devices' namespace; `path` of the
    endpoint; `security` (policy,mode,certificate,key as asyncua writes it); `plain_text` (true)
    to speak unsecured to another machine; `retry_most_s` (5) between attempts to connect.
    """
    logging.getLogger("asyncua").setLevel(logging.CRITICAL)
    require_private(opening.settings, secured="security" in opening.settings.options)
    link = OpcuaLink(opening)
    try:
        yield link
    finally:
        await link.session.close()


class _SilentError(Exception):
    """No session, no answer or no way from the server to the device."""


class OpcuaLink:
    """`controller.ports.Link` over one OPC UA session."""

    def __init__(self, opening: Opening) -> None:
        self.session = _Session(opening.settings)
        self._settings = opening.settings
        self._clock = opening.clock
        self._fence = opening.fence
        self._devices = {
            r.id: Spoken(resource=r, profile=opening.profiles[r.profile])
            for r in opening.fleet.where(link=opening.settings.id)
        }
        self._doubts = Doubts()
        self.faults: Counter[str] = Counter()

    async def apply(self, setpoints: Sequence[Setpoint]) -> AsyncIterator[Sequence[Receipt]]:
        deadline = self._deadline()
        for chunk in batches(setpoints, _CHUNK):
            outcomes = await self._try_to_hold(chunk, deadline)
            now = self._clock.now()
            yield [receipt(s, now, *outcomes[s.resource_id]) for s in chunk]

    async def release(self, resource_ids: Sequence[ResourceId]) -> Sequence[Receipt]:
        try:
            async with asyncio.timeout_at(self._deadline()):
                outcomes = await self._let_go(resource_ids)
        except (_SilentError, TimeoutError) as error:
            why = (Outcome.UNREACHABLE, str(error) or "no answer in time")
            outcomes = dict.fromkeys(resource_ids, why)
        now = self._clock.now()
        return [release_receipt(r, now, *outcomes[r]) for r in resource_ids]

    async def state(self, resource_ids: Sequence[ResourceId]) -> Sequence[DeviceState]:
        read: dict[ResourceId, dict[str, Raw]] = {}
        with suppress(_SilentError, TimeoutError):
            async with asyncio.timeout_at(self._deadline()):
                read = await self._read({r: read_back(self._profile(r)) for r in resource_ids})
        return [self._state(r, read.get(r)) for r in resource_ids]

    async def reports(self) -> AsyncIterator[Sequence[Reading | Override]]:
        watch = OverrideWatch()
        names = {r: watched(device.profile) for r, device in self._devices.items()}
        async for _ in poll_times(self._clock, self._settings.poll_every):
            try:
                async with asyncio.timeout_at(self._deadline()):
                    read = await self._read(names)
            except (_SilentError, TimeoutError):
                self.faults["poll without an answer"] += 1
                continue
            now = self._clock.now()
            found: list[Reading | Override] = []
            for r, raw in read.items():
                device = self._devices[r]
                found += readings_of(device.profile, device.resource, raw, now)
                found += watch.seen(r, mode_of(raw), now)
            if found:
                yield found

    async def _try_to_hold(
        self, setpoints: Sequence[Setpoint], deadline: float
    ) -> dict[ResourceId, tuple[Outcome, str]]:
        now = self._clock.now()
        outcomes: dict[ResourceId, tuple[Outcome, str]] = {}
        wanted: dict[ResourceId, tuple[Setpoint, dict[str, Raw]]] = {}
        for s in setpoints:
            device = self._devices[s.resource_id]
            try:
                if refused := refusal(s, device.resource, now):
                    outcomes[s.resource_id] = refused
                else:
                    wanted[s.resource_id] = (s, hold_values(device.profile, s, now))
            except UnfitValueError as error:
                outcomes[s.resource_id] = (Outcome.REFUSED, str(error))
        try:
            async with asyncio.timeout_at(deadline):
                outcomes |= await self._hold(wanted)
        except (_SilentError, TimeoutError) as error:
            why = (Outcome.UNREACHABLE, str(error) or "no answer in time")
            outcomes |= dict.fromkeys(wanted, why)
        for r, (s, _) in wanted.items():
            if outcomes[r][0] is Outcome.UNREACHABLE:
                self._doubts.remember(s.id)
            else:
                self._doubts.forget(s.id)
        return outcomes

    async def _hold(
        self, wanted: Mapping[ResourceId, tuple[Setpoint, dict[str, Raw]]]
    ) -> dict[ResourceId, tuple[Outcome, str]]:
        outcomes = await self._taken_before([s for s, _ in wanted.values()])
        values = {r: raw for r, (_, raw) in wanted.items() if r not in outcomes}
        if not values:
            return outcomes
        refused = await self._write(values)
        read = await self._read({r: read_back(self._profile(r)) for r in values})
        now = self._clock.now()
        for r, wrote in values.items():
            if r not in read:
                outcomes[r] = (Outcome.UNREACHABLE, "the server has no way to the device")
                continue
            outcome, why = outcome_of(self._profile(r), wrote, read[r], wanted[r][0], now)
            outcomes[r] = (outcome, refused.get(r, why) if outcome is Outcome.REFUSED else why)
        return outcomes

    async def _taken_before(
        self, setpoints: Sequence[Setpoint]
    ) -> dict[ResourceId, tuple[Outcome, str]]:
        """Those of an earlier attempt, whose answer was lost, that the device has after all."""
        doubtful = {s.resource_id: s for s in setpoints if s.id in self._doubts}
        if not doubtful:
            return {}
        read = await self._read({r: read_back(self._profile(r)) for r in doubtful})
        held = {r: self._state(r, raw).setpoint_id for r, raw in read.items()}
        late = (Outcome.LATE, "taken at an earlier attempt, whose answer was lost")
        return {r: late for r, s in doubtful.items() if held.get(r) == s.id}

    async def _let_go(
        self, resource_ids: Sequence[ResourceId]
    ) -> dict[ResourceId, tuple[Outcome, str]]:
        ours = [r for r in resource_ids if self._profile(r).controls]
        refused = await self._write(
            {r: release_values(self._profile(r), self._fence) for r in ours}
        )
        read = await self._read({r: read_back(self._profile(r)) for r in ours})
        outcomes = dict.fromkeys(resource_ids, (Outcome.APPLIED, ""))
        for r in ours:
            if r not in read:
                outcomes[r] = (Outcome.UNREACHABLE, "the server has no way to the device")
            elif mode_of(read[r]) is Mode.HELD:
                why = refused.get(r) or str(read[r].get("refusal", ""))
                outcomes[r] = (Outcome.REFUSED, why or "the device is still held")
        return outcomes

    async def _write(self, values: Mapping[ResourceId, RawByPoint]) -> dict[ResourceId, str]:
        """Write everything in one request; what the server did not take, by device."""
        spots = [(r, name, raw) for r, by_name in values.items() for name, raw in by_name.items()]
        nodes = [self._node(r, name) for r, name, _ in spots]
        variants = [
            ua.Variant(raw, _VARIANTS[self._profile(r).points[name].type]) for r, name, raw in spots
        ]
        codes = await self.session.write(nodes, variants)
        return {
            r: f"{name}: {code.name}"
            for (r, name, _), code in zip(spots, codes, strict=True)
            if not code.is_good() and code.value not in _NO_WAY_TO_THE_DEVICE
        }

    async def _read(
        self, names: Mapping[ResourceId, Sequence[str]]
    ) -> dict[ResourceId, dict[str, Raw]]:
        """What each device shows; one without its `mode`, or without anything, is left out."""
        spots = [(r, name) for r, of in names.items() for name in of]
        values = await self.session.read([self._node(r, name) for r, name in spots])
        read: dict[ResourceId, dict[str, Raw]] = {r: {} for r in names}
        for (r, name), value in zip(spots, values, strict=True):
            text = self._profile(r).points[name].type == "string"
            if isinstance(value, str if text else int | float):
                read[r][name] = value
        return {r: raw for r, raw in read.items() if raw and ("mode" in raw or not names[r])}

    def _state(self, resource_id: ResourceId, read: RawByPoint | None) -> DeviceState:
        device, now = self._devices[resource_id], self._clock.now()
        if read is None or "enable" not in read:
            return DeviceState(resource_id=resource_id, at=now, mode=Mode.UNKNOWN)
        return state_of(device.profile, device.resource, read, now)

    def _profile(self, resource_id: ResourceId) -> Profile:
        return self._devices[resource_id].profile

    def _node(self, resource_id: ResourceId, name: str) -> str:
        device = self._devices[resource_id]
        return f"{device.resource.address}.{device.profile.points[name].address}"

    def _deadline(self) -> float:
        return asyncio.get_running_loop().time() + self._settings.timeout_s


class _Session:
    """The session: made when needed, thrown away at the first failure, with a pause between."""

    def __init__(self, settings: LinkSettings) -> None:
        self._settings = settings
        self._lock = asyncio.Lock()
        self._client: Client | None = None
        self._namespace = 0
        self._dead: list[Client] = []
        self._pause = BackOff(most_s=float(settings.options.get("retry_most_s", 5.0)))

    async def read(self, names: Sequence[str]) -> list[object]:
        """One value per node, None where its status is bad. Raises _SilentError."""
        client = await self._connected()
        nodes = [self._node_id(name) for name in names]
        ask = client.uaclient.read_attributes(nodes, AttributeIds.Value)
        return [_value(answer) for answer in await self._answers(client, ask, len(nodes))]

    async def write(
        self, names: Sequence[str], variants: Sequence[ua.Variant]
    ) -> list[ua.StatusCode]:
        """One status per node. Raises _SilentError."""
        client = await self._connected()
        nodes = [self._node_id(name) for name in names]
        bare = [ua.DataValue(variant) for variant in variants]
        ask = client.uaclient.write_attributes(nodes, bare, AttributeIds.Value)
        return await self._answers(client, ask, len(nodes))

    async def close(self) -> None:
        """End the session; a server that does not answer is not waited for."""
        if self._client is not None:
            self._lost(self._client)
        await self._bury()

    async def _answers(self, client: Client, ask: Awaitable[list[T]], count: int) -> list[T]:
        """The answers, as many as asked; anything else ends the session."""
        try:
            with cancellable():
                answers = await ask
        except (UaError, OSError, TimeoutError) as error:
            raise self._lost(client) from error
        except asyncio.CancelledError:
            self._lost(client)
            raise
        if len(answers) != count:
            raise self._lost(client)
        return answers

    async def _connected(self) -> Client:
        async with self._lock:
            if self._client is not None:
                return self._client
            await self._bury()
            if not self._pause.over():
                raise _SilentError("not connected; the next attempt is yet to come")
            client = self._make_client()
            try:
                with cancellable():
                    await self._connect(client)
            except (UaError, OSError, TimeoutError, ValueError) as error:
                self._dead.append(client)
                self._pause.failed()
                where = f"{self._settings.host}:{self._settings.port}"
                raise _SilentError(f"no session with {where}") from error
            except asyncio.CancelledError:
                self._dead.append(client)
                self._pause.failed()
                raise
            self._pause.worked()
            self._client = client
            return client

    async def _connect(self, client: Client) -> None:
        options = self._settings.options
        if security := options.get("security"):
            await client.set_security_string(str(security))
        await client.connect()
        uri = str(options.get("namespace", "urn:peakshare:plant"))
        self._namespace = await client.get_namespace_index(uri)

    def _make_client(self) -> Client:
        settings = self._settings
        url = f"opc.tcp://{settings.host}:{settings.port}{settings.options.get('path', '')}"
        return Client(url, timeout=settings.timeout_s, watchdog_intervall=10.0)

    def _node_id(self, name: str) -> ua.NodeId:
        return ua.NodeId(ua.String(name), ua.Int16(self._namespace))

    def _lost(self, client: Client) -> _SilentError:
        if self._client is client:
            self._client = None
            self._dead.append(client)
        return _SilentError("the session broke")

    async def _bury(self) -> None:
        """Let go of what broken sessions still hold: sockets and tasks of the library."""
        dead, self._dead = self._dead, []
        for client in dead:
            with cancellable(), suppress(UaError, OSError, TimeoutError):
                async with asyncio.timeout(_FAREWELL_S):
                    await client.disconnect()


def _value(answer: ua.DataValue) -> object:
    good = answer.StatusCode is None or answer.StatusCode.is_good()
    return answer.Value.Value if good and answer.Value is not None else None
