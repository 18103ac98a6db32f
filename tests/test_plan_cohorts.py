"""Appliances: forming cohorts, calling members, comfort, recovery and rebound."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from controller.errors import PlanError
from controller.model.commands import Control
from controller.model.ids import (
    CohortId,
    CustomerId,
    FeederId,
    LinkId,
    MeterId,
    ProfileId,
    ResourceId,
    ZoneId,
)
from controller.model.plans import Plan
from controller.model.resources import Fleet, Meter, Resource, ResourceKind
from controller.model.settings import CohortRule
from controller.plan import check_plan, form_cohorts, greedy_plan, make_plan
from controller.plan.cohorts import assign_members
from controller.plan.draft import empty_draft
from controller.plan.problem import Problem
from controller.plan.terms import terms_of
from tests.plan_cases import START, a_cohort, a_problem, a_site, gives, minutes, some_homes

RULE = CohortRule(
    kind=ResourceKind.AIR_CONDITIONER,
    control=Control.CAP_KW,
    value_frac=0.5,
    max_run=minutes(60),
    recovery=minutes(60),
    rebound_frac=0.3,
    rebound_intervals=4,
    availability_frac=0.9,
    cohort_size=50,
)


def an_air_conditioner(i: int, **changes: object) -> Resource:
    fields = {
        "id": ResourceId(f"home-{i:03d}"),
        "kind": ResourceKind.AIR_CONDITIONER,
        "zone": ZoneId("riverside"),
        "feeder": FeederId("north"),
        "meter_id": MeterId(f"m-{i:03d}"),
        "rated_kw": 3.0,
        "link": LinkId("homes"),
        "profile": ProfileId("home-ac"),
        "address": str(i),
    }
    return Resource(**{**fields, **changes})  # type: ignore[arg-type]


def a_fleet(resources: list[Resource]) -> Fleet:
    meters = [
        Meter(id=r.meter_id, customer_id=CustomerId(f"c-{r.id}"), resource_ids=(r.id,))
        for r in resources
    ]
    return Fleet(resources=tuple(resources), meters=tuple(meters))


def homes_problem(target: Sequence[float], members: int = 100, **changes: object) -> Problem:
    """One cohort of 1 kW each, held an hour at most, recovering an hour; surely followed."""
    cohort = a_cohort("homes/a", range(members))
    known = dict([gives("homes/a", 1.0, **changes)])  # type: ignore[arg-type]
    homes = some_homes(max_calls_per_day=9)
    return a_problem(target, [homes], cohorts=[cohort], flexibility=known)


def both(problem: Problem) -> tuple[Plan, Plan]:
    plan, greedy = make_plan(problem), greedy_plan(problem)
    assert check_plan(plan, problem) == ()
    assert check_plan(greedy, problem) == ()
    return plan, greedy


def test_like_appliances_share_a_cohort_of_about_the_asked_size():
    """Feeder, kind and rated power part them; 120 make two of 60; the cap is half of 3 kW."""
    devices = [an_air_conditioner(i) for i in range(120)]
    devices += [an_air_conditioner(i, feeder=FeederId("south")) for i in range(120, 130)]
    devices += [an_air_conditioner(i, rated_kw=2.0) for i in range(130, 140)]
    devices += [an_air_conditioner(140, kind=ResourceKind.BATTERY)]
    fleet = a_fleet(devices)
    homes = some_homes(resource_ids=tuple(r.id for r in devices))
    cohorts = form_cohorts(fleet, [homes], [RULE])
    assert sorted(len(k.members) for k in cohorts) == [10, 10, 60, 60]
    assert sorted(m for k in cohorts for m in k.members) == list(range(140))
    assert {k.control_value for k in cohorts} == {1.5, 1.0}
    assert all(k.contract_id == homes.id and k.max_run == minutes(60) for k in cohorts)


def test_leaving_someone_out_moves_nobody_else():
    fleet = a_fleet([an_air_conditioner(i, protected=i == 7) for i in range(120)])
    homes = some_homes(resource_ids=tuple(r.id for r in fleet), max_calls_per_season=3)
    before = {k.id: set(k.members) for k in form_cohorts(fleet, [homes], [RULE])}
    after = form_cohorts(fleet, [homes], [RULE], excluded={3, 4}, calls={5: 3, 6: 2})
    assert {k.id: set(k.members) | {3, 4, 5} for k in after} == {
        i: m | {3, 4, 5} for i, m in before.items()
    }
    assert 7 not in {m for members in before.values() for m in members}


def test_nobody_is_held_longer_than_is_bearable_or_called_before_it_recovered():
    """100 homes of 1 kW, an hour each: 50 can be held in each of the first and second hour."""
    plan, greedy = both(homes_problem([50] * 8))
    for p in (plan, greedy):
        assert list(p.shortfall_kw.values[:8]) == [0] * 8
        assert max(a.length for a in p.assignments) <= 4
    plan, _ = both(homes_problem([100] * 8))
    assert sum(plan.shortfall_kw.values) == 400


def test_a_home_is_called_once_where_its_contract_says_so():
    problem = homes_problem([40] * 12, members=40)
    often, _ = both(problem)
    once, _ = both(replace(problem, contracts=(some_homes(max_calls_per_day=1),)))
    assert sum(once.shortfall_kw.values) == 8 * 40
    assert sum(often.shortfall_kw.values) < 5 * 40
    assert len([m for a in once.assignments for m in a.members]) == 40
    assert len([m for a in often.assignments for m in a.members]) > 60


def test_the_least_called_come_first():
    problem = replace(homes_problem([10] * 4), calls=dict.fromkeys(range(95), 5))
    plan, _ = both(problem)
    assert set(range(95, 100)) <= {m for a in plan.assignments for m in a.members}


def test_rebound_is_counted_where_others_must_make_up_for_it():
    """Half of an hour's energy comes back in the hour after, and lowers what is expected."""
    problem = homes_problem([50] * 4 + [0] * 4, rebound_frac=0.5, rebound_intervals=4)
    plan, _ = both(problem)
    np.testing.assert_allclose(plan.expected_kw.values[:8], [50] * 4 + [-25] * 4)
    run = plan.assignments[0]
    np.testing.assert_allclose(run.kw_each.values[:8], [1] * 4 + [-0.5] * 4)
    assert plan.cost_minor == 50 * 100


