"""The running controller: lifetimes, and the verbs that operators and the grid use."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

from controller.app import results, settling, statements
from controller.app.day_after import DayAfter
from controller.app.day_ahead import DayAhead
from controller.app.evening import Evening
from controller.app.recall import load_situation
from controller.app.situation import RESUMED, STOPPED, Situation
from controller.app.steering import Steering
from controller.app.versions import Versions
from controller.app.wiring import Services, make_steering
from controller.dispatch.executor import Executor
from controller.dispatch.restore import restore
from controller.errors import (
    DeviceError,
    EventError,
    EventStateError,
    Fault,
    MeterFileError,
    TooEarlyError,
    UnknownNameError,
)
from controller.events import check_event, may_become
from controller.meters import import_meters, read_meter_files
from controller.model.commands import Outcome, Override, OverrideSource
from controller.model.events import DREvent, EventStatus
from controller.model.ids import CustomerId, EventId, ResourceId
from controller.model.settings import Config
from controller.model.time import Interval
from controller.ports import Clock, Desk
from controller.telemetry import AGAIN_S, Readings, collect, keep_frames

log = logging.getLogger("peakshare")
FRAMES_EVERY = timedelta(minutes=5)


@dataclass(kw_only=True)
class Controller:
    """One controller over one area. Make it with `make_controller`, then `await run()`."""

    config: Config
    services: Services
    situation: Situation
    steering: Steering
    day_ahead: DayAhead
    day_after: DayAfter
    evening: Evening
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
                    collect(link, self.readings, s.journal, s.clock, self._on_override)
                ))  # fmt: skip
            for desk in s.desks.values():
                running.append(tasks.create_task(self._take_answers(desk)))
            running.append(tasks.create_task(
                keep_frames(self.readings, s.telemetry, self.config.area.id, s.clock, FRAMES_EVERY)
            ))  # fmt: skip
            await self._resume()
            running.append(tasks.create_task(self.evening.run(self.take_event)))
            running.append(tasks.create_task(self.steering.run()))
            self.ready.set()
            await self.stopping.wait()
            for task in running:
                task.cancel()

    # --- the operators' verbs -------------------------------------------------------------------

    async def take_event(self, event: DREvent, actor: str) -> DREvent:
        """Take an event from outside: checked, journaled, then planned for. Raises EventError."""
        now = self.clock.now()
        check_event(event, now)
        if event.program_id not in self.config.programs:
            known = ", ".join(sorted(self.config.programs))
            fault = Fault(
                file="event", place="programID", value=repr(event.program_id),
                expected=f"one of {known}",
            )  # fmt: skip
            raise EventError("this event is for a program that is not there", [fault])
        self.steering.caller.event_came()
        event = replace(event, config_hash=self.config.hash)
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
            self.steering.want_plan(f"event {event.source_id or event.id}", event.id)
        return event

    async def approve_event(self, event_id: EventId, actor: str) -> dict[str, Any]:
        """Approve a draft. Raises EventStateError where the table does not allow it."""
        event = self._event(event_id)
        if not may_become(event.status, EventStatus.APPROVED):
            raise EventStateError(
                f"event {event_id} is {event.status}; only a draft can be approved"
            )
        check_event(event, self.clock.now())
        await self._name_version(event)
        event = await self.steering.set_status(event, EventStatus.APPROVED, "approved", actor)
        self.steering.want_plan(f"event {event_id} approved", event_id)
        return results.event_row(event)

    async def _name_version(self, event: DREvent) -> None:
        """A draft that waited while the configuration changed is planned under the new one."""
        if event.config_hash != self.config.hash:
            fresh = replace(event, revision=event.revision + 1, config_hash=self.config.hash)
            await self.services.journal.save_event(fresh)
            self.situation.events[event.id] = fresh

    async def cancel_event(self, event_id: EventId, reason: str, actor: str) -> dict[str, Any]:
        """Cancel an event that is not over; its devices are released by the next plan."""
        event = self._event(event_id)
        if not may_become(event.status, EventStatus.CANCELLED):
            raise EventStateError(f"event {event_id} is {event.status} and cannot be cancelled")
        event = await self.steering.set_status(event, EventStatus.CANCELLED, reason, actor)
        await self.steering.note("event", f"{event.source_id or event_id} cancelled: {reason}")
        if event_id in self.situation.in_hand and not self.situation.open_events():
            await self.steering.caller.release_all()
            self.steering.prove_free()
        elif event_id in self.situation.in_hand:
            self.steering.want_plan(f"event {event_id} cancelled")
        return results.event_row(event)

    async def stop_all(self, reason: str, actor: str) -> dict[str, Any]:
        """Emergency stop: from now on no command leaves but releases, which go out at once."""
        self.executor.stopped = self.situation.stopped = reason
        await self.services.journal.audit(
            self.clock.now(), actor, STOPPED, self.config.area.id, reason
        )
        receipts = await self.steering.caller.release_all()
        await self.steering.teller.stand_down(None)
        self.steering.prove_free()
        await self.steering.note("stop", f"emergency stop by {actor}: {reason}")
        released = [r for r in receipts if r.outcome is Outcome.APPLIED]
        return {"released": len(released), "still_held": sorted(self.situation.owed())}

    async def resume(self, reason: str, actor: str) -> dict[str, Any]:
        """Lift an emergency stop: open events are planned anew and commanded again."""
        if self.situation.stopped is None:
            raise TooEarlyError("there is no emergency stop to lift")
        await self.services.journal.audit(
            self.clock.now(), actor, RESUMED, self.config.area.id, reason
        )
        self.executor.stopped = self.situation.stopped = None
        await self.steering.note("stop", f"emergency stop lifted by {actor}: {reason}")
        self.steering.caller.look_again()
        self.steering.want_plan("the emergency stop was lifted")
        return {"stopped": False}

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
            raise UnknownNameError(f"there is no resource {resource_id!r}")
        override = Override(
            resource_id=resource_id, at=self.clock.now(), source=OverrideSource.OPERATOR,
            reason=reason,
        )  # fmt: skip
        await self.services.journal.save_override(override)
        self.situation.overrides[resource_id] = override
        receipts = await self.executor.release([resource_id])
        self.situation.take_receipts(receipts)
        released = all(r.outcome is Outcome.APPLIED for r in receipts)
        self.steering.caller.look_again()
        self.steering.prove_free()
        return {
            "resource_id": resource_id, "opted_out": True, "released": released, "by": actor,
        }  # fmt: skip

    async def import_meters(self, paths: Sequence[Path], actor: str) -> dict[str, Any]:
        """Import meter files whole, or nothing. Raises MeterFileError."""
        s = self.services
        if faults := [_no_file(p) for p in paths if not p.is_file()]:
            raise MeterFileError(f"{len(faults)} of {len(paths)} are no files", faults)
        read = await self.clock.offload(
            s.threads.submit(read_meter_files, paths, self.config.fleet.meters)
        )
        await import_meters(s.telemetry, self.config.area.id, read)
        self.day_after.imports += 1
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
        return results.event_page(self._event(event_id), log)

    async def show_plan(self) -> dict[str, Any]:
        return results.plan(self.situation.plan)

    async def result(self) -> dict[str, Any]:
        return await results.result(self)

    async def statement_table(self) -> list[list[str]]:
        """All statements as one table, header first. Raises TooEarlyError before it is settled."""
        return statements.statement_table(await self.day_after.settled(), self.clock.now())

    async def statement_page(self, customer_id: CustomerId) -> str:
        """A customer's statement as HTML. Raises UnknownNameError for an unknown customer."""
        return await statements.statement_page(
            customer_id, journal=self.services.journal, telemetry=self.services.telemetry,
            versions=self.day_after.versions, now=self.clock.now(),
        )  # fmt: skip

    # --- tasks ----------------------------------------------------------------------------------

    async def _resume(self) -> None:
        """After a start: devices are read back before anything is sent."""
        self.situation.take_receipts(await restore(self.executor))
        await self.day_ahead.recall()
        if self.situation.stopped is not None:
            await self.steering.note("stop", f"still stopped: {self.situation.stopped}")
        elif self.situation.open_events():
            await self.steering.teller.redeliver()
            await self.steering.note("event", "the controller started again and carries on")
            self.steering.want_plan("the controller started again")

    async def _prepare(self, span: Interval) -> None:
        """Hand operating forecasts that cover `span` to all who use them."""
        if not self.steering.caller.operating.covers(span):
            operating = await self.day_ahead.prepare(span)
            self.steering.asker.operating = operating
            self.steering.caller.operating = operating
            self.steering.watch.operating = operating

    async def _take_answers(self, desk: Desk) -> None:
        """Answers until cancelled; a desk that breaks off is listened to again."""
        while True:
            try:
                async for offer in desk.answers():
                    if reason := await self.steering.teller.take(offer):
                        self.steering.want_plan(reason)
                    else:
                        self.steering.poked.set()
                return
            except DeviceError as error:
                log.error("a duty desk answers no more: %s", error)
                await asyncio.sleep(AGAIN_S)

    def _on_override(self, override: Override) -> None:
        self.situation.overrides[override.resource_id] = override
        if override.source is OverrideSource.DEVICE:
            self.executor.obeys.pop(override.resource_id, None)
        self.steering.caller.look_again()

    def _event(self, event_id: EventId) -> DREvent:
        if event_id not in self.situation.events:
            raise UnknownNameError(f"there is no event {event_id!r}")
        return self.situation.events[event_id]


