"""Home chargers: a car comes home with an energy need and charges until it is full or leaves.

Arrival follows the household's habit, most in the late afternoon and some (half days, errands)
around noon; charging starts at once at rated power. A cap stretches it, so what was not charged
comes back after release.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.random import Generator

from controller.model.commands import Control
from simulators.devices.lanes import Command, Lanes, Nameplate, Params, Reporting, Surroundings

LEAVES_H = 7.25
EARLIEST_H = 7.5
LATEST_H = 23.9


@dataclass(frozen=True, slots=True, kw_only=True)
class EvChargers(Reporting, Params):
    """Columns of n chargers."""

    state_fields: ClassVar[tuple[str, ...]] = ("need_kwh",)
    uniforms_per_day: ClassVar[int] = 3
    controls: ClassVar[frozenset[Control]] = frozenset(
        {Control.CHARGE_KW, Control.CAP_KW, Control.OFF}
    )

    habit_h: Lanes
    need_kwh_mean: Lanes
    drives_frac: Lanes

    @classmethod
    def draw(cls, plate: Nameplate, g: Generator) -> Self:
        n = plate.rated_kw.size
        noon = g.random(n) < 0.3
        return cls(
            rated_kw=plate.rated_kw,
            habit_h=np.where(noon, g.normal(13.8, 1.4, n), g.normal(16.9, 1.2, n)),
            need_kwh_mean=g.uniform(8.0, 16.0, n),
            drives_frac=g.uniform(0.75, 0.97, n),
        )

    def initial(self, around: Surroundings, rows: int) -> Lanes:
        return np.zeros((1, rows, self.rated_kw.size))

    def plan_day(self, uniforms: Lanes, working: bool) -> Lanes:
        """Hour of arrival and kWh needed (0: the car stays home, full)."""
        drives = uniforms[0] < self.drives_frac * (1.0 if working else 0.75)
        spread_h = (uniforms[1] - 0.5) * (1.6 if working else 5.0)
        arrival_h = np.clip(self.habit_h + spread_h, EARLIEST_H, LATEST_H)
        need_kwh = np.where(drives, self.need_kwh_mean * (0.5 + uniforms[2]), 0.0)
        return np.stack([arrival_h, need_kwh])

    def step(
        self, state: Lanes, draws: Lanes, around: Surroundings, command: Command, dt_s: float
    ) -> tuple[Lanes, Lanes]:
        arrival_h, arrival_kwh = draws
        dt_h = dt_s / 3600
        arrives = (arrival_h >= around.hour) & (arrival_h < around.hour + dt_h)
        leaves = around.hour <= LEAVES_H < around.hour + dt_h
        need_kwh = np.where(leaves, 0.0, state[0]) + np.where(arrives, arrival_kwh, 0.0)
        wanted_kw = np.minimum(self.rated_kw, need_kwh / dt_h)
        power_kw = np.maximum(np.minimum(wanted_kw, command.cap_kw), 0.0)
        return (need_kwh - power_kw * dt_h)[None], power_kw
