"""Configuration versions: an event is settled under the one it was planned under."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from controller.app.recall import carried_over, load_situation
from controller.app.situation import TURNED
from controller.app.statements import statement_page
from controller.app.versions import Versions, stored_versions, terms
from controller.cli import stored
from controller.config import load_config
from controller.errors import StoreError, UnknownNameError
from controller.events import timeline
from controller.model.events import DREvent, EventStatus, Timeline
from controller.model.ids import CohortId, ContractId, CustomerId, MeterId, ResourceId
from controller.model.money import Baseline, Performance
from controller.model.plans import Assignment, Commitment, Plan
from controller.model.resources import ResourceKind
from controller.model.settings import Config
from controller.model.time import QUARTER_HOUR, Grid, Series
from controller.ports import Frames
from controller.settle.committed import committed_by_meter
from controller.store import Store, open_store
from tests.fakes import START, SetClock
from tests.test_app import a_commitment, a_plan
from tests.test_events import an_event
from tests.town import make_town

STORE = ContractId("beichen-cold-store")


@pytest.fixture(scope="module")
def town_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_town(tmp_path_factory.mktemp("configs"), homes_of_a_kind=2)


@pytest.fixture(scope="module")
def before(town_folder: Path) -> Config:
    return load_config(town_folder)


@pytest.fixture(scope="module")
def after(town_folder: Path, before: Config) -> Config:
    """The cold store's price is another, and its first home has left."""
    contracts = town_folder / "contracts" / "cold-stores.toml"
    old = contracts.read_text()
    homes = town_folder / "fleet" / "homes.csv"
    rows = homes.read_text()
    contracts.write_text(old.replace('penalty = "0.60 CNY/kWh"', 'penalty = "0.10 CNY/kWh"'))
    homes.write_text("\n".join(line for i, line in enumerate(rows.splitlines()) if i != 1) + "\n")
    try:
        made = load_config(town_folder)
    finally:
        contracts.write_text(old)
        homes.write_text(rows)
    assert made.hash != before.hash
    assert len(made.fleet) == len(before.fleet) - 1
    return made


@asynccontextmanager
async def a_store(folder: Path, *accepted: Config) -> AsyncIterator[tuple[Store, Versions]]:
    """A store that accepted these configurations in order; the last is in force."""
    clock = SetClock()
    with ThreadPoolExecutor(1) as threads:
        async with open_store(folder, clock) as store:
            for config in accepted:
                await store.journal.save_config(config.hash, config.body, START)
            yield (
                store,
                Versions(current=accepted[-1], journal=store.journal, clock=clock, threads=threads),
            )


def home_plan(event: DREvent, config: Config, home: ResourceId) -> Plan:
    """One home is held over the whole event."""
    made = Assignment(
        cohort_id=CohortId("c"), contract_id=config.contract_of[home], start=0,
        length=event.target.grid.count, members=(config.fleet.index_of[home],),
        kw_each=Series.full(event.target.grid, 1.0),
    )  # fmt: skip
    return replace(a_plan(event), assignments=(made,), config_hash=config.hash)


# --- which version ------------------------------------------------------------------------------


async def test_a_version_is_read_back_as_it_was_accepted(
    before: Config, after: Config, tmp_path: Path
):
    async with a_store(tmp_path, before, after) as (_, versions):
        old = await versions.of(before.hash)

        assert old.hash == before.hash
        assert old.contracts == before.contracts
        assert await versions.of(before.hash) is old
        assert await versions.of(after.hash) is after
        assert await versions.of("") is after
        assert [v.hash for v in await versions.after(old)] == [after.hash]


async def test_a_version_that_is_not_stored_is_an_error_that_names_it(
    before: Config, tmp_path: Path
):
    async with a_store(tmp_path, before) as (_, versions):
        with pytest.raises(StoreError, match="ababababab"):
            await versions.of("ab" * 32)


async def test_without_a_controller_the_newest_version_counts_as_in_force(
    before: Config, after: Config, tmp_path: Path
):
    async with a_store(tmp_path, before, after) as (store, versions):
        found = await stored_versions(store.journal, versions.clock, versions.threads)
        assert found.current.hash == after.hash


