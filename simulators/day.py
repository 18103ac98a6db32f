"""A whole day of the real app in virtual time: in-process devices, real store, real stages.

::

    async with play_day(config, scenario, folder, seed=1) as day:
        await day.until("14:20")
        day.cut("changhe-steel")
        await day.until("16:00")
        assert day.state("home-00001").mode is Mode.FREE

Run it under `asyncio.Runner(loop_factory=JumpLoop)`.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from controller.app import Controller, Services
from controller.app.controller import make_controller
from controller.app.planner import Planner
from controller.meters import import_meters, read_meter_files
from controller.model.commands import DeviceState, Mode
from controller.model.events import DREvent
from controller.model.ids import LinkId, ResourceId
from controller.model.settings import Config
from controller.store import Store, open_store
from simulators.clock import JumpClock
from simulators.duty import DutyDesks
from simulators.faults import NO_FAULTS, DayFaults
from simulators.feed import write_feed, write_meter_day
from simulators.inprocess import InProcessDesk, InProcessLink
from simulators.population import Population
from simulators.scenario import Scenario
from simulators.truth import Truth, day_document, merge


@dataclass(kw_only=True)
class Day:
    """A day being played; times are local clock times of the scenario's day."""

    config: Config
    scenario: Scenario
    clock: JumpClock
    seed: int
    folder: Path
    populations: dict[LinkId, Population]
    links: dict[LinkId, InProcessLink]
    desks: dict[LinkId, InProcessDesk]
    store: Store
    pool: ThreadPoolExecutor
    controller: Controller | None = None
    _running: asyncio.Task[None] | None = field(default=None, repr=False)

    def local(self, text: str) -> datetime:
        """A local clock time of the day, e.g. '14:20'."""
        return self.scenario.at(time.fromisoformat(text))

    async def until(self, text: str) -> None:
        """Let the day run until a local clock time. Raises what the controller raised."""
        await self.clock.sleep_until(self.local(text))
        if self._running is not None and self._running.done():
            self._running.result()

    def cut(self, *resource_ids: str) -> None:
        """Lose the links of these resources."""
        for r in resource_ids:
            self._link(r).cut([ResourceId(r)])

    def mend(self, *resource_ids: str) -> None:
        """Have them back."""
        for r in resource_ids:
            self._link(r).restore([ResourceId(r)])

    def state(self, resource_id: str) -> DeviceState:
        """What a device obeys now, asked of the device itself."""
        r = ResourceId(resource_id)
        return self.populations[self.config.fleet[r].link].state(r, self.clock.now())

    def held(self) -> list[ResourceId]:
        """Every device that is held now."""
        now = self.clock.now()
        return [
            r.id
            for r in self.config.fleet
            if self.populations[r.link].state(r.id, now).mode is Mode.HELD
        ]

    def executions(self) -> dict[str, int]:
        """How often each setpoint was executed, by the devices' own count."""
        return {s: n for p in self.populations.values() for s, n in p.executions().items()}

    async def send(self, event: DREvent) -> DREvent:
        """The grid operator's event."""
        return await self.require().take_event(event, actor="operator")

    async def start(self, tasks: asyncio.TaskGroup) -> Controller:
        """Start the controller, again after `crash`: it knows only its store and its devices."""
        self.controller = await self._new_controller()
        self._running = tasks.create_task(self.controller.run())
        await self.controller.ready.wait()
        return self.controller

    async def crash(self) -> None:
        """The controller is gone from one moment to the next; devices and store live on."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        self._running = None
        self.controller = None

    async def settle(self) -> dict[str, Any]:
        """After the day: the metering operator's file is imported, then everything settled."""
        controller = self.require()
        path = write_meter_day(self.folder / "handover", self.config, self.truth())
        await controller.import_meters([path], actor="operator")
        return await controller.settle(actor="operator")

    def truth(self) -> Truth:
        """What really happened so far, with and without control."""
        parts = [p.truth() for p in self.populations.values()]
        return merge(parts, ZoneInfo(self.scenario.timezone), self.executions())

    def truth_document(self) -> dict[str, Any]:
        """truth.json of this day."""
        return day_document(
            self.truth(), self.config, self.scenario.world(self.seed), self.scenario.day
        )

    def require(self) -> Controller:
        """The running controller."""
        if self.controller is None:
            raise RuntimeError("the controller of this day does not run")
        return self.controller

    def _link(self, resource_id: str) -> InProcessLink:
        return self.links[self.config.fleet[ResourceId(resource_id)].link]

    async def _new_controller(self) -> Controller:
        fence = await self.store.journal.take_fence()
        services = Services(
            clock=self.clock, journal=self.store.journal, telemetry=self.store.telemetry,
            links=self.links, desks=self.desks, planner=Planner(self.clock, self.pool),
            threads=self.pool, random=Random(f"{self.seed}:{fence}"),
            feed_folder=self.folder / "feed", fence=fence,
        )  # fmt: skip
        return await make_controller(self.config, services)


@asynccontextmanager
async def play_day(
    config: Config,
    scenario: Scenario,
    folder: Path,
    *,
    seed: int = 1,
    faults: DayFaults = NO_FAULTS,
) -> AsyncIterator[Day]:
    """A day from the scenario's epoch on, with the meters' history imported, running."""
    clock = JumpClock(scenario.epoch)
    feed = write_feed(folder / "feed", folder / "state.npz", config, scenario, seed)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(folder / "data", clock))
        pool = stack.enter_context(ThreadPoolExecutor(2))
        files = sorted((feed.feed / "meters").glob("*.parquet"))
        read = read_meter_files(files, config.fleet.meters)
        await import_meters(store.telemetry, config.area.id, read)
        populations, links = _populate(config, scenario, clock, feed.state, seed, faults)
        desks = {
            s.id: InProcessDesk(DutyDesks(config, scenario, populations[s.id], seed), clock)
            for s in config.links.values()
            if s.protocol == "duty_desk"
        }
        day = Day(
            config=config, scenario=scenario, clock=clock, seed=seed, folder=folder,
            populations=populations, links=links, desks=desks, store=store, pool=pool,
        )  # fmt: skip
        async with asyncio.TaskGroup() as tasks:
            await day.start(tasks)
            yield day
            await day.crash()


def _populate(
    config: Config,
    scenario: Scenario,
    clock: JumpClock,
    state: Path,
    seed: int,
    faults: DayFaults,
) -> tuple[dict[LinkId, Population], dict[LinkId, InProcessLink]]:
    world = scenario.world(seed)
    populations: dict[LinkId, Population] = {}
    links: dict[LinkId, InProcessLink] = {}
    for settings in config.links.values():
        ids: Sequence[ResourceId] = [r.id for r in config.fleet.where(link=settings.id)]
        population = Population(
            config, world, ids, seed, scenario.epoch, faults=faults, saved=state
        )
        populations[settings.id] = population
        links[settings.id] = InProcessLink(
            population, ids, clock, max(settings.poll_every, timedelta(minutes=1))
        )
    return populations, links
