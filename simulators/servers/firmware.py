"""What a device sees to by itself, whatever protocol brings the command.

It refuses an older controller, takes the same command once and remembers what it was told. The
device behind it ends a hold by its own clock and by its own timer.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from controller.model.commands import (
    DeviceState,
    Mode,
    Outcome,
    Override,
    Reading,
    Receipt,
    Setpoint,
)
from controller.model.ids import ResourceId, SetpointId
from simulators.faults import DayFaults

_REMEMBERED = 16
"""Commands whose outcome a device remembers, so that a repeated one is not executed again."""


class Devices(Protocol):
    """The physics that a server speaks for; `simulators.population.Population` is one."""

    faults: DayFaults

    def command(self, setpoint: Setpoint, now: datetime) -> Receipt: ...

    def release(self, resource_id: ResourceId, now: datetime) -> Receipt: ...

    def state(self, resource_id: ResourceId, now: datetime) -> DeviceState: ...

    def coming(self, resource_id: ResourceId, now: datetime) -> Setpoint | None: ...

    def readings(self, resource_ids: Sequence[ResourceId], now: datetime) -> list[Reading]: ...

    def overrides(self, now: datetime) -> list[Override]: ...


class MeteredDevices(Devices, Protocol):
    """Many devices read at once: what a gateway of homes needs besides."""

    index_of: Mapping[ResourceId, int]

    def mean_since_kw(
        self, indexes: NDArray[np.int64], now: datetime
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...

    def soc_frac(self, now: datetime) -> NDArray[np.float64]: ...

    def temperature_c(self, now: datetime) -> NDArray[np.float64]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the device says to a command."""

    outcome: Outcome
    detail: str = ""


class Firmware:
    """The part of one device that listens."""

    def __init__(
        self,
        resource_id: ResourceId,
        devices: Devices,
        now: Callable[[], datetime],
    ) -> None:
        self.resource_id = resource_id
        self._devices = devices
        self._now = now
        self._fence = 0
        self._known: OrderedDict[SetpointId, Verdict] = OrderedDict()
        self._told: Setpoint | None = None

    def hold(self, setpoint: Setpoint) -> Verdict:
        """Obey from `start` until the earlier of `until` and `hold_s` from now."""
        if setpoint.id and setpoint.id in self._known:
            return self._known[setpoint.id]
        if setpoint.fence < self._fence:
            return Verdict(outcome=Outcome.REFUSED, detail=f"older fence than {self._fence}")
        self._fence = setpoint.fence
        now = self._now()
        if setpoint.until <= now:
            return Verdict(outcome=Outcome.LATE, detail="its end has passed")
        receipt = self._devices.command(setpoint, now)
        verdict = Verdict(outcome=receipt.outcome, detail=receipt.detail)
        if verdict.outcome is Outcome.APPLIED:
            self._told = setpoint
        self._known[setpoint.id] = verdict
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return verdict

    def release(self, fence: int) -> Verdict:
        """Give control back; safe to repeat."""
        if fence < self._fence:
            return Verdict(outcome=Outcome.REFUSED, detail=f"older fence than {self._fence}")
        self._fence = fence
        receipt = self._devices.release(self.resource_id, self._now())
        return Verdict(outcome=receipt.outcome, detail=receipt.detail)

    def state(self) -> DeviceState:
        """What the device obeys now, or took and will obey: it names the command as given."""
        now, told = self._now(), self._told
        state = self._devices.state(self.resource_id, now)
        taken = state.mode is Mode.HELD or (
            state.mode is Mode.FREE and self._devices.coming(self.resource_id, now) is not None
        )
        if told is None or not taken:
            return state
        return replace(
            state, mode=Mode.HELD, value=told.value, until=told.until, setpoint_id=told.id
        )

    @property
    def reachable(self) -> bool:
        """False while the line to the device is cut."""
        return not self._devices.faults.is_cut(self.resource_id, self._now())

    def readings(self) -> list[Reading]:
        return self._devices.readings([self.resource_id], self._now())

    @property
    def told(self) -> Setpoint | None:
        """The last command that was taken."""
        return self._told
