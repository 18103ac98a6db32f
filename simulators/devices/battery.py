"""Home batteries: filled from the roof's surplus around noon, emptied into the evening.

Left alone a battery follows its own schedule; `power_kw` overrules it (negative: feed in) within
what rating and state of charge allow. Losses are taken half on the way in, half on the way out.
What an event drew is missing in the evening: the home then draws from the grid instead.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.random import Generator

from controller.model.commands import Control
from simulators.devices.lanes import Command, Lanes, Nameplate, Params, Reporting, Surroundings

ONE_WAY_EFFICIENCY = 0.95
EMPTY_FRAC = 0.05
OWN_RESERVE_FRAC = 0.2
CHARGE_TO_H = 15.0
EVENING_TO_H = 23.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Batteries(Reporting, Params):
    """Columns of n batteries."""

    state_fields: ClassVar[tuple[str, ...]] = ("stored_kwh",)
    uniforms_per_day: ClassVar[int] = 2
    controls: ClassVar[frozenset[Control]] = frozenset({Control.POWER_KW})

    capacity_kwh: Lanes
    charge_kw: Lanes
    evening_kw: Lanes
    evening_from_h: Lanes
    charge_from_h: Lanes

    @classmethod
    def draw(cls, plate: Nameplate, g: Generator) -> Self:
        """Capacities of 2.6–3 hours at rated power."""
        n = plate.rated_kw.size
        return cls(
            rated_kw=plate.rated_kw,
            capacity_kwh=plate.rated_kw * g.uniform(2.6, 3.0, n),
            charge_kw=plate.rated_kw * g.uniform(0.45, 0.65, n),
            evening_kw=g.uniform(0.5, 1.3, n),
            evening_from_h=g.uniform(17.25, 18.75, n),
            charge_from_h=g.uniform(8.0, 11.0, n),
        )

    def initial(self, around: Surroundings, rows: int) -> Lanes:
        return np.repeat((0.6 * self.capacity_kwh)[None, None, :], rows, axis=1)

    def plan_day(self, uniforms: Lanes, working: bool) -> Lanes:
        """How sunny the roof and how hungry the evening is today, as factors."""
        return 0.85 + 0.3 * uniforms

    def step(
        self, state: Lanes, draws: Lanes, around: Surroundings, command: Command, dt_s: float
    ) -> tuple[Lanes, Lanes]:
        stored_kwh = state[0]
        commanded = ~np.isnan(command.power_kw)
        wanted_kw = np.where(commanded, command.power_kw, self._own_kw(draws, around))
        lowest_kwh = np.where(commanded, EMPTY_FRAC, OWN_RESERVE_FRAC) * self.capacity_kwh
        dt_h = dt_s / 3600
        room_kw = np.maximum(self.capacity_kwh - stored_kwh, 0) / ONE_WAY_EFFICIENCY / dt_h
        held_kw = np.maximum(stored_kwh - lowest_kwh, 0) * ONE_WAY_EFFICIENCY / dt_h
        limited_kw = np.clip(wanted_kw, -self.rated_kw, self.rated_kw)
        power_kw = np.clip(limited_kw, -held_kw, room_kw)
        into_kwh = np.where(power_kw > 0, ONE_WAY_EFFICIENCY, 1 / ONE_WAY_EFFICIENCY)
        return (stored_kwh + power_kw * into_kwh * dt_h)[None], power_kw

    def soc_frac(self, state: Lanes) -> Lanes | None:
        frac: Lanes = state[0] / self.capacity_kwh
        return frac

    def _own_kw(self, draws: Lanes, around: Surroundings) -> Lanes:
        sunny, hungry = draws
        charging = (around.hour >= self.charge_from_h) & (around.hour < CHARGE_TO_H)
        evening = (around.hour >= self.evening_from_h) & (around.hour < EVENING_TO_H)
        own_kw = np.where(evening, -self.evening_kw * hungry, 0.0)
        return np.where(charging, self.charge_kw * sunny, own_kw)
