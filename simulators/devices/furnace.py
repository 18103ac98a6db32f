"""Electric furnaces: slow ramps and a heavy, hot mass that must be heated up again.

Energy withheld cools the charge; half of it has to be put back, drawn over hours as what the
transformer has to spare (up to 8 % above the usual load).
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from simulators.devices.lanes import Command, Lanes, Surroundings
from simulators.devices.site import Site, noise_at, plan_noise

MELT_FRAC, HOLD_FRAC = 0.92, 0.4
MELT_H = (5.0, 23.0)
SPARE_FRAC = 0.08
OWED_SHARE = 0.5
PAYBACK_H = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Furnaces(Site):
    """Columns of n furnaces."""

    state_fields: ClassVar[tuple[str, ...]] = ("power_kw", "owed_kwh")
    lag_range_s: ClassVar[tuple[float, float]] = (60, 120)

    def initial(self, around: Surroundings, rows: int) -> Lanes:
        power_kw = self.rated_kw * self._share(around)
        return np.repeat(np.stack([power_kw, np.zeros_like(power_kw)])[:, None], rows, axis=1)

    def plan_day(self, uniforms: Lanes, working: bool) -> Lanes:
        return plan_noise(uniforms, 0.01, 0.025)

    def step(
        self, state: Lanes, draws: Lanes, around: Surroundings, command: Command, dt_s: float
    ) -> tuple[Lanes, Lanes]:
        power_kw, owed_kwh = state
        usual_kw = self.rated_kw * self._share(around) * noise_at(draws, around.hour)
        extra_kw = np.minimum(owed_kwh / PAYBACK_H, SPARE_FRAC * self.rated_kw)
        wanted_kw = usual_kw + extra_kw
        after_kw = self.follow(power_kw, wanted_kw, command, dt_s, usual_kw=usual_kw)
        mean_kw = (power_kw + after_kw) / 2
        capped = command.cap_kw < usual_kw
        withheld_kw = np.where(capped, OWED_SHARE * (usual_kw - mean_kw), usual_kw - mean_kw)
        change_kwh = np.where(capped | (owed_kwh > 0), withheld_kw, 0.0) * dt_s / 3600
        return np.stack([after_kw, np.maximum(owed_kwh + change_kwh, 0.0)]), mean_kw

    def _share(self, around: Surroundings) -> float:
        melting = around.working and MELT_H[0] <= around.hour < MELT_H[1]
        return MELT_FRAC if melting else HOLD_FRAC
