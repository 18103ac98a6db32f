"""A `Problem` becomes `Terms`: contracts, cohorts, targets and what is fixed, on one grid."""

from statistics import NormalDist

import numpy as np

from controller.plan.arrays import (
    Terms,
    availability_of,
    contract_of,
    member_cost,
    moments_of,
    single_contracts,
)
from controller.plan.contract_terms import contract_terms
from controller.plan.options import cohort_terms, kept_runs
from controller.plan.problem import Problem


def terms_of(problem: Problem) -> Terms:
    """Every term of the problem on its grid. Raises ValueError where series do not align."""
    grid, first, tail = problem.grid, problem.frozen_until, np.zeros(problem.tail_intervals)
    ruling = np.array([r is not None for r in problem.timeline.ruling], dtype=np.float64)
    ruled = (np.concatenate([ruling, tail]) > 0) & (np.arange(grid.count) >= first)
    kept = kept_runs(problem)
    moments, cost = np.zeros((3, grid.count)), 0.0
    for run in kept:
        contract, count = contract_of(problem, run.contract_id), len(run.members)
        a = availability_of(problem, run.cohort_id, contract)
        held = run.kw_each.values[run.start : run.start + run.length]
        moments += count * moments_of(a, run.kw_each.values)
        cost += count * member_cost(contract, a, float(held.sum()) * grid.step_h)
    return Terms(
        problem=problem,
        grid=grid,
        first=first,
        z=NormalDist().inv_cdf(problem.planning.confidence),
        target=np.concatenate([problem.timeline.target.values * ruling, tail]),
        ruled=ruled,
        contracts=tuple(contract_terms(problem, c, ruled) for c in single_contracts(problem)),
        cohorts=tuple(cohort_terms(problem, k, ruled, kept) for k in problem.cohorts),
        kept=kept,
        kept_moments=moments,
        kept_cost=cost,
    )
