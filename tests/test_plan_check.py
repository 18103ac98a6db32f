"""The checker finds what is planted: every term is broken once in an otherwise good plan."""

from collections.abc import Callable
from dataclasses import replace
from datetime import time, timedelta
from functools import cache
from typing import Any

import numpy as np
import pytest

from controller.model.contracts import ContractUse, Window
from controller.model.ids import ContractId, EventId
from controller.model.plans import Assignment, Commitment, Plan
from controller.model.time import Series
from controller.plan import Fixed, check_plan, make_plan
from controller.plan.problem import Problem
from tests.plan_cases import START, a_cohort, a_line, a_problem, a_site, gives, minutes, some_homes

Broken = tuple[Plan, Problem]


@cache
def a_good_plan() -> Broken:
    """A mill of two steps for six intervals, a range, and 60 of 100 homes for the first hour."""
    sites = [
        a_site("mill", steps_kw=(50.0, 100.0), start_cost_minor=500),
        a_site("mall", min_kw=20, max_kw=80, energy_price_minor_per_kwh=150),
        a_site("clinic"),
    ]
    homes = some_homes(max_calls_per_day=2, energy_price_minor_per_kwh=50)
    known = dict([gives("homes/a", 1.0, rebound_frac=0.2, rebound_intervals=4)])
    problem = a_problem(
        [200] * 4 + [150] * 4,
        [*sites, homes],
        cohorts=[a_cohort("homes/a", range(100))],
        flexibility=known,
        excluded={ContractId("clinic"): "protected"},
    )
    plan = make_plan(problem)
    assert check_plan(plan, problem) == ()
    assert {c.contract_id for c in plan.commitments} == {"mill", "mall"}
    assert plan.assignments
    return plan, problem


def with_kw(contract_id: str, change: Callable[[np.ndarray], object]) -> Plan:
    """The good plan with one commitment's kW changed in place."""
    plan, _ = a_good_plan()
    out = []
    for c in plan.commitments:
        kw = c.kw.values.copy()
        if c.contract_id == contract_id:
            change(kw)
        out.append(replace(c, kw=Series(grid=c.kw.grid, values=kw)))
    return replace(plan, commitments=tuple(out))


def with_run(**changes: Any) -> Plan:
    """The good plan with its first assignment changed."""
    plan, _ = a_good_plan()
    first, *rest = plan.assignments
    return replace(plan, assignments=(replace(first, **changes), *rest))


def with_contract(contract_id: str, **changes: Any) -> Problem:
    """The good plan's problem with other terms."""
    _, problem = a_good_plan()
    contracts = [replace(c, **changes) if c.id == contract_id else c for c in problem.contracts]
    return replace(problem, contracts=tuple(contracts))


def told_late(**changes: Any) -> Problem:
    return replace(with_contract(**changes), now=START)


def off_step(kw: np.ndarray) -> None:
    kw[0] = 60.0


def hole(kw: np.ndarray) -> None:
    kw[3] = 0.0


def in_the_tail(kw: np.ndarray) -> None:
    kw[8] = kw[7]


def below_range(kw: np.ndarray) -> None:
    kw[kw > 0] = 10.0


PLANTED: dict[str, tuple[Callable[[], Plan], Callable[[], Problem], str]] = {}


def planted(
    name: str,
    found: str,
    plan: Callable[[], Plan] | None = None,
    problem: Callable[[], Problem] | None = None,
) -> None:
    PLANTED[name] = (
        plan or (lambda: a_good_plan()[0]),
        problem or (lambda: a_good_plan()[1]),
        found,
    )


def good() -> Plan:
    return a_good_plan()[0]


def question() -> Problem:
    return a_good_plan()[1]


def said(**changes: Any) -> Plan:
    """The good plan with other figures than follow from its calls."""
    return replace(good(), **changes)


