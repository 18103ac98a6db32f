"""Every contract and cohort gets its reason, with the figures that decided."""

from dataclasses import replace
from datetime import time

import pytest

from controller.model.contracts import Contract, ContractUse, Window
from controller.model.ids import ContractId
from controller.model.plans import Reason
from controller.plan import make_plan
from controller.plan.explain import summary
from controller.plan.problem import Problem
from tests.plan_cases import START, a_cohort, a_problem, a_site, gives, minutes, some_homes


def reason(problem: Problem, of: str) -> Reason:
    return next(r for r in make_plan(problem).reasons if r.of == of)


def beside_a_mill(other: Contract, **changes: object) -> Problem:
    mill = a_site("mill", energy_price_minor_per_kwh=102, start_cost_minor=900)
    return a_problem([100] * 4, [mill, other], **changes)  # type: ignore[arg-type]


def test_who_is_called_is_told_when_how_much_and_at_what_price():
    told = reason(beside_a_mill(a_site("x", energy_price_minor_per_kwh=135)), "mill")
    assert (told.chosen, told.code) == (True, "called")
    assert told.text == "called 15:00–16:00 with 100 kW, 1.11 CNY/kWh incl. start cost"


LEFT: dict[str, tuple[dict[str, object], dict[str, object], str]] = {
    "price": (
        {"energy_price_minor_per_kwh": 135},
        {},
        "1.35 CNY/kWh, the dearest called is 1.11 CNY/kWh",
    ),
    "notice": (
        {"notice": minutes(135)},
        {"now": START},
        "notice of 135 min would allow 17:15 at the earliest",
    ),
    "window": (
        {"windows": (Window(start=time(8), end=time(15)),)},
        {},
        "its hours leave no room for its least duration of 15 min",
    ),
    "duration": (
        {"min_duration": minutes(75)},
        {},
        "the event is shorter than its least duration of 75 min",
    ),
    "load": ({"steps_kw": (120.0,)}, {}, "its load leaves 100 kW, least is 120 kW"),
    "budget": (
        {},
        {"use": {ContractId("x"): ContractUse(contract_id=ContractId("x"), calls_today=1)}},
        "its calls are used up (1 a day)",
    ),
    "protected": ({}, {"excluded": {ContractId("x"): "protected load"}}, "protected load"),
    "refused": ({}, {"excluded": {ContractId("x"): "no answer"}}, "no answer"),
}


@pytest.mark.parametrize("code", LEFT)
def test_who_is_left_is_told_why(code: str):
    terms, changes, text = LEFT[code]
    known = dict([gives("mill", 100), gives("x", 100)])
    left = reason(beside_a_mill(a_site("x", **terms), flexibility=known, **changes), "x")
    assert (left.chosen, left.code, left.text) == (False, code, text)


def test_a_cheap_one_too_big_to_be_of_use_is_not_needed():
    big = a_site("x", steps_kw=(1000.0,), energy_price_minor_per_kwh=50)
    left = reason(beside_a_mill(big), "x")
    assert (left.chosen, left.code) == (False, "unneeded")
    assert "its least call of 1000 kW is not needed" in left.text


def test_cohorts_and_their_contract_are_explained_too():
    cohorts = [a_cohort("homes/a", range(50)), a_cohort("homes/b", range(50, 60))]
    known = dict([gives("homes/a", 2.0), gives("homes/b", 0.0)])
    problem = a_problem([100] * 4, [some_homes()], cohorts=cohorts, flexibility=known)
    assert reason(problem, "homes/a").text == "50 of 50 members start, 1.00 CNY/kWh"
    assert reason(problem, "homes/b").code == "load"
    whole = reason(problem, "homes")
    assert (whole.chosen, whole.text) == (True, "1 of its 2 cohorts are called")
    late = replace(problem, contracts=(some_homes(notice=minutes(240)),), now=START)
    assert reason(late, "homes/a").code == "notice"
    assert (reason(late, "homes").chosen, reason(late, "homes").code) == (False, "notice")


def test_the_summary_says_cost_proof_and_shortfall():
    lines = summary(make_plan(beside_a_mill(a_site("x", energy_price_minor_per_kwh=135))))
    text = "\n".join(lines)
    assert "plan 0, optimal: cost 111.00, proven to 0.00 %" in text
    assert "the merit order would cost 111.00 (+0.0 %)" in text
    assert "called: 1 contracts and 0 appliances in 0 runs" in text
    assert "left: 1 price" in text
    assert "no shortfall" in text
    short = summary(make_plan(a_problem([150] * 4, [a_site("mill")])))
    assert "shortfall up to 50 kW in 4 intervals" in short
