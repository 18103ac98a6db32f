"""The simulated devices of a fleet, or a part of it, beside their uncontrolled twins."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from controller.model.commands import (
    Control,
    DeviceState,
    Mode,
    Outcome,
    Override,
    OverrideSource,
    Reading,
    Receipt,
    Setpoint,
)
from controller.model.ids import MeterId, ResourceId, SetpointId
from controller.model.resources import APPLIANCE_KINDS, Resource
from controller.model.settings import Config
from controller.model.time import Grid, Interval, Series
from simulators.chance import draws
from simulators.faults import NO_FAULTS, DayFaults
from simulators.holds import Holds
from simulators.plant import Plant
from simulators.world import World

STEP = timedelta(minutes=1)
RENEWAL_GRACE = timedelta(minutes=5)
"""A hold renewed this soon after the last one ended is the same run to the device."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TruthPart:
    """Quarter-hour means of some resources' meters: (grid.count, len(resource_ids)) kW."""

    grid: Grid
    resource_ids: tuple[ResourceId, ...]
    controlled_kw: NDArray[np.float64]
    uncontrolled_kw: NDArray[np.float64]


class Population:
    """Simulated devices of `resource_ids` with their uncontrolled twins.

    Physics advance lazily on a fixed grid of steps from `start`, so that results do not depend
    on when anyone looks. Commands count at once for `state` and from the next step for power.
    `saved` is a file of `save`: the state to start from.
    """

    def __init__(
        self,
        config: Config,
        world: World,
        resource_ids: Sequence[ResourceId],
        seed: int,
        start: datetime,
        *,
        faults: DayFaults = NO_FAULTS,
        saved: Path | None = None,
        step: timedelta = STEP,
        twins: bool = True,
    ) -> None:
        self.resources: tuple[Resource, ...] = tuple(config.fleet[r] for r in resource_ids)
        self.index_of: Mapping[ResourceId, int] = {r: i for i, r in enumerate(resource_ids)}
        self._meter_index = {r.meter_id: i for i, r in enumerate(self.resources)}
        self.faults = faults
        self._config = config
        self._plant = Plant(config, world, self.resources, seed, start, step=step, twins=twins)
        if saved is not None:
            self._plant.load(saved)
        self._holds = Holds(len(self.resources))
        self._fence = [0] * len(self.resources)
        self._executions: Counter[SetpointId] = Counter()
        self._told: dict[int, list[Series]] = {}
        self._overridden: dict[int, Interval] = {}
        self._fresh_overrides: list[Override] = []
        chance = draws(seed, "opt out").random((2, len(config.fleet)))
        self._opt_out = chance[:, config.fleet.indexes(resource_ids)]
        self._opt_out_at: dict[int, datetime] = {}

    @property
    def now(self) -> datetime:
        """The instant up to which physics have run."""
        return self._plant.now

    def advance(self, to: datetime) -> None:
        """Run the physics up to the last whole step at or before `to`; never backwards."""
        plant = self._plant
        while plant.now + plant.step <= to:
            self._opt_out_until(plant.now)
            for i in self._holds.changed(plant.now):
                self._obey(i, plant.now)
            self._curtail_told(plant.now)
            plant.run_step()

    def command(self, setpoint: Setpoint, now: datetime) -> Receipt:
        """What the device makes of `setpoint`: taken (and counted) or refused, with the reason."""
        self.advance(now)
        self._opt_out_until(now)
        i = self.index_of[setpoint.resource_id]
        if (span := self._overridden.get(i)) is not None and now in span:
            return _receipt(setpoint, now, Outcome.OVERRIDDEN, "switched by the customer")
        if reason := self._refusal(i, setpoint, now):
            return _receipt(setpoint, now, Outcome.REFUSED, reason)
        skew = self.faults.skew.get(setpoint.resource_id, timedelta(0))
        hold = self._holds.take(i, setpoint, now, skew)
        self._fence[i] = setpoint.fence
        self._executions[setpoint.id] += 1
        self._draw_opt_out(i, hold.start, hold.end)
        return _receipt(setpoint, now, Outcome.APPLIED, "")

    def release(self, resource_id: ResourceId, now: datetime) -> Receipt:
        """Give control back now; safe to repeat."""
        self.advance(now)
        self._holds.release(self.index_of[resource_id], now)
        return Receipt(
            setpoint_id=None, resource_id=resource_id, at=now, outcome=Outcome.APPLIED, detail=""
        )

    def switch_by_customer(self, resource_id: ResourceId, now: datetime, reason: str) -> None:
        """The customer takes the device back for the rest of the day (an opt-out at the device)."""
        self.advance(now)
        self._override(self.index_of[resource_id], now, reason)

    def state(self, resource_id: ResourceId, now: datetime) -> DeviceState:
        """What the device says it obeys at `now`."""
        self.advance(now)
        self._opt_out_until(now)
        i = self.index_of[resource_id]
        if (span := self._overridden.get(i)) is not None and now in span:
            return DeviceState(
                resource_id=resource_id, at=now, mode=Mode.OVERRIDDEN, until=span.end
            )
        if (hold := self._holds.ruling(i, now)) is None:
            return DeviceState(resource_id=resource_id, at=now, mode=Mode.FREE)
        return DeviceState(
            resource_id=resource_id,
            at=now,
            mode=Mode.HELD,
            value=hold.setpoint.value,
            until=hold.end,
            setpoint_id=hold.setpoint.id,
        )

    def coming(self, resource_id: ResourceId, now: datetime) -> Setpoint | None:
        """The setpoint that the device took and will obey later than `now`."""
        hold = self._holds.coming(self.index_of[resource_id], now)
        return None if hold is None else hold.setpoint

    def curtail(self, resource_id: ResourceId, kw: Series, now: datetime) -> None:
        """People at a told site switch off `kw` of what it would draw, over the series' grid.

        The latest agreement rules the intervals it covers; 0 and NaN give nothing.
        """
        self.advance(now)
        self._told.setdefault(self.index_of[resource_id], []).append(kw)

    def power_kw(self, resource_id: ResourceId, now: datetime) -> float:
        """Power of the resource alone over the last step; NaN before the first."""
        self.advance(now)
        return float(self._plant.power_kw[0, self.index_of[resource_id]])

    def meter_kw(self, meter_id: MeterId, now: datetime) -> float:
        """Power at a meter (a home's other loads included) over the last step."""
        self.advance(now)
        i = self._meter_index[meter_id]
        return float(self._plant.power_kw[0, i] + self._plant.base_kw[i])

    def powers_kw(self, now: datetime) -> NDArray[np.float64]:
        """(n,) power of all resources alone over the last step."""
        self.advance(now)
        latest_kw: NDArray[np.float64] = self._plant.power_kw[0]
        return latest_kw

    def meters_kw(self, now: datetime) -> NDArray[np.float64]:
        """(n,) power at the meters of all resources over the last step."""
        return self.powers_kw(now) + self._plant.base_kw

    def mean_since_kw(
        self, indexes: NDArray[np.int64], now: datetime
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Resources' and meters' mean power since this was last asked of them, then forget it."""
        self.advance(now)
        return self._plant.take_means(indexes)

    def soc_frac(self, now: datetime) -> NDArray[np.float64]:
        """(n,) state of charge; NaN where there is none."""
        self.advance(now)
        return self._plant.soc_frac()

    def temperature_c(self, now: datetime) -> NDArray[np.float64]:
        """(n,) what the device's sensor shows (room, tank, store); NaN where there is none."""
        self.advance(now)
        return self._plant.temperature_c()

    def readings(self, resource_ids: Sequence[ResourceId], now: datetime) -> list[Reading]:
        """Sites: the power of the last step. Homes: appliance and net meter since the last time.

        A home gives two readings, of which the second is its meter's and names no resource.
        """
        indexes = np.array([self.index_of[r] for r in resource_ids], dtype=np.int64)
        own_kw, net_kw = self.mean_since_kw(indexes, now)
        soc, temperature = self._plant.soc_frac(), self._plant.temperature_c()
        out: list[Reading] = []
        for k, i in enumerate(indexes):
            resource = self.resources[i]
            home = resource.kind in APPLIANCE_KINDS
            reading = Reading(
                meter_id=resource.meter_id,
                resource_id=resource.id,
                at=now,
                power_kw=float(own_kw[k] if home else self._plant.power_kw[0, i]),
                soc_frac=_known(soc[i]),
                temperature_c=_known(temperature[i]),
            )
            out.append(reading)
            if home:
                out.append(Reading(meter_id=resource.meter_id, at=now, power_kw=float(net_kw[k])))
        return [r for r in out if np.isfinite(r.power_kw)]

    def overrides(self, now: datetime) -> list[Override]:
        """Customers' opt-outs since the last call."""
        self.advance(now)
        self._opt_out_until(now)
        fresh, self._fresh_overrides = self._fresh_overrides, []
        return fresh

    def executions(self) -> Mapping[SetpointId, int]:
        """How often each setpoint was taken: a controller that repeats itself shows as 2."""
        return dict(self._executions)

    def truth(self) -> TruthPart:
        """Quarter-hour means at every meter so far, controlled and uncontrolled."""
        grid, means = self._plant.quarters()
        return TruthPart(
            grid=grid,
            resource_ids=tuple(r.id for r in self.resources),
            controlled_kw=means[:, 0, :],
            uncontrolled_kw=means[:, -1, :],
        )

    def finish_day(self) -> None:
        """Run on, with whatever still holds, to the end of the local day."""
        self.advance(self._plant.next_midnight(self.now - timedelta(microseconds=1)))

    def save(self, path: Path) -> None:
        """Write the state of all devices, to start another population from."""
        self._plant.save(path)

    def _refusal(self, i: int, setpoint: Setpoint, now: datetime) -> str:
        """Why the device will not take `setpoint`; empty if it will."""
        resource = self.resources[i]
        profile = self._config.profiles.get(resource.profile)
        known = self._plant.controls(i) if profile is None else frozenset(profile.controls)
        skew = self.faults.skew.get(resource.id, timedelta(0))
        if resource.id in self.faults.refuses:
            return "switched to local"
        if resource.protected:
            return "protected load"
        if setpoint.fence < self._fence[i]:
            return f"stale fence {setpoint.fence}, have seen {self._fence[i]}"
        if setpoint.control not in known & self._plant.controls(i):
            return f"no control {setpoint.control}"
        if not _in_range(setpoint, resource.rated_kw):
            return f"value {setpoint.value:g} out of range"
        if setpoint.until - skew <= now or setpoint.until <= setpoint.start:
            return "already past"
        if setpoint.hold_s <= 0:
            return "no hold time"
        if self._too_soon(i, setpoint, now):
            return "ran too short since the last hold"
        return ""

    def _too_soon(self, i: int, setpoint: Setpoint, now: datetime) -> bool:
        """A device with a minimum run refuses a new hold soon after the last; not a renewal."""
        start = max(setpoint.start, now)
        freed = self._holds.last_end(i, start)
        if freed is None or self._holds.ruling(i, now) is not None:
            return False
        return RENEWAL_GRACE < start - freed < self.resources[i].min_on

    def _obey(self, i: int, at: datetime) -> None:
        """Set the plant's command of device `i` to what rules it at `at`."""
        hold = self._holds.ruling(i, at)
        if hold is None or self.resources[i].id in self.faults.lies:
            self._plant.free(i)
        else:
            self._plant.set(i, hold.setpoint.control, hold.setpoint.value)

    def _curtail_told(self, at: datetime) -> None:
        for i, agreed in self._told.items():
            ruling = next((s for s in reversed(agreed) if at in s.grid.span), None)
            kw = 0.0 if ruling is None else float(np.nan_to_num(ruling.value_at(at)))
            self._plant.curtail(i, kw)

    def _draw_opt_out(self, i: int, start: datetime, end: datetime) -> None:
        """Drawn once per home: whether, and at what part of its hold, it opts out."""
        whether, when = self._opt_out[:, i]
        home = self.resources[i].kind in APPLIANCE_KINDS
        waits = i in self._opt_out_at or i in self._overridden
        if home and whether < self.faults.opt_out_frac and not waits:
            self._opt_out_at[i] = start + (0.05 + 0.9 * float(when)) * (end - start)

    def _opt_out_until(self, now: datetime) -> None:
        due = sorted((at, i) for i, at in self._opt_out_at.items() if at <= now)
        for at, i in due:
            del self._opt_out_at[i]
            if self._holds.ruling(i, at) is not None:
                self._override(i, at, "switched back by the customer")

    def _override(self, i: int, at: datetime, reason: str) -> None:
        resource_id = self.resources[i].id
        until = self._plant.next_midnight(at)
        self._holds.release(i, at)
        self._overridden[i] = Interval(start=at, end=until)
        self._fresh_overrides.append(
            Override(
                resource_id=resource_id,
                at=at,
                source=OverrideSource.DEVICE,
                until=until,
                reason=reason,
            )
        )


def _receipt(setpoint: Setpoint, at: datetime, outcome: Outcome, detail: str) -> Receipt:
    return Receipt(
        setpoint_id=setpoint.id,
        resource_id=setpoint.resource_id,
        at=at,
        outcome=outcome,
        detail=detail,
    )


def _in_range(setpoint: Setpoint, rated_kw: float) -> bool:
    match setpoint.control:
        case Control.OFF:
            return setpoint.value in (0.0, 1.0)
        case Control.OFFSET_C:
            return 0.0 <= setpoint.value <= 6.0
        case Control.POWER_KW:
            return abs(setpoint.value) <= rated_kw * 1.001
        case _:
            return 0.0 <= setpoint.value < 1e6


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
