"""Each term of a contract, by the smallest problem in which it decides."""

from dataclasses import replace
from datetime import time

import numpy as np
import pytest

from controller.errors import PlanError
from controller.model.contracts import ContractUse, Window
from controller.model.plans import Plan, PlanStatus
from controller.plan import check_plan, greedy_plan, make_plan
from controller.plan.problem import Problem
from tests.plan_cases import (
    START,
    a_line,
    a_planning,
    a_problem,
    a_site,
    gives,
    minutes,
)


def called(plan: Plan, contract_id: str) -> list[float]:
    """kW per interval, zeros where it is not in the plan."""
    for c in plan.commitments:
        if c.contract_id == contract_id:
            return [float(v) for v in c.kw.values]
    return [0.0] * plan.grid.count


def both(problem: Problem) -> tuple[Plan, Plan]:
    """The optimised and the greedy plan, each checked by the stage itself."""
    plan, greedy = make_plan(problem), greedy_plan(problem)
    assert check_plan(plan, problem) == ()
    assert check_plan(greedy, problem) == ()
    return plan, greedy


def test_the_cheapest_sites_that_meet_the_target_are_called():
    sites = [a_site("dear", energy_price_minor_per_kwh=300), a_site("cheap")]
    plan, greedy = both(a_problem([100] * 4, sites))
    assert called(plan, "cheap")[:4] == [100] * 4
    assert called(plan, "dear")[:4] == [0] * 4
    assert plan.cost_minor == greedy.cost_minor == 4 * 25 * 100
    assert plan.status is PlanStatus.OPTIMAL
    assert greedy.status is PlanStatus.FALLBACK


def test_a_start_cost_decides_for_one_long_run_of_the_dearer_energy():
    sites = [
        a_site("cheap-energy", start_cost_minor=50_000),
        a_site("cheap-start", energy_price_minor_per_kwh=150, start_cost_minor=1_000),
    ]
    plan, _ = both(a_problem([100] * 4, sites))
    assert called(plan, "cheap-energy") == [0.0] * 8
    assert plan.cost_minor == 100 * 150 + 1_000


def test_notice_is_kept_and_rounded_up_to_an_interval():
    """Told 14:50 with 20 minutes' notice: 15:15 is the first start, not 15:10 nor 15:00."""
    site = a_site("slow", notice=minutes(20))
    plan, greedy = both(a_problem([100] * 4, [site], now=START - minutes(10)))
    for p in (plan, greedy):
        assert called(p, "slow")[:4] == [0, 100, 100, 100]
        assert p.shortfall_kw.values[0] == 100


def test_a_told_site_also_needs_its_time_to_reply():
    site = a_site("told", wired=False, notice=minutes(20), reply_within=minutes(15))
    plan, _ = both(a_problem([100] * 4, [site], now=START - minutes(10)))
    assert called(plan, "told")[:4] == [0, 0, 100, 100]


def test_local_windows_bind_and_their_weekday_is_the_day_they_open():
    """START is Tuesday 15:00 in Melbourne, 04:00 UTC; only intervals wholly inside count."""
    inside = a_site("afternoon", windows=(Window(start=time(15, 20), end=time(16, 0)),))
    plan, _ = both(a_problem([100] * 6, [inside]))
    assert called(plan, "afternoon")[:6] == [0, 0, 100, 100, 0, 0]
    monday_night = Window(start=time(20, 0), end=time(15, 30), weekdays=(0,))
    night = a_site("night", windows=(monday_night,))
    plan, _ = both(a_problem([100] * 6, [night]))
    assert called(plan, "night")[:6] == [100, 100, 0, 0, 0, 0]
    tuesday = replace(monday_night, weekdays=(1,))
    plan, _ = both(a_problem([100] * 6, [replace(night, windows=(tuesday,))]))
    assert called(plan, "night")[:6] == [0] * 6


def test_a_run_lasts_at_least_its_least_duration_or_is_not_begun():
    site = a_site("stiff", min_duration=minutes(60))
    plan, greedy = both(a_problem([0, 0, 100, 0, 0, 0], [site]))
    for p in (plan, greedy):
        assert sum(v > 0 for v in called(p, "stiff")) == 4
    plan, _ = both(a_problem([100] * 3, [site]))
    assert called(plan, "stiff") == [0.0] * 7


def test_a_run_ends_at_its_longest_duration():
    plan, greedy = both(a_problem([100] * 6, [a_site("short", max_duration=minutes(45))]))
    for p in (plan, greedy):
        assert sum(v > 0 for v in called(p, "short")) == 3


def test_two_calls_are_apart_by_the_rest():
    site = a_site("restful", max_duration=minutes(30), max_calls_per_day=2, rest=minutes(60))
    plan, _ = both(a_problem([100] * 8, [site]))
    assert called(plan, "restful")[:8] in ([100, 100, 0, 0, 0, 0, 100, 100],)


def test_a_second_call_without_a_pause_would_be_a_longer_call():
    """With a rest as with none, at the beginning of the event as at its end."""
    for rest, possible in ((0, 3), (15, 3), (30, 2), (45, 2)):
        site = a_site("eager", max_duration=minutes(30), max_calls_per_day=2, rest=minutes(rest))
        plan, greedy = both(a_problem([100] * 4, [site], tail_intervals=0))
        for p in (plan, greedy):
            assert sum(v > 0 for v in called(p, "eager")) == possible
            assert not any("refused" in note for note in p.notes)


