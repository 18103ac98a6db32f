"""The physics of many devices of many kinds, stepped together on one grid of time."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from controller.model.commands import Control
from controller.model.resources import APPLIANCE_KINDS, Resource, ResourceKind
from controller.model.settings import Config
from controller.model.time import QUARTER_HOUR, Grid
from simulators.chance import draws
from simulators.devices.air_conditioner import AirConditioners
from simulators.devices.base_load import BaseLoads
from simulators.devices.battery import Batteries
from simulators.devices.cold_store import ColdStores
from simulators.devices.ev_charger import EvChargers
from simulators.devices.factory import Factories
from simulators.devices.furnace import Furnaces
from simulators.devices.hospital import Hospitals
from simulators.devices.lanes import Command, Device, Lanes, Nameplate, Surroundings
from simulators.devices.mall import Malls
from simulators.devices.pv import PvRoofs
from simulators.devices.water_heater import WaterHeaters
from simulators.devices.water_works import WaterWorks
from simulators.world import World

PAGES: dict[ResourceKind, type[Device]] = {
    ResourceKind.AIR_CONDITIONER: AirConditioners,
    ResourceKind.WATER_HEATER: WaterHeaters,
    ResourceKind.EV_CHARGER: EvChargers,
    ResourceKind.BATTERY: Batteries,
    ResourceKind.PV: PvRoofs,
    ResourceKind.FURNACE: Furnaces,
    ResourceKind.FACTORY: Factories,
    ResourceKind.COLD_STORE: ColdStores,
    ResourceKind.MALL: Malls,
    ResourceKind.WATER_WORKS: WaterWorks,
    ResourceKind.HOSPITAL: Hospitals,
}


@dataclass(slots=True, kw_only=True)
class _Group:
    """The devices of one kind: where they stand in the plant, and among all of their kind."""

    kind: ResourceKind
    at: NDArray[np.int64]
    of_kind: NDArray[np.int64]
    kind_count: int
    page: Device
    state: Lanes
    draws: Lanes
    command: Command


class Plant:
    """`resources` under `world`, from `start` on in steps of `step`.

    `power_kw` is (rows, n) over the last step, row 0 controlled, row 1 the twins (one row
    without twins); `base_kw` is (n,), what the homes draw besides. Draws depend on a device's
    place among all of its kind in `config`, so that a part of a fleet behaves as in the whole.
    """

    def __init__(
        self,
        config: Config,
        world: World,
        resources: tuple[Resource, ...],
        seed: int,
        start: datetime,
        *,
        step: timedelta,
        twins: bool,
    ) -> None:
        if QUARTER_HOUR % step:
            raise ValueError(f"steps of {step} do not fill a quarter hour")
        self.now = start.astimezone(UTC)
        self.step = step
        self._world = world
        self._seed = seed
        self._resources = resources
        self._holidays = frozenset(d for p in config.programs.values() for d in p.holidays)
        self._rows = 2 if twins else 1
        count = len(resources)
        self.power_kw = np.full((self._rows, count), np.nan)
        self.base_kw = np.zeros(count)
        self._reduce_kw = np.zeros(count)
        self._place: list[tuple[_Group, int]] = []
        self._midnight = self._next_midnight = self.now
        self._groups = [
            group for kind in PAGES if (group := self._make_group(config, kind)) is not None
        ]
        lanes = {int(i): (g, k) for g in self._groups for k, i in enumerate(g.at)}
        self._place = [lanes[i] for i in range(count)]
        self._homes, self._base = self._make_base(config)
        self._base_day = np.zeros((96, self._homes.size))
        self._energy = np.zeros((2, count))
        self._energy_s = np.zeros(count)
        self._quarter_kw = np.zeros((self._rows, count))
        self._quarter_steps = 0
        self._quarters: list[NDArray[np.float64]] = []
        self._quarters_from: datetime | None = None
        self._sensed = np.empty((2, 0))
        self._sensed_at: datetime | None = None
        self._begin_day()

    def run_step(self) -> None:
        """Step every device over [now, now + step)."""
        if self.now >= self._next_midnight:
            self._begin_day()
        around = self._surroundings()
        dt_s = self.step.total_seconds()
        quarter = min(int(around.hour * 4), 95)
        self.base_kw[self._homes] = self._base_day[quarter]
        for group in self._groups:
            self._curtail(group)
            group.state, power_kw = group.page.step(
                group.state, group.draws, around, group.command, dt_s
            )
            self.power_kw[:, group.at] = power_kw
        self._account(dt_s)
        self.now += self.step

    def controls(self, i: int) -> frozenset[Control]:
        return self._place[i][0].page.controls

    def set(self, i: int, control: Control, value: float) -> None:
        """Let device `i` obey a command from the next step on."""
        self.free(i)
        group, lane = self._place[i]
        match control:
            case Control.OFF:
                group.command.cap_kw[0, lane] = 0.0 if value else np.inf
            case Control.CAP_KW | Control.CHARGE_KW:
                group.command.cap_kw[0, lane] = value
            case Control.POWER_KW:
                group.command.power_kw[0, lane] = value
            case Control.OFFSET_C:
                group.command.offset_c[0, lane] = value

    def free(self, i: int) -> None:
        group, lane = self._place[i]
        group.command.cap_kw[0, lane] = np.inf
        group.command.power_kw[0, lane] = np.nan
        group.command.offset_c[0, lane] = 0.0

    def curtail(self, i: int, kw: float) -> None:
        """Let device `i` draw `kw` less than its twin from the next step on (0: free)."""
        if kw <= 0 and self._reduce_kw[i] > 0:
            self.free(i)
        self._reduce_kw[i] = max(kw, 0.0)

    def soc_frac(self) -> NDArray[np.float64]:
        """(n,) state of charge now; NaN where nothing is stored."""
        soc_frac: NDArray[np.float64] = self._sensors()[0]
        return soc_frac

    def temperature_c(self) -> NDArray[np.float64]:
        """(n,) what the devices' own thermometers show; NaN where there is none."""
        shown_c: NDArray[np.float64] = self._sensors()[1]
        return shown_c

    def take_means(
        self, indexes: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean power of devices and of their meters since last taken; the last step's if none."""
        own_kw = self.power_kw[0, indexes]
        meter_kw = own_kw + self.base_kw[indexes]
        known_s = self._energy_s[indexes]
        some = known_s > 0
        safe_s = np.where(some, known_s, 1.0)
        own_kw = np.where(some, self._energy[0, indexes] / safe_s, own_kw)
        meter_kw = np.where(some, self._energy[1, indexes] / safe_s, meter_kw)
        self._energy[:, indexes] = 0.0
        self._energy_s[indexes] = 0.0
        return own_kw, meter_kw

    def quarters(self) -> tuple[Grid, NDArray[np.float64]]:
        """(count, rows, n) meter means of every whole quarter hour since the start or `drain`."""
        start = self._quarters_from or self.now
        grid = Grid(start=start, step=QUARTER_HOUR, count=len(self._quarters))
        shape = (0, self._rows, len(self._resources))
        return grid, np.stack(self._quarters) if self._quarters else np.empty(shape)

    def drain(self) -> tuple[Grid, NDArray[np.float64]]:
        """`quarters`, and forget them."""
        out = self.quarters()
        self._quarters, self._quarters_from = [], out[0].end
        return out

    def next_midnight(self, at: datetime) -> datetime:
        """The end of the local day that holds `at`."""
        tz = self._world.timezone
        tomorrow = at.astimezone(tz).date() + timedelta(days=1)
        return datetime.combine(tomorrow, time(0), tzinfo=tz).astimezone(UTC)

    def save(self, path: Path) -> None:
        """State of the controlled row of all devices, by kind, with their ids."""
        arrays: dict[str, NDArray[np.generic]] = {}
        for g in self._groups:
            arrays[f"{g.kind}.ids"] = np.array([self._resources[i].id for i in g.at])
            arrays[f"{g.kind}.state"] = g.state[:, 0, :]
        ids = np.array([r.id for r in self._resources])
        arrays |= {"at": np.array(self.now.isoformat()), "ids": ids, "power": self.power_kw[0]}
        np.savez(path, allow_pickle=False, **arrays)

    def load(self, path: Path) -> None:
        """Start every device, both rows, from a file of `save` made for this instant."""
        with np.load(path) as saved:
            at = datetime.fromisoformat(str(saved["at"]))
            if at != self.now:
                raise ValueError(f"{path} holds the state at {at}, not at {self.now}")
            for g in self._groups:
                ids = [self._resources[i].id for i in g.at]
                where = _find(saved[f"{g.kind}.ids"], ids)
                g.state[:] = saved[f"{g.kind}.state"][:, None, where]
            self._sensed_at = None
            self.power_kw[:] = saved["power"][_find(saved["ids"], [r.id for r in self._resources])]

    def _make_group(self, config: Config, kind: ResourceKind) -> _Group | None:
        at = np.array([i for i, r in enumerate(self._resources) if r.kind == kind], dtype=np.int64)
        if not at.size:
            return None
        every = config.fleet.where(kind=kind)
        place = {r.id: k for k, r in enumerate(every)}
        of_kind = np.array([place[self._resources[i].id] for i in at], dtype=np.int64)
        plate = Nameplate(
            rated_kw=_column(r.rated_kw for r in every),
            floor_kw=_column(r.floor_kw for r in every),
            ramp_kw_per_min=_column(r.ramp_kw_per_min for r in every),
        )
        page = PAGES[kind].draw(plate, self._random(f"{kind} parameters")).take(of_kind)
        return _Group(
            kind=kind,
            at=at,
            of_kind=of_kind,
            kind_count=len(every),
            page=page,
            state=page.initial(self._surroundings(), self._rows),
            draws=np.empty((0, at.size)),
            command=Command.free(self._rows, at.size),
        )

    def _make_base(self, config: Config) -> tuple[NDArray[np.int64], BaseLoads]:
        every = [r for r in config.fleet if r.kind in APPLIANCE_KINDS]
        place = {r.id: k for k, r in enumerate(every)}
        homes = [i for i, r in enumerate(self._resources) if r.kind in APPLIANCE_KINDS]
        of_kind = np.array([place[self._resources[i].id] for i in homes], dtype=np.int64)
        self._home_place, self._home_count = of_kind, len(every)
        rated_kw = _column(r.rated_kw for r in every)
        base = BaseLoads.draw(rated_kw, self._random("base load parameters")).take(of_kind)
        return np.array(homes, dtype=np.int64), base

    def _begin_day(self) -> None:
        """Draw the local day's random numbers; each day has its own counter."""
        tz = self._world.timezone
        day = self.now.astimezone(tz).date()
        self._midnight = datetime.combine(day, time(0), tzinfo=tz).astimezone(UTC)
        self._next_midnight = self.next_midnight(self.now)
        number = day.toordinal()
        working = self._working()
        for g in self._groups:
            shape = (g.page.uniforms_per_day, g.kind_count)
            uniforms = self._random(f"{g.kind} day", number).random(shape)[:, g.of_kind]
            g.draws = g.page.plan_day(uniforms, working)
        uniforms = self._random("base load day", number).random((96, self._home_count))
        quarters = Grid(start=self._midnight, step=QUARTER_HOUR, count=96)
        outdoor_c = self._world.outdoor_on(quarters)
        self._base_day = self._base.plan_day(uniforms[:, self._home_place], outdoor_c)

    def _random(self, purpose: str, index: int = 0) -> Generator:
        return draws(self._seed, purpose, index)

    def _working(self) -> bool:
        day = self.now.astimezone(self._world.timezone).date()
        return day.weekday() < 5 and day.isoformat() not in self._holidays

    def _surroundings(self) -> Surroundings:
        return Surroundings(
            outdoor_c=self._world.outdoor_c(self.now),
            hour=(self.now - self._midnight).total_seconds() / 3600,
            working=self._working(),
        )

    def _curtail(self, group: _Group) -> None:
        """A told reduction is a cap below what the twin draws now."""
        reduce_kw = self._reduce_kw[group.at]
        if self._rows == 2 and reduce_kw.any():
            cap_kw = np.nan_to_num(self.power_kw[1, group.at] - reduce_kw, nan=np.inf)
            group.command.cap_kw[0] = np.where(reduce_kw > 0, cap_kw, group.command.cap_kw[0])

    def _account(self, dt_s: float) -> None:
        """Add the step to the means since the last reading and to the running quarter hour."""
        meter_kw = self.power_kw + self.base_kw
        self._energy[0] += self.power_kw[0] * dt_s
        self._energy[1] += meter_kw[0] * dt_s
        self._energy_s += dt_s
        ends_at = self.now + self.step
        in_quarter = timedelta(
            minutes=ends_at.minute % 15, seconds=ends_at.second, microseconds=ends_at.microsecond
        )
        self._quarter_kw += meter_kw
        self._quarter_steps += 1
        if in_quarter:
            return
        if self._quarter_steps * self.step == QUARTER_HOUR:
            self._quarters_from = self._quarters_from or ends_at - QUARTER_HOUR
            self._quarters.append(self._quarter_kw / self._quarter_steps)
        self._quarter_kw = np.zeros_like(self._quarter_kw)
        self._quarter_steps = 0

    def _sensors(self) -> NDArray[np.float64]:
        """(2, n) state of charge and temperature, computed once per step."""
        if self._sensed_at != self.now:
            self._sensed_at = self.now
            self._sensed = np.full((2, len(self._resources)), np.nan)
            for g in self._groups:
                shown = (g.page.soc_frac(g.state), g.page.temperature_c(g.state))
                for row, values in enumerate(shown):
                    if values is not None:
                        self._sensed[row, g.at] = values[0]
        return self._sensed


def _column(values: Iterable[float]) -> Lanes:
    return np.fromiter(values, dtype=np.float64)


def _find(known: NDArray[np.generic], wanted: list[str]) -> NDArray[np.int64]:
    """Where each wanted id stands among the known ones. Raises ValueError for a stranger."""
    place = {str(r): k for k, r in enumerate(known)}
    if missing := [r for r in wanted if r not in place]:
        raise ValueError(f"no saved state of {missing[:3]}")
    return np.array([place[r] for r in wanted], dtype=np.int64)
