"""The shell's folds: one event day at a time, answers as they can be used, a stop that stays."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from random import Random

import numpy as np
import pytest

from controller.app.operating import Operating
from controller.app.recall import load_situation
from controller.app.situation import GAVE_UP, STOPPED, TURNED, Situation
from controller.app.telling import Teller
from controller.config import load_config
from controller.dispatch.executor import Executor
from controller.dispatch.setpoints import OFF, Wanted, wanted
from controller.errors import DeviceError
from controller.model.commands import Control, Outcome, Override, OverrideSource, Receipt
from controller.model.events import Answer, DREvent, EventStatus, Notice, Offer
from controller.model.ids import (
    CohortId,
    ContractId,
    EventId,
    LinkId,
    PlanId,
    ResourceId,
    SetpointId,
)
from controller.model.plans import Assignment, Cohort, Commitment, Plan, PlanStatus
from controller.model.resources import ResourceKind
from controller.model.settings import Config
from controller.model.time import QUARTER_HOUR, Grid, Series
from controller.ports import Journal
from controller.store import open_store
from tests.fakes import START, FakeLink, SetClock
from tests.test_events import an_event
from tests.town import make_town

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return load_config(make_town(tmp_path_factory.mktemp("configs"), homes_of_a_kind=2))


@asynccontextmanager
async def a_journal(folder: Path) -> AsyncIterator[Journal]:
    async with open_store(folder, SetClock()) as store:
        yield store.journal


def a_plan(event: DREvent, *commitments: Commitment, name: str = "p") -> Plan:
    grid = event.target.grid
    nothing = Series.full(grid, 0.0)
    return Plan(
        id=PlanId(name), event_id=event.id, revision=1, made_at=START, grid=grid,
        ruling=(event.id,) * grid.count, target_kw=event.target, expected_kw=nothing,
        reserve_kw=nothing, shortfall_kw=nothing, commitments=commitments, cohorts=(),
        assignments=(), cost_minor=0, bound_minor=0, gap_frac=0.0, status=PlanStatus.OPTIMAL,
    )  # fmt: skip


def a_commitment(town: Config, contract_id: ContractId, event: DREvent, kw: float) -> Commitment:
    return Commitment(
        contract_id=contract_id,
        resource_ids=town.contracts[contract_id].resource_ids,
        kw=Series.full(event.target.grid, kw),
        cost_minor=0,
    )


def told(town: Config) -> ContractId:
    return next(c.id for c in town.contracts.values() if not c.wired)


# --- one event day at a time -------------------------------------------------------------------


def test_a_new_day_begins_with_nothing_of_yesterday(town: Config):
    """Who failed yesterday is asked again, and yesterday's plan rules nothing today."""
    today, tomorrow = an_event("a", start=START), an_event("b", start=START + DAY)
    situation = Situation(config=town, events={e.id: e for e in (today, tomorrow)})
    assert situation.turn(START - HOUR)
    contract = told(town)
    situation.plans.append(a_plan(today, a_commitment(town, contract, today, 50.0)))
    situation.given_up[contract] = "failed"
    home = town.fleet.where(kind=ResourceKind.WATER_HEATER)[0].id
    situation.take_receipts([a_receipt(home)])

    assert not situation.turn(START + HOUR)
    situation.events[today.id] = replace(today, status=EventStatus.ENDED)
    assert situation.turn(START + 3 * HOUR)

    line = situation.timeline()
    assert line is not None
    assert line.grid == tomorrow.target.grid
    assert situation.plan is None
    assert situation.given_up == {}
    assert situation.owed() == {home}
    assert situation.use()[contract].calls_season == 1
    assert situation.use()[contract].hours_year == 2.0
    assert situation.of_day((today,)) is not None


def test_a_day_far_ahead_waits_until_something_is_known_of_it(town: Config):
    event = an_event("a", start=START + 30 * DAY)
    situation = Situation(config=town, events={event.id: event})

    assert not situation.turn(START)
    assert situation.timeline() is None
    assert situation.turn(event.span.start - DAY)


def test_an_event_of_the_same_day_joins_the_day_in_hand(town: Config):
    first, second = an_event("a", start=START), an_event("b", start=START + HOUR, priority=0)
    situation = Situation(config=town, events={first.id: first})
    situation.turn(START - HOUR)
    situation.events[second.id] = second

    assert not situation.turn(START - HOUR / 2)
    assert [e.id for e in situation.open_events()] == ["a", "b"]


async def test_a_restart_on_the_second_day_remembers_the_second_day_only(
    town: Config, tmp_path: Path
):
    contract = told(town)
    today, tomorrow = an_event("a", start=START), an_event("b", start=START + DAY)
    async with a_journal(tmp_path) as journal:
        for event in (today, tomorrow):
            await journal.save_event(event)
        await journal.audit(START - HOUR, "controller", TURNED, "riverside", "a")
        await journal.save_plan(a_plan(today, a_commitment(town, contract, today, 50.0)))
        await journal.audit(START, "controller", GAVE_UP, contract, "failed")
        await journal.log_event(
            today.id, START + 2 * HOUR, EventStatus.ENDED, "its end has come", "controller"
        )
        before = await load_situation(town, journal)
        await journal.audit(START + 3 * HOUR, "controller", TURNED, "riverside", "b")
        after = await load_situation(town, journal)

    assert before.plan is not None
    assert contract in before.given_up
    assert after.plan is None
    assert after.given_up == {}
    assert [p.plan.event_id for p in after.played] == ["a"]
    assert after.use()[contract].calls_season == 1


