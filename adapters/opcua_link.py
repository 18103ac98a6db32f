"""What is asked over OPC UA: the block of points of each device, many devices in one request.

A resource's `address` is the name of its object; the node of a point is `<address>.<point>` in
the link's namespace. The session below is `adapters.opcua`.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from typing import Protocol

from adapters.parts import (
    TAKEN_BEFORE,
    Doubts,
    Opening,
    OverrideWatch,
    Spoken,
    batches,
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
from controller.model.settings import Profile

_CHUNK = 50
"""Devices in one request."""

_NO_WAY = (Outcome.UNREACHABLE, "the server has no way to the device")


class SilentError(Exception):
    """No session, no answer or no way from the server to the device."""


class Session(Protocol):
    """The wire below: `adapters.opcua.UaSession`. Raises SilentError."""

    async def read(self, names: Sequence[str]) -> list[object]:
        """One value per node, None where its status is bad."""
        ...

    async def write(self, values: Sequence[tuple[str, Raw, str]]) -> list[str]:
        """Write (node, raw value, type); why each was refused, '' where it was not."""
        ...


class OpcuaLink:
    """`controller.ports.Link` to the devices behind one server, read and written in batches."""

    def __init__(self, opening: Opening, session: Session) -> None:
        self._session = session
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
        deadline = deadline_of(self._settings)
        for chunk in batches(setpoints, _CHUNK):
            outcomes = await self._try_to_hold(chunk, deadline)
            now = self._clock.now()
            yield [receipt(s, now, *outcomes[s.resource_id]) for s in chunk]

    async def release(self, resource_ids: Sequence[ResourceId]) -> Sequence[Receipt]:
        try:
            async with asyncio.timeout_at(deadline_of(self._settings)):
                outcomes = await self._let_go(resource_ids)
        except (SilentError, TimeoutError) as error:
            outcomes = dict.fromkeys(resource_ids, no_answer(error))
        now = self._clock.now()
        return [release_receipt(r, now, *outcomes[r]) for r in resource_ids]

    async def state(self, resource_ids: Sequence[ResourceId]) -> Sequence[DeviceState]:
        read: dict[ResourceId, dict[str, Raw]] = {}
        with suppress(SilentError, TimeoutError):
            async with asyncio.timeout_at(deadline_of(self._settings)):
                read = await self._read({r: read_back(self._profile(r)) for r in resource_ids})
        return [self._state(r, read.get(r)) for r in resource_ids]

    async def reports(self) -> AsyncIterator[Sequence[Reading | Override]]:
        watch = OverrideWatch()
        names = {r: watched(device.profile) for r, device in self._devices.items()}
        async for _ in poll_times(self._clock, self._settings.poll_every):
            try:
                async with asyncio.timeout_at(deadline_of(self._settings)):
                    read = await self._read(names)
            except (SilentError, TimeoutError):
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
        except (SilentError, TimeoutError) as error:
            outcomes |= dict.fromkeys(wanted, no_answer(error))
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
                outcomes[r] = _NO_WAY
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
        return {r: TAKEN_BEFORE for r, s in doubtful.items() if held.get(r) == s.id}

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
                outcomes[r] = _NO_WAY
            else:
                outcomes[r] = release_outcome_of(read[r], refused.get(r, ""))
        return outcomes

    async def _write(self, values: Mapping[ResourceId, RawByPoint]) -> dict[ResourceId, str]:
        """Write everything in one request; what the server did not take, by device."""
        spots = [(r, name, raw) for r, by_name in values.items() for name, raw in by_name.items()]
        refused = await self._session.write(
            [(self._node(r, n), raw, self._profile(r).points[n].type) for r, n, raw in spots]
        )
        return {r: f"{n}: {why}" for (r, n, _), why in zip(spots, refused, strict=True) if why}

    async def _read(
        self, names: Mapping[ResourceId, Sequence[str]]
    ) -> dict[ResourceId, dict[str, Raw]]:
        """What each device shows; one without its `mode`, or without anything, is left out."""
        spots = [(r, name) for r, of in names.items() for name in of]
        values = await self._session.read([self._node(r, name) for r, name in spots])
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