def test_terms_are_the_events_own_and_only_what_they_lack_is_newer(before: Config, after: Config):
    name = next(iter(before.customers))
    cut = replace(before, customers={c: v for c, v in before.customers.items() if c != name})

    under = terms(cut, after)

    assert under.contracts[STORE] == before.contracts[STORE] != after.contracts[STORE]
    assert (name in under.customers) == (name in after.customers)
    assert set(under.meters) == {m.id for m in before.fleet.meters}


# --- the fleet of a plan -------------------------------------------------------------------------


def test_a_plan_follows_its_homes_when_the_fleet_has_moved(before: Config, after: Config):
    """The indexes of a plan are its own version's: another order would call other homes."""
    event = an_event("a", start=START)
    gone, stays = before.fleet.where(kind=ResourceKind.AIR_CONDITIONER)[:2]

    moved = carried_over(home_plan(event, before, stays.id), before.fleet.resources, after)
    left = carried_over(home_plan(event, before, gone.id), before.fleet.resources, after)

    (assignment,) = moved.assignments
    assert [after.fleet.resources[m].id for m in assignment.members] == [stays.id]
    assert left.assignments == ()


def test_a_contract_that_is_gone_is_not_called_any_more(before: Config, after: Config):
    event = an_event("a", start=START)
    plan = a_plan(event, a_commitment(before, STORE, event, 60.0))
    fewer = replace(after, contracts={c: v for c, v in after.contracts.items() if c != STORE})

    assert len(carried_over(plan, before.fleet.resources, after).commitments) == 1
    assert carried_over(plan, before.fleet.resources, fewer).commitments == ()


async def test_after_a_restart_the_plan_in_force_calls_the_same_homes_and_settles_as_it_was(
    before: Config, after: Config, tmp_path: Path
):
    event = an_event("a", start=START)
    stays = before.fleet.where(kind=ResourceKind.AIR_CONDITIONER)[1]
    plan = home_plan(event, before, stays.id)
    async with a_store(tmp_path, before, after) as (store, versions):
        await store.journal.save_event(event)
        await store.journal.audit(START, "controller", TURNED, "riverside", "a")
        await store.journal.save_plan(plan)
        situation = await load_situation(after, store.journal, versions)

    assert situation.plan is not None
    (member,) = situation.plan.assignments[0].members
    assert after.fleet.resources[member].id == stays.id
    played = situation.of_day((event,))
    assert played is not None
    assert played.plan.assignments == plan.assignments
    assert played.plan.config_hash == before.hash


async def test_an_old_version_that_nobody_can_read_does_not_stop_a_start(
    before: Config, tmp_path: Path
):
    event = an_event("a", start=START)
    home = before.fleet.where(kind=ResourceKind.AIR_CONDITIONER)[0]
    plan = replace(home_plan(event, before, home.id), config_hash="ab" * 32)
    async with a_store(tmp_path, before) as (store, versions):
        await store.journal.save_event(event)
        await store.journal.audit(START, "controller", TURNED, "riverside", "a")
        await store.journal.save_plan(plan)
        situation = await load_situation(before, store.journal, versions)

    assert situation.plan is not None
    assert situation.plan.assignments == ()


# --- who was called ------------------------------------------------------------------------------


def test_a_run_is_where_the_plan_has_it_although_the_timeline_began_earlier(before: Config):
    """An event that came too late to be planned may lengthen the day's timeline at its front."""
    event = an_event("a", start=START)
    home = before.fleet.where(kind=ResourceKind.AIR_CONDITIONER)[0]
    plan = home_plan(event, before, home.id)
    grid = Grid(start=START - QUARTER_HOUR, step=QUARTER_HOUR, count=event.target.grid.count + 1)
    line = replace(
        _line(event), grid=grid, ruling=(None, *_line(event).ruling),
        target=event.target.on(grid),
    )  # fmt: skip

    made = committed_by_meter(plan, before.fleet, {home.id}, line)

    (kw,) = made.values()
    assert kw.values[0] == 0.0
    assert np.all(kw.values[1:] == 1.0)
    assert committed_by_meter(plan, before.fleet, set(), line) == {}


