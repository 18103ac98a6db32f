"""Cold stores: compressors hold a deep-frozen mass cold; hotter days need more.

Store: dT/dt = (T_out − T)/τ − cooling, solved exactly over a step; the compressors run in
proportion to the distance from the set temperature. Fans, lights and doors draw the rest.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.random import Generator

from simulators.devices.lanes import Command, Lanes, Nameplate, Surroundings, towards
from simulators.devices.site import Site, noise_at, plan_noise

COP = 1.7
BAND_C = 1.5
DESIGN_C = 43.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ColdStores(Site):
    """Columns of n stores."""

    state_fields: ClassVar[tuple[str, ...]] = ("power_kw", "store_c", "shell_c")
    thermometer: ClassVar[str | None] = "store_c"

    set_c: Lanes
    ua_kw_per_c: Lanes
    tau_s: Lanes
    fans_kw: Lanes

    @classmethod
    def draw(cls, plate: Nameplate, g: Generator) -> Self:
        """Stores that need 85–95 % of their compressors at 43 °C outside."""
        n = plate.rated_kw.size
        set_c = g.uniform(-23, -20, n)
        fans_kw = np.minimum(0.18 * plate.rated_kw, plate.floor_kw)
        cooling_kw = COP * (plate.rated_kw - fans_kw) * g.uniform(0.85, 0.95, n)
        return cls(
            rated_kw=plate.rated_kw,
            floor_kw=plate.floor_kw,
            ramp_kw_per_min=plate.ramp_kw_per_min,
            lag_s=g.uniform(45, 100, n),
            set_c=set_c,
            ua_kw_per_c=cooling_kw / (DESIGN_C - set_c),
            tau_s=g.uniform(60, 90, n) * 3600,
            fans_kw=fans_kw,
        )

    def initial(self, around: Surroundings, rows: int) -> Lanes:
        shell_c = np.full_like(self.rated_kw, around.outdoor_c)
        share = self.ua_kw_per_c * (shell_c - self.set_c) / (COP * (self.rated_kw - self.fans_kw))
        power_kw = self.fans_kw + np.clip(share, 0, 1) * (self.rated_kw - self.fans_kw)
        state = np.stack([power_kw, self.set_c + np.clip(share, 0, 1) * BAND_C, shell_c])
        return np.repeat(state[:, None], rows, axis=1)

    def plan_day(self, uniforms: Lanes, working: bool) -> Lanes:
        return plan_noise(uniforms, 0.01, 0.03)

    def step(
        self, state: Lanes, draws: Lanes, around: Surroundings, command: Command, dt_s: float
    ) -> tuple[Lanes, Lanes]:
        power_kw, store_c, shell_c = state
        share = np.clip((store_c - self.set_c) / BAND_C, 0.0, 1.0)
        demand_kw = self.fans_kw + share * (self.rated_kw - self.fans_kw)
        demand_kw = demand_kw * noise_at(draws, around.hour)
        after_kw = self.follow(power_kw, demand_kw, command, dt_s)
        mean_kw = (power_kw + after_kw) / 2
        cooling_kw = COP * np.maximum(mean_kw - self.fans_kw, 0.0)
        goal_c = shell_c - cooling_kw / self.ua_kw_per_c
        outdoor_c = np.full_like(shell_c, around.outdoor_c)
        after = [
            after_kw,
            towards(store_c, goal_c, dt_s, self.tau_s),
            towards(shell_c, outdoor_c, dt_s, 5 * 3600.0),
        ]
        return np.stack(after), mean_kw
