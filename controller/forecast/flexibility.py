"""How much a site or a home can give, as far as it can be known before it is called.

Kilowatts are what a call takes off the meter if it is followed; how surely it is followed is
`availability_frac`, and the planner multiplies the two. Where the load is not known, nothing
is promised.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from controller.model.commands import Control
from controller.model.contracts import Contract
from controller.model.plans import Cohort, Flexibility
from controller.model.resources import Resource
from controller.model.settings import CohortRule
from controller.model.time import Series

HOUSEHOLD_KW: Final = 0.5
"""What a home draws besides its appliance, where no estimate of the appliance is given."""
OFFSET_FRAC_PER_C: Final = 0.08
"""Cooling saved per degree of thermostat offset until something is learnt: cautious, not measured
here."""


def site_flexibility(
    contract: Contract,
    resources: Sequence[Resource],
    forecast: Series,
    *,
    availability_frac: float | None = None,
) -> Flexibility:
    """What the contract's sites can shed: their load above the floors, at most what was agreed.

    `forecast` is the operating forecast of all `resources` together in kW. The terms' kW are per
    resource, and protected ones give nothing: their whole rating counts as floor. Missing load
    gives 0. `availability_frac` is the learnt one, where there is one.
    """
    callable_ = [r for r in resources if not r.protected]
    floor_kw = sum(r.rated_kw if r.protected else r.floor_kw for r in resources)
    most_kw = contract.most_kw * len(callable_)
    down_kw = np.clip(np.nan_to_num(forecast.values - floor_kw), 0.0, most_kw)
    learnt = contract.availability_frac if availability_frac is None else availability_frac
    return Flexibility(
        of=contract.id,
        down_kw=Series(grid=forecast.grid, values=down_kw),
        availability_frac=learnt,
    )


def cohort_flexibility(
    cohort: Cohort,
    rule: CohortRule,
    member_forecast_kw: Series,
    rated_kw: float,
    *,
    member_kw: NDArray[np.float64] | None = None,
    appliance_kw: NDArray[np.float64] | None = None,
    base_kw: float = HOUSEHOLD_KW,
    energy_kwh: float | None = None,
    response_frac: float | None = None,
) -> Flexibility:
    """What one called member of `cohort` takes off its meter, as the mean over the members, in kW.

    `member_forecast_kw` is the mean operating forecast of the members' net meters and
    `member_kw` (k, count), where given, each member's. `appliance_kw` (k, count) or (count,)
    is the part of it that the appliance draws (`forecast.appliances`); without it, the meter
    above `base_kw`, and for a battery 0. A cap takes off what is above it, member by member:
    the mean of members above a cap is more than the cap says of the mean, so fewer details
    give less. Discharge is bounded by `energy_kwh` over `rule.max_run`, where it is known.
    `response_frac` is what called members were seen to give of this (default: the rule's).
    Missing load gives 0. Raises ValueError for shapes that do not fit the forecast's grid.
    """
    grid = member_forecast_kw.grid
    meters = member_forecast_kw.values[None, :] if member_kw is None else np.atleast_2d(member_kw)
    drawn = _drawn(cohort.control, meters, appliance_kw, base_kw, rated_kw)
    if drawn.shape[1] != grid.count:
        raise ValueError(f"members of shape {drawn.shape} on a grid of {grid.count}")
    value = _bounded_value(cohort, rule, energy_kwh)
    less = np.nan_to_num(_reduction(cohort.control, value, drawn))
    down_kw = np.maximum(less, 0.0).mean(axis=0) if len(less) else np.zeros(grid.count)
    return Flexibility(
        of=cohort.id,
        down_kw=Series(grid=grid, values=down_kw),
        availability_frac=rule.availability_frac if response_frac is None else response_frac,
        rebound_frac=rule.rebound_frac,
        rebound_intervals=rule.rebound_intervals,
    )


def _drawn(
    control: Control,
    meters: NDArray[np.float64],
    appliance_kw: NDArray[np.float64] | None,
    base_kw: float,
    rated_kw: float,
) -> NDArray[np.float64]:
    """(k, count) what the members' appliances draw if they are not called."""
    if appliance_kw is not None:
        return np.atleast_2d(appliance_kw)
    if control is Control.POWER_KW:
        return np.where(np.isnan(meters), np.nan, 0.0)
    return np.clip(meters - base_kw, 0.0, rated_kw)


def _bounded_value(cohort: Cohort, rule: CohortRule, energy_kwh: float | None) -> float:
    """The setpoint, a discharge no higher than the stored energy allows through the longest run."""
    if cohort.control is not Control.POWER_KW or energy_kwh is None:
        return cohort.control_value
    return max(cohort.control_value, -energy_kwh / (rule.max_run.total_seconds() / 3600))


def _reduction(control: Control, value: float, drawn: NDArray[np.float64]) -> NDArray[np.float64]:
    """(k, count) what the setpoint takes off each appliance's power."""
    match control:
        case Control.CAP_KW | Control.CHARGE_KW:
            return drawn - value
        case Control.OFF:
            return drawn
        case Control.POWER_KW:
            return drawn - value
        case Control.OFFSET_C:
            return drawn * min(1.0, OFFSET_FRAC_PER_C * abs(value))
