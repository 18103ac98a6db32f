"""Whatever the problem: no plan breaks a term, no plan is cheaper than the bound, and so on."""

from dataclasses import replace
from datetime import time

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.model.contracts import Contract, ContractUse, Window
from controller.model.ids import ContractId
from controller.model.plans import Plan
from controller.plan import Fixed, check_plan, greedy_plan, make_plan
from controller.plan.problem import Problem
from tests.plan_cases import (
    START,
    a_cohort,
    a_line,
    a_planning,
    a_problem,
    a_site,
    demo_problem,
    gives,
    minutes,
    some_homes,
)

quick = settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)

quarters = st.integers(0, 6).map(lambda n: minutes(15 * n))


@st.composite
def sites(draw: st.DrawFn, i: int) -> Contract:
    shortest, more = draw(st.integers(1, 4)), draw(st.integers(0, 4))
    steps = draw(st.integers(0, 3))
    most = draw(st.integers(5, 30)) * 10.0
    kw = (
        {"steps_kw": tuple(most * (s + 1) / steps for s in range(steps))}
        if steps
        else {"min_kw": most / 2, "max_kw": most}
    )
    late = Window(start=time(15, draw(st.sampled_from([0, 15, 20]))), end=time(23))
    return a_site(
        f"site-{i}",
        **kw,
        wired=draw(st.booleans()),
        notice=draw(quarters),
        reply_within=minutes(10),
        min_duration=minutes(15 * shortest),
        max_duration=minutes(15 * (shortest + more)),
        max_calls_per_day=draw(st.integers(1, 2)),
        max_hours_per_year=draw(st.sampled_from([1.0, 50.0])),
        rest=draw(quarters),
        windows=draw(st.sampled_from([(), (late,)])),
        energy_price_minor_per_kwh=draw(st.integers(50, 400)),
        start_cost_minor=draw(st.integers(0, 20_000)),
    )


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """A few sites with any terms, perhaps homes, asked at any time for anything."""
    count, groups = draw(st.integers(1, 4)), draw(st.integers(0, 2))
    contracts = [draw(sites(i)) for i in range(count)]
    length = draw(st.integers(2, 9))
    target = [float(50 * draw(st.integers(0, 12))) for _ in range(length)]
    ruled = [draw(st.integers(0, 9)) > 0 for _ in range(length)]
    frac = draw(st.sampled_from([0.8, 0.95, 1.0]))
    known = dict(
        gives(c.id, c.most_kw * draw(st.sampled_from([0.7, 1.0, 1.2])), availability_frac=frac)
        for c in contracts
    )
    cohorts = []
    for k in range(groups):
        cohort = a_cohort(f"homes/{k}", range(40 * k, 40 * k + 30))
        cohorts.append(cohort)
        rebound = draw(st.sampled_from([0.0, 0.4]))
        known |= [gives(cohort.id, 1.5, availability_frac=frac, rebound_frac=rebound)]
        known[cohort.id] = replace(known[cohort.id], rebound_intervals=3)
    if groups:
        contracts.append(some_homes(max_calls_per_day=draw(st.integers(1, 2))))
    spent = ContractUse(contract_id=ContractId("site-0"), calls_today=draw(st.integers(0, 1)))
    return a_problem(
        [0.0],
        contracts,
        cohorts=cohorts,
        flexibility=known,
        timeline=a_line(target, ruled),
        now=START - draw(quarters),
        use={spent.contract_id: spent},
        planning=a_planning(confidence=draw(st.sampled_from([0.5, 0.95]))),
        tail_intervals=draw(st.sampled_from([0, 4])),
    )


@quick
@given(problems())
def test_no_plan_breaks_a_term_or_is_cheaper_than_the_bound(problem: Problem):
    """And none is dearer than the merit order, which is a plan itself."""
    plan, greedy = make_plan(problem), greedy_plan(problem)
    assert check_plan(plan, problem) == ()
    assert check_plan(greedy, problem) == ()
    assert greedy.bound_minor <= plan.cost_minor
    assert plan.bound_minor <= plan.cost_minor <= greedy.cost_minor
    assert plan.merit_order_cost_minor == greedy.cost_minor
    assert not any("refused" in note for note in plan.notes)
    assert {r.of for r in plan.reasons} == {
        *(c.id for c in problem.contracts),
        *(k.id for k in problem.cohorts),
    }


