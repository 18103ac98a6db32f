"""What all sites share: demand with noise, a cap that is reached by ramp and lag, a floor.

A site draws min(demand, cap), but never less than its floor (保安负荷) allows, never faster than
its ramp, and its meter follows with a lag of a minute or two.
"""

import numpy as np

from simulators.devices.lanes import Lanes, towards

KNOTS = 49
"""Half-hourly noise knots of a day, both ends included."""
UNIFORMS = KNOTS + 1


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


def draw_power(
    power_kw: Lanes,
    demand_kw: Lanes,
    cap_kw: Lanes,
    floor_kw: Lanes,
    ramp_kw_per_min: Lanes,
    lag_s: Lanes,
    dt_s: float,
) -> Lanes:
    """Power at the end of a step that began at `power_kw`."""
    allowed_kw = np.minimum(demand_kw, np.maximum(cap_kw, floor_kw))
    lagged_kw = towards(power_kw, allowed_kw, dt_s, lag_s)
    most_kw = ramp_kw_per_min * dt_s / 60
    return np.clip(lagged_kw, power_kw - most_kw, power_kw + most_kw)
