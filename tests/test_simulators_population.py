"""Populations: twins, holds, refusals, opt-outs; what a device's own dead-man does."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from controller.model.commands import Control, Mode, Outcome
from controller.model.ids import ResourceId
from controller.model.resources import ResourceKind
from controller.model.time import Grid, Series
from simulators.faults import DayFaults
from simulators.population import Population
from tests.simulator_cases import a_config, a_population, a_resource, a_setpoint, a_world, local

CONFIG = a_config()
START = local(28, 13)
AT = local(28, 15)
FURNACE, OTHER = ResourceId("furnace-1"), ResourceId("furnace-2")
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def test_twins_are_equal_bit_by_bit_while_nobody_commands():
    population = a_population(CONFIG, local(27, 20))
    population.advance(local(29, 0))
    truth = population.truth()
    assert truth.grid.count == 28 * 4
    assert np.array_equal(truth.controlled_kw, truth.uncontrolled_kw)


def test_a_command_moves_its_device_alone():
    population = a_population(CONFIG, START)
    population.command(a_setpoint(FURNACE, AT, AT + HOUR, 400.0), AT - MINUTE)
    population.advance(AT + 3 * HOUR)
    truth = population.truth()
    moved = np.abs(truth.controlled_kw - truth.uncontrolled_kw).max(axis=0) > 0
    assert [r for r, m in zip(truth.resource_ids, moved, strict=True) if m] == [FURNACE]
    plain = a_population(CONFIG, START)
    plain.advance(AT + 3 * HOUR)
    np.testing.assert_array_equal(plain.truth().controlled_kw, truth.uncontrolled_kw)


def test_a_part_of_a_fleet_behaves_as_in_the_whole():
    part = [ResourceId("mall-2"), ResourceId("ev_charger-3"), ResourceId("air_conditioner-8")]
    whole, alone = a_population(CONFIG, START), a_population(CONFIG, START, only=part)
    for population in (whole, alone):
        population.advance(START + 6 * HOUR)
    columns = [whole.index_of[r] for r in part]
    np.testing.assert_array_equal(
        whole.truth().controlled_kw[:, columns], alone.truth().controlled_kw
    )


def test_it_does_not_matter_when_anyone_looks():
    looked, left = a_population(CONFIG, START), a_population(CONFIG, START)
    for seconds in range(0, 4 * 3600, 437):
        looked.state(FURNACE, START + timedelta(seconds=seconds))
        looked.readings([FURNACE], START + timedelta(seconds=seconds))
    looked.advance(START + 4 * HOUR)
    left.advance(START + 4 * HOUR)
    np.testing.assert_array_equal(looked.truth().controlled_kw, left.truth().controlled_kw)


def test_another_seed_is_another_fleet():
    one, other = a_population(CONFIG, START, seed=1), a_population(CONFIG, START, seed=2)
    one.advance(START + HOUR)
    other.advance(START + HOUR)
    assert not np.allclose(one.truth().controlled_kw, other.truth().controlled_kw)


def test_a_hold_ends_by_itself_at_until():
    population = a_population(CONFIG, START)
    receipt = population.command(a_setpoint(FURNACE, AT, AT + HOUR, 400.0), AT - MINUTE)
    assert receipt.outcome is Outcome.APPLIED
    assert population.state(FURNACE, AT - MINUTE).mode is Mode.FREE
    held = population.state(FURNACE, AT)
    assert (held.mode, held.value, held.until) == (Mode.HELD, 400.0, AT + HOUR)
    assert held.setpoint_id == receipt.setpoint_id
    assert population.power_kw(FURNACE, AT + 30 * MINUTE) == pytest.approx(400, abs=3)
    assert population.state(FURNACE, AT + HOUR).mode is Mode.FREE
    assert population.power_kw(FURNACE, AT + 2 * HOUR) > 700


def test_a_hold_ends_after_hold_s_whatever_until_says():
    population = a_population(CONFIG, START)
    population.command(a_setpoint(FURNACE, AT, AT + 3 * HOUR, 400.0, hold_s=1800), AT)
    assert population.state(FURNACE, AT + 29 * MINUTE).mode is Mode.HELD
    assert population.state(FURNACE, AT + 30 * MINUTE).mode is Mode.FREE
    assert population.power_kw(FURNACE, AT + 90 * MINUTE) > 700


def test_a_clock_that_runs_ahead_ends_a_hold_early():
    ahead = DayFaults(skew={FURNACE: 10 * MINUTE})
    population = a_population(CONFIG, START, faults=ahead)
    population.command(a_setpoint(FURNACE, AT, AT + HOUR, 400.0), AT)
    assert population.state(FURNACE, AT + 49 * MINUTE).mode is Mode.HELD
    assert population.state(FURNACE, AT + 50 * MINUTE).mode is Mode.FREE


def test_the_newest_setpoint_rules_from_its_start_and_the_old_one_until_then():
    population = a_population(CONFIG, START)
    population.command(a_setpoint(FURNACE, AT, AT + 2 * HOUR, 400.0), AT)
    population.command(a_setpoint(FURNACE, AT + HOUR, AT + 3 * HOUR, 600.0), AT + MINUTE)
    assert population.state(FURNACE, AT + 59 * MINUTE).value == 400.0
    coming = population.coming(FURNACE, AT + 59 * MINUTE)
    assert coming is not None
    assert coming.value == 600.0
    assert population.state(FURNACE, AT + HOUR).value == 600.0
    assert population.state(FURNACE, AT + 150 * MINUTE).value == 600.0


def test_release_frees_what_holds_and_what_was_to_come():
    population = a_population(CONFIG, START)
    population.command(a_setpoint(FURNACE, AT, AT + HOUR, 400.0), AT)
    population.command(a_setpoint(FURNACE, AT + HOUR, AT + 2 * HOUR, 400.0), AT)
    for _ in range(2):
        receipt = population.release(FURNACE, AT + 10 * MINUTE)
        assert (receipt.outcome, receipt.setpoint_id) == (Outcome.APPLIED, None)
    assert population.state(FURNACE, AT + 10 * MINUTE).mode is Mode.FREE
    assert population.state(FURNACE, AT + 70 * MINUTE).mode is Mode.FREE


@pytest.mark.parametrize(
    ("resource_id", "changes", "reason"),
    [
        ("furnace-1", {"control": Control.POWER_KW}, "no control"),
        ("furnace-1", {"value": -1.0}, "out of range"),
        ("furnace-1", {"value": float("nan")}, "out of range"),
        ("battery-1", {"control": Control.POWER_KW, "value": -40.0}, "out of range"),
        ("furnace-1", {"until": AT - HOUR, "start": AT - 2 * HOUR}, "already past"),
        ("furnace-1", {"hold_s": 0.0}, "no hold time"),
        ("hospital-1", {}, "protected load"),
        ("factory-1", {}, "switched to local"),
    ],
)
def test_a_device_says_why_it_refuses(resource_id, changes, reason):
    faults = DayFaults(refuses=frozenset({ResourceId("factory-1")}))
    population = a_population(CONFIG, START, faults=faults)
    values = {"start": AT, "until": AT + HOUR, "value": 400.0} | changes
    receipt = population.command(a_setpoint(resource_id, **values), AT)
    assert receipt.outcome is Outcome.REFUSED
    assert reason in receipt.detail
    assert population.state(ResourceId(resource_id), AT).mode is Mode.FREE
    assert not population.executions()


def test_an_older_fence_is_refused():
    population = a_population(CONFIG, START)
    population.command(a_setpoint(FURNACE, AT, AT + HOUR, 400.0, fence=3), AT)
    receipt = population.command(a_setpoint(FURNACE, AT, AT + HOUR, 100.0, fence=2), AT)
    assert receipt.outcome is Outcome.REFUSED
    assert population.state(FURNACE, AT).value == 400.0


def test_a_minimum_run_is_kept_between_holds_but_not_within_renewals():
    config = a_config(extra=[a_resource(ResourceKind.FURNACE, 9, min_on=HOUR)])
    furnace = ResourceId("furnace-9")
    population = a_population(config, START)
    population.command(a_setpoint(furnace, AT, AT + HOUR, 400.0), AT)
    renewal = a_setpoint(furnace, AT + HOUR, AT + 2 * HOUR, 400.0)
    assert population.command(renewal, AT + 61 * MINUTE).outcome is Outcome.APPLIED
    early = a_setpoint(furnace, AT + 150 * MINUTE, AT + 4 * HOUR, 400.0)
    assert population.command(early, AT + 150 * MINUTE).outcome is Outcome.REFUSED
    later = a_setpoint(furnace, AT + 3 * HOUR, AT + 4 * HOUR, 400.0)
    assert population.command(later, AT + 3 * HOUR).outcome is Outcome.APPLIED


def test_a_lying_device_acknowledges_says_it_holds_and_does_nothing():
    population = a_population(CONFIG, START, faults=DayFaults(lies=frozenset({FURNACE})))
    receipt = population.command(a_setpoint(FURNACE, AT, AT + HOUR, 400.0), AT)
    assert receipt.outcome is Outcome.APPLIED
    assert population.state(FURNACE, AT + 10 * MINUTE).mode is Mode.HELD
    assert population.power_kw(FURNACE, AT + 30 * MINUTE) > 700
    truth = population.truth()
    assert np.array_equal(truth.controlled_kw, truth.uncontrolled_kw)


def test_about_the_asked_share_of_commanded_homes_opts_out_and_says_so_once():
    config = a_config(homes=400, sites=0)
    homes = [r.id for r in config.fleet if r.kind == ResourceKind.AIR_CONDITIONER]
    population = a_population(config, START, only=homes, faults=DayFaults(opt_out_frac=0.05))
    for home in homes:
        population.command(a_setpoint(home, AT, AT + 2 * HOUR, 1.0), AT)
    gone = population.overrides(AT + HOUR) + population.overrides(AT + 2 * HOUR)
    assert 0.02 * len(homes) < len(gone) < 0.09 * len(homes)
    assert all(AT < o.at < AT + 2 * HOUR for o in gone)
    assert not population.overrides(AT + 2 * HOUR)
    one = gone[0].resource_id
    assert population.state(one, AT + 2 * HOUR).mode is Mode.OVERRIDDEN
    again = population.command(a_setpoint(one, AT, AT + 3 * HOUR, 1.0), AT + 2 * HOUR)
    assert again.outcome is Outcome.OVERRIDDEN


def test_an_opt_out_ends_the_reduction_and_midnight_ends_the_opt_out():
    home = ResourceId("air_conditioner-1")
    population = a_population(CONFIG, START)
    population.command(a_setpoint(home, AT, AT + 3 * HOUR, 0.2), AT)
    population.switch_by_customer(home, AT + HOUR, "too warm")
    assert population.power_kw(home, AT + HOUR) <= 0.2
    assert population.power_kw(home, AT + 70 * MINUTE) > 1.0
    assert population.state(home, local(28, 23)).mode is Mode.OVERRIDDEN
    assert population.state(home, local(29, 0)).mode is Mode.FREE


def test_every_taken_command_is_counted():
    population = a_population(CONFIG, START)
    once = a_setpoint(FURNACE, AT, AT + HOUR, 400.0)
    twice = a_setpoint(OTHER, AT, AT + HOUR, 400.0)
    for setpoint in (once, twice, twice):
        population.command(setpoint, AT)
    assert population.executions() == {once.id: 1, twice.id: 2}


def test_a_told_site_gives_what_its_people_promised():
    population = a_population(CONFIG, START)
    grid = Grid(start=AT, step=15 * MINUTE, count=4)
    kw = Series(grid=grid, values=np.array([100.0, 100.0, 200.0, 0.0]))
    population.curtail(FURNACE, kw, START)
    population.advance(AT + HOUR)
    truth = population.truth()
    i = population.index_of[FURNACE]
    given = (truth.uncontrolled_kw - truth.controlled_kw)[:, i]
    first = truth.grid.index(AT)
    assert given[:first].max() == 0
    np.testing.assert_allclose(given[first + 1 : first + 3], [100, 200], rtol=0.15)
    assert given[first + 3] < 60


def test_a_saved_state_goes_on_where_it_was(tmp_path: Path):
    on = a_population(CONFIG, START)
    on.advance(AT)
    on.save(tmp_path / "devices.npz")
    ids = [r.id for r in CONFIG.fleet]
    resumed = Population(CONFIG, a_world(), ids, 1, AT, saved=tmp_path / "devices.npz")
    on.advance(AT + 2 * HOUR)
    resumed.advance(AT + 2 * HOUR)
    np.testing.assert_array_equal(on.truth().controlled_kw[-8:], resumed.truth().controlled_kw[-8:])
    with pytest.raises(ValueError, match="holds the state at"):
        Population(CONFIG, a_world(), ids, 1, START, saved=tmp_path / "devices.npz")


def test_homes_report_means_since_the_last_time_and_sites_their_last_minute():
    home = ResourceId("ev_charger-1")
    population = a_population(CONFIG, START, only=[home, FURNACE])
    population.readings([home, FURNACE], START)
    powers = [population.meter_kw(population.resources[0].meter_id, START + k * MINUTE)
              for k in range(1, 6)]  # fmt: skip
    own, net, site = population.readings([home, FURNACE], START + 5 * MINUTE)
    assert (own.resource_id, net.resource_id, site.resource_id) == (home, None, FURNACE)
    assert net.power_kw == pytest.approx(np.mean(powers))
    assert site.power_kw == population.power_kw(FURNACE, START + 5 * MINUTE)
