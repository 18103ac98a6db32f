"""Inverter split air conditioners: a room with thermal mass, cooled in proportion to need.

Room: dT/dt = (T_drive − T)/τ + (gains − COP·P)/(UA·τ), solved exactly over a step with constant
power; the drive mixes the air outside with walls that follow it over hours. The compressor's
share of rated power grows with the distance to the set temperature and saturates at rated: on
a very hot day most units run flat out for hours. A cap limits power, the room warms, and after
release the unit works harder until the room is back.
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
    between,
    towards,
)

COP = 3.0
BAND_C = 0.8
WALL_TAU_S = 4 * 3600.0
WALL_SHARE = 0.35
DESIGN_C = 33.0
SLEEP_OFFSET_C = 1.5
NOT_TODAY_C = 9.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AirConditioners(Reporting, Params):
    """Columns of n units; hours are local."""

    state_fields: ClassVar[tuple[str, ...]] = ("room_c", "wall_c")
    thermometer: ClassVar[str | None] = "room_c"
    uniforms_per_day: ClassVar[int] = 2
    controls: ClassVar[frozenset[Control]] = frozenset(
        {Control.CAP_KW, Control.OFF, Control.OFFSET_C}
    )

    set_c: Lanes
    ua_kw_per_c: Lanes
    tau_s: Lanes
    gains_kw: Lanes
    away_from_h: Lanes
    away_to_h: Lanes
    set_back_c: Lanes
    wakes_h: Lanes
    sleeps_h: Lanes

    @classmethod
    def draw(cls, plate: Nameplate, g: Generator) -> Self:
        """Units sized so that at 33 °C outside they need 75–115 % of what they can give."""
        n = plate.rated_kw.size
        set_c = g.uniform(23.0, 26.0, n)
        gains_kw = plate.rated_kw * g.uniform(0.25, 0.55, n)
        need_kw = COP * plate.rated_kw * g.uniform(0.75, 1.15, n)
        works = g.random(n) < 0.3
        return cls(
            rated_kw=plate.rated_kw,
            set_c=set_c,
            ua_kw_per_c=(need_kw - gains_kw) / (DESIGN_C - set_c),
            tau_s=g.uniform(4.0, 6.5, n) * 3600,
            gains_kw=gains_kw,
            away_from_h=np.where(works, g.uniform(7.5, 9.0, n), 0.0),
            away_to_h=np.where(works, g.uniform(14.5, 18.0, n), 0.0),
            set_back_c=g.uniform(1.0, 2.5, n),
            wakes_h=g.uniform(5.0, 8.5, n),
            sleeps_h=g.uniform(21.5, 24.0, n),
        )

    def initial(self, around: Surroundings, rows: int) -> Lanes:
        room = np.maximum(self.set_c, np.minimum(around.outdoor_c, self.set_c + 1))
        wall = np.full_like(room, around.outdoor_c)
        return np.repeat(np.stack([room, wall])[:, None, :], rows, axis=1)

    def plan_day(self, uniforms: Lanes, working: bool) -> Lanes:
        """Whose unit stays off all day (out, or windows open), and when workers come home."""
        unused = uniforms[0] < 0.08
        late_h = (uniforms[1] - 0.5) * 1.0 if working else np.full_like(uniforms[1], -24.0)
        return np.stack([np.where(unused, NOT_TODAY_C, 0.0), late_h])

    def step(
        self, state: Lanes, draws: Lanes, around: Surroundings, command: Command, dt_s: float
    ) -> tuple[Lanes, Lanes]:
        room_c, wall_c = state
        wanted_c = self._wanted_c(draws, around) + command.offset_c
        share = np.clip((room_c - wanted_c) / BAND_C, 0.0, 1.0)
        power_kw = np.minimum(self.rated_kw * np.where(share < 0.08, 0.0, share), command.cap_kw)
        drive_c = WALL_SHARE * wall_c + (1 - WALL_SHARE) * around.outdoor_c
        sun = max(0.0, np.sin(np.pi * (around.hour - 6.5) / 13.5))
        gains_kw = self.gains_kw * (0.35 + 0.65 * sun)
        goal_c = drive_c + (gains_kw - COP * power_kw) / self.ua_kw_per_c
        after = np.stack(
            [
                towards(room_c, goal_c, dt_s, self.tau_s),
                towards(wall_c, np.full_like(wall_c, around.outdoor_c), dt_s, WALL_TAU_S),
            ]
        )
        return after, power_kw

    def _wanted_c(self, draws: Lanes, around: Surroundings) -> Lanes:
        unused_c, late_h = draws
        away = between(around.hour, self.away_from_h, np.maximum(self.away_to_h + late_h, 0.0))
        away &= self.away_to_h > 0
        asleep = (around.hour >= self.sleeps_h) | (around.hour < self.wakes_h)
        set_back_c = np.where(away, self.set_back_c, np.where(asleep, SLEEP_OFFSET_C, 0.0))
        setting_c: Lanes = self.set_c + set_back_c + unused_c
        return setting_c
