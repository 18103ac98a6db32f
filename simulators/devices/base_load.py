"""What a home draws besides its controllable appliance: a curve with a household's own noise."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.random import Generator

from simulators.devices.lanes import Lanes, Params

_SHAPE_H = np.array([0, 3, 6, 7.5, 9, 12, 15, 17, 18.5, 20.5, 22, 24], dtype=float)
_SHAPE = np.array([0.6, 0.5, 0.7, 1.1, 0.95, 0.95, 0.95, 1.15, 1.55, 1.6, 1.2, 0.6])
STEADY = 0.7
"""Share of the curve that is drawn steadily; the rest comes in bursts of exponential size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseLoads(Params):
    """Columns of n homes; `rated_kw` is the appliance's and is not used here."""

    mean_kw: Lanes

    @classmethod
    def draw(cls, rated_kw: Lanes, g: Generator) -> Self:
        mean_kw = np.minimum(g.lognormal(np.log(0.42), 0.35, rated_kw.size), 1.5)
        return cls(rated_kw=rated_kw, mean_kw=mean_kw)

    def plan_day(self, uniforms: Lanes, outdoor_c: Lanes) -> Lanes:
        """(96, n) quarter-hour means in kW; fridges and fans like it cool (`outdoor_c`: (96,))."""
        shape = np.interp(np.arange(96) / 4 + 0.125, _SHAPE_H, _SHAPE)
        warmth = 1 + 0.008 * np.maximum(outdoor_c - 22, 0)
        bursts = -np.log1p(-uniforms)
        curve_kw: Lanes = (shape * warmth)[:, None] * self.mean_kw
        return curve_kw * (STEADY + (1 - STEADY) * bursts)
