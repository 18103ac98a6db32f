"""Electric storage water heaters: a tank, hot-water draws, a thermostat with hysteresis.

Tank: C·dT/dt = P − draw − UA·(T − T_room), solved exactly over a step. The element is either on
at rated power or off, so any cap below rated keeps it off.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.random import Generator

from controller.model.commands import Control
from simulators.devices.lanes import (
    Command,
    Lanes,
    Nameplate,
    Params,
    Reporting,
    Surroundings,
    towards,
)

KWH_PER_LITRE_C = 4.186 / 3600
ROOM_C = 22.0
HIGH_C = 64.0
LOW_C = 56.0
DRAWS_PER_DAY = 9.0

_HOURLY_USE = np.array(
    [1, 1, 1, 1, 2, 5, 11, 14, 11, 8, 7, 7, 7, 6, 6, 8, 9, 11, 13, 14, 12, 9, 5, 2], dtype=float
)
_QUARTER_USE = np.repeat(_HOURLY_USE / _HOURLY_USE.sum() / 4, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaterHeaters(Reporting, Params):
    """Columns of n tanks."""

    state_fields: ClassVar[tuple[str, ...]] = ("tank_c", "on")
    thermometer: ClassVar[str | None] = "tank_c"
    uniforms_per_day: ClassVar[int] = 96
    controls: ClassVar[frozenset[Control]] = frozenset({Control.OFF, Control.CAP_KW})

    heat_kwh_per_c: Lanes
    loss_kw_per_c: Lanes
    use_kwh_per_day: Lanes

    @classmethod
    def draw(cls, plate: Nameplate, g: Generator) -> Self:
        """Tanks of 120–300 litres that give 5–12 kWh of hot water a day."""
        n = plate.rated_kw.size
        return cls(
            rated_kw=plate.rated_kw,
            heat_kwh_per_c=g.uniform(120, 300, n) * KWH_PER_LITRE_C,
            loss_kw_per_c=g.uniform(0.0015, 0.003, n),
            use_kwh_per_day=g.uniform(5.0, 12.0, n),
        )

    def initial(self, around: Surroundings, rows: int) -> Lanes:
        tank_c = np.linspace(LOW_C, HIGH_C, self.rated_kw.size)
        return np.repeat(np.stack([tank_c, np.zeros_like(tank_c)])[:, None, :], rows, axis=1)

    def plan_day(self, uniforms: Lanes, working: bool) -> Lanes:
        """(96, n) kW of hot water: about nine draws a day, each of exponential size.

        A uniform below the chance of a draw is, scaled up, the uniform of its size.
        """
        chance = (_QUARTER_USE * DRAWS_PER_DAY)[:, None]
        drawn = uniforms < chance
        size = -np.log(np.where(drawn, np.maximum(uniforms, 1e-12) / chance, 1.0))
        return size * self.use_kwh_per_day / DRAWS_PER_DAY * 4

    def step(
        self, state: Lanes, draws: Lanes, around: Surroundings, command: Command, dt_s: float
    ) -> tuple[Lanes, Lanes]:
        tank_c, on = state
        draw_kw = draws[min(int(around.hour * 4), 95)]
        on = np.where(tank_c <= LOW_C, 1.0, np.where(tank_c >= HIGH_C, 0.0, on))
        allowed = command.cap_kw >= self.rated_kw
        idle_c = self._after(tank_c, -draw_kw, dt_s)
        heated_c = self._after(tank_c, self.rated_kw - draw_kw, dt_s)
        # The thermostat opens within the step when the tank gets there.
        needed = np.clip((HIGH_C - idle_c) / np.maximum(heated_c - idle_c, 1e-9), 0.0, 1.0)
        share = np.where(allowed & (on > 0), needed, 0.0)
        after_c = idle_c + share * (heated_c - idle_c)
        return np.stack([after_c, on]), self.rated_kw * share

    def _after(self, tank_c: Lanes, net_kw: Lanes, dt_s: float) -> Lanes:
        goal_c = ROOM_C + net_kw / self.loss_kw_per_c
        return towards(tank_c, goal_c, dt_s, self.heat_kwh_per_c / self.loss_kw_per_c * 3600)
