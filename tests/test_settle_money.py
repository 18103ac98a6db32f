"""Tiers, rebates and points: worked examples, with the traps at the limits."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.model.contracts import Contract, ContractKind, Program, Tier, TierBasis
from controller.model.events import Timeline
from controller.model.ids import EventId, MeterId
from controller.model.money import POINTS, Performance
from controller.model.time import QUARTER_HOUR, Grid, Series
from controller.settle import words
from controller.settle.performance import performances, whole_wh
from controller.settle.points import points
from controller.settle.rebate import rebate
from controller.settle.share import each_kwh_once, largest_remainder
from controller.settle.tiers import grade
from controller.units import wh
from tests.settle_world import INF, SITES, STATE_GRID_TIERS, homes_contract, meter, site, utc

EVENT = EventId("e")
START = utc("2014-01-28 15:00")
HOMES = homes_contract(["home-1"])


def rows(*pairs: tuple[int, int | None], baseline_wh: int = 100_000) -> list[Performance]:
    """(committed, delivered) Wh per interval; None: not metered."""
    grid = Grid(start=START, step=QUARTER_HOUR, count=len(pairs))
    return [
        Performance(
            event_id=EVENT,
            meter_id=MeterId("meter-mill-3"),
            contract_id=site("mill-3").id,
            interval=grid.interval(i),
            baseline_wh=baseline_wh,
            metered_wh=baseline_wh - (delivered or 0),
            committed_wh=committed,
            delivered_wh=delivered or 0,
            valid=delivered is not None,
        )
        for i, (committed, delivered) in enumerate(pairs)
    ]


def amounts(program: Program, contract: Contract, *pairs: tuple[int, int | None]) -> dict[str, int]:
    return {a.component: a.amount_minor for a in rebate(program, contract, rows(*pairs))}


# --- performance ------------------------------------------------------------------------------


def perform(baseline, metered, committed, ruling):
    grid = Grid(start=START, step=QUARTER_HOUR, count=len(ruling))
    series = (
        Series(grid=grid, values=np.array(v, dtype=float)) for v in (baseline, metered, committed)
    )
    line = Timeline(grid=grid, ruling=tuple(ruling), target=Series.full(grid, 1.0))
    return performances(EVENT, line, site("mill-3"), meter("mill-3"), *series)


def test_only_intervals_that_this_event_rules_and_that_were_committed_count():
    made = perform([100] * 4, [60] * 4, [40, 0, 40, np.nan], [EVENT, EVENT, "other", EVENT])
    assert [(p.interval.start, p.delivered_wh) for p in made] == [(START, 10_000)]


def test_a_silent_meter_earns_nothing():
    (p,) = perform([100], [np.nan], [40], [EVENT])
    assert (p.valid, p.delivered_wh, p.committed_wh) == (False, 0, 10_000)


def test_who_draws_more_than_the_baseline_delivers_less_than_nothing():
    (p,) = perform([100], [108], [40], [EVENT])
    assert p.delivered_wh == -2000


@given(st.lists(st.floats(-1e5, 1e5), min_size=1, max_size=5))
def test_whole_wh_is_the_exact_value_rounded_once(kw):
    assert whole_wh(np.array(kw), 0.25).tolist() == [wh(x, 0.25) for x in kw]


@pytest.mark.parametrize("kw", [0.002, -0.002, 0.018, -0.018, 0.022, 34.438, 1e-300])
def test_whole_wh_is_exact_at_ties(kw):
    assert whole_wh(np.array([kw]), 0.25).tolist() == [wh(kw, 0.25)]


# --- tiers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("delivered_wh", "paid_wh"),
    [(-20_000, 0), (0, 0), (159_990, 0), (160_000, 160_000), (178_000, 178_000),
     (240_000, 240_000), (240_010, 240_000), (300_000, 240_000)],
)  # fmt: skip
def test_the_state_grid_table_pays_from_exactly_eighty_to_a_hundred_and_twenty_percent(
    delivered_wh, paid_wh
):
    """12 CNY per kW for 200 kW committed: 160 kW is 80 % and pays, 159.99 kW does not."""
    assert grade(STATE_GRID_TIERS, 200_000, delivered_wh).paid_wh == paid_wh


HALF_PAY = (
    Tier(from_ratio=-INF, to_ratio=0.5, pay_frac=0.0, cap_ratio=1.2, penalty_frac=0.5,
         penalty_ratio=0.5),
    Tier(from_ratio=0.5, to_ratio=0.8, pay_frac=0.5, cap_ratio=1.2),
    Tier(from_ratio=0.8, to_ratio=INF, pay_frac=1.0, cap_ratio=1.2),
)  # fmt: skip


@pytest.mark.parametrize(
    ("actual_kwh", "pay", "penalty"),
    [("-1000", 0, 1_050_000), ("0", 0, 875_000), ("4000", 0, 175_000), ("4999.9", 0, 18),
     ("5000", 875_000, 0), ("7999.9", 1_399_983, 0), ("8000", 2_800_000, 0),
     ("10000", 3_500_000, 0), ("12000", 4_200_000, 0), ("13000", 4_200_000, 0)],
)  # fmt: skip
def test_a_table_with_half_pay_and_half_penalty(actual_kwh, pay, penalty):
    """10 MWh bid at 3.50 CNY/kWh; below half of it the shortfall to half costs half the price."""
    program = replace(SITES, tiers=HALF_PAY)
    contract = site("mill-3", price=350, penalty=350)
    delivered = int(Fraction(actual_kwh) * 1000)
    got = amounts(program, contract, (10_000_000, delivered))
    assert got.get("energy") == pay
    assert got.get("penalty", 0) == -penalty


def test_more_load_than_the_baseline_is_never_a_negative_payment():
    program = replace(
        SITES, tiers=(Tier(from_ratio=-INF, to_ratio=INF, pay_frac=1, cap_ratio=INF),)
    )
    assert amounts(program, site("mill-3"), (1000, -500), (1000, 800)) == {"energy": 240}


def test_a_ratio_outside_the_table_pays_and_charges_nothing():
    program = replace(SITES, tiers=STATE_GRID_TIERS[1:])
    assert amounts(program, site("mill-3"), (1000, 100)) == {"energy": 0}


def test_intervals_are_graded_alone_or_as_one_event():
    """Delivered 60 % then 100 %: as an event that is 80 % and all of it pays."""
    by_event = replace(SITES, tier_basis=TierBasis.EVENT)
    assert amounts(SITES, site("mill-3"), (1000, 600), (1000, 1000))["energy"] == 300
    assert amounts(by_event, site("mill-3"), (1000, 600), (1000, 1000))["energy"] == 480


def test_an_amount_is_rounded_once_and_half_up():
    """Three intervals of 5 Wh at 0.33 CNY/kWh are 0.495 fen: not three times nothing, not one."""
    contract = site("mill-3", price=33)
    program = replace(
        SITES, tiers=(Tier(from_ratio=-INF, to_ratio=INF, pay_frac=1, cap_ratio=INF),)
    )
    assert amounts(program, contract, (5, 5), (5, 5), (5, 5))["energy"] == 0
    assert amounts(program, contract, (5, 5), (5, 5), (5, 5), (1, 1))["energy"] == 1
    assert (
        amounts(program, replace(contract, energy_price_minor_per_kwh=100), (5, 5))["energy"] == 1
    )


def test_negative_intervals_are_netted_before_a_payout_is_clipped():
    program = replace(SITES, tier_basis=TierBasis.EVENT)
    assert (
        amounts(program, site("mill-3"), (1000, 1200), (1000, -100), (1000, 1300))["energy"] == 720
    )
    assert amounts(program, site("mill-3"), (1000, -1200), (1000, 100))["energy"] == 0


def test_only_who_cuts_without_us_can_owe_in_total():
    """Below half: 4.50 CNY/kWh on what lacks. Direct control never goes below zero."""
    pairs = ((1000, 850), (1000, -2000))
    assert amounts(SITES, site("mill-3"), *pairs) == {"energy": 255, "penalty": -1125}
    ours = replace(site("mill-3"), kind=ContractKind.DIRECT_CONTROL)
    assert amounts(SITES, ours, *pairs) == {"energy": 255, "penalty": -255}


def test_a_missing_interval_neither_earns_nor_owes():
    pairs = [(1000, 1000)] * 9
    assert amounts(SITES, site("mill-3"), *pairs, (1000, None)) == {"energy": 2700}


def test_too_many_missing_intervals_put_everything_on_hold():
    made = rebate(SITES, site("mill-3"), rows(*[(1000, 1000)] * 8, (1000, None), (1000, None)))
    assert [(a.component, a.amount_minor, a.tier) for a in made] == [("energy", 0, "on hold")]
    assert "8 of 10" in made[0].formula


def test_the_start_cost_is_paid_once_where_the_program_says_so_and_a_tier_pays():
    contract = replace(site("mill-3"), start_cost_minor=5000)
    program = replace(SITES, start_paid=True)
    assert amounts(program, contract, (1000, 1000), (1000, 1000))["start"] == 5000
    assert amounts(program, contract, (1000, 100))["start"] == 0
    assert "start" not in amounts(SITES, contract, (1000, 1000))


def test_a_run_that_another_event_began_is_not_paid_its_start_again():
    """An emergency that carries on a run of the day-ahead event pays its energy only."""
    contract, program = (
        replace(site("mill-3"), start_cost_minor=5000),
        replace(SITES, start_paid=True),
    )
    carried_on = tuple(replace(r, starts_run=False) for r in rows((1000, 1000)))
    paid = {a.component: a for a in rebate(program, contract, carried_on)}

    assert paid["start"].amount_minor == 0
    assert "another event" in paid["start"].formula
    assert paid["energy"].amount_minor > 0


def test_the_formula_holds_every_number_of_the_amount():
    program = replace(SITES, tiers=HALF_PAY)
    (energy,) = rebate(program, site("mill-3"), rows((1000, 1000), (1000, 601)))
    assert energy.formula == "(0.601 kWh × 0.5 + 1.000 kWh) × 3.00 CNY/kWh = 3.9015 → 3.90 CNY"
    assert energy.ratio == "0.8005"
    assert energy.tier == "1 × tier 2, 1 × tier 3"


# --- points -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metered_wh", "earned"), [(1400, 60), (1910, 0), (1900, 10), (2300, 0), (1234, 76), (1700, 30)]
)
def test_points_are_floored_gated_and_never_negative(metered_wh, earned):
    """2 kWh of baseline, 100 points per kWh, nothing below 5 % of the baseline."""
    made = points(SITES, HOMES, rows((1000, 2000 - metered_wh), baseline_wh=2000))
    assert [(a.amount_minor, a.currency) for a in made] == [(earned, POINTS)]


def test_points_stop_at_half_more_than_was_committed():
    assert points(SITES, HOMES, rows((1000, 6000)))[0].amount_minor == 150


def test_who_opted_out_half_way_keeps_what_was_delivered():
    made = points(SITES, HOMES, rows((500, 500), (500, 0), baseline_wh=1000))
    assert made[0].amount_minor == 50


def test_a_home_with_a_gap_too_long_waits_for_its_meter():
    made = points(SITES, HOMES, rows((500, 500), (500, None)))
    assert (made[0].amount_minor, made[0].tier) == (0, "on hold")


@given(st.lists(st.tuples(st.integers(1, 5000), st.integers(-9000, 9000)), min_size=1, max_size=8))
def test_points_and_payments_to_homes_are_never_negative(pairs):
    paid = replace(HOMES, energy_price_minor_per_kwh=300, penalty_minor_per_kwh=900)
    of = rows(*pairs)
    assert sum(a.amount_minor for a in rebate(SITES, paid, of)) >= 0
    assert points(SITES, HOMES, of)[0].amount_minor >= 0


# --- shares -----------------------------------------------------------------------------------


def test_the_largest_remainder_gets_the_rest_and_the_first_wins_a_tie():
    assert largest_remainder(100_000, [1, 1, 1]) == [33_334, 33_333, 33_333]
    assert largest_remainder(27_183, [12_345, 7_001, 654, 5_000]) == [13_423, 7_612, 711, 5_437]
    assert largest_remainder(-10, [1, 2]) == [-3, -7]


@given(st.integers(-(10**9), 10**9), st.lists(st.integers(1, 10**6), min_size=1, max_size=9))
def test_shares_add_up_to_the_whole(total, weights):
    assert sum(largest_remainder(total, weights)) == total


def test_two_contracts_behind_one_meter_share_its_energy():
    one = rows((1000, 1001))[0]
    other = replace(one, contract_id=site("mill-4").id, committed_wh=3000)
    shared = each_kwh_once([one, other])
    assert [p.delivered_wh for p in shared] == [250, 751]
    assert sum(p.baseline_wh for p in shared) == one.baseline_wh
    assert sum(p.metered_wh for p in shared) == one.metered_wh


# --- words ------------------------------------------------------------------------------------


def test_numbers_are_written_with_all_their_digits():
    assert words.kwh(1) == "0.001"
    assert words.kwh(Fraction(1, 2)) == "0.0005"
    assert words.money(-123_450, "CNY") == "-1,234.50 CNY"
    assert words.money(512, POINTS) == "512 points"
    assert words.ratio(Fraction(79_999_999, 100_000_000)) == "0.799999"
    assert words.tier(HALF_PAY[0]) == (
        "ratio < 0.5: pays nothing, charges 50% of the penalty price below 0.5 × committed"
    )
