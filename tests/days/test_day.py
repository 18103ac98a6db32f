"""A whole day of the real app in virtual time, from the evening before to the last cent."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from controller.model.commands import Mode
from controller.model.events import EventStatus
from controller.model.settings import Config
from simulators.day import play_day
from simulators.scenario import Scenario
from tests.days.virtual import held_sites, in_virtual_time

pytestmark = pytest.mark.slow


@in_virtual_time
async def test_one_day_from_forecast_to_statement(town: Config, scenario: Scenario, tmp_path: Path):
    """Forecast, plan, call, verify, give back, settle: each kWh once, each device free."""
    async with play_day(town, scenario, tmp_path) as day:
        await day.until("13:00")
        (event,) = day.require().situation.events.values()
        assert event.status is EventStatus.DISPATCHED
        assert day.held() == []

        await day.until("16:40")
        assert day.require().situation.events[event.id].status is EventStatus.ACTIVE
        assert held_sites(day)
        seen = day.require().steering.verifications[-1]
        assert seen.delivered_kw > 0.9 * seen.target_kw

        await day.until("21:30")
        assert day.held() == []
        assert day.require().steering.all_free

        first = await day.settle()
        again = await day.require().settle(actor="operator")
        assert first["posted"] > 0
        assert again["posted"] == 0
        assert first["unreconciled"] == 0
        assert set(day.executions().values()) == {1}

        result = await day.require().result()
        truth = {r["start"]: r["true_kw"] for r in day.truth_document()["intervals"]}
        rows = [r for e in result["events"] for r in e["intervals"] if r["target_kw"]]
        true_kw = np.array([truth[r["start"]] for r in rows])
        delivered = np.array([r["delivered_kw"] for r in rows])
        assert abs(delivered.sum() / true_kw.sum() - 1) < 0.15


@in_virtual_time
async def test_link_lost_mid_event(town: Config, scenario: Scenario, tmp_path: Path):
    """The controller replans with who is left; the lost site frees itself at `until`."""
    async with play_day(town, scenario, tmp_path) as day:
        await day.until("16:05")
        lost = held_sites(day)[0]
        plans = len(day.require().situation.plans)

        day.cut(lost)
        await day.until("16:30")
        assert len(day.require().situation.plans) > plans
        assert any(lost in h.text for h in day.require().situation.happenings)

        await day.until("16:50")
        assert day.state(lost).mode is Mode.FREE

        day.mend(lost)
        await day.until("21:30")
        assert day.require().steering.all_free


@in_virtual_time
async def test_a_dead_controller_leaves_nobody_curtailed(
    town: Config, scenario: Scenario, tmp_path: Path
):
    """Nobody restarts it: every device frees itself at its own `until`."""
    async with play_day(town, scenario, tmp_path) as day:
        await day.until("16:05")
        assert day.held()

        await day.crash()
        await day.until("16:50")
        assert held_sites(day) == []
        await day.until("20:00")
        assert day.held() == []


@in_virtual_time
async def test_a_restarted_controller_carries_on_and_repeats_nothing(
    town: Config, scenario: Scenario, tmp_path: Path
):
    async with asyncio.TaskGroup() as tasks, play_day(town, scenario, tmp_path) as day:
        await day.until("16:05")
        plan = day.require().situation.plan
        held = day.held()
        await day.crash()

        await day.until("16:08")
        await day.start(tasks)
        assert plan is not None
        assert plan.id in {p.id for p in day.require().situation.plans}

        await day.until("16:40")
        assert len(set(held) & set(day.held())) > 0.5 * len(held)
        await day.until("21:30")
        assert day.held() == []
        assert day.require().steering.all_free
        assert set(day.executions().values()) == {1}


@in_virtual_time
async def test_an_emergency_stop_releases_everything_at_once(
    town: Config, scenario: Scenario, tmp_path: Path
):
    async with play_day(town, scenario, tmp_path) as day:
        await day.until("16:05")
        assert day.held()

        await day.require().stop_all("fire at substation north", actor="operator")
        assert day.held() == []
        await day.until("17:00")
        assert day.held() == []


@in_virtual_time
async def test_the_same_seed_gives_the_same_day(town: Config, scenario: Scenario, tmp_path: Path):
    async def trace(folder: Path) -> list[str]:
        async with play_day(town, scenario, folder, seed=7) as day:
            await day.until("17:00")
            happenings = day.require().situation.happenings
            held = [f"{r} {day.state(r).value}" for r in day.held()]
            return [f"{h.at} {h.kind} {h.text}" for h in happenings] + held

    assert await trace(tmp_path / "one") == await trace(tmp_path / "two")
