"""Rooftop PV: feeds in by the sun's height and the day's clouds; obeys nobody.

Power is negative (into the grid). There is no control: a fleet may hold such meters so that
their net load is real, but nothing can be called from them.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.random import Generator

from controller.model.commands import Control
from simulators.devices.lanes import Command, Lanes, Nameplate, Params, Reporting, Surroundings

SUNRISE_H, SUNSET_H = 6.3, 20.6


@dataclass(frozen=True, slots=True, kw_only=True)
class PvRoofs(Reporting, Params):
    """Columns of n roofs."""

    state_fields: ClassVar[tuple[str, ...]] = ()
    uniforms_per_day: ClassVar[int] = 25
    controls: ClassVar[frozenset[Control]] = frozenset()

    yield_frac: Lanes

    @classmethod
    def draw(cls, plate: Nameplate, g: Generator) -> Self:
        return cls(rated_kw=plate.rated_kw, yield_frac=g.uniform(0.65, 0.85, plate.rated_kw.size))

    def initial(self, around: Surroundings, rows: int) -> Lanes:
        return np.zeros((0, rows, self.rated_kw.size))

    def plan_day(self, uniforms: Lanes, working: bool) -> Lanes:
        """(25, n) hourly clearness."""
        return 1 - 0.5 * uniforms**3

    def step(
        self, state: Lanes, draws: Lanes, around: Surroundings, command: Command, dt_s: float
    ) -> tuple[Lanes, Lanes]:
        height = np.sin(np.pi * (around.hour - SUNRISE_H) / (SUNSET_H - SUNRISE_H))
        up = SUNRISE_H <= around.hour < SUNSET_H
        clear = draws[min(int(around.hour), 24)]
        power_kw = -self.rated_kw * self.yield_frac * clear * (max(0.0, height) if up else 0.0)
        return state, np.broadcast_to(power_kw, command.cap_kw.shape).copy()
