"""From a draft to the `Plan` that leaves the stage: series, names, whole money, bound and gap."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from controller.model.plans import Cohort, Commitment, Plan, PlanStatus
from controller.model.time import Series
from controller.plan.arrays import KW_TOLERANCE, Floats, Terms
from controller.plan.cohorts import assign_members
from controller.plan.draft import Draft, contract_cost, worth_of
from controller.plan.explain import reasons_of
from controller.units import round_half_up


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What is known about a draft's quality and how it was found."""

    bound: float
    """Proven lower bound of the cost, minor units; -inf: none."""
    merit_order_cost: float
    fallback: bool = False
    solve_s: float = 0.0
    notes: Sequence[str] = ()


def assemble(terms: Terms, draft: Draft, proof: Proof) -> Plan:
    """The plan of a draft.

    Its cost holds rebates, start costs, and the priced shortfall and surplus; optimal means that
    the asked gap is proven.
    """
    problem, worth = terms.problem, worth_of(terms, draft)
    cost = _minor(worth.cost)
    bound = max(0, min(cost, math.floor(proof.bound))) if math.isfinite(proof.bound) else 0
    gap = (cost - bound) / cost if cost > 0 else 0.0
    proven = gap <= problem.planning.gap_frac
    return Plan(
        id=problem.plan_id,
        event_id=problem.event_id,
        revision=problem.revision,
        made_at=problem.now,
        grid=terms.grid,
        ruling=(*problem.timeline.ruling, *[None] * problem.tail_intervals),
        target_kw=_series(terms, terms.target),
        expected_kw=_series(terms, worth.mean),
        reserve_kw=_series(terms, worth.reserve),
        shortfall_kw=_series(terms, worth.short),
        commitments=_commitments(terms, draft),
        cohorts=_cohorts(terms),
        assignments=assign_members(terms, draft),
        cost_minor=cost,
        bound_minor=bound,
        gap_frac=gap,
        status=_status(proof.fallback, proven),
        merit_order_cost_minor=_minor(proof.merit_order_cost),
        reasons=reasons_of(terms, draft),
        solve_s=proof.solve_s,
        notes=tuple(proof.notes),
    )


def _status(fallback: bool, proven: bool) -> PlanStatus:
    if fallback:
        return PlanStatus.FALLBACK
    return PlanStatus.OPTIMAL if proven else PlanStatus.FEASIBLE


def _commitments(terms: Terms, draft: Draft) -> tuple[Commitment, ...]:
    """Everybody who is or was called; the past stays on record."""
    return tuple(
        Commitment(
            contract_id=c.contract.id,
            resource_ids=c.contract.resource_ids,
            kw=_series(terms, kw),
            cost_minor=_minor(contract_cost(terms, c, kw)),
        )
        for c, kw in zip(terms.contracts, draft.kw, strict=True)
        if (kw > KW_TOLERANCE).any()
    )


def _cohorts(terms: Terms) -> tuple[Cohort, ...]:
    """The problem's, and those of fixed runs that exist no more."""
    known = {k.id for k in terms.problem.cohorts}
    used = {a.cohort_id for a in terms.kept} - known
    fixed = terms.problem.fixed
    gone = [k for k in (fixed.cohorts if fixed else ()) if k.id in used]
    return (*terms.problem.cohorts, *gone)


def _series(terms: Terms, values: Floats) -> Series:
    return Series(grid=terms.grid, values=values)


def _minor(cost: float) -> int:
    return round_half_up(Fraction(cost))