async def test_a_device_released_and_called_again_is_still_owed_after_a_restart(
    town: Config, tmp_path: Path
):
    """A release of 16:10 proves nothing about a command of 16:45."""
    event, link = an_event("a", start=START), FakeLink(SetClock())
    site = next(r for r in town.fleet if town.contracts[town.contract_of[r.id]].wired)
    async with a_journal(tmp_path) as journal:
        await journal.save_event(event)
        await journal.audit(START, "controller", TURNED, "riverside", "a")
        executor = an_executor(town, journal, link, await journal.take_fence())
        await executor.send([a_want(site.id)], 1)
        link.clock.at += timedelta(minutes=5)
        await executor.release([site.id])
        assert (await load_situation(town, journal)).owed() == set()

        link.clock.at += timedelta(minutes=5)
        await executor.send([a_want(site.id)], 2)

        assert (await load_situation(town, journal)).owed() == {site.id}


async def test_what_the_fleet_no_longer_has_does_not_stop_a_start(town: Config, tmp_path: Path):
    """Months of journal outlive every configuration."""
    async with a_journal(tmp_path) as journal:
        await journal.save_override(
            Override(resource_id=ResourceId("gone"), at=START, source=OverrideSource.DEVICE)
        )
        await journal.audit(START, "controller", GAVE_UP, "gone-contract", "failed")
        situation = await load_situation(town, journal)

    assert situation.barred(START) == {}
    assert situation.given_up == {}


async def test_an_emergency_stop_outlives_the_process(town: Config, tmp_path: Path):
    async with a_journal(tmp_path) as journal:
        await journal.audit(START, "operator", STOPPED, "riverside", "fire")

        assert (await load_situation(town, journal)).stopped == "fire"


# --- forecasts beyond their day ----------------------------------------------------------------


def test_a_forecast_knows_nothing_beyond_its_day_and_says_so(town: Config):
    """An event late in the evening rebounds after midnight: unknown, not another day's numbers."""
    grid = Grid(start=START, step=QUARTER_HOUR, count=4)
    kw = np.tile(np.arange(4.0), (len(town.fleet), 1))
    operating = Operating(fleet=town.fleet, grid=grid, kw=kw, appliance_kw=kw)
    wider = Grid(start=START - 2 * QUARTER_HOUR, step=QUARTER_HOUR, count=8)

    homes = operating.homes([0], wider)[0]

    assert np.isnan(homes[[0, 1, 6, 7]]).all()
    assert homes[2:6].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert not operating.covers(wider.span)


def test_a_home_is_held_no_longer_than_its_comfort_allows(town: Config):
    """A release offset after a run of the full length would be past the limit."""
    event = an_event("a", start=START)
    member = town.fleet.index_of[town.fleet.where(kind=ResourceKind.BATTERY)[0].id]
    contract = town.contract_of[town.fleet.resources[member].id]
    cohort = Cohort(
        id=CohortId("c"), contract_id=contract, kind=ResourceKind.BATTERY,
        zone=town.area.id, feeder=town.area.feeders[0], members=(member,),
        control=Control.POWER_KW, control_value=-2.0, max_run=2 * HOUR, recovery=2 * HOUR,
    )  # fmt: skip
    run = Assignment(
        cohort_id=cohort.id, contract_id=contract, start=0, length=8, members=(member,),
        kw_each=Series.full(event.target.grid, 1.0),
    )  # fmt: skip
    plan = replace(a_plan(event), cohorts=(cohort,), assignments=(run,))

    (want,) = wanted(plan, town, {}, {member: timedelta(minutes=9)}, START).values()

    assert town.contracts[contract].max_duration > 2 * HOUR
    assert want.until - want.start == 2 * HOUR


# --- told contracts ----------------------------------------------------------------------------


@dataclass
class FakeDesk:
    """Takes notices, unless it is out of order."""

    broken: bool = False
    notices: list[Notice] = field(default_factory=list)

    async def notify(self, notice: Notice) -> None:
        if self.broken:
            raise DeviceError("no line")
        self.notices.append(notice)

    async def answers(self) -> AsyncIterator[Offer]:
        for _ in ():
            yield _


@asynccontextmanager
async def a_teller(
    town: Config, folder: Path, event: DREvent
) -> AsyncIterator[tuple[Teller, FakeDesk, ContractId]]:
    contract, desk = told(town), FakeDesk()
    situation = Situation(config=town, events={event.id: event})
    situation.turn(START - HOUR)
    link = town.fleet[town.contracts[contract].resource_ids[0]].link
    async with a_journal(folder) as journal:
        yield Teller(
            config=town, situation=situation, journal=journal, desks={link: desk},
            clock=SetClock(START - HOUR),
        ), desk, contract  # fmt: skip