@quick
@given(problems(), st.integers(0, 8), st.data())
def test_no_replan_breaks_a_term(problem: Problem, interval: int, data: st.DataObject):
    """At any time, after anything that can happen in between."""
    first = make_plan(problem)
    now = START + minutes(15 * interval + 5)
    gone = {m for k in problem.cohorts for m in k.members[:3]}
    stay = tuple(
        replace(k, members=tuple(m for m in k.members if m not in gone)) for k in problem.cohorts
    )
    ids = [c.contract_id for c in first.commitments]
    failed = data.draw(st.sets(st.sampled_from(ids)) if ids else st.just(set()))
    told = {c.id for c in problem.contracts if not c.wired}
    again = replace(
        problem,
        now=now,
        revision=1,
        fixed=Fixed.of(first, now),
        cohorts=data.draw(st.sampled_from([problem.cohorts, stay])),
        excluded=dict.fromkeys(failed, "failed"),
        locked={c.contract_id: c.kw for c in first.commitments if c.contract_id in told},
    )
    plan, greedy = make_plan(again), greedy_plan(again)
    assert check_plan(plan, again) == ()
    assert check_plan(greedy, again) == ()
    assert plan.cost_minor <= greedy.cost_minor
    assert not any("refused" in note for note in plan.notes)


def enumerated_cost(problem: Problem) -> float:
    """The optimum by trying every run of each of three one-step sites, none of which can fail."""
    count, step_h = problem.timeline.grid.count, problem.grid.step_h
    target, rules = problem.timeline.target.values, problem.planning
    kw, cost = np.zeros((1, count)), np.zeros(1)
    for c in problem.contracts:
        least, most = (int(d / minutes(15)) for d in (c.min_duration, c.max_duration))
        runs = [(0, 0)] + [
            (s, s + d) for s in range(count) for d in range(least, min(most, count - s) + 1)
        ]
        on = np.array([[s <= t < e for t in range(count)] for s, e in runs])
        price = c.energy_price_minor_per_kwh * c.steps_kw[0] * step_h
        each = price * on.sum(axis=1) + c.start_cost_minor * on.any(axis=1)
        kw = (kw[:, None] + c.steps_kw[0] * on[None]).reshape(-1, count)
        cost = (cost[:, None] + each[None]).ravel()
    short, over = np.maximum(target - kw, 0), np.maximum(kw - 1.08 * target, 0)
    priced = short + 9 * np.maximum(short - 0.2 * target, 0)
    cost += priced.sum(axis=1) * step_h * rules.shortfall_price_minor_per_kwh
    cost += over.sum(axis=1) * step_h * rules.over_delivery_price_minor_per_kwh
    return float(cost.min())


@quick
@given(st.data())
def test_small_problems_are_solved_to_their_enumerated_optimum(data: st.DataObject):
    def a_choice(i: int) -> Contract:
        shortest = data.draw(st.integers(1, 3))
        return a_site(
            f"site-{i}",
            steps_kw=(10.0 * data.draw(st.integers(3, 20)),),
            min_duration=minutes(15 * shortest),
            max_duration=minutes(15 * data.draw(st.integers(shortest, 5))),
            energy_price_minor_per_kwh=data.draw(st.integers(50, 400)),
            start_cost_minor=data.draw(st.integers(0, 20_000)),
        )

    target = [float(10 * data.draw(st.integers(0, 40))) for _ in range(5)]
    contracts = [a_choice(i) for i in range(3)]
    problem = a_problem(target, contracts, planning=a_planning(gap_frac=1e-6))
    plan = make_plan(problem)
    best = enumerated_cost(problem)
    assert abs(plan.cost_minor - best) <= 1 + 2e-6 * best
    assert plan.bound_minor <= best + 1


def same(one: Plan, two: Plan) -> bool:
    """Equal in all but the seconds spent."""
    return replace(one, solve_s=0.0) == replace(two, solve_s=0.0)


def a_day() -> Problem:
    return demo_problem(4)


def test_the_same_problem_gives_the_same_plan():
    problem = a_day()
    assert same(make_plan(problem), make_plan(problem))


def test_the_order_of_contracts_and_cohorts_moves_the_cost_by_no_more_than_the_gap():
    problem = a_day()
    turned = replace(problem, contracts=problem.contracts[::-1], cohorts=problem.cohorts[::-1])
    one, two = make_plan(problem), make_plan(turned)
    assert abs(one.cost_minor - two.cost_minor) <= 0.01 * max(one.cost_minor, two.cost_minor)


def test_the_promised_confidence_is_kept():
    """20,000 days of independent failures: each interval is met in 95 % of them, or nearly."""
    problem = demo_problem(4)
    plan, rng, days = make_plan(problem), np.random.default_rng(1), 20_000
    delivered = np.zeros((days, plan.grid.count))
    for c in plan.commitments:
        a = problem.flexibility[c.contract_id].availability_frac
        delivered += (rng.random((days, 1)) < a) * c.kw.values
    for run in plan.assignments:
        a = problem.flexibility[run.cohort_id].availability_frac
        delivered += rng.binomial(len(run.members), a, (days, 1)) * run.kw_each.values
    asked = (plan.target_kw.values > 0) & (plan.shortfall_kw.values == 0)
    kept = (delivered >= plan.target_kw.values).mean(axis=0)[asked]
    assert asked.any()
    assert kept.min() >= 0.93
    assert kept.mean() >= 0.94
