"""Water works: pumps keep a tank full against the town's draw; hot days draw more.

Pumping is proportional to the missing level; a cap lets the level fall, and after release the
pumps bring it back.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from simulators.devices.lanes import Command, Lanes, Surroundings
from simulators.devices.site import Site, noise_at, plan_noise

AUX_FRAC = 0.12
GAIN_PER_H = 0.35
"""Pumping (share of full) per hour of full pumping that the tank is short of."""
_DRAW_H = np.array([0, 4, 6, 8, 10, 14, 16, 18, 20, 22, 24], dtype=float)
_DRAW_FRAC = np.array([0.45, 0.4, 0.62, 0.8, 0.78, 0.76, 0.8, 0.84, 0.82, 0.6, 0.45])


@dataclass(frozen=True, slots=True, kw_only=True)
class WaterWorks(Site):
    """Columns of n works. `short_h`: hours of full pumping missing in the tank."""

    state_fields: ClassVar[tuple[str, ...]] = ("power_kw", "short_h")
    lag_range_s: ClassVar[tuple[float, float]] = (40, 80)

    def initial(self, around: Surroundings, rows: int) -> Lanes:
        draw = np.full_like(self.rated_kw, np.interp(around.hour, _DRAW_H, _DRAW_FRAC))
        power_kw = self.rated_kw * (AUX_FRAC + (1 - AUX_FRAC) * draw)
        return np.repeat(np.stack([power_kw, draw / GAIN_PER_H])[:, None], rows, axis=1)

    def plan_day(self, uniforms: Lanes, working: bool) -> Lanes:
        return plan_noise(uniforms, 0.015, 0.03)

    def step(
        self, state: Lanes, draws: Lanes, around: Surroundings, command: Command, dt_s: float
    ) -> tuple[Lanes, Lanes]:
        power_kw, short_h = state
        heat = 1 + 0.006 * max(0.0, around.outdoor_c - 22)
        draw = np.interp(around.hour, _DRAW_H, _DRAW_FRAC) * heat * noise_at(draws, around.hour)
        share = np.clip(GAIN_PER_H * short_h, 0.0, 1.0)
        aux_kw = AUX_FRAC * self.rated_kw
        demand_kw = aux_kw + share * (self.rated_kw - aux_kw)
        after_kw = self.follow(power_kw, demand_kw, command, dt_s)
        mean_kw = (power_kw + after_kw) / 2
        pumped = (mean_kw - aux_kw) / (self.rated_kw - aux_kw)
        return np.stack([after_kw, short_h + (draw - pumped) * dt_s / 3600]), mean_kw
