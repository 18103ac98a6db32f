"""The running controller: lifetimes, and the verbs that operators and the grid use."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor as Pool
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from controller.app import results, settling
from controller.app.asking import Asker
from controller.app.calling import Caller
from controller.app.day_ahead import DayAhead
from controller.app.operating import Operating
from controller.app.planner import Planner
from controller.app.situation import Situation, load_situation
from controller.app.steering import Steering
from controller.app.telling import Teller
from controller.app.watching import Watch
from controller.dispatch.executor import Executor
from controller.dispatch.restore import restore
from controller.errors import EventError, InputError, PeakshareError
from controller.events import check_event, may_become
from controller.meters import import_meters, read_meter_files
from controller.model.commands import Override, OverrideSource
from controller.model.events import DREvent, EventStatus
from controller.model.ids import CustomerId, EventId, LinkId, ResourceId
from controller.model.settings import Config
from controller.ports import Clock, Desk, Journal, Link, Telemetry
from controller.schedule import daily, next_fire
from controller.telemetry import Readings, collect, keep_frames

log = logging.getLogger("peakshare")
FRAMES_EVERY = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything concrete, opened by the caller: the app closes nothing it did not open."""

    clock: Clock
    journal: Journal
    telemetry: Telemetry
    links: Mapping[LinkId, Link]
    desks: Mapping[LinkId, Desk]
    planner: Planner
    threads: Pool
    random: Random
    feed_folder: Path
    fence: int
    """Taken from the journal before the links were opened."""