def an_offer(notice: Notice, kw: Series, answer: Answer = Answer.ACCEPT, **other: str) -> Offer:
    return Offer(
        notice_id=notice.id, event_id=notice.event_id,
        contract_id=ContractId(other.get("contract_id", notice.contract_id)), answer=answer,
        kw=kw, answered_at=notice.sent_at, by="desk",
    )  # fmt: skip


async def test_an_offer_is_cut_to_what_was_asked(town: Config, tmp_path: Path):
    """Another contract's name, more than asked, another grid: none of it reaches a plan."""
    event = an_event("a", start=START)
    async with a_teller(town, tmp_path, event) as (teller, desk, contract):
        await teller.notify(a_plan(event, a_commitment(town, contract, event, 50.0)))
        (notice,) = desk.notices
        wild = Series.full(event.target.grid, 900.0)

        await teller.take(an_offer(notice, wild, contract_id="nobody"))

        (offer,) = teller.situation.offers.values()
        assert offer.contract_id == contract
        assert offer.kw.values.tolist() == [50.0] * 8


async def test_an_offer_on_a_crooked_grid_is_a_no(town: Config, tmp_path: Path):
    event = an_event("a", start=START)
    async with a_teller(town, tmp_path, event) as (teller, desk, contract):
        await teller.notify(a_plan(event, a_commitment(town, contract, event, 50.0)))
        crooked = Grid(start=START + timedelta(minutes=7), step=QUARTER_HOUR, count=8)

        await teller.take(an_offer(desk.notices[0], Series.full(crooked, 50.0)))

        assert contract in teller.situation.given_up
        assert teller.situation.locked() == {}


async def test_people_are_told_when_their_event_is_cancelled(town: Config, tmp_path: Path):
    """A plan that nobody sees would leave their factory still for hours."""
    event = an_event("a", start=START)
    async with a_teller(town, tmp_path, event) as (teller, desk, contract):
        plan = a_plan(event, a_commitment(town, contract, event, 50.0))
        await teller.notify(plan)
        await teller.take(an_offer(desk.notices[0], desk.notices[0].kw))
        await teller.stand_down(plan)
        assert len(desk.notices) == 1

        await teller.stand_down(None)
        await teller.stand_down(None)

        assert [n.kw.values.max() for n in desk.notices] == [50.0, 0.0]
        assert teller.situation.locked() == {}
        assert teller.waiting_until() is None


async def test_told_contracts_are_asked_again_on_the_next_day(town: Config, tmp_path: Path):
    event, tomorrow = an_event("a", start=START), an_event("b", start=START + DAY)
    async with a_teller(town, tmp_path, event) as (teller, desk, contract):
        await teller.notify(a_plan(event, a_commitment(town, contract, event, 50.0)))
        situation = teller.situation
        situation.events[event.id] = replace(event, status=EventStatus.ENDED)
        situation.events[tomorrow.id] = tomorrow
        situation.turn(START + 3 * HOUR)

        commitment = a_commitment(town, contract, tomorrow, 50.0)
        await teller.notify(a_plan(tomorrow, commitment, name="q"))

        assert [n.event_id for n in desk.notices] == ["a", "b"]


async def test_what_people_were_told_and_said_outlives_the_process(town: Config, tmp_path: Path):
    """A log with holes after a restart would say that nobody was ever asked."""
    event = an_event("a", start=START)
    async with a_teller(town, tmp_path, event) as (teller, desk, contract):
        await teller.notify(a_plan(event, a_commitment(town, contract, event, 50.0)))
        await teller.take(an_offer(desk.notices[0], desk.notices[0].kw, Answer.NO))
        desk.broken = True
        await teller.stand_down(None)
        await teller.redeliver()

        again = await load_situation(town, teller.journal)

        assert [h.kind for h in teller.situation.happenings][:2] == ["notice", "answer"]
        assert again.happenings == teller.situation.happenings
        assert again.given_up == teller.situation.given_up == {contract: "answered no"}


def a_receipt(resource_id: ResourceId, outcome: Outcome = Outcome.APPLIED) -> Receipt:
    return Receipt(setpoint_id=SetpointId("s"), resource_id=resource_id, at=START, outcome=outcome)


def a_want(resource_id: ResourceId) -> Wanted:
    return Wanted(
        event_id=EventId("a"), resource_id=resource_id, control=Control.OFF, value=OFF,
        start=START, until=START + HOUR, reduction_kw=1.0,
    )  # fmt: skip


def an_executor(town: Config, journal: Journal, link: FakeLink, fence: int) -> Executor:
    links: dict[LinkId, FakeLink] = dict.fromkeys(town.links, link)
    return Executor(
        journal=journal, links=links, fleet=town.fleet, clock=link.clock,
        rules=town.dispatch, random=Random(1), fence=fence,
    )  # fmt: skip
