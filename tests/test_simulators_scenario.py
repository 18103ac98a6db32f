"""Scenario pages, the faults drawn from them, and the people at told sites."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.errors import ConfigError
from controller.model.events import Answer, Notice
from controller.model.ids import ContractId, EventId, ResourceId
from controller.model.time import Grid, Interval, Series
from simulators.duty import DutyDesks
from simulators.faults import draw_faults
from simulators.scenario import (
    Scenario,
    emergency_posted_at,
    emergency_span,
    emergency_target,
    read_scenario,
    segments,
)
from tests.simulator_cases import DEMO, MELBOURNE, a_config, a_population, local

DAY = DEMO / "scenarios" / "day.toml"
QUARTER = timedelta(minutes=15)
MINUTE = timedelta(minutes=1)
TOLD = ResourceId("furnace-1")


def a_scenario(tmp_path: Path, *changes: tuple[str, str]) -> Scenario:
    """The demo's page with pieces of text replaced."""
    text = DAY.read_text().replace("../area", str(DEMO / "area"))
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "day.toml"
    path.write_text(text)
    return read_scenario(path, MELBOURNE)


def a_notice(number: int = 1, contract: str = TOLD, reply_min: float = 30) -> Notice:
    grid = Grid(start=local(28, 15), step=QUARTER, count=8)
    return Notice(
        id=f"notice-{number}",
        event_id=EventId("event"),
        contract_id=ContractId(contract),
        kw=Series.full(grid, 200.0),
        sent_at=local(28, 13),
        reply_by=local(28, 13) + timedelta(minutes=reply_min),
    )


def test_the_demos_page_says_which_day_is_played():
    scenario = read_scenario(DAY, MELBOURNE)
    assert scenario.epoch == local(27, 20)
    assert scenario.day == Interval(start=local(28, 0), end=local(29, 0))
    assert scenario.world(1).outdoor_c(local(28, 17)) > 40
    assert emergency_posted_at(scenario) == local(28, 16, 20)
    assert emergency_span(scenario) == Interval(start=local(28, 17), end=local(28, 18))


def test_every_fault_of_a_page_is_named_at_once(tmp_path: Path):
    with pytest.raises(ConfigError) as caught:
        a_scenario(
            tmp_path,
            ("fraction = 0.01", "fraction = -1"),
            ("mae_c = 0.8", 'mae_c = "much"'),
            ("event_speed = 360", "event_sped = 360"),
            ("accept = 0.80", "accept = 0.70"),
            ('end = "18:00"', 'end = "16:50"'),
        )
    places = " ".join(f"{f.place}: {f.expected}" for f in caught.value.faults)
    for word in ("area.fraction", "weather.mae_c", "event_sped", "desk", "emergency"):
        assert word in places


def test_a_slip_in_the_rules_of_one_desk_is_named_with_its_contract(tmp_path: Path):
    one = "[desk.contracts.mill-3]\naccept = 1.0\nfolow_frac = 0.1\n\n[desk]"
    with pytest.raises(ConfigError) as caught:
        a_scenario(tmp_path, ("[desk]", one))
    (fault,) = caught.value.faults
    assert fault.place == "desk.contracts.mill-3.folow_frac"
    assert fault.expected == 'the key "follow_frac"?'


def test_the_slow_part_covers_both_events_and_their_notice(tmp_path: Path):
    scenario = a_scenario(tmp_path)
    window = Interval(start=local(28, 15, 30), end=local(28, 17, 30))
    quiet, slow, after, over = segments(scenario, window)
    assert (quiet.start, quiet.speed) == (scenario.epoch, 3600)
    assert (slow.start, slow.speed) == (local(28, 14, 45), 360)
    assert (after.start, after.speed) == (local(28, 18, 50), 3600)
    assert (over.start, over.speed) == (scenario.end, 1)


def test_the_emergency_asks_a_multiple_of_the_first_target(tmp_path: Path):
    grid = Grid(start=local(28, 15), step=QUARTER, count=2)
    target = emergency_target(
        a_scenario(tmp_path), Series(grid=grid, values=np.array([3000.0, 4210.0]))
    )
    assert target.grid == Grid(start=local(28, 17), step=QUARTER, count=4)
    assert set(target.values) == {5050.0}