@dataclass(kw_only=True)
class Controller:
    """One controller over one area. Make it with `make_controller`, then `await run()`."""

    config: Config
    services: Services
    situation: Situation
    steering: Steering
    day_ahead: DayAhead
    readings: Readings
    executor: Executor
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def clock(self) -> Clock:
        return self.services.clock

    @property
    def random(self) -> Random:
        return self.services.random

    async def run(self, *beside: Callable[[], Awaitable[None]]) -> None:
        """Run until `shut_down` or cancellation; `beside` are services such as the web server.

        A bug in any task ends the whole: nothing is released by that, every setpoint ends by
        itself, and a restart reads the devices back.
        """
        s = self.services
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(_as_coroutine(one)) for one in beside]
            for link in s.links.values():
                running.append(tasks.create_task(
                    collect(link, self.readings, s.journal, self._on_override)
                ))  # fmt: skip
            for desk in s.desks.values():
                running.append(tasks.create_task(self._take_answers(desk)))
            running.append(tasks.create_task(
                keep_frames(self.readings, s.telemetry, self.config.area.id, s.clock, FRAMES_EVERY)
            ))  # fmt: skip
            await self._resume()
            running.append(tasks.create_task(self._evenings()))
            running.append(tasks.create_task(self.steering.run()))
            self.ready.set()
            await self.stopping.wait()
            for task in running:
                task.cancel()

    # --- the operators' verbs -------------------------------------------------------------------

    async def take_event(self, event: DREvent, actor: str) -> DREvent:
        """Take an event from outside: checked, journaled, then planned for. Raises EventError."""
        self.steering.caller.event_came()
        now = self.clock.now()
        check_event(event, now)
        if event.program_id not in self.config.programs:
            known = ", ".join(sorted(self.config.programs))
            raise EventError(f"program {event.program_id!r} is not known; programs: {known}")
        await self.services.journal.save_event(event)
        await self.services.journal.audit(now, actor, "event", event.id, event.source_id)
        self.situation.events[event.id] = event
        automatic = self.config.programs[event.program_id].automatic or event.emergency
        if event.status is EventStatus.DRAFT and automatic:
            event = await self.steering.set_status(event, EventStatus.APPROVED, "automatic", actor)
        peak_kw = float(event.target.values.max())
        await self.steering.note(
            "event", f"{event.source} asks up to {peak_kw:.0f} kW ({event.source_id or event.id})"
        )
        if event.status is EventStatus.APPROVED:
            await self._prepare_for(event)
            self.steering.want_plan(f"event {event.source_id or event.id}", event.id)
        return event

    async def approve_event(self, event_id: EventId, actor: str) -> dict[str, Any]:
        """Approve a draft. Raises EventError where the table does not allow it."""
        event = self._event(event_id)
        if not may_become(event.status, EventStatus.APPROVED):
            raise EventError(f"event {event_id} is {event.status}; only a draft can be approved")
        event = await self.steering.set_status(event, EventStatus.APPROVED, "approved", actor)
        await self._prepare_for(event)
        self.steering.want_plan(f"event {event_id} approved", event_id)
        return results.event_row(event)

    async def cancel_event(self, event_id: EventId, reason: str, actor: str) -> dict[str, Any]:
        """Cancel an event that is not over; its devices are released by the next plan."""
        event = self._event(event_id)
        if not may_become(event.status, EventStatus.CANCELLED):
            raise EventError(f"event {event_id} is {event.status} and cannot be cancelled")
        event = await self.steering.set_status(event, EventStatus.CANCELLED, reason, actor)
        await self.steering.note("event", f"{event.source_id or event_id} cancelled: {reason}")
        if self.situation.open_events():
            self.steering.want_plan(f"event {event_id} cancelled")
        else:
            await self.steering.caller.release_all()
        return results.event_row(event)

    async def stop_all(self, reason: str, actor: str) -> dict[str, Any]:
        """Emergency stop: from now on no command leaves but releases, which go out at once."""
        self.executor.stopped = reason
        await self.services.journal.audit(
            self.clock.now(), actor, "stop", self.config.area.id, reason
        )
        receipts = await self.steering.caller.release_all()
        self.steering.prove_free()
        await self.steering.note("stop", f"emergency stop by {actor}: {reason}")
        return {"released": len(receipts), "still_held": sorted(self.executor.obeys)}

    async def shut_down(self, reason: str, actor: str) -> dict[str, Any]:
        """End the process; releases nothing (SIGTERM is the same)."""
        await self.services.journal.audit(
            self.clock.now(), actor, "shutdown", self.config.area.id, reason
        )
        self.stopping.set()
        return {"stopping": True}

    async def opt_out(self, resource_id: ResourceId, reason: str, actor: str) -> dict[str, Any]:
        """A customer leaves: released now, and not called again."""
        if resource_id not in self.config.fleet.index_of:
            raise InputError(f"there is no resource {resource_id!r}")
        override = Override(
            resource_id=resource_id, at=self.clock.now(), source=OverrideSource.OPERATOR,
            reason=reason,
        )  # fmt: skip
        await self.services.journal.save_override(override)
        await self.executor.release([resource_id])
        self._on_override(override)
        return {"resource_id": resource_id, "opted_out": True, "by": actor}

    async def import_meters(self, paths: Sequence[Path], actor: str) -> dict[str, Any]:
        """Import meter files whole, or nothing. Raises MeterFileError."""
        s = self.services
        read = await self.clock.offload(
            s.threads.submit(read_meter_files, paths, self.config.fleet.meters)
        )
        await import_meters(s.telemetry, self.config.area.id, read)
        await s.journal.audit(
            self.clock.now(), actor, "meter import", self.config.area.id, f"{read.rows} rows"
        )
        return {"rows": read.rows, "meters": len(self.config.fleet.meters), "files": len(paths)}

    async def settle(self, actor: str) -> dict[str, Any]:
        """Settle every ended event from its meters; settling again adds nothing."""
        return await settling.settle(self, actor)

    # --- what is shown --------------------------------------------------------------------------

    async def status(self) -> dict[str, Any]:
        return results.status(self)

    async def list_events(self) -> list[dict[str, Any]]:
        return [results.event_row(e) for e in self.situation.events.values()]

    async def show_event(self, event_id: EventId) -> dict[str, Any]:
        log = await self.services.journal.event_log(self._event(event_id).id)
        return results.event_row(self._event(event_id)) | {
            "log": [[e.at.isoformat(), e.status, e.reason, e.actor] for e in log]
        }

    async def show_plan(self) -> dict[str, Any]:
        return results.plan(self)

    async def result(self) -> dict[str, Any]:
        return await results.result(self)

    async def statement_table(self) -> list[list[str]]:
        """All statements as one table, header first. Raises InputError before it is settled."""
        return await settling.statement_table(self)

    async def statement_page(self, customer_id: CustomerId) -> str:
        """A customer's statement as HTML. Raises InputError for an unknown customer."""
        return await settling.statement_page(self, customer_id)

    # --- tasks ----------------------------------------------------------------------------------

    async def _resume(self) -> None:
        """After a start: devices are read back before anything is sent."""
        self.situation.take_receipts(await restore(self.executor))
        await self.day_ahead.recall()
        open_events = self.situation.open_events()
        if open_events:
            await self.day_ahead.prepare(_local_date(open_events[0].span.start, self.config))
            self._adopt()
            await self.steering.teller.redeliver()
            await self.steering.note("event", "the controller started again and carries on")
            self.steering.want_plan("the controller started again")

    async def _evenings(self) -> None:
        """The scheduled peak-shaving run, every evening."""
        trigger = daily(self.config.shaving.run_at, self.config.area.timezone)
        last: datetime | None = None
        while True:
            at = next_fire(trigger, self.clock.now(), last)
            await self.clock.sleep_until(at)
            last = at
            try:
                await self.evening_run()
            except PeakshareError as error:
                log.error("the evening run failed: %s", error)
                await self.steering.note("fault", f"the evening run failed: {error.message}")

    async def evening_run(self) -> DREvent | None:
        """Forecast tomorrow and make its event; None when nothing exceeds the limit."""
        tomorrow = _local_date(self.clock.now(), self.config) + timedelta(days=1)
        forecast = await self.day_ahead.forecast_area(tomorrow)
        await self.day_ahead.prepare(tomorrow)
        self._adopt()
        event = self.day_ahead.event(forecast, self.steering.asker)
        if event is None:
            await self.steering.note("event", "no interval of tomorrow exceeds the limit")
            return None
        return await self.take_event(event, actor="scheduler")

    async def _prepare_for(self, event: DREvent) -> None:
        """Operating forecasts must cover the event's day."""
        operating = self.day_ahead.operating
        if operating is None or event.span.end > operating.grid.end:
            await self.day_ahead.prepare(_local_date(event.span.start, self.config))
            self._adopt()

    def _adopt(self) -> None:
        """Hand new operating forecasts to all who use them."""
        operating = self.day_ahead.operating
        if operating is not None:
            self.steering.asker.operating = operating
            self.steering.caller.operating = operating
            self.steering.watch.operating = operating

    async def _take_answers(self, desk: Desk) -> None:
        async for offer in desk.answers():
            if reason := await self.steering.teller.take(offer):
                self.steering.want_plan(reason)
            else:
                self.steering.poked.set()

    def _on_override(self, override: Override) -> None:
        self.situation.overrides[override.resource_id] = override
        self.executor.obeys.pop(override.resource_id, None)

    def _event(self, event_id: EventId) -> DREvent:
        if event_id not in self.situation.events:
            raise EventError(f"there is no event {event_id!r}")
        return self.situation.events[event_id]