async def make_controller(config: Config, services: Services) -> Controller:
    """A controller with its situation rebuilt from the journal and a fence of its own."""
    s = services
    await s.journal.save_config(config.hash, config.body, s.clock.now())
    versions = Versions(current=config, journal=s.journal, clock=s.clock, threads=s.threads)
    situation = await load_situation(config, s.journal, versions)
    readings = Readings(config.fleet)
    executor = Executor(
        journal=s.journal, links=s.links, fleet=config.fleet, clock=s.clock,
        rules=config.dispatch, random=s.random, fence=s.fence, stopped=situation.stopped,
    )  # fmt: skip
    day_ahead = DayAhead(
        config=config, journal=s.journal, telemetry=s.telemetry, clock=s.clock,
        threads=s.threads, feed_folder=s.feed_folder, random=s.random,
    )  # fmt: skip
    day_after = DayAfter(
        config=config, situation=situation, versions=versions, telemetry=s.telemetry,
        clock=s.clock, threads=s.threads,
    )  # fmt: skip
    steering = make_steering(config, services, situation, readings, executor)
    evening = Evening(
        config=config, situation=situation, clock=s.clock, day_ahead=day_ahead, steering=steering
    )
    controller = Controller(
        config=config, services=services, situation=situation, day_ahead=day_ahead,
        day_after=day_after, evening=evening, readings=readings, executor=executor,
        steering=steering,
    )  # fmt: skip
    steering.prepare = controller._prepare
    return controller


def _no_file(path: Path) -> Fault:
    """A pipe or a device would hold a thread for ever."""
    return Fault(file=str(path), place="file", value="not a regular file", expected="a meter file")


async def _as_coroutine(make: Callable[[], Awaitable[None]]) -> None:
    await make()
