"""Replanning in mid-event: the past stands, what runs keeps its terms, the rest is decided anew."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from controller.model.plans import Plan, PlanStatus
from controller.plan import Fixed, check_plan, greedy_plan, make_plan
from controller.plan.problem import Problem
from tests.plan_cases import (
    START,
    a_cohort,
    a_line,
    a_problem,
    a_site,
    demo_problem,
    gives,
    minutes,
    some_homes,
)
from tests.test_plan_terms import called


def later(problem: Problem, plan: Plan, at_min: float, **changes: object) -> Problem:
    """The same question `at_min` minutes into the event."""
    now = START + minutes(at_min)
    fixed = Fixed.of(plan, now)
    return replace(problem, now=now, revision=1, fixed=fixed, **changes)  # type: ignore[arg-type]


def both(problem: Problem) -> tuple[Plan, Plan]:
    plan, greedy = make_plan(problem), greedy_plan(problem)
    assert check_plan(plan, problem) == ()
    assert check_plan(greedy, problem) == ()
    return plan, greedy


def test_the_elapsed_and_the_running_interval_are_as_they_were():
    sites = [a_site("cheap"), a_site("dear", energy_price_minor_per_kwh=300)]
    problem = a_problem([100] * 6, sites)
    first = make_plan(problem)
    again = later(problem, first, 20, excluded={sites[0].id: "failed"})
    for p in both(again):
        assert called(p, "cheap")[:6] == [100, 100, 0, 0, 0, 0]
        assert called(p, "dear")[:6] == [0, 0, 100, 100, 100, 100]
        assert p.cost_minor == 50 * 100 + 100 * 300


def test_a_run_that_began_must_last_its_least_duration():
    site = a_site("stiff", min_duration=minutes(60))
    problem = a_problem([100] * 6, [site])
    again = later(problem, make_plan(problem), 20, timeline=a_line([100, 100, 0, 0, 0, 0]))
    for p in both(again):
        assert called(p, "stiff")[:6] == [100, 100, 100, 100, 0, 0]


def test_it_must_even_where_its_event_is_over():
    site = a_site("stiff", min_duration=minutes(60))
    problem = a_problem([100] * 6, [site])
    over = a_line([100, 100, 0, 0, 0, 0], ruled=[True] * 2 + [False] * 4)
    for p in both(later(problem, make_plan(problem), 20, timeline=over)):
        assert called(p, "stiff")[:6] == [100, 100, 100, 100, 0, 0]


def test_a_running_one_may_go_on_without_a_new_notice_but_not_past_its_longest():
    site = a_site("slow", notice=minutes(120), max_duration=minutes(75))
    problem = a_problem([100] * 3 + [0] * 5, [site])
    again = later(problem, make_plan(problem), 20, timeline=a_line([100] * 8))
    for p in both(again):
        assert called(p, "slow")[:8] == [100] * 5 + [0] * 3


def test_what_was_announced_needs_no_new_notice_and_nothing_else_does_without():
    site = a_site("slow", notice=minutes(120), max_duration=minutes(30))
    problem = a_problem([0] * 4 + [100] * 2 + [0] * 6, [site])
    first = make_plan(problem)
    assert called(first, "slow")[4:6] == [100, 100]
    for p in both(later(problem, first, 5)):
        assert called(p, "slow")[4:6] == [100, 100]
    moved = later(problem, first, 5, timeline=a_line([0, 0, 100, 100] + [0] * 8))
    for p in both(moved):
        assert called(p, "slow") == [0.0] * 16


def test_a_call_that_is_over_is_counted_and_followed_by_its_rest():
    site = a_site("restful", max_duration=minutes(30), max_calls_per_day=2, rest=minutes(60))
    problem = a_problem([100, 100] + [0] * 10, [site])
    again = later(problem, make_plan(problem), 40, timeline=a_line([100] * 12))
    for p in both(again):
        assert called(p, "restful")[:6] == [100] * 2 + [0] * 4
        assert sum(called(p, "restful")[6:12]) == 200


def test_calls_and_hours_of_the_event_so_far_are_spent():
    once = a_site("once", max_duration=minutes(30))
    hours = a_site("hours", max_calls_per_day=5, max_hours_per_year=1, max_duration=minutes(45))
    for site, more in ((once, 0), (hours, 1)):
        first = 2 if site is once else 3
        problem = a_problem([100] * first + [0] * 7, [site])
        again = later(problem, make_plan(problem), 55, timeline=a_line([100] * 10))
        for p in both(again):
            assert sum(v > 0 for v in called(p, site.id)[4:]) == more


def test_the_start_of_what_runs_is_paid_only_once():
    sites = [
        a_site("running", energy_price_minor_per_kwh=200, start_cost_minor=9000),
        a_site("fresh", start_cost_minor=9000),
    ]
    problem = a_problem([100] * 4, [sites[0]])
    first = make_plan(problem)
    again = later(replace(problem, contracts=tuple(sites)), first, 20)
    again = replace(again, flexibility={**again.flexibility, **dict([gives("fresh", 100)])})
    for p in both(again):
        assert called(p, "running")[:4] == [100] * 4
        assert p.cost_minor == 100 * 200 + 9000


def test_homes_that_were_started_run_to_their_end_and_then_rest():
    cohort = a_cohort("homes/a", range(100))
    known = dict([gives("homes/a", 1.0)])
    homes = some_homes(max_calls_per_day=9)
    problem = a_problem([60] * 8, [homes], cohorts=[cohort], flexibility=known)
    first = make_plan(problem)
    again = later(problem, first, 20)
    for p in both(again):
        before = {(m, a.start, a.length) for a in first.assignments for m in a.members}
        after = {(m, a.start, a.length) for a in p.assignments for m in a.members}
        assert {x for x in before if x[1] < 2} <= after
        assert not {x for x in after if x[1] < 2} - before


def test_a_home_that_opts_out_leaves_its_run_and_the_others_make_up_for_it():
    cohort = a_cohort("homes/a", range(100))
    known = dict([gives("homes/a", 1.0, rebound_frac=0.4, rebound_intervals=4)])
    problem = a_problem([40] * 4, [some_homes()], cohorts=[cohort], flexibility=known)
    first = make_plan(problem)
    gone = first.assignments[0].members[:5]
    left = replace(cohort, members=tuple(m for m in cohort.members if m not in gone))
    again = later(problem, first, 20, cohorts=(left,))
    for p in both(again):
        runs = {m: (a.start, a.length) for a in p.assignments for m in a.members}
        assert {runs[m] for m in gone} == {(0, 2)}
        np.testing.assert_allclose(p.shortfall_kw.values, 0)
        assert p.expected_kw.values[2] >= 40


def test_a_promise_stands_and_a_broken_one_is_replaced():
    told = a_site("told", wired=False, notice=minutes(30), reply_within=minutes(15))
    reserve = a_site("reserve", energy_price_minor_per_kwh=500)
    problem = a_problem([100] * 6, [told, reserve])
    first = make_plan(problem)
    promised = next(c.kw for c in first.commitments if c.contract_id == "told")
    for p in both(later(problem, first, 20, locked={told.id: promised})):
        assert called(p, "told")[:6] == [100] * 6
    broken = later(problem, first, 20, excluded={told.id: "failed: gives nothing"})
    for p in both(broken):
        assert called(p, "told")[:6] == [100, 100, 0, 0, 0, 0]
        assert called(p, "reserve")[2:6] == [100] * 4


def test_the_past_has_neither_reserve_nor_shortfall():
    sites = [a_site(f"shaky-{i}") for i in range(10)]
    known = dict(gives(s.id, 100, availability_frac=0.8) for s in sites)
    problem = a_problem([500] * 4, sites, flexibility=known)
    for p in both(later(problem, make_plan(problem), 20)):
        assert list(p.reserve_kw.values[:2]) == [0, 0]
        assert list(p.shortfall_kw.values[:2]) == [0, 0]
        assert p.reserve_kw.values[2] > 0


def test_a_grid_that_begins_later_still_knows_what_runs():
    site = a_site("stiff", min_duration=minutes(60), max_duration=minutes(90), start_cost_minor=700)
    problem = a_problem([100] * 8, [site])
    first = make_plan(problem)
    line = problem.timeline
    rest = replace(line.grid, start=START + minutes(30), count=6)
    shorter = replace(line, grid=rest, ruling=line.ruling[2:], target=line.target.on(rest))
    for p in both(later(problem, first, 20, timeline=shorter)):
        assert called(p, "stiff")[:6] == [100] * 4 + [0] * 2
        energy, short = 100 * 100, (20 + 10 * 80) * 0.25 * 2 * 2000
        assert p.cost_minor == energy + short


@cache
def a_planned_day() -> tuple[Problem, Plan]:
    problem = demo_problem(4)
    return problem, make_plan(problem)


@pytest.mark.parametrize("interval", [1, 4, 8, 14])
def test_a_day_is_replanned_at_any_time(interval: int):
    problem, first = a_planned_day()
    running = [c.contract_id for c in first.commitments if c.kw.values[interval - 1] > 0]
    failed = {running[0]: "failed"} if running else {}
    again = later(problem, first, 15 * interval - 5, excluded=failed)
    plan, greedy = both(again)
    assert plan.cost_minor <= greedy.cost_minor
    assert plan.status is not PlanStatus.FALLBACK
