"""What all sites share: demand with noise, a cap that is reached by ramp and lag, a floor.

A site draws min(demand, cap), but never less than its floor (保安负荷) allows, never faster than
its ramp, and its meter follows with a lag of a minute or two.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.random import Generator

from controller.model.commands import Control
from simulators.devices.lanes import Command, Lanes, Nameplate, Params, Reporting, towards

KNOTS = 49
"""Half-hourly noise knots of a day, both ends included."""
UNIFORMS = KNOTS + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Site(Reporting, Params):
    """Base of the pages of sites: columns of n sites that can be capped."""

    uniforms_per_day: ClassVar[int] = UNIFORMS
    controls: ClassVar[frozenset[Control]] = frozenset({Control.CAP_KW})
    lag_range_s: ClassVar[tuple[float, float]]

    floor_kw: Lanes
    ramp_kw_per_min: Lanes
    lag_s: Lanes

    @classmethod
    def draw(cls, plate: Nameplate, g: Generator) -> Self:
        """Sites that differ in their lag alone; a page with more parameters draws its own."""
        return cls(
            rated_kw=plate.rated_kw,
            floor_kw=plate.floor_kw,
            ramp_kw_per_min=plate.ramp_kw_per_min,
            lag_s=g.uniform(*cls.lag_range_s, plate.rated_kw.size),
        )

    def follow(
        self,
        power_kw: Lanes,
        demand_kw: Lanes,
        command: Command,
        dt_s: float,
        *,
        usual_kw: Lanes | None = None,
    ) -> Lanes:
        """Power at the end of a step that began at `power_kw`.

        The floor never asks for more than the demand, or than `usual_kw` where that is less.
        """
        needed_kw = demand_kw if usual_kw is None else usual_kw
        floor_kw = np.minimum(self.floor_kw, needed_kw)
        allowed_kw = np.minimum(demand_kw, np.maximum(command.cap_kw, floor_kw))
        lagged_kw = towards(power_kw, allowed_kw, dt_s, self.lag_s)
        most_kw = self.ramp_kw_per_min * dt_s / 60
        return np.clip(lagged_kw, power_kw - most_kw, power_kw + most_kw)


def plan_noise(uniforms: Lanes, day_frac: float, knot_frac: float) -> Lanes:
    """(49, n) factors around 1: a level of the day and half-hourly wiggles, uniform ± frac."""
    level = 1 + day_frac * (2 * uniforms[0] - 1)
    factors: Lanes = level * (1 + knot_frac * (2 * uniforms[1:] - 1))
    return factors


def noise_at(knots: Lanes, hour: float) -> Lanes:
    """The day's factor at `hour`, straight lines between the knots."""
    i, rest = divmod(min(hour * 2, KNOTS - 1.001), 1)
    factor: Lanes = knots[int(i)] * (1 - rest) + knots[int(i) + 1] * rest
    return factor
