"""The checker's part for numbers: what the plan promises, and what it says that costs."""

from collections.abc import Iterator
from math import sqrt
from statistics import NormalDist

from controller.model.contracts import Contract
from controller.model.ids import CohortId, ContractId
from controller.model.plans import Plan
from controller.plan.problem import (
    FIRST_TIER_FRAC,
    FREE_SURPLUS_FRAC,
    SECOND_TIER_FACTOR,
    Problem,
)

KW = 1e-3


def check_sums(plan: Plan, problem: Problem) -> Iterator[str]:
    """Every promise or amount that does not follow from the plan's own calls."""
    yield from _promises(plan, problem)
    yield from _money(plan, problem)


def _promises(plan: Plan, problem: Problem) -> Iterator[str]:
    """Expected follows from the calls; the reserve covers the spread; what lacks is said."""
    z, first = NormalDist().inv_cdf(problem.planning.confidence), _first_open(plan, problem)
    for t in range(plan.grid.count):
        mean, variance = _moments(plan, problem, t)
        expected, target = float(plan.expected_kw.values[t]), float(plan.target_kw.values[t])
        reserve, short = float(plan.reserve_kw.values[t]), float(plan.shortfall_kw.values[t])
        scale = KW * (1 + len(plan.assignments))
        if abs(expected - mean) > scale:
            yield f"interval {t}: {expected:g} kW are expected, the calls give {mean:g}"
        if t < first or target <= 0:
            if abs(short) > KW or abs(reserve) > KW:
                yield f"interval {t}: a shortfall or reserve where nothing can be asked"
            continue
        if reserve < z * sqrt(variance) - scale:
            yield f"interval {t}: a reserve of {reserve:g} kW is too small"
        lacking = max(0.0, target + reserve - expected)
        if abs(short - lacking) > scale:
            yield f"interval {t}: a shortfall of {short:g} kW is said, it is {lacking:g}"


def _money(plan: Plan, problem: Problem) -> Iterator[str]:
    """Rebates and start costs, priced shortfall and surplus, bound and gap."""
    total = 0.0
    for c in plan.commitments:
        cost = _commitment_cost(plan, problem, c.contract_id)
        total += cost
        if abs(cost - c.cost_minor) > 1:
            yield f"{c.contract_id} costs {cost:.1f}, not {c.cost_minor}"
    total += _appliances_cost(plan, problem) + _penalties(plan, problem)
    if abs(total - plan.cost_minor) > 1 + 1e-6 * abs(total):
        yield f"the plan costs {total:.1f}, not {plan.cost_minor}"
    if not 0 <= plan.bound_minor <= plan.cost_minor:
        yield f"the bound {plan.bound_minor} is not between 0 and the cost {plan.cost_minor}"
    gap = (plan.cost_minor - plan.bound_minor) / plan.cost_minor if plan.cost_minor else 0.0
    if abs(gap - plan.gap_frac) > 1e-9:
        yield f"the gap is {gap:g}, not {plan.gap_frac:g}"


def _moments(plan: Plan, problem: Problem, t: int) -> tuple[float, float]:
    mean = variance = 0.0
    for c in plan.commitments:
        a, kw = _availability(problem, c.contract_id, c.contract_id), float(c.kw.values[t])
        mean += a * kw
        variance += a * (1 - a) * kw * kw
    for run in plan.assignments:
        a, kw = _availability(problem, run.cohort_id, run.contract_id), float(run.kw_each.values[t])
        mean += len(run.members) * a * kw
        variance += len(run.members) * a * (1 - a) * kw * kw
    return mean, variance


def _commitment_cost(plan: Plan, problem: Problem, contract_id: ContractId) -> float:
    """Energy that is expected, and one start cost for each run that begins inside the plan."""
    contract = _contract(problem, contract_id)
    kw = next(c.kw for c in plan.commitments if c.contract_id == contract_id)
    earlier = problem.fixed.commitments.get(contract_id) if problem.fixed else None
    on_before = earlier is not None and earlier.value_at(plan.grid.at(-1)) > KW
    on_before = on_before and problem.fixed is not None and problem.fixed.until >= plan.grid.start
    starts = 0
    for value in kw.values:
        starts += bool(value > KW and not on_before)
        on_before = bool(value > KW)
    a = _availability(problem, contract_id, contract_id)
    kwh = float(kw.values.sum()) * plan.grid.step_h
    return contract.energy_price_minor_per_kwh * a * kwh + contract.start_cost_minor * starts


def _appliances_cost(plan: Plan, problem: Problem) -> float:
    """What members give while they are held is paid; their rebound is not taken off."""
    total = 0.0
    for run in plan.assignments:
        contract = _contract(problem, run.contract_id)
        a = _availability(problem, run.cohort_id, run.contract_id)
        held = float(run.kw_each.values[run.start : run.start + run.length].sum())
        each = contract.energy_price_minor_per_kwh * a * held * plan.grid.step_h
        total += len(run.members) * (each + contract.start_cost_minor)
    return total


def _penalties(plan: Plan, problem: Problem) -> float:
    rules, total, first = problem.planning, 0.0, _first_open(plan, problem)
    for t in range(first, plan.grid.count):
        if plan.ruling[t] is None:
            continue
        target, short = float(plan.target_kw.values[t]), float(plan.shortfall_kw.values[t])
        beyond = max(0.0, short - FIRST_TIER_FRAC * target)
        priced = short + (SECOND_TIER_FACTOR - 1) * beyond
        over = max(0.0, float(plan.expected_kw.values[t]) - (1 + FREE_SURPLUS_FRAC) * target)
        total += priced * rules.shortfall_price_minor_per_kwh * plan.grid.step_h
        total += over * rules.over_delivery_price_minor_per_kwh * plan.grid.step_h
    return total


def _availability(problem: Problem, of: ContractId | CohortId, contract_id: ContractId) -> float:
    known = problem.flexibility.get(of)
    return known.availability_frac if known else _contract(problem, contract_id).availability_frac


def _contract(problem: Problem, contract_id: ContractId) -> Contract:
    return next(c for c in problem.contracts if c.id == contract_id)


def _first_open(plan: Plan, problem: Problem) -> int:
    if problem.fixed is None:
        return 0
    return sum(1 for t in range(plan.grid.count) if plan.grid.at(t) < problem.fixed.until)
