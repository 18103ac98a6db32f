"""Electric furnaces: slow ramps and a heavy, hot mass that must be heated up again.

Energy withheld cools the charge; half of it has to be put back, drawn over hours as what the
transformer has to spare (up to 8 % above the usual load).
"""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.random import Generator

from controller.model.commands import Control
from simulators.devices.lanes import Command, Lanes, Nameplate, Params, Surroundings, Unmetered
from simulators.devices.site import UNIFORMS, draw_power, noise_at, plan_noise

MELT_FRAC, HOLD_FRAC = 0.92, 0.4
MELT_H = (5.0, 23.0)
SPARE_FRAC = 0.08
OWED_SHARE = 0.5
PAYBACK_H = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Furnaces(Unmetered, Params):
    """Columns of n furnaces."""

    state_fields: ClassVar[tuple[str, ...]] = ("power_kw", "owed_kwh")
    uniforms_per_day: ClassVar[int] = UNIFORMS
    controls: ClassVar[frozenset[Control]] = frozenset({Control.CAP_KW})

    floor_kw: Lanes
    ramp_kw_per_min: Lanes
    lag_s: Lanes

    @classmethod
    def draw(cls, plate: Nameplate, g: Generator) -> Self:
        return cls(
            rated_kw=plate.rated_kw,
            floor_kw=plate.floor_kw,
            ramp_kw_per_min=plate.ramp_kw_per_min,
            lag_s=g.uniform(60, 120, plate.rated_kw.size),
        )

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
        after_kw = draw_power(
            power_kw,
            usual_kw + extra_kw,
            command.cap_kw,
            np.minimum(self.floor_kw, usual_kw),
            self.ramp_kw_per_min,
            self.lag_s,
            dt_s,
        )
        mean_kw = (power_kw + after_kw) / 2
        capped = command.cap_kw < usual_kw
        withheld_kw = np.where(capped, OWED_SHARE * (usual_kw - mean_kw), usual_kw - mean_kw)
        change_kwh = np.where(capped | (owed_kwh > 0), withheld_kw, 0.0) * dt_s / 3600
        return np.stack([after_kw, np.maximum(owed_kwh + change_kwh, 0.0)]), mean_kw

    def _share(self, around: Surroundings) -> float:
        melting = around.working and MELT_H[0] <= around.hour < MELT_H[1]
        return MELT_FRAC if melting else HOLD_FRAC
