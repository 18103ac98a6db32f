"""What a controller that was started again does not know yet, it does not hold against anyone."""

import asyncio
import re
from dataclasses import replace
from pathlib import Path

import pytest

from controller.config import load_config
from controller.model.events import EventStatus
from controller.model.ids import ProgramId
from controller.model.settings import Config
from controller.settle.settle import settle_performances
from simulators.day import play_day
from simulators.scenario import Scenario
from tests.days.virtual import in_virtual_time
from tests.test_events import an_event
from tests.town import make_town

pytestmark = pytest.mark.slow


@in_virtual_time
async def test_after_a_restart_nobody_is_silent_who_has_not_had_the_time_to_report(
    town: Config, scenario: Scenario, tmp_path: Path
):
    """Its readings begin at its start; the first look once gave up every called contract."""
    async with asyncio.TaskGroup() as tasks, play_day(town, scenario, tmp_path) as day:
        await day.until("16:22")
        given_up = dict(day.require().situation.given_up)
        await day.crash()

        await day.until("16:41")
        controller = await day.start(tasks)
        await day.until("17:15")
        assert controller.steering.verifications
        assert controller.situation.given_up == given_up
        assert [h.text for h in controller.situation.happenings if h.kind == "fault"] == []


@in_virtual_time
async def test_what_was_planned_under_one_price_is_paid_at_that_price(
    town: Config, scenario: Scenario, tmp_path: Path
):
    """The configuration changes in mid-event: the event that runs is settled as it was agreed."""
    dearer = load_config(with_dearer_energy(tmp_path / "dearer"))
    async with asyncio.TaskGroup() as tasks, play_day(town, scenario, tmp_path) as day:
        await day.until("16:22")
        await day.crash()
        day.config = dearer
        controller = await day.start(tasks)
        assert controller.config.hash == dearer.hash != town.hash
        await day.until("21:30")
        assert day.held() == []
        settled = await day.settle()

        assert settled["unreconciled"] == 0
        assert settled["rebate_fen"] > 0
        journal = day.store.journal
        (event,) = await journal.events()
        assert event.status is EventStatus.SETTLED
        assert event.config_hash == town.hash
        assert {p.config_hash for p in await journal.plans()} == {town.hash, dearer.hash}
        posted = {t for t in await journal.transfers() if t.event_id == event.id}
        baselines, performances = await journal.settlement(event.id)
        for config, paid in ((town, True), (dearer, False)):
            again = settle_performances(
                event.id, performances=performances, baselines=baselines,
                contracts=config.contracts, programs=config.programs,
                meters={m.id: m for m in config.fleet.meters},
            )  # fmt: skip
            assert (set(again.transfers) == posted) is paid
        customer = config.fleet.meter(performances[0].meter_id).customer_id
        page = await controller.statement_page(customer)
        assert town.hash[:16] in page
        assert dearer.hash[:16] not in page
        result = await controller.result()
        assert result["report"]["config_hash"] == town.hash


def with_dearer_energy(root: Path) -> Path:
    """The town with 5 CNY/kWh for everyone."""
    folder = make_town(root)
    for file in (folder / "contracts").glob("*.toml"):
        text = re.sub(r'energy_price = "[^"]*"', 'energy_price = "5.00 CNY/kWh"', file.read_text())
        file.write_text(text)
    return folder


@in_virtual_time
async def test_a_draft_approved_under_a_new_configuration_names_the_new_one(
    town: Config, scenario: Scenario, tmp_path: Path
):
    """Nothing was agreed before the approval; what is read back names the new version."""
    dearer = load_config(with_dearer_energy(tmp_path / "dearer"))
    async with (
        asyncio.TaskGroup() as tasks,
        play_day(by_hand(town), scenario, tmp_path) as day,
    ):
        await day.until("10:00")
        asked = an_event("draft", start=day.local("16:00"), status=EventStatus.DRAFT)
        draft = await day.send(replace(asked, program_id=ProgramId("contracted")))
        assert (draft.status, draft.config_hash) == (EventStatus.DRAFT, town.hash)
        await day.crash()
        day.config = by_hand(dearer)
        controller = await day.start(tasks)
        await controller.approve_event(draft.id, actor="operator")

        known = {e.id: e for e in await day.store.journal.events()}
        assert known[draft.id].config_hash == dearer.hash
        assert known[draft.id].status is EventStatus.APPROVED
        assert controller.situation.events[draft.id] == known[draft.id]


def by_hand(config: Config) -> Config:
    """Events of its programs wait for an operator."""
    programs = {i: replace(p, automatic=False) for i, p in config.programs.items()}
    return replace(config, programs=programs)
