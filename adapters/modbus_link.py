"""What is asked over Modbus: the block of points that makes a unit obey, written and read back.

A resource's `address` is its unit id. The socket below is `adapters.modbus`.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from adapters.modbus_registers import Spot, blocks_of, first_spot, raw_of, spots_of, words_of
from adapters.parts import (
    OVERRIDDEN,
    TAKEN_BEFORE,
    Doubts,
    Opening,
    OverrideWatch,
    deadline_of,
    no_answer,
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
    release_outcome_of,
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
from controller.model.settings import Profile


class SilentError(Exception):
    """No answer, or none that can be trusted: whether the device acted is unknown."""


class ExceptionAnswerError(Exception):
    """The device answered with a Modbus exception: it did not act."""


class Gateway(Protocol):
    """The wire below: `adapters.modbus.TcpGateway`. Raises SilentError, ExceptionAnswerError."""

    async def read(self, unit: int, table: str, address: int, count: int) -> list[int]:
        """`count` registers."""
        ...

    async def write(self, unit: int, address: int, registers: list[int]) -> None:
        """Write holding registers."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unit:
    """A device behind the gateway."""

    resource: Resource
    profile: Profile
    number: int


class ModbusLink:
    """`controller.ports.Link` to the units behind one gateway."""

    def __init__(self, opening: Opening, gateway: Gateway) -> None:
        self._gateway = gateway
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
        deadline = deadline_of(self._settings)
        for setpoint in setpoints:
            outcome, detail = await self._try_to_hold(setpoint, deadline)
            yield [receipt(setpoint, self._clock.now(), outcome, detail)]

    async def release(self, resource_ids: Sequence[ResourceId]) -> Sequence[Receipt]:
        deadline = deadline_of(self._settings)
        return [await self._try_to_release(r, deadline) for r in resource_ids]

    async def state(self, resource_ids: Sequence[ResourceId]) -> Sequence[DeviceState]:
        deadline = deadline_of(self._settings)
        return [await self._try_to_ask(r, deadline) for r in resource_ids]

    async def reports(self) -> AsyncIterator[Sequence[Reading | Override]]:
        watch = OverrideWatch()
        async for _ in poll_times(self._clock, self._settings.poll_every):
            found: list[Reading | Override] = []
            for unit in self.units.values():
                try:
                    read = await self._read(unit, watched(unit.profile))
                except (SilentError, ExceptionAnswerError) as error:
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
        except (SilentError, ExceptionAnswerError, TimeoutError) as error:
            self._doubts.remember(setpoint.id)  # it may have been taken and not read back
            return no_answer(error)
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
                return TAKEN_BEFORE
        try:
            await self._write(unit, wanted)
        except ExceptionAnswerError as error:
            read = await self._read(unit, names)
            if mode_of(read) is Mode.OVERRIDDEN:
                return OVERRIDDEN
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
                    outcome, detail = release_outcome_of(read)
        except ExceptionAnswerError as error:
            outcome, detail = Outcome.REFUSED, str(error)
        except (SilentError, TimeoutError) as error:
            outcome, detail = no_answer(error)
        return release_receipt(resource_id, self._clock.now(), outcome, detail)

    async def _try_to_ask(self, resource_id: ResourceId, deadline: float) -> DeviceState:
        unit = self.units[resource_id]
        try:
            async with asyncio.timeout_at(deadline):
                read = await self._read(unit, read_back(unit.profile))
        except (SilentError, ExceptionAnswerError, TimeoutError):
            return DeviceState(resource_id=resource_id, at=self._clock.now(), mode=Mode.UNKNOWN)
        return state_of(unit.profile, unit.resource, read, self._clock.now())

    async def _write(self, unit: _Unit, values: RawByPoint) -> None:
        """Write in contiguous blocks, the one with `enable` last: until then nothing changes."""
        words: dict[Spot, int] = {}
        for name, raw in values.items():
            words |= words_of(unit.profile.points[name], raw)
        enable = first_spot(unit.profile.points["enable"])
        for block in sorted(blocks_of(words), key=lambda block: enable in block):
            await self._gateway.write(unit.number, block[0][1], [words[spot] for spot in block])

    async def _read(self, unit: _Unit, names: Sequence[str]) -> dict[str, Raw]:
        points = [unit.profile.points[name] for name in names if name in unit.profile.points]
        words: dict[Spot, int] = {}
        for block in blocks_of([spot for point in points for spot in spots_of(point)]):
            table, first = block[0]
            registers = await self._gateway.read(unit.number, table, first, len(block))
            words |= dict(zip(block, registers, strict=True))
        return {point.name: raw_of(point, words) for point in points}


def _unit_number(resource: Resource) -> int:
    if resource.address.isdecimal() and 0 <= int(resource.address) <= 255:
        return int(resource.address)
    raise LinkSettingsError(f"{resource.id}: {resource.address!r} is no Modbus unit (0 … 255)")
