"""The population without sockets: a Link and a Desk in the same process, for virtual days."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from controller.model.commands import (
    DeviceState,
    Mode,
    Outcome,
    Override,
    Reading,
    Receipt,
    Setpoint,
)
from controller.model.events import Notice, Offer
from controller.model.ids import ResourceId
from controller.ports import Clock
from simulators.duty import DutyDesks
from simulators.population import Population

MINUTE = timedelta(minutes=1)


class InProcessLink:
    """`controller.ports.Link` over some of a population's resources.

    `cut` and `restore` play a lost link: commands come back unreachable, states unknown, and
    readings stay away, while the devices go on and free themselves. Cuts of the population's
    own faults count too.
    """

    def __init__(
        self,
        population: Population,
        resource_ids: Sequence[ResourceId],
        clock: Clock,
        poll_every: timedelta,
    ) -> None:
        self._population = population
        self._resource_ids = tuple(resource_ids)
        self._clock = clock
        self._poll_every = poll_every
        self._cut: set[ResourceId] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    def cut(self, resource_ids: Iterable[ResourceId] | None = None) -> None:
        """Lose the link to these resources, or to all of them."""
        self._cut |= set(self._resource_ids if resource_ids is None else resource_ids)

    def restore(self, resource_ids: Iterable[ResourceId] | None = None) -> None:
        """Have the link back, for these resources or for all."""
        self._cut -= set(self._resource_ids if resource_ids is None else resource_ids)

    async def apply(self, setpoints: Sequence[Setpoint]) -> AsyncIterator[Sequence[Receipt]]:
        """One batch of receipts, one for each setpoint."""
        now = self._clock.now()
        receipts = []
        for setpoint in setpoints:
            if self._reaches(setpoint.resource_id, now):
                receipts.append(self._population.command(setpoint, now))
            else:
                receipts.append(_unreachable(setpoint.resource_id, now, setpoint))
        yield receipts

    async def release(self, resource_ids: Sequence[ResourceId]) -> Sequence[Receipt]:
        now = self._clock.now()
        return [
            self._population.release(r, now) if self._reaches(r, now) else _unreachable(r, now)
            for r in resource_ids
        ]

    async def state(self, resource_ids: Sequence[ResourceId]) -> Sequence[DeviceState]:
        """As over a wire: a hold that was taken and is still to come shows as held."""
        now = self._clock.now()
        return [
            self._state(r, now)
            if self._reaches(r, now)
            else DeviceState(resource_id=r, at=now, mode=Mode.UNKNOWN)
            for r in resource_ids
        ]

    def _state(self, resource_id: ResourceId, now: datetime) -> DeviceState:
        state = self._population.state(resource_id, now)
        coming = self._population.coming(resource_id, now)
        if state.mode is not Mode.FREE or coming is None:
            return state
        return DeviceState(
            resource_id=resource_id,
            at=now,
            mode=Mode.HELD,
            value=coming.value,
            until=coming.until,
            setpoint_id=coming.id,
        )

    async def reports(self) -> AsyncIterator[Sequence[Reading | Override]]:
        """Readings at every whole multiple of `poll_every`, with the opt-outs since the last."""
        while True:
            await self._clock.sleep_until(_next_multiple(self._clock.now(), self._poll_every))
            now = self._clock.now()
            there = [r for r in self._resource_ids if self._reaches(r, now)]
            overrides = self._population.overrides(now)
            yield [*overrides, *self._population.readings(there, now)]

    def _reaches(self, resource_id: ResourceId, now: datetime) -> bool:
        faults = self._population.faults
        return resource_id not in self._cut and not faults.is_cut(resource_id, now)


class InProcessDesk:
    """`controller.ports.Desk` over the duty desks; answers come within a minute of being given."""

    def __init__(self, desks: DutyDesks, clock: Clock) -> None:
        self._desks = desks
        self._clock = clock
        self._asked = asyncio.Event()

    async def notify(self, notice: Notice) -> None:
        self._desks.take(notice, self._clock.now())
        self._asked.set()

    async def answers(self) -> AsyncIterator[Offer]:
        while True:
            await self._asked.wait()
            while (due := self._desks.next_due) is not None:
                await self._clock.sleep_until(min(due, self._clock.now() + MINUTE))
                for offer in self._desks.answers(self._clock.now()):
                    yield offer
            self._asked.clear()


def _unreachable(
    resource_id: ResourceId, at: datetime, setpoint: Setpoint | None = None
) -> Receipt:
    return Receipt(
        setpoint_id=None if setpoint is None else setpoint.id,
        resource_id=resource_id,
        at=at,
        outcome=Outcome.UNREACHABLE,
        detail="no answer",
    )


def _next_multiple(now: datetime, step: timedelta) -> datetime:
    """The next whole multiple of `step` after `now`, counted from midnight UTC."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + ((now - midnight) // step + 1) * step
