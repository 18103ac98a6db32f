"""Fakes with the real interfaces: a fleet, a link whose devices obey, a clock to set."""

from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from controller.errors import DeviceError
from controller.model.commands import (
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
    FeederId,
    LinkId,
    MeterId,
    ProfileId,
    ResourceId,
    SetpointId,
    ZoneId,
)
from controller.model.resources import Fleet, Meter, Resource, ResourceKind
from controller.model.settings import DispatchRules

T = TypeVar("T")
START = datetime(2014, 1, 28, 4, tzinfo=UTC)

RULES = DispatchRules(
    lead=timedelta(minutes=1),
    ack_deadline_s=0.5,
    retries=1,
    backoff_s=0.01,
    release_stagger=timedelta(minutes=5),
    max_kw_per_min=100_000,
)


def a_resource(name: str, **changes: object) -> Resource:
    """A 500 kW furnace on link `a` with a floor of 100 kW, changed as asked."""
    fields: dict[str, object] = {
        "id": ResourceId(name),
        "kind": ResourceKind.FURNACE,
        "zone": ZoneId("z"),
        "feeder": FeederId("north"),
        "meter_id": MeterId(f"m-{name}"),
        "rated_kw": 500.0,
        "floor_kw": 100.0,
        "link": LinkId("a"),
        "profile": ProfileId("plc"),
        "address": name,
    }
    return Resource(**{**fields, **changes})  # type: ignore[arg-type]


def a_fleet(*resources: Resource) -> Fleet:
    meters = tuple(
        Meter(id=r.meter_id, customer_id=CustomerId(f"c-{r.id}"), resource_ids=(r.id,))
        for r in resources
    )
    return Fleet(resources=resources, meters=meters)


class SetClock:
    """A clock that stands where the test puts it; sleeping moves it on."""

    def __init__(self, at: datetime = START) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    async def sleep_until(self, at: datetime) -> None:
        self.at = max(self.at, at)

    async def offload(self, future: Future[T]) -> T:
        return future.result()


@dataclass
class FakeLink:
    """Devices that take what they are told, unless they are listed as refusing or dead."""

    clock: SetClock
    refuses: set[str] = field(default_factory=set)
    dead: set[str] = field(default_factory=set)
    down: bool = False
    holding: dict[ResourceId, Setpoint] = field(default_factory=dict)
    executed: list[SetpointId] = field(default_factory=list)
    wire: list[SetpointId] = field(default_factory=list)

    async def apply(self, setpoints: Sequence[Setpoint]) -> AsyncIterator[Sequence[Receipt]]:
        if self.down:
            raise DeviceError("the link is down")
        for s in setpoints:
            self.wire.append(s.id)
            if s.resource_id in self.dead:
                yield [self._receipt(s, Outcome.UNREACHABLE)]
            elif s.resource_id in self.refuses:
                yield [self._receipt(s, Outcome.REFUSED)]
            else:
                held = self.holding.get(s.resource_id)
                if held is None or held.id != s.id:
                    self.executed.append(s.id)
                self.holding[s.resource_id] = s
                yield [self._receipt(s, Outcome.APPLIED)]

    async def release(self, resource_ids: Sequence[ResourceId]) -> Sequence[Receipt]:
        if self.down:
            raise DeviceError("the link is down")
        for r in resource_ids:
            self.holding.pop(r, None)
        at = self.clock.now()
        return [
            Receipt(setpoint_id=None, resource_id=r, at=at, outcome=Outcome.APPLIED)
            for r in resource_ids
        ]

    async def state(self, resource_ids: Sequence[ResourceId]) -> Sequence[DeviceState]:
        if self.down:
            raise DeviceError("the link is down")
        return [self._state(r) for r in resource_ids]

    async def reports(self) -> AsyncIterator[Sequence[Reading | Override]]:
        for _ in ():
            yield ()

    def _state(self, r: ResourceId) -> DeviceState:
        now, s = self.clock.now(), self.holding.get(r)
        if s is None or s.until <= now:
            return DeviceState(resource_id=r, at=now, mode=Mode.FREE)
        return DeviceState(
            resource_id=r, at=now, mode=Mode.HELD, value=s.value, until=s.until, setpoint_id=s.id
        )

    def _receipt(self, s: Setpoint, outcome: Outcome) -> Receipt:
        return Receipt(
            setpoint_id=s.id, resource_id=s.resource_id, at=self.clock.now(), outcome=outcome
        )