planted("step", "none of its steps", lambda: with_kw("mill", off_step))
planted("range", "outside 20 to 80", lambda: with_kw("mall", below_range))
planted("calls a day", "times a day", lambda: with_kw("mill", hole))
planted("no event", "no event rules", lambda: with_kw("mill", in_the_tail))
planted("shortest", "at least", problem=lambda: with_contract("mill", min_duration=minutes(300)))
planted("longest", "at most", problem=lambda: with_contract("mill", max_duration=minutes(30)))
planted(
    "notice",
    "without its notice",
    problem=lambda: told_late(contract_id="mill", notice=minutes(20)),
)
planted(
    "reply time",
    "without its notice",
    problem=lambda: told_late(contract_id="mill", wired=False, reply_within=minutes(20)),
)
planted(
    "window",
    "outside its hours",
    problem=lambda: with_contract("mill", windows=(Window(start=time(15), end=time(15, 30)),)),
)
planted(
    "weekday",
    "outside its hours",
    problem=lambda: with_contract(
        "mill", windows=(Window(start=time(0), end=time(0), weekdays=(0, 2, 3)),)
    ),
)
planted(
    "rest",
    "is agreed",
    lambda: with_kw("mill", hole),
    lambda: with_contract("mill", max_calls_per_day=2, rest=minutes(30)),
)
planted("hours", "h a year", problem=lambda: with_contract("mill", max_hours_per_year=1.0))
planted(
    "season",
    "times a season",
    problem=lambda: replace(
        question(),
        use={ContractId("mill"): ContractUse(contract_id=ContractId("mill"), calls_season=1000)},
    ),
)
planted(
    "load",
    "can give",
    problem=lambda: replace(
        question(), flexibility={**question().flexibility, **dict([gives("mill", 40.0)])}
    ),
)
planted(
    "excluded",
    "although excluded",
    problem=lambda: replace(question(), excluded={ContractId("mill"): "refused"}),
)
planted(
    "broken promise",
    "promised 50",
    problem=lambda: replace(question(), locked={ContractId("mill"): a_line([50.0] * 8).target}),
)
planted(
    "promise left out",
    "promised 70",
    problem=lambda: replace(
        question(), locked={ContractId("clinic"): a_line([70.0]).target}, excluded={}
    ),
)
planted("held too long", "is bearable", problem=lambda: with_cohort(max_run=timedelta(minutes=15)))
planted("stranger", "not a member", problem=lambda: with_cohort(members=tuple(range(50, 150))))
planted("no cohort", "is no cohort", problem=lambda: replace(question(), cohorts=()))
planted(
    "homes' notice",
    "without its notice",
    problem=lambda: told_late(contract_id="homes", notice=minutes(20)),
)
planted(
    "homes too short",
    "outside what is agreed",
    problem=lambda: with_contract("homes", min_duration=minutes(90)),
)
planted(
    "homes' hours",
    "outside its hours",
    problem=lambda: with_contract("homes", windows=(Window(start=time(1), end=time(2)),)),
)
planted(
    "homes excluded",
    "contract is excluded",
    problem=lambda: replace(question(), excluded={ContractId("homes"): "stopped"}),
)
planted(
    "homes' kW",
    "is not what a member gives",
    lambda: with_run(kw_each=Series.full(good().grid, 2.0)),
)
planted("twice in a run", "somebody twice", lambda: with_run(members=(0, 0)))
planted("outside the plan", "outside the plan", lambda: with_run(length=40))
planted(
    "no season's calls",
    "no calls left",
    problem=lambda: replace(
        with_contract("homes", max_calls_per_season=5), calls=dict.fromkeys(range(100), 5)
    ),
)
planted("recovery", "is its rest", lambda: twice(apart=2))
planted(
    "calls of a home",
    "a day are agreed",
    lambda: twice(apart=8),
    lambda: with_contract("homes", max_calls_per_day=1),
)
planted("expected", "are expected", lambda: said(expected_kw=Series.full(good().grid, 999)))
planted(
    "hidden shortfall",
    "is said",
    lambda: said(shortfall_kw=Series.full(good().grid, 5)),
)
planted(
    "reserve",
    "reserve",
    lambda: good(),
    lambda: replace(
        question(),
        flexibility={
            k: replace(f, availability_frac=0.99) for k, f in question().flexibility.items()
        },
    ),
)
planted("cost of one", "costs", lambda: with_cost(good().commitments[0].cost_minor + 2))
planted("cost", "the plan costs", lambda: said(cost_minor=good().cost_minor + 50))
planted("bound", "bound", lambda: said(bound_minor=good().cost_minor + 1))
planted("gap", "the gap is", lambda: said(gap_frac=0.5))
planted("target", "target", lambda: said(target_kw=Series.full(good().grid, 1)))
planted("ruling", "ruling", lambda: said(ruling=(EventId("x"),) * good().grid.count))
planted("twice", "two commitments", lambda: said(commitments=good().commitments * 2))
planted(
    "unknown",
    "no contract of",
    problem=lambda: replace(question(), contracts=question().contracts[1:]),
)


