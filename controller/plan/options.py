"""The options of cohorts: when a member can start, for how long, what that gives and costs."""

from collections.abc import Sequence

import numpy as np

from controller.model.contracts import Contract
from controller.model.plans import Assignment, Cohort
from controller.model.time import Grid, Series
from controller.plan.arrays import (
    Bools,
    CohortTerms,
    Floats,
    Ints,
    availability_of,
    contract_of,
    down_kw,
    member_cost,
)
from controller.plan.contract_terms import earliest_start, in_windows, run_limits
from controller.plan.problem import Problem


def cohort_terms(
    problem: Problem, cohort: Cohort, ruled: Bools, kept: Sequence[Assignment]
) -> CohortTerms:
    """The options of `cohort` in the open intervals `ruled` (t,), beside its fixed runs."""
    grid, contract = problem.grid, contract_of(problem, cohort.contract_id)
    availability = availability_of(problem, cohort.id, contract)
    recovery = _recovery(cohort, contract, grid)
    each, give = down_kw(problem, cohort.id), np.zeros(grid.count, dtype=bool)
    if contract.id not in problem.excluded:
        give = ruled & in_windows(problem, contract.windows) & (each > 0)
    start, length = _runs(problem, cohort, contract, give)
    known = problem.flexibility.get(cohort.id)
    kw = _reductions(each, start, length)
    cost = [member_cost(contract, availability, float(k.sum()) * grid.step_h) for k in kw]
    if known is not None and known.rebound_intervals > 0:
        kw = kw - _rebounds(kw, start + length, known.rebound_frac, known.rebound_intervals)
    mine = [a for a in kept if a.cohort_id == cohort.id]
    return CohortTerms(
        cohort=cohort,
        availability=availability,
        recovery=recovery,
        busy=_busy(cohort, mine, recovery, grid),
        starts_left=_starts_left(cohort, contract, mine, recovery, grid),
        start=start,
        length=length,
        kw=kw,
        cost=np.array(cost, dtype=np.float64),
    )


def kept_runs(problem: Problem) -> tuple[Assignment, ...]:
    """Runs of the earlier plan that began already, on the plan's grid.

    Members who are in no cohort any more (opted out, unreachable) or whose contract is excluded
    leave their run where the first open interval begins; what they did before stays on record.
    """
    if problem.fixed is None:
        return ()
    first, grid = problem.frozen_until, problem.grid
    shift = (problem.fixed.grid.start - grid.start) // grid.step
    present = {
        m for k in problem.cohorts if k.contract_id not in problem.excluded for m in k.members
    }
    kept: list[Assignment] = []
    for run in problem.fixed.assignments:
        start, end = run.start + shift, min(run.start + shift + run.length, grid.count)
        if start >= first or end <= 0:
            continue
        stay = tuple(m for m in run.members if m in present)
        left = tuple(m for m in run.members if m not in present)
        for members, until in ((stay, end), (left, min(end, first))):
            if members and until > max(start, 0):
                kept.append(_shifted(problem, run, max(start, 0), until, members))
    return tuple(kept)


def _shifted(
    problem: Problem, run: Assignment, start: int, end: int, members: tuple[int, ...]
) -> Assignment:
    """`run` on the plan's grid, ended at `end` with the rebound that follows from there."""
    known = np.nan_to_num(run.kw_each.on(problem.grid).values)
    held = np.arange(problem.grid.count)
    kw = np.where((held >= start) & (held < end), known, 0.0)
    rule = problem.flexibility.get(run.cohort_id)
    if rule is not None and rule.rebound_intervals > 0:
        back = _rebounds(kw[None], np.array([end]), rule.rebound_frac, rule.rebound_intervals)
        kw = kw - back[0]
    return Assignment(
        cohort_id=run.cohort_id,
        contract_id=run.contract_id,
        start=start,
        length=end - start,
        members=members,
        kw_each=Series(grid=problem.grid, values=kw),
    )


def _runs(problem: Problem, cohort: Cohort, contract: Contract, give: Bools) -> tuple[Ints, Ints]:
    """All (start, length) that notice, windows, comfort and the contract's durations allow."""
    least, longest, _ = run_limits(contract, problem.grid)
    longest = min(longest, cohort.max_run // problem.grid.step)
    first = max(problem.frozen_until, earliest_start(problem, contract), 0)
    runs = [
        (t, d)
        for t in range(first, problem.grid.count)
        for d in range(least, min(longest, problem.grid.count - t) + 1)
        if give[t : t + d].all()
    ]
    pairs = np.array(runs, dtype=np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _reductions(each: Floats, start: Ints, length: Ints) -> Floats:
    """(o, t) kW of a member while it is held."""
    t = np.arange(len(each))
    held = (t >= start[:, None]) & (t < (start + length)[:, None])
    return np.where(held, each, 0.0)


def _rebounds(kw: Floats, release: Ints, frac: float, intervals: int) -> Floats:
    """(o, t) what comes back: `frac` of the energy, evenly over `intervals` from release on.

    What falls behind the horizon is not seen.
    """
    t = np.arange(kw.shape[1])
    after = (t >= release[:, None]) & (t < release[:, None] + intervals)
    return np.where(after, frac * kw.sum(axis=1, keepdims=True) / intervals, 0.0)


def _recovery(cohort: Cohort, contract: Contract, grid: Grid) -> int:
    """Intervals between two calls of one member; at least one, so that runs never join."""
    _, _, rest = run_limits(contract, grid)
    return max(rest, -(-cohort.recovery // grid.step))


def _busy(cohort: Cohort, mine: Sequence[Assignment], recovery: int, grid: Grid) -> Ints:
    """(t,) members of today's cohort that a fixed run holds or leaves recovering."""
    members, busy = set(cohort.members), np.zeros(grid.count, dtype=np.int64)
    for run in mine:
        busy[run.start : run.start + run.length + recovery] += len(members & set(run.members))
    return busy


def _starts_left(
    cohort: Cohort, contract: Contract, mine: Sequence[Assignment], recovery: int, grid: Grid
) -> int:
    """How many members may still be started.

    Where a member could be called more often in the horizon than its contract allows in a day,
    each is called once at most: the interval colouring that names members knows no such limit.
    """
    most_possible = -(-grid.count // (1 + recovery))
    if contract.max_calls_per_day >= most_possible:
        return most_possible * len(cohort.members)
    used = {m for run in mine for m in run.members} & set(cohort.members)
    return len(cohort.members) - len(used) if contract.max_calls_per_day > 0 else 0