def test_a_contracts_commitment_is_shared_by_rated_power(before: Config):
    event = an_event("a", start=START)
    sites = [r for r in before.fleet if r.kind is ResourceKind.FACTORY][:2]
    commitment = Commitment(
        contract_id=ContractId("both"), resource_ids=tuple(r.id for r in sites),
        kw=Series.full(event.target.grid, 90.0), cost_minor=0,
    )  # fmt: skip

    made = committed_by_meter(a_plan(event, commitment), before.fleet, set(), _line(event))

    shares = [made[ContractId("both"), r.meter_id].values[0] for r in sites]
    assert sum(shares) == pytest.approx(90.0)
    assert shares[0] / shares[1] == pytest.approx(sites[0].rated_kw / sites[1].rated_kw)


# --- statements from the store -------------------------------------------------------------------


async def test_a_statement_says_a_section_for_each_version_it_was_settled_under(
    before: Config, after: Config, tmp_path: Path
):
    """Two events, two prices for the same shortfall: each under the terms it was planned under."""
    customer = CustomerId(before.fleet.meter(_meter(before)).customer_id)
    async with a_store(tmp_path, before, after) as (store, versions):
        for name, config in (("a", before), ("b", after)):
            start = START if name == "a" else START + 96 * QUARTER_HOUR
            event = replace(an_event(name, start=start), config_hash=config.hash)
            await _settled(store, event, before)
        page = await statement_page(
            customer, journal=store.journal, telemetry=store.telemetry,
            versions=versions, now=START,
        )  # fmt: skip

    assert page.count("<h1>Statement") == 2
    first, second = page.split("<h1>Statement")[1:]
    assert f"configuration {before.hash[:16]}" in first
    assert f"configuration {after.hash[:16]}" in second
    assert "0.60" in first
    assert "0.60" not in second
    assert "0.10" in second


def test_a_statement_is_read_while_no_controller_runs(before: Config, tmp_path: Path):
    """`peakshare statement` needs the data directory only."""
    customer = before.fleet.meter(_meter(before)).customer_id

    async def settled() -> None:
        async with a_store(tmp_path, before) as (store, _):
            await _settled(store, replace(an_event("a"), config_hash=before.hash), before)

    asyncio.run(settled())
    page = stored.statement(tmp_path, customer)

    assert f"configuration {before.hash[:16]}" in page
    assert "You were called in" in page
    with pytest.raises(UnknownNameError, match="nobody"):
        stored.statement(tmp_path, "nobody")
    with pytest.raises(StoreError, match="no data"):
        stored.statement(tmp_path / "nowhere", customer)


async def test_a_statement_of_nobody_is_refused(before: Config, tmp_path: Path):
    async with a_store(tmp_path, before) as (store, versions):
        with pytest.raises(UnknownNameError, match="nobody"):
            await statement_page(
                CustomerId("nobody"), journal=store.journal, telemetry=store.telemetry,
                versions=versions, now=START,
            )  # fmt: skip


def _meter(config: Config) -> MeterId:
    return config.fleet[config.contracts[STORE].resource_ids[0]].meter_id


async def _settled(store: Store, event: DREvent, config: Config) -> None:
    """The event is settled: the cold store gave a third of what it had promised."""
    grid = event.target.grid
    meter_id = _meter(config)
    await store.journal.save_event(event)
    baseline = Baseline(
        meter_id=meter_id, series=Series.full(grid, 100.0), unadjusted=Series.full(grid, 100.0),
        method="m", days_used=(), event_id=event.id,
    )  # fmt: skip
    rows = [
        Performance(
            event_id=event.id, meter_id=meter_id, contract_id=STORE, interval=at,
            baseline_wh=25_000, metered_wh=20_000, committed_wh=15_000, delivered_wh=5_000,
        )
        for at in grid.intervals()
    ]  # fmt: skip
    await store.journal.save_settlement(event.id, 1, [baseline], rows)
    await store.journal.log_event(event.id, event.span.end, EventStatus.SETTLED, "settled", "op")
    shape = (grid.count, len(config.fleet.meters))
    frames = Frames(
        times=tuple(grid.at(i) for i in range(grid.count)),
        values=np.full(shape, 80.0, dtype=np.float32),
        quality=np.zeros(shape, dtype=np.uint8),
    )
    await store.telemetry.save_frames("meter", config.area.id, frames)


def _line(event: DREvent) -> Timeline:
    made = timeline([event])
    assert made is not None
    return made
