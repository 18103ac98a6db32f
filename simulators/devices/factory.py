"""Factories: two shifts with breaks. Production that was not run is lost, not caught up."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.random import Generator

from simulators.devices.lanes import Command, Lanes, Nameplate, Surroundings
from simulators.devices.site import Site, noise_at, plan_noise

FULL_FRAC = 0.95
NIGHT_FRAC = 0.22
SHIFTS_H = (6.0, 22.0)
BREAKS = ((9.0, 9.25, 0.75), (11.75, 12.5, 0.6), (14.0, 14.25, 0.8), (19.25, 20.0, 0.6))
"""(from, to, share of full load): breakfast, lunch, change of shift, supper."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Factories(Site):
    """Columns of n plants."""

    state_fields: ClassVar[tuple[str, ...]] = ("power_kw",)

    shift_h: Lanes
    """How far this plant's clock is from the usual one."""

    @classmethod
    def draw(cls, plate: Nameplate, g: Generator) -> Self:
        n = plate.rated_kw.size
        return cls(
            rated_kw=plate.rated_kw,
            floor_kw=plate.floor_kw,
            ramp_kw_per_min=plate.ramp_kw_per_min,
            lag_s=g.uniform(40, 90, n),
            shift_h=g.uniform(-0.25, 0.25, n),
        )

    def initial(self, around: Surroundings, rows: int) -> Lanes:
        power_kw = self._share(around) * self.rated_kw
        return np.repeat(power_kw[None, None, :], rows, axis=1)

    def plan_day(self, uniforms: Lanes, working: bool) -> Lanes:
        return plan_noise(uniforms, 0.015, 0.02)

    def step(
        self, state: Lanes, draws: Lanes, around: Surroundings, command: Command, dt_s: float
    ) -> tuple[Lanes, Lanes]:
        demand_kw = self.rated_kw * self._share(around) * noise_at(draws, around.hour)
        after_kw = self.follow(state[0], demand_kw, command, dt_s)
        return after_kw[None], (state[0] + after_kw) / 2

    def _share(self, around: Surroundings) -> Lanes:
        hour = around.hour + self.shift_h
        share = np.full_like(self.rated_kw, NIGHT_FRAC)
        if not around.working:
            return share
        share = np.where((hour >= SHIFTS_H[0]) & (hour < SHIFTS_H[1]), FULL_FRAC, share)
        for start_h, end_h, rest in BREAKS:
            share = np.where((hour >= start_h) & (hour < end_h), FULL_FRAC * rest, share)
        return share