def test_a_cheaper_rebound_is_made_up_by_a_site():
    """The site makes up for the rebound; without it a later interval would be short."""
    problem = homes_problem([50] * 8, rebound_frac=0.5, rebound_intervals=4)
    site = a_site("mill", min_kw=1, max_kw=40, energy_price_minor_per_kwh=400)
    known = dict(problem.flexibility) | dict([gives("mill", 40)])
    with_site = replace(problem, contracts=(*problem.contracts, site), flexibility=known)
    plan, _ = both(with_site)
    assert list(plan.shortfall_kw.values[:8]) == [0] * 8


def test_homes_need_notice_and_least_duration_too():
    problem = homes_problem([50] * 8)
    slow = some_homes(notice=minutes(30), min_duration=minutes(45), max_calls_per_day=9)
    plan, greedy = both(replace(problem, contracts=(slow,), now=START))
    for p in (plan, greedy):
        assert min(a.start for a in p.assignments) == 2
        assert min(a.length for a in p.assignments) >= 3


def test_members_are_named_once_at_a_time_and_counts_beyond_them_are_a_bug():
    terms = terms_of(homes_problem([50] * 8))
    draft = empty_draft(terms)
    options = terms.cohorts[0]
    first = int(np.flatnonzero((options.start == 0) & (options.length == 4))[0])
    again = int(np.flatnonzero((options.start == 8 - 4) & (options.length == 4))[0])
    draft.counts[0][[first, again]] = [60, 40]
    named = assign_members(terms, draft)
    assert not set(named[0].members) & set(named[1].members)
    draft.counts[0][again] = 41
    with pytest.raises(PlanError, match="41 members"):
        assign_members(terms, draft)


def test_two_contracts_of_homes_do_not_mix():
    cohorts = [a_cohort("a", range(50)), a_cohort("b", range(50, 100), contract_id="others")]
    contracts = [some_homes(), replace(some_homes(), id="others", energy_price_minor_per_kwh=300)]  # type: ignore[arg-type]
    known = dict([gives("a", 1.0), gives("b", 1.0)])
    plan, _ = both(a_problem([60] * 4, contracts, cohorts=cohorts, flexibility=known))
    assert {a.contract_id for a in plan.assignments} == {"homes", "others"}
    assert plan.cost_minor == 50 * 100 + 10 * 300
    assert plan.cohort(CohortId("b")).contract_id == "others"