def test_a_run_that_the_end_of_the_event_would_cut_is_not_begun():
    site = a_site("stiff", min_duration=minutes(60))
    for tail in (0, 4):
        plan, _ = both(a_problem([0, 0, 0, 100, 100, 100], [site], tail_intervals=tail))
        assert sum(v > 0 for v in called(plan, "stiff")) == 4


def test_calls_of_the_day_and_season_and_hours_of_the_year_are_not_overspent():
    twice = a_site("busy", max_duration=minutes(30), max_calls_per_day=2, rest=minutes(15))
    spent = ContractUse(contract_id=twice.id, calls_today=1)
    plan, greedy = both(a_problem([100] * 6, [twice], use={twice.id: spent}))
    for p in (plan, greedy):
        assert sum(v > 0 for v in called(p, "busy")) == 2
    season = replace(twice, max_calls_per_season=20)
    spent = ContractUse(contract_id=twice.id, calls_season=20)
    plan, _ = both(a_problem([100] * 6, [season], use={twice.id: spent}))
    assert called(plan, "busy")[:6] == [0] * 6
    hours = a_site("tired", max_hours_per_year=100)
    spent = ContractUse(contract_id=hours.id, hours_year=99.5)
    plan, greedy = both(a_problem([100] * 6, [hours], use={hours.id: spent}))
    for p in (plan, greedy):
        assert sum(v > 0 for v in called(p, "tired")) == 2


def test_steps_are_steps_and_ranges_are_ranges():
    steps = a_site("steps", steps_kw=(80.0, 160.0))
    plan, _ = both(a_problem([150] * 2, [steps]))
    assert called(plan, "steps")[:2] == [160, 160]
    ranged = a_site("range", min_kw=60, max_kw=160)
    plan, _ = both(a_problem([149.2, 40], [ranged]))
    assert called(plan, "range")[:2] == [150, 60]


def test_several_resources_of_a_contract_give_their_steps_each():
    site = a_site("pair", resource_ids=("pair-1", "pair-2"), steps_kw=(50.0, 80.0))
    plan, _ = both(a_problem([150] * 2, [site]))
    assert called(plan, "pair")[:2] == [160, 160]


def test_nobody_gives_more_than_the_load_leaves():
    site = a_site("fading", steps_kw=(50.0, 100.0))
    given = dict([gives("fading", [120, 99, 51, 49, 120, 120, 0, 0])])
    plan, greedy = both(a_problem([100] * 3, [site], flexibility=given))
    for p in (plan, greedy):
        assert called(p, "fading")[:4] == [100, 50, 50, 0]


def test_missing_flexibility_is_nothing_to_give():
    gap = dict([gives("patchy", [100, np.nan, 100, 100])])
    plan, _ = both(a_problem([100] * 3, [a_site("patchy", max_calls_per_day=2)], flexibility=gap))
    assert called(plan, "patchy")[:3] == [100, 0, 100]
    unknown = a_problem([100], [a_site("x")])
    plan, _ = both(replace(unknown, flexibility={}))
    assert plan.commitments == ()


def test_an_excluded_site_is_never_called():
    sites = [a_site("hospital"), a_site("mill", energy_price_minor_per_kwh=900)]
    plan, greedy = both(a_problem([100] * 2, sites, excluded={sites[0].id: "protected load"}))
    for p in (plan, greedy):
        assert called(p, "hospital")[:2] == [0, 0]
        assert called(p, "mill")[:2] == [100, 100]


def test_an_accepted_offer_is_called_as_accepted_even_off_its_steps():
    sites = [a_site("told", wired=False, energy_price_minor_per_kwh=500), a_site("other")]
    promised = a_line([30, 30, 0, 0]).target
    plan, greedy = both(a_problem([100] * 4, sites, locked={sites[0].id: promised}))
    for p in (plan, greedy):
        assert called(p, "told")[:4] == [30, 30, 0, 0]
        assert called(p, "other")[:4] == [100] * 4


def test_nobody_is_called_where_no_event_rules():
    line = a_line([100, 0, 100], ruled=[True, False, True])
    site = a_site("mill", max_calls_per_day=2)
    plan, _ = both(a_problem([0], [site], timeline=line))
    assert called(plan, "mill")[:3] == [100, 0, 100]


def test_a_target_beyond_the_fleet_is_a_priced_shortfall():
    """First 20 % of the target at the price, the rest at ten times it."""
    plan, greedy = both(a_problem([200] * 4, [a_site("mill")]))
    for p in (plan, greedy):
        assert list(p.shortfall_kw.values[:4]) == [100] * 4
        kwh = 25 * 4
        assert p.cost_minor == kwh * 100 + (40 + 10 * 60) * 0.25 * 4 * 2000


def test_without_a_target_nobody_is_called():
    plan, greedy = both(a_problem([0] * 4, [a_site("mill")]))
    for p in (plan, greedy):
        assert (p.commitments, p.assignments) == ((), ())
        assert (p.cost_minor, p.gap_frac, list(p.shortfall_kw.values)) == (0, 0, [0] * 8)


def test_surplus_beyond_eight_percent_is_paid_for():
    plan, _ = both(a_problem([60] * 4, [a_site("mill")]))
    over = 100 - 1.08 * 60
    assert plan.cost_minor == round(100 * 100 + over * 0.25 * 4 * 100)


def test_a_contradictory_problem_names_all_its_faults():
    site = a_site("mill")
    with pytest.raises(PlanError) as caught:
        a_problem([-1], [site, site], planning=a_planning(confidence=0.2))
    for part in ("target", "unique", "confidence"):
        assert part in str(caught.value)
