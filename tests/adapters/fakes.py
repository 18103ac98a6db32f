"""Devices without physics, behind the interface that the real population has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from controller.model.commands import (
    DeviceState,
    Mode,
    Outcome,
    Override,
    OverrideSource,
    Reading,
    Receipt,
    Setpoint,
)
from controller.model.ids import MeterId, ResourceId
from controller.model.time import Interval
from simulators.faults import NO_FAULTS, DayFaults

FREE_KW = 120.0
HELD_KW = 60.0
METER_KW = 150.0
SOC_FRAC = 0.45
TEMPERATURE_C = 21.5


@dataclass(kw_only=True)
class FakeDevices:
    """Draw 120 kW free and 60 kW held; refuse, drop out and slow down when told so."""

    index_of: Mapping[ResourceId, int] = field(default_factory=dict)
    faults: DayFaults = NO_FAULTS
    skew: dict[ResourceId, timedelta] = field(default_factory=dict)
    refusing: set[ResourceId] = field(default_factory=set)
    executed: list[Setpoint] = field(default_factory=list)
    held: dict[ResourceId, tuple[Setpoint, datetime]] = field(default_factory=dict)
    overridden: set[ResourceId] = field(default_factory=set)
    news: list[Override] = field(default_factory=list)

    def command(self, setpoint: Setpoint, now: datetime) -> Receipt:
        outcome = Outcome.APPLIED
        if setpoint.resource_id in self.refusing:
            outcome = Outcome.REFUSED
        if setpoint.resource_id in self.overridden:
            outcome = Outcome.OVERRIDDEN
        if outcome is Outcome.APPLIED:
            ahead = self.skew.get(setpoint.resource_id, timedelta(0))
            end = min(setpoint.until - ahead, now + timedelta(seconds=setpoint.hold_s))
            self.held[setpoint.resource_id] = (setpoint, end)
            self.executed.append(setpoint)
        detail = "not today" if outcome is Outcome.REFUSED else ""
        return Receipt(
            setpoint_id=setpoint.id,
            resource_id=setpoint.resource_id,
            at=now,
            outcome=outcome,
            detail=detail,
        )

    def release(self, resource_id: ResourceId, now: datetime) -> Receipt:
        self.held.pop(resource_id, None)
        return Receipt(setpoint_id=None, resource_id=resource_id, at=now, outcome=Outcome.APPLIED)

    def coming(self, resource_id: ResourceId, now: datetime) -> Setpoint | None:
        setpoint, _ = self.held.get(resource_id, (None, now))
        return setpoint if setpoint is not None and setpoint.start > now else None

    def state(self, resource_id: ResourceId, now: datetime) -> DeviceState:
        if resource_id in self.overridden:
            return DeviceState(resource_id=resource_id, at=now, mode=Mode.OVERRIDDEN)
        setpoint, end = self.held.get(resource_id, (None, now))
        if setpoint is None or end <= now or setpoint.start > now:
            return DeviceState(resource_id=resource_id, at=now, mode=Mode.FREE)
        return DeviceState(
            resource_id=resource_id,
            at=now,
            mode=Mode.HELD,
            value=setpoint.value,
            until=setpoint.until,
            setpoint_id=setpoint.id,
        )

    def readings(self, resource_ids: Sequence[ResourceId], now: datetime) -> list[Reading]:
        return [reading for r in resource_ids for reading in self._readings(r, now)]

    def mean_since_kw(
        self, indexes: NDArray[np.int64], now: datetime
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        ids = list(self.index_of)
        own = [self._readings(ids[i], now)[0].power_kw for i in indexes]
        return np.array(own), np.full(len(own), METER_KW)

    def soc_frac(self, now: datetime) -> NDArray[np.float64]:
        return np.full(len(self.index_of), SOC_FRAC)

    def temperature_c(self, now: datetime) -> NDArray[np.float64]:
        return np.full(len(self.index_of), TEMPERATURE_C)

    def overrides(self, now: datetime) -> list[Override]:
        news, self.news = self.news, []
        return news

    def mute(self, resource_id: ResourceId) -> None:
        """Cut the line to one device for good."""
        always = Interval(
            start=datetime(2000, 1, 1, tzinfo=UTC), end=datetime(2100, 1, 1, tzinfo=UTC)
        )
        self.faults = DayFaults(cuts={**self.faults.cuts, resource_id: always})

    def override(self, resource_id: ResourceId, now: datetime) -> None:
        """The customer takes the device back."""
        self.overridden.add(resource_id)
        self.held.pop(resource_id, None)
        self.news.append(
            Override(
                resource_id=resource_id, at=now, source=OverrideSource.CUSTOMER, reason="too warm"
            )
        )

    def _readings(self, resource_id: ResourceId, now: datetime) -> list[Reading]:
        held = self.state(resource_id, now).mode is Mode.HELD
        meter = MeterId(f"meter-{resource_id}")
        own = Reading(
            meter_id=meter,
            resource_id=resource_id,
            at=now,
            power_kw=HELD_KW if held else FREE_KW,
            soc_frac=SOC_FRAC,
            temperature_c=TEMPERATURE_C,
        )
        return [own, Reading(meter_id=meter, at=now, power_kw=METER_KW)]
