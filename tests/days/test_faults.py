"""Days on which something goes wrong, and the day after."""

import asyncio
from dataclasses import replace
from datetime import datetime, time, timedelta
from pathlib import Path

import numpy as np
import pytest

from controller.model.commands import Mode
from controller.model.events import DREvent, EventSource, EventStatus
from controller.model.ids import EventId, ProgramId
from controller.model.resources import APPLIANCE_KINDS
from controller.model.settings import Config
from controller.model.time import QUARTER_HOUR, Grid, Series
from simulators.day import Day, play_day
from simulators.scenario import Scenario
from tests.days.virtual import held_sites, in_virtual_time

pytestmark = pytest.mark.slow

DAY = timedelta(days=1)


def an_ask(
    day: Day, name: str, start: datetime, *, kw: float = 1500.0, hours: float = 1
) -> DREvent:
    """The grid operator's urgent ask, which needs no approval."""
    grid = Grid(start=start, step=QUARTER_HOUR, count=round(hours * 4))
    return DREvent(
        id=EventId(name), source=EventSource.OPERATOR, source_id=name,
        program_id=ProgramId("contracted"), zone=day.config.area.id,
        target=Series.full(grid, kw), notified_at=day.clock.now(), priority=0, emergency=True,
    )  # fmt: skip


def told_kw(day: Day) -> float:
    """What told sites have switched off at this moment, as the people there have it noted."""
    now, total = day.clock.now(), 0.0
    for population in day.populations.values():
        for agreed in population._told.values():
            ruling = next((s for s in reversed(agreed) if now in s.grid.span), None)
            total += 0.0 if ruling is None else float(np.nan_to_num(ruling.value_at(now)))
    return total


@pytest.fixture
def two_days(scenario: Scenario) -> Scenario:
    """The scenario's day with the day before it, so that two can be played."""
    epoch = scenario.epoch - DAY
    return replace(
        scenario,
        page=scenario.page.model_copy(update={"epoch": scenario.page.epoch - DAY}),
        epoch=epoch,
    )


@in_virtual_time
async def test_a_second_day_is_as_good_as_the_first(
    town: Config, two_days: Scenario, tmp_path: Path
):
    """Tomorrow's event comes in while today's runs: each is planned, called, settled by itself."""
    async with play_day(town, two_days, tmp_path) as day:
        monday, tuesday = (two_days.at(time(15)) - DAY, two_days.at(time(15)))
        await day.clock.sleep_until(monday - timedelta(hours=4))
        await day.send(an_ask(day, "monday", monday))
        await day.clock.sleep_until(monday + timedelta(minutes=20))
        before = held_sites(day)
        assert before

        await day.send(an_ask(day, "tuesday", tuesday))
        await day.clock.sleep_until(monday + timedelta(minutes=40))
        situation = day.require().situation
        assert set(held_sites(day)) == set(before)
        assert situation.events[EventId("tuesday")].status is EventStatus.APPROVED
        assert situation.given_up == {} or set(situation.given_up) != set(before)

        await day.clock.sleep_until(monday + timedelta(hours=2))
        assert day.held() == []
        assert day.require().steering.all_free
        assert situation.events[EventId("monday")].status is EventStatus.ENDED
        asked = {n.event_id for n in situation.notices.values()}
        assert "monday" not in asked

        await day.clock.sleep_until(tuesday + timedelta(minutes=30))
        assert situation.plan is not None
        assert situation.plan.grid.start >= two_days.day.start
        assert held_sites(day)
        seen = day.require().steering.verifications[-1]
        assert seen.delivered_kw > 0.9 * seen.target_kw

        await day.until("21:30")
        assert day.held() == []
        assert day.require().steering.all_free
        first = await day.settle()
        again = await day.require().settle(actor="operator")
        assert first["events"] >= 2
        assert (first["unreconciled"], again["posted"]) == (0, 0)
        done = {e.id for e in situation.events.values() if e.status is EventStatus.SETTLED}
        assert {"monday", "tuesday"} <= done
        assert set(day.executions().values()) == {1}


@in_virtual_time
async def test_a_cancelled_event_lets_everyone_go(town: Config, scenario: Scenario, tmp_path: Path):
    """Devices at once, the one out of reach when it is back, and people by a notice."""
    async with play_day(town, scenario, tmp_path) as day:
        await day.until("16:20")
        lost = held_sites(day)[0]
        home = next(r for r in day.held() if day.config.fleet[r].kind in APPLIANCE_KINDS)
        day.cut(lost, home)
        assert told_kw(day) > 0

        (event,) = day.require().situation.events.values()
        await day.require().cancel_event(event.id, "clouds came", actor="operator")
        assert set(day.held()) <= {lost, home}

        day.mend(lost, home)
        await day.until("16:31")
        assert day.held() == []
        assert day.require().steering.all_free
        sent = day.require().situation.notices.values()
        stood_down = [n for n in sent if not n.kw.values.any()]
        assert stood_down
        await day.until("17:00")
        assert day.held() == []


@in_virtual_time
async def test_an_opt_out_is_kept_though_its_first_release_is_lost(
    town: Config, scenario: Scenario, tmp_path: Path
):
    """The customer said no: the device is let go as soon as it can be reached, and stays free."""
    async with play_day(town, scenario, tmp_path) as day:
        await day.until("16:20")
        lengths = {r: day.state(r).until or day.clock.now() for r in day.held()}
        home = max(
            (r for r in lengths if day.config.fleet[r].kind in APPLIANCE_KINDS),
            key=lambda r: lengths[r],
        )
        assert lengths[home] > day.local("17:00")
        day.cut(home)
        said = await day.require().opt_out(home, "a baby sleeps", actor="operator")
        assert not said["released"]
        assert day.state(home).mode is Mode.HELD

        day.mend(home)
        await day.until("16:45")
        assert day.state(home).mode is Mode.FREE
        await day.until("18:00")
        assert day.state(home).mode is Mode.FREE


@in_virtual_time
async def test_an_emergency_stop_outlives_a_crash(town: Config, scenario: Scenario, tmp_path: Path):
    """The supervisor starts the controller again: it does not take up what was stopped."""
    async with asyncio.TaskGroup() as tasks, play_day(town, scenario, tmp_path) as day:
        await day.until("16:20")
        lost = held_sites(day)[0]
        day.cut(lost)
        await day.require().stop_all("fire at substation north", actor="operator")
        await day.crash()

        day.mend(lost)
        await day.start(tasks)
        await day.until("16:22")
        assert day.held() == []
        await day.until("17:00")
        assert day.held() == []
        assert day.require().steering.all_free

        await day.require().resume("the fire is out", actor="operator")
        await day.until("17:20")
        assert held_sites(day)


@in_virtual_time
async def test_homes_told_ahead_are_called_off_after_a_restart(
    town: Config, scenario: Scenario, tmp_path: Path
):
    """They hold their start themselves: whoever cancels must know of them, restarted or not."""
    async with asyncio.TaskGroup() as tasks, play_day(town, scenario, tmp_path) as day:
        await day.until("13:00")
        (event,) = day.require().situation.events.values()
        before = event.span.start - timedelta(minutes=30)
        await day.clock.sleep_until(before)
        told = day.require().executor.obeys
        assert told
        assert day.held() == []
        await day.crash()

        await day.start(tasks)
        assert set(day.require().executor.obeys) == set(told)
        await day.require().cancel_event(event.id, "clouds came", actor="operator")
        await day.clock.sleep_until(event.span.start + timedelta(minutes=5))
        assert day.held() == []
