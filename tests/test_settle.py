"""Settling an event: each kWh once, each entry twice, the same every time."""

from collections import Counter
from dataclasses import replace
from hashlib import sha256

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.model.contracts import ContractKind
from controller.model.ids import ContractId, CustomerId, EventId, MeterId
from controller.model.money import POINTS
from controller.model.time import Series
from controller.settle.reconcile import reconcile
from controller.settle.settle import settle_event, settle_performances
from controller.settle.transfers import transfer_id
from tests.settle_world import DAY_AHEAD, EMERGENCY, SITES, Town, site


def test_settling_again_gives_the_identical_settlement():
    town = Town()
    assert town.settlements() == town.settlements()


def test_an_id_is_the_hash_of_event_contract_customer_component_and_version():
    made = transfer_id(EventId("e"), ContractId("c"), CustomerId("u"), "energy", 1)
    assert made == sha256(b'["e", "c", "u", "energy", 1]').hexdigest()
    assert made != transfer_id(EventId("e"), ContractId("c"), CustomerId("u"), "energy", 2)


def test_two_events_on_one_day_count_each_interval_of_a_meter_once():
    town = Town()
    day_ahead, emergency = town.settlements()
    at = Counter((p.meter_id, p.interval) for s in (day_ahead, emergency) for p in s.performances)
    assert set(at.values()) == {1}
    assert {p.interval.start for p in emergency.performances} == {
        i.start
        for i, ruling in zip(town.timeline.grid.intervals(), town.timeline.ruling, strict=True)
        if ruling == EMERGENCY
    }


def test_every_called_customer_has_a_line_and_every_amount_an_entry():
    town = Town()
    made = town.settle(DAY_AHEAD)
    assert set(made.lines) == set(town.customers)
    lines = [line for of in made.lines.values() for line in of]
    assert sum(1 for line in lines if line.amount_minor) == len(made.transfers)
    assert {t.currency for t in made.transfers} == {"CNY", POINTS}


def test_money_goes_from_the_program_to_the_customer_and_a_penalty_back():
    town = Town()
    mill = town.metered[MeterId("meter-mill-3")]
    worse = Series(grid=mill.grid, values=mill.values + np.where(np.arange(12) < 3, 400.0, 0.0))
    town.metered[MeterId("meter-mill-3")] = worse
    of_mill = {
        t.component: t for t in town.settle(DAY_AHEAD).transfers if t.contract_id == "mill-3"
    }
    assert (of_mill["energy"].debit, of_mill["energy"].credit) == (
        "program:sites:rebates",
        "customer:mill-3",
    )
    assert (of_mill["penalty"].debit, of_mill["penalty"].credit) == (
        "customer:mill-3",
        "program:sites:penalties",
    )
    assert of_mill["penalty"].amount_minor > 0


def test_a_home_that_never_reported_stays_on_hold_without_an_entry():
    town = Town()
    del town.metered[MeterId("meter-home-00001")]
    made = town.settle(DAY_AHEAD)
    assert not [t for t in made.transfers if t.customer_id == "home-00001"]
    assert made.lines[CustomerId("home-00001")][0].tier == "on hold"


def test_two_contracts_behind_one_meter_are_paid_for_its_energy_once():
    town = Town()
    twin = replace(site("mill-3"), id=ContractId("mill-3-b"))
    town.contracts[twin.id] = twin
    alone = town.settle(DAY_AHEAD)
    (key,) = (k for k in town.committed if k[0] == "mill-3")
    town.committed[twin.id, key[1]] = town.committed[key]
    both = town.settle(DAY_AHEAD)

    def delivered(of):
        return sum(p.delivered_wh for p in of.performances if p.meter_id == key[1])

    assert delivered(both) == delivered(alone)
    assert reconcile_town(town, [both], both.transfers) == ()


def test_performances_read_back_settle_to_the_same_money():
    town = Town()
    made = town.settle(DAY_AHEAD)
    again = settle_performances(
        DAY_AHEAD,
        performances=made.performances,
        baselines=made.baselines,
        contracts=town.contracts,
        programs=town.programs,
        meters=town.meters,
    )
    assert again == made


def reconcile_town(town, settlements, ledger):
    return reconcile(
        settlements,
        ledger,
        contracts=town.contracts,
        programs=town.programs,
        meters=town.meters,
        metered=town.metered,
    )


noise = st.lists(st.one_of(st.floats(-500, 1500), st.just(float("nan"))), min_size=12, max_size=12)


@given(st.lists(noise, min_size=4, max_size=4), st.lists(st.booleans(), min_size=12, max_size=12))
@settings(max_examples=60, deadline=None)
def test_whatever_the_meters_say_the_books_balance(values, emergency):
    """The ledger sums to zero, each kWh counts once, and the second opinion agrees."""
    town = Town(homes=2)
    ours = {"kind": ContractKind.DIRECT_CONTROL, "start_cost_minor": 5000}
    store = ContractId("cold-store-1")
    town.contracts[store] = replace(town.contracts[store], **ours)  # type: ignore[arg-type]
    town.programs[SITES.id] = replace(SITES, start_paid=True)
    grid = town.timeline.grid
    ruling = tuple(EMERGENCY if e else DAY_AHEAD for e in emergency)
    line = replace(town.timeline, ruling=ruling)
    metered = {
        m: Series(grid=grid, values=np.array(v)) for m, v in zip(town.meters, values, strict=True)
    }
    made = [
        settle_event(
            event,
            timeline=line,
            contracts=town.contracts,
            programs=town.programs,
            meters=town.meters,
            baselines=BASELINES,
            metered=metered,
            committed=town.committed,
        )
        for event in (DAY_AHEAD, EMERGENCY)
    ]
    ledger = [t for s in made for t in s.transfers]
    balance: Counter[str] = Counter()
    for t in ledger:
        balance[t.debit] -= t.amount_minor
        balance[t.credit] += t.amount_minor
    assert sum(balance.values()) == 0
    assert all(t.amount_minor > 0 for t in ledger)
    assert len({t.id for t in ledger}) == len(ledger)
    once = Counter((p.meter_id, p.interval) for s in made for p in s.performances)
    assert set(once.values()) <= {1}
    town.metered = metered
    assert reconcile_town(town, made, ledger) == ()


BASELINES = Town(homes=2).baselines()
