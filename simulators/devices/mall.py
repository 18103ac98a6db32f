"""Malls: lights and escalators by opening hours, cooling by the heat outside.

The hall is a thermal mass like a room, with the chillers in proportion to need; a cap takes
cooling first and cannot go below the floor.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from simulators.devices.lanes import Command, Lanes, Nameplate, Surroundings, between, towards
from simulators.devices.site import Site, noise_at, plan_noise

COP = 3.5
BAND_C = 2.5
DESIGN_C = 40.0
SET_C = 23.0
LIGHTS_FRAC, NIGHT_FRAC, CHILLERS_FRAC = 0.42, 0.12, 0.58
PRE_COOLING_H = 1.5
SET_BACK_C = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Malls(Site):
    """Columns of n malls."""

    state_fields: ClassVar[tuple[str, ...]] = ("power_kw", "hall_c", "shell_c")
    thermometer: ClassVar[str | None] = "hall_c"

    ua_kw_per_c: Lanes
    people_kw: Lanes
    tau_s: Lanes
    opens_h: Lanes
    closes_h: Lanes

    @classmethod
    def draw(cls, plate: Nameplate, g: Generator) -> Self:
        """Malls that need 90–105 % of their chillers at 40 °C; a quarter of it is for people."""
        n = plate.rated_kw.size
        cooling_kw = COP * CHILLERS_FRAC * plate.rated_kw * g.uniform(0.9, 1.05, n)
        return cls(
            rated_kw=plate.rated_kw,
            floor_kw=plate.floor_kw,
            ramp_kw_per_min=plate.ramp_kw_per_min,
            lag_s=g.uniform(60, 120, n),
            ua_kw_per_c=0.75 * cooling_kw / (DESIGN_C - SET_C),
            people_kw=0.25 * cooling_kw,
            tau_s=g.uniform(7, 11, n) * 3600,
            opens_h=g.uniform(8.5, 10.0, n),
            closes_h=g.uniform(21.0, 22.0, n),
        )

    def initial(self, around: Surroundings, rows: int) -> Lanes:
        power_kw = self.rated_kw * np.where(self._open(around), LIGHTS_FRAC, NIGHT_FRAC)
        temperature_c = np.full_like(power_kw, SET_C)
        state = np.stack([power_kw, temperature_c, temperature_c * 0 + around.outdoor_c])
        return np.repeat(state[:, None], rows, axis=1)

    def plan_day(self, uniforms: Lanes, working: bool) -> Lanes:
        return plan_noise(uniforms, 0.01, 0.015)

    def step(
        self, state: Lanes, draws: Lanes, around: Surroundings, command: Command, dt_s: float
    ) -> tuple[Lanes, Lanes]:
        power_kw, hall_c, shell_c = state
        is_open = self._open(around)
        lights_kw = self.rated_kw * np.where(is_open, LIGHTS_FRAC, NIGHT_FRAC)
        lights_kw = lights_kw * noise_at(draws, around.hour)
        # Before opening the hall is cooled down; at night it may drift.
        cools = between(around.hour, self.opens_h - PRE_COOLING_H, self.closes_h)
        wanted_c = SET_C + np.where(cools, 0.0, SET_BACK_C)
        share = np.clip((hall_c - wanted_c) / BAND_C, 0.0, 1.0)
        demand_kw = lights_kw + share * CHILLERS_FRAC * self.rated_kw
        after_kw = self.follow(power_kw, demand_kw, command, dt_s)
        mean_kw = (power_kw + after_kw) / 2
        cooling_kw = COP * np.maximum(mean_kw - lights_kw, 0.0)
        gains_kw = self.people_kw * np.where(is_open, 1.0, 0.1)
        goal_c = 0.5 * (shell_c + around.outdoor_c) + (gains_kw - cooling_kw) / self.ua_kw_per_c
        outdoor_c = np.full_like(shell_c, around.outdoor_c)
        after = [
            after_kw,
            towards(hall_c, goal_c, dt_s, self.tau_s),
            towards(shell_c, outdoor_c, dt_s, 4 * 3600.0),
        ]
        return np.stack(after), mean_kw

    def _open(self, around: Surroundings) -> NDArray[np.bool_]:
        return between(around.hour, self.opens_h, self.closes_h)