async def make_controller(config: Config, services: Services) -> Controller:
    """A controller with its situation rebuilt from the journal and a fence of its own."""
    s = services
    await s.journal.save_config(config.hash, config.body, s.clock.now())
    situation = await load_situation(config, s.journal)
    readings = Readings(config.fleet)
    executor = Executor(
        journal=s.journal, links=s.links, fleet=config.fleet, clock=s.clock,
        rules=config.dispatch, random=s.random, fence=s.fence,
    )  # fmt: skip
    day_ahead = DayAhead(
        config=config, journal=s.journal, telemetry=s.telemetry, clock=s.clock,
        threads=s.threads, feed_folder=s.feed_folder, random=s.random,
    )  # fmt: skip
    return Controller(
        config=config, services=services, situation=situation, day_ahead=day_ahead,
        readings=readings, executor=executor,
        steering=_steering(config, services, situation, readings, executor),
    )  # fmt: skip


def _steering(
    config: Config, s: Services, situation: Situation, readings: Readings, executor: Executor
) -> Steering:
    nothing = Operating.empty(config.fleet, s.clock.now())
    return Steering(
        config=config,
        situation=situation,
        journal=s.journal,
        clock=s.clock,
        planner=s.planner,
        asker=Asker(config=config, situation=situation, operating=nothing, random=s.random),
        teller=Teller(
            config=config, situation=situation, journal=s.journal, desks=s.desks, clock=s.clock
        ),
        caller=Caller(
            config=config, situation=situation, operating=nothing, readings=readings,
            executor=executor, journal=s.journal, clock=s.clock,
        ),
        watch=Watch(config=config, situation=situation, operating=nothing, readings=readings),
    )  # fmt: skip


async def _as_coroutine(make: Callable[[], Awaitable[None]]) -> None:
    await make()


def _local_date(at: datetime, config: Config) -> date:
    return at.astimezone(ZoneInfo(config.area.timezone)).date()
