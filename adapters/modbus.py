"""Modbus TCP: one gateway with one or many units behind one socket.

One request at a time, since a gateway answers in order and a serial line behind it must. After
any silence the socket is closed, so that a late answer can never be taken for the next one's.
A resource's `address` is its unit id.
"""

import asyncio
import logging
import struct
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU

from adapters.parts import (
    BackOff,
    Doubts,
    Opening,
    OverrideWatch,
    cancellable,
    poll_times,
    receipt,
    refusal,
    release_receipt,
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
from controller.errors import LinkSettingsError
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
from controller.model.resources import Resource
from controller.model.settings import LinkSettings, Point, Profile

_EXCEPTIONS = {
    1: "illegal function",
    2: "illegal address",
    3: "illegal value",
    4: "device failure",
    6: "device busy",
}
_GATEWAY_SILENT = (10, 11)
"""Exception codes by which a gateway says that the device behind it does not answer."""

_MOST_REGISTERS = 120
"""Registers in one request (the protocol allows 123 to write and 125 to read)."""

_FORMATS = {
    "int16": ">h",
    "uint16": ">H",
    "bool": ">H",
    "int32": ">i",
    "uint32": ">I",
    "float32": ">f",
    "float64": ">d",
}

Spot = tuple[str, int]
"""A register: its table (holding, input) and number."""


@asynccontextmanager
async def open_modbus(opening: Opening) -> AsyncIterator["ModbusLink"]:
    """The link to one gateway. It opens even while the gateway is down; receipts tell.

    Options: `request_timeout_s` (a third of the link's deadline) is how long one unit may be
    silent; `retry_most_s` (5) the longest pause between attempts to connect.
    """
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
    link = ModbusLink(opening)
    try:
        yield link
    finally:
        link.gateway.close()


class _SilentError(Exception):
    """No answer, or none that can be trusted: whether the device acted is unknown."""


class _ExceptionAnswerError(Exception):
    """The device answered with a Modbus exception: it did not act."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unit:
    """A device behind the gateway."""

    resource: Resource
    profile: Profile
    number: int


class ModbusLink:
    """`controller.ports.Link` over one Modbus TCP socket."""

    def __init__(self, opening: Opening) -> None:
        self.gateway = _Gateway(opening.settings)
        self.units = {
            r.id: _Unit(resource=r, profile=opening.profiles[r.profile], number=_unit_number(r))
            for r in opening.fleet.where(link=opening.settings.id)
        }
        self._settings = opening.settings
        self._clock = opening.clock
        self._fence = opening.fence
        self._doubts = Doubts()
        self.faults: Counter[str] = Counter()

    async def apply(self, setpoints: Sequence[Setpoint]) -> AsyncIterator[Sequence[Receipt]]:
        deadline = asyncio.get_running_loop().time() + self._settings.timeout_s
        for setpoint in setpoints:
            outcome, detail = await self._try_to_hold(setpoint, deadline)
            yield [receipt(setpoint, self._clock.now(), outcome, detail)]

    async def release(self, resource_ids: Sequence[ResourceId]) -> Sequence[Receipt]:
        deadline = asyncio.get_running_loop().time() + self._settings.timeout_s
        return [await self._try_to_release(r, deadline) for r in resource_ids]

    async def state(self, resource_ids: Sequence[ResourceId]) -> Sequence[DeviceState]:
        deadline = asyncio.get_running_loop().time() + self._settings.timeout_s
        return [await self._try_to_ask(r, deadline) for r in resource_ids]

    async def reports(self) -> AsyncIterator[Sequence[Reading | Override]]:
        watch = OverrideWatch()
        async for _ in poll_times(self._clock, self._settings.poll_every):
            found: list[Reading | Override] = []
            for unit in self.units.values():
                try:
                    read = await self._read(unit, watched(unit.profile))
                except (_SilentError, _ExceptionAnswerError) as error:
                    self.faults[type(error).__name__] += 1
                    continue
                now = self._clock.now()
                found += readings_of(unit.profile, unit.resource, read, now)
                found += watch.seen(unit.resource.id, mode_of(read), now)
            if found:
                yield found

    async def _try_to_hold(self, setpoint: Setpoint, deadline: float) -> tuple[Outcome, str]:
        try:
            async with asyncio.timeout_at(deadline):
                outcome, detail = await self._hold(setpoint)
        except UnfitValueError as error:
            return Outcome.REFUSED, str(error)
        except (_SilentError, TimeoutError) as error:
            self._doubts.remember(setpoint.id)
            return Outcome.UNREACHABLE, str(error) or "no answer in time"
        self._doubts.forget(setpoint.id)
        return outcome, detail

    async def _hold(self, setpoint: Setpoint) -> tuple[Outcome, str]:
        unit = self.units[setpoint.resource_id]
        now = self._clock.now()
        if refused := refusal(setpoint, unit.resource, now):
            return refused
        wanted = hold_values(unit.profile, setpoint, now)
        names = read_back(unit.profile)
        if setpoint.id in self._doubts:
            read = await self._read(unit, names)
            if state_of(unit.profile, unit.resource, read, now).setpoint_id == setpoint.id:
                return Outcome.LATE, "taken at an earlier attempt, whose answer was lost"
        try:
            await self._write(unit, wanted)
        except _ExceptionAnswerError as error:
            read = await self._read(unit, names)
            if mode_of(read) is Mode.OVERRIDDEN:
                return Outcome.OVERRIDDEN, "the customer has the device"
            return Outcome.REFUSED, str(error)
        read = await self._read(unit, names)
        return outcome_of(unit.profile, wanted, read, setpoint, self._clock.now())

    async def _try_to_release(self, resource_id: ResourceId, deadline: float) -> Receipt:
        unit = self.units[resource_id]
        outcome, detail = Outcome.APPLIED, ""
        try:
            async with asyncio.timeout_at(deadline):
                if unit.profile.controls:
                    await self._write(unit, release_values(unit.profile, self._fence))
                    read = await self._read(unit, read_back(unit.profile))
                    if mode_of(read) is Mode.HELD:
                        outcome, detail = Outcome.REFUSED, "the device is still held"
        except _ExceptionAnswerError as error:
            outcome, detail = Outcome.REFUSED, str(error)
        except (_SilentError, TimeoutError) as error:
            outcome, detail = Outcome.UNREACHABLE, str(error) or "no answer in time"
        return release_receipt(resource_id, self._clock.now(), outcome, detail)

    async def _try_to_ask(self, resource_id: ResourceId, deadline: float) -> DeviceState:
        unit = self.units[resource_id]
        try:
            async with asyncio.timeout_at(deadline):
                read = await self._read(unit, read_back(unit.profile))
        except (_SilentError, _ExceptionAnswerError, TimeoutError):
            return DeviceState(resource_id=resource_id, at=self._clock.now(), mode=Mode.UNKNOWN)
        return state_of(unit.profile, unit.resource, read, self._clock.now())

    async def _write(self, unit: _Unit, values: RawByPoint) -> None:
        """Write in contiguous blocks, the one with `enable` last: until then nothing changes."""
        words: dict[Spot, int] = {}
        for name, raw in values.items():
            words |= _words(unit.profile.points[name], raw)
        enable = _spot(unit.profile.points["enable"])
        for block in sorted(_blocks(words), key=lambda block: enable in block):
            await self.gateway.write(unit.number, block[0][1], [words[spot] for spot in block])

    async def _read(self, unit: _Unit, names: Sequence[str]) -> dict[str, Raw]:
        points = [unit.profile.points[name] for name in names if name in unit.profile.points]
        words: dict[Spot, int] = {}
        for block in _blocks([spot for point in points for spot in _spots(point)]):
            table, first = block[0]
            registers = await self.gateway.read(unit.number, table, first, len(block))
            words |= dict(zip(block, registers, strict=True))
        return {point.name: _raw(point, words) for point in points}


class _Gateway:
    """The socket: one request at a time, a new client after each failure, a pause in between."""

    def __init__(self, settings: LinkSettings) -> None:
        options = settings.options
        self._settings = settings
        self._request_s = float(options.get("request_timeout_s", settings.timeout_s / 3))
        self._lock = asyncio.Lock()
        self._client: AsyncModbusTcpClient | None = None
        self._pause = BackOff(most_s=float(options.get("retry_most_s", 5.0)))

    async def read(self, unit: int, table: str, address: int, count: int) -> list[int]:
        """`count` registers. Raises _SilentError, _ExceptionAnswerError."""
        async with self._lock:
            client = await self._connected()
            ask = (
                client.read_holding_registers if table == "holding" else client.read_input_registers
            )
            answer = await self._asked(ask(address, count=count, device_id=unit))
            if len(answer.registers) != count:
                self.close()
                raise _SilentError(f"{len(answer.registers)} registers came, {count} were asked")
            return list(answer.registers)

    async def write(self, unit: int, address: int, registers: list[int]) -> None:
        """Write holding registers. Raises _SilentError, _ExceptionAnswerError."""
        async with self._lock:
            client = await self._connected()
            answer = await self._asked(client.write_registers(address, registers, device_id=unit))
            if answer.address != address or answer.count != len(registers):
                self.close()
                raise _SilentError("an answer to another request came")

    def close(self) -> None:
        """Drop the socket; the next request opens a new one."""
        if self._client is not None:
            self._client.close()
            self._client = None

    async def _connected(self) -> AsyncModbusTcpClient:
        if self._client is not None and self._client.connected:
            return self._client
        self.close()
        if not self._pause.over():
            raise _SilentError("not connected; the next attempt is yet to come")
        self._client = AsyncModbusTcpClient(
            self._settings.host,
            port=self._settings.port,
            timeout=self._request_s,
            retries=0,
            reconnect_delay=0,
        )
        with cancellable():
            connected = await self._client.connect()
        if not connected:
            self.close()
            self._pause.failed()
            raise _SilentError(f"no connection to {self._settings.host}:{self._settings.port}")
        self._pause.worked()
        return self._client

    async def _asked(self, answer: Awaitable[ModbusPDU]) -> ModbusPDU:
        try:
            with cancellable():
                pdu: ModbusPDU = await answer
        except (ModbusException, OSError) as error:
            self.close()
            raise _SilentError("no answer") from error
        except asyncio.CancelledError:
            self.close()
            raise
        if pdu.isError():
            code = pdu.exception_code
            if code in _GATEWAY_SILENT:
                raise _SilentError("the gateway hears nothing from the device")
            raise _ExceptionAnswerError(_EXCEPTIONS.get(code, f"exception {code}"))
        return pdu


def _unit_number(resource: Resource) -> int:
    if resource.address.isdecimal() and 0 <= int(resource.address) <= 255:
        return int(resource.address)
    raise LinkSettingsError(f"{resource.id}: {resource.address!r} is no Modbus unit (0 … 255)")


def _spot(point: Point) -> Spot:
    table, _, place = point.address.partition(":")
    return table, int(place.partition("/")[0])


def _spots(point: Point) -> list[Spot]:
    table, first = _spot(point)
    if point.type == "string":
        count = int(point.address.partition("/")[2])
    else:
        count = struct.calcsize(_FORMATS[point.type]) // 2
    return [(table, first + i) for i in range(count)]


def _blocks(spots: Mapping[Spot, int] | Sequence[Spot]) -> list[list[Spot]]:
    """Runs of neighbouring registers, each short enough for one request."""
    blocks: list[list[Spot]] = []
    for spot in sorted(set(spots)):
        last = blocks[-1] if blocks else []
        if last and len(last) < _MOST_REGISTERS and last[-1] == (spot[0], spot[1] - 1):
            last.append(spot)
        else:
            blocks.append([spot])
    return blocks


def _words(point: Point, raw: Raw) -> dict[Spot, int]:
    spots = _spots(point)
    if point.type == "string":
        body = str(raw).encode()
        if len(body) > 2 * len(spots):
            raise UnfitValueError(f"{point.name} {raw!r} is longer than its registers")
        packed = body.ljust(2 * len(spots), b"\0")
    else:
        packed = struct.pack(_FORMATS[point.type], raw)
    words = list(struct.unpack(f">{len(spots)}H", packed))
    if point.word_order == "little" and point.type != "string":
        words.reverse()
    return dict(zip(spots, words, strict=True))


def _raw(point: Point, words: Mapping[Spot, int]) -> Raw:
    found = [words[spot] for spot in _spots(point)]
    if point.word_order == "little" and point.type != "string":
        found.reverse()
    packed = struct.pack(f">{len(found)}H", *found)
    if point.type == "string":
        return packed.rstrip(b"\0").decode(errors="replace")
    raw: int | float = struct.unpack(_FORMATS[point.type], packed)[0]
    return raw