def with_cohort(**changes: Any) -> Problem:
    cohort = replace(question().cohorts[0], **changes)
    return replace(question(), cohorts=(cohort,))


def with_cost(cost_minor: int) -> Plan:
    first, *rest = good().commitments
    return replace(good(), commitments=(replace(first, cost_minor=cost_minor), *rest))


def twice(apart: int) -> Plan:
    """The first run for one interval, and the same members again."""
    run = good().assignments[0]
    one, two = (
        replace(run, start=start, length=1, members=run.members[:1]) for start in (0, apart)
    )
    return replace(good(), assignments=(one, two))


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_found(name: str):
    plan, problem, found = PLANTED[name]
    faults = check_plan(plan(), problem())
    assert any(found in f for f in faults), faults


def replanned() -> tuple[Problem, Plan]:
    """The good plan a quarter of an hour into the event."""
    plan, problem = a_good_plan()
    now = START + minutes(20)
    again = replace(problem, now=now, fixed=Fixed.of(plan, now))
    return again, make_plan(again)


def without(plan: Plan, **gone: Any) -> Plan:
    commitments: tuple[Commitment, ...] = tuple(
        c for c in plan.commitments if c.contract_id != gone.get("contract")
    )
    assignments: tuple[Assignment, ...] = tuple(
        a for a in plan.assignments if a.start != gone.get("start")
    )
    return replace(plan, commitments=commitments, assignments=assignments)


def test_a_changed_past_is_found():
    problem, plan = replanned()
    assert check_plan(plan, problem) == ()
    first, *rest = plan.commitments
    kw = first.kw.values.copy()
    kw[0] = 0.0
    changed = replace(first, kw=Series(grid=first.kw.grid, values=kw))
    faults = check_plan(replace(plan, commitments=(changed, *rest)), problem)
    assert any("in the past" in f for f in faults)
    assert any(
        "is not in the plan" in f for f in check_plan(without(plan, contract="mill"), problem)
    )


def test_forgotten_or_changed_homes_are_found():
    problem, plan = replanned()
    old = [a for a in plan.assignments if a.start < 2]
    assert old
    faults = check_plan(without(plan, start=old[0].start), problem)
    assert any("is forgotten" in f for f in faults)
    shorter = replace(old[0], length=old[0].length - 1)
    others = tuple(a for a in plan.assignments if a is not old[0])
    faults = check_plan(replace(plan, assignments=(shorter, *others)), problem)
    assert any("it began before" in f for f in faults)
    gone = replace(problem, cohorts=(replace(problem.cohorts[0], members=tuple(range(60, 100))),))
    assert any("is held on" in f for f in check_plan(plan, gone))
    double = replace(plan, assignments=(*plan.assignments, old[0]))
    assert any("is called twice" in f for f in check_plan(double, problem))
    earlier = replace(old[0], members=(*old[0].members, 99))
    faults = check_plan(replace(plan, assignments=(earlier, *others)), problem)
    assert any("in the past" in f for f in faults) or 99 in old[0].members


def test_stopping_before_the_least_duration_is_found():
    problem, now = with_contract("mill", min_duration=minutes(120)), START + minutes(20)
    again = replace(problem, now=now, fixed=Fixed.of(make_plan(problem), now))
    kept = make_plan(again)
    mill = next(c for c in kept.commitments if c.contract_id == "mill")
    kw = np.where(np.arange(kept.grid.count) < 2, mill.kw.values, 0.0)
    cut = replace(mill, kw=Series(grid=kept.grid, values=kw))
    others = tuple(c for c in kept.commitments if c.contract_id != "mill")
    faults = check_plan(replace(kept, commitments=(cut, *others)), again)
    assert any("at least" in f for f in faults)
