"""Hospitals: follow occupancy and heat; protected, so nothing is ever asked of them."""

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
from simulators.devices.site import UNIFORMS, noise_at, plan_noise

_BUSY_H = np.array([0, 5, 8, 11, 15, 18, 21, 24], dtype=float)
_BUSY_FRAC = np.array([0.5, 0.5, 0.72, 0.8, 0.8, 0.7, 0.6, 0.5])


@dataclass(frozen=True, slots=True, kw_only=True)
class Hospitals(Reporting, Params):
    """Columns of n hospitals."""

    state_fields: ClassVar[tuple[str, ...]] = ("power_kw",)
    uniforms_per_day: ClassVar[int] = UNIFORMS
    controls: ClassVar[frozenset[Control]] = frozenset()

    beds_frac: Lanes

    @classmethod
    def draw(cls, plate: Nameplate, g: Generator) -> Self:
        return cls(rated_kw=plate.rated_kw, beds_frac=g.uniform(0.95, 1.05, plate.rated_kw.size))

    def initial(self, around: Surroundings, rows: int) -> Lanes:
        return np.repeat((0.6 * self.rated_kw)[None, None, :], rows, axis=1)

    def plan_day(self, uniforms: Lanes, working: bool) -> Lanes:
        return plan_noise(uniforms, 0.01, 0.02)

    def step(
        self, state: Lanes, draws: Lanes, around: Surroundings, command: Command, dt_s: float
    ) -> tuple[Lanes, Lanes]:
        busy = np.interp(around.hour, _BUSY_H, _BUSY_FRAC) * (1.0 if around.working else 0.9)
        heat = 1 + 0.01 * max(0.0, around.outdoor_c - 22)
        demand_kw = self.rated_kw * self.beds_frac * busy * heat * noise_at(draws, around.hour)
        after_kw = towards(state[0], np.broadcast_to(demand_kw, state[0].shape), dt_s, 300.0)
        return after_kw[None], (state[0] + after_kw) / 2