@given(seed=st.integers(0, 500))
@settings(max_examples=30, deadline=None)
def test_faults_befall_different_sites_that_may_be_called(seed):
    config, scenario = a_config(), read_scenario(DAY, MELBOURNE)
    faults = draw_faults(scenario, config, seed)
    hit = [*faults.refuses, *faults.lies, *faults.cuts]
    assert len(set(hit)) == 3
    assert not any(config.fleet[r].protected for r in hit)
    assert faults == draw_faults(scenario, config, seed)
    (refusing,) = faults.refuses
    assert config.fleet[refusing].kind == "factory"
    (cut,) = faults.cuts
    assert faults.is_cut(cut, local(28, 16, 35))
    assert not faults.is_cut(cut, local(28, 16, 34))


def test_a_named_site_that_cannot_fail_is_refused(tmp_path: Path):
    hospital = ("[faults.lies]", '[faults.lies]\nsite = "hospital-1"')
    with pytest.raises(ConfigError, match=r"faults\.lies\.site: hospital-1"):
        draw_faults(a_scenario(tmp_path, hospital), a_config(), 1)


def desks(tmp_path: Path, *changes: tuple[str, str]) -> tuple[DutyDesks, object]:
    config = a_config(homes=1, told=frozenset({TOLD}))
    population = a_population(config, local(28, 13))
    return DutyDesks(config, a_scenario(tmp_path, *changes), population, 1), population


ACCEPT = (("accept = 0.80", "accept = 1.0"), ("part = 0.10", "part = 0.0"),
          ("no = 0.06", "no = 0.0"), ("silent = 0.04", "silent = 0.0"))  # fmt: skip
PART = (("accept = 0.80", "accept = 0.0"), ("part = 0.10", "part = 1.0"), *ACCEPT[2:])


def test_a_desk_that_accepts_answers_in_minutes_and_does_it(tmp_path: Path):
    duty, population = desks(tmp_path, *ACCEPT)
    duty.take(a_notice(), local(28, 13))
    assert duty.answers(local(28, 13, 1)) == []
    (offer,) = duty.answers(local(28, 13, 12))
    assert (offer.answer, offer.kw) == (Answer.ACCEPT, a_notice().kw)
    assert local(28, 13, 2) <= offer.answered_at <= local(28, 13, 12)
    assert duty.answers(local(28, 14)) == []
    population.advance(local(28, 17))  # type: ignore[attr-defined]
    truth = population.truth()  # type: ignore[attr-defined]
    given_kw = (truth.uncontrolled_kw - truth.controlled_kw).sum(axis=1)
    first = truth.grid.index(local(28, 15, 15))
    np.testing.assert_allclose(given_kw[first : first + 7], 200, rtol=0.08)


def test_a_desk_may_offer_part(tmp_path: Path):
    duty, _ = desks(tmp_path, *PART)
    duty.take(a_notice(), local(28, 13))
    (offer,) = duty.answers(local(28, 14))
    assert offer.answer is Answer.PART
    assert set(offer.kw.values) == {140.0}


def test_the_same_notice_twice_is_one_notice(tmp_path: Path):
    duty, _ = desks(tmp_path, *ACCEPT)
    for _ in range(2):
        duty.take(a_notice(), local(28, 13))
    assert len(duty.answers(local(28, 14))) == 1
    duty.take(a_notice(), local(28, 14))
    assert duty.answers(local(28, 15)) == []


def test_who_would_answer_too_late_stays_silent_and_does_nothing(tmp_path: Path):
    duty, population = desks(tmp_path, *ACCEPT)
    duty.take(replace(a_notice(reply_min=1), id="late"), local(28, 13))
    assert duty.next_due is None
    population.advance(local(28, 16))  # type: ignore[attr-defined]
    truth = population.truth()  # type: ignore[attr-defined]
    assert np.array_equal(truth.controlled_kw, truth.uncontrolled_kw)


def test_answers_come_in_the_proportions_of_the_page(tmp_path: Path):
    config = a_config(homes=200, sites=0)
    homes = [r.id for r in config.fleet]
    population = a_population(config, local(28, 13), only=homes[:1])
    duty = DutyDesks(config, a_scenario(tmp_path), population, 1)
    duty._do = lambda pending: None  # type: ignore[method-assign]
    for number, home in enumerate(homes):
        duty.take(a_notice(number, contract=home), local(28, 13))
    found = [offer.answer for offer in duty.answers(local(28, 14))]
    assert 0.75 < found.count(Answer.ACCEPT) / len(homes) < 0.85
    assert 0.02 < 1 - len(found) / len(homes) < 0.06
