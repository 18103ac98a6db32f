"""A `Problem` as arrays: what each contract and each cohort may do in each interval.

The model, the greedy and the explanation read these; the checker does not (it reads contracts).
Arrays are over the intervals t of the plan's grid, and over the options o of a cohort.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from controller.model.contracts import Contract, ContractKind
from controller.model.ids import CohortId, ContractId
from controller.model.plans import Assignment, Cohort
from controller.model.time import Grid
from controller.plan.problem import Problem

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

KW_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ContractTerms:
    """One contract that is called by itself; runs and rests are counted in intervals."""

    contract: Contract
    free: bool
    """False: no choice is left, it is locked or excluded."""
    availability: float
    levels: tuple[float, ...]
    """Steps in rising order; of a range its two ends."""
    is_range: bool
    most_kw: Floats = field(repr=False)
    """(t,) no more can be called; where it is below the least level nothing can."""
    can_give: Bools = field(repr=False)
    can_start: Bools = field(repr=False)
    must_give: Bools = field(repr=False)
    """(t,) inside the minimum duration of a run that began before."""
    given_kw: Floats = field(repr=False)
    """(t,) without choice: the past, and what is locked."""
    ran: int
    """Intervals of the run that is on when the first open interval begins; 0: none is."""
    began_before_grid: bool
    """The run at t = 0 began before the grid: its start is paid already."""
    min_run: int
    max_run: int
    rest: int
    """At least 1: a run ends with an interval of nothing."""
    calls_left: int
    intervals_left: int

    def level_at(self, t: int, kw: float) -> float:
        """The least level that gives `kw` in interval t, or else the most that there is.

        A range is called in whole kW where they fit, so that people can read and do them.
        """
        most = max(self.most_kw[t], self.levels[0])
        if self.is_range:
            return float(min(max(np.ceil(kw - KW_TOLERANCE), self.levels[0]), most))
        usable = [s for s in self.levels if s <= most + KW_TOLERANCE]
        return next((s for s in usable if s >= kw - KW_TOLERANCE), usable[-1])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CohortTerms:
    """One cohort and its options: option o is 'a member starts at `start` for `length`'."""

    cohort: Cohort
    availability: float
    recovery: int
    busy: Ints = field(repr=False)
    """(t,) members held or recovering because of fixed runs."""
    starts_left: int
    start: Ints = field(repr=False)
    length: Ints = field(repr=False)
    kw: Floats = field(repr=False)
    """(o, t) reduction of one member that follows; rebound negative."""
    cost: Floats = field(repr=False)
    """(o,) expected rebate and start cost of one member in minor units."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Terms:
    """The problem in arrays."""

    problem: Problem = field(repr=False)
    grid: Grid
    first: int
    """First interval that can still be changed."""
    z: float
    target: Floats = field(repr=False)
    ruled: Bools = field(repr=False)
    """(t,) an event rules and the interval is still open."""
    contracts: tuple[ContractTerms, ...]
    cohorts: tuple[CohortTerms, ...]
    kept: tuple[Assignment, ...]
    """Runs of cohorts that are fixed, on the plan's grid."""
    kept_moments: Floats = field(repr=False)
    """(3, t) of those runs; see `moments_of`."""
    kept_cost: float

    @property
    def short_price(self) -> float:
        """Minor units per kW short in one interval, first tier."""
        return self.problem.planning.shortfall_price_minor_per_kwh * self.grid.step_h

    @property
    def over_price(self) -> float:
        """Minor units per kW of surplus in one interval."""
        return self.problem.planning.over_delivery_price_minor_per_kwh * self.grid.step_h


def single_contracts(problem: Problem) -> tuple[Contract, ...]:
    """Contracts that are called by themselves, not through cohorts of appliances."""
    pooled = {k.contract_id for k in problem.cohorts}
    return tuple(
        c for c in problem.contracts if c.id not in pooled and c.kind is not ContractKind.POINTS
    )


def contract_of(problem: Problem, contract_id: ContractId) -> Contract:
    """The contract of that id. Raises StopIteration for an unknown one."""
    return next(c for c in problem.contracts if c.id == contract_id)


def moments_of(availability: float, kw: Floats) -> Floats:
    """(3, …) mean, variance and third central moment of the shortage of `kw` called.

    It comes whole with probability `availability` and not at all otherwise.
    """
    a, spread = availability, availability * (1 - availability)
    return np.stack([a * kw, spread * kw**2, spread * (2 * a - 1) * kw**3])


def member_cost(contract: Contract, availability: float, kwh: float) -> float:
    """Expected rebate of one appliance for `kwh` called, and its start cost, in minor units."""
    return contract.energy_price_minor_per_kwh * availability * kwh + contract.start_cost_minor


def availability_of(problem: Problem, of: ContractId | CohortId, contract: Contract) -> float:
    """The learnt availability where there is one, else the contract's."""
    known = problem.flexibility.get(of)
    return known.availability_frac if known else contract.availability_frac


def down_kw(problem: Problem, of: ContractId | CohortId) -> Floats:
    """(t,) what it can give on the plan's grid; unknown is nothing."""
    known = problem.flexibility.get(of)
    if known is None:
        return np.zeros(problem.grid.count)
    values = known.down_kw.on(problem.grid).values
    return np.where(np.isfinite(values), np.maximum(values, 0.0), 0.0)
