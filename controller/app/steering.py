"""The loop that steers: who rules, plan, tell, call, verify, plan again, give back.

It wakes at each interval's boundary, at each verification, and whenever something happens
(an event, an answer, an opt-out). An error in here ends the process: the supervisor starts it
again, it reads the devices back and carries on, and if nobody does, `until` ends every
setpoint.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np

from controller.app.asking import Asker
from controller.app.calling import Caller
from controller.app.notes import note
from controller.app.planner import Planner
from controller.app.situation import TURNED, Situation, ruled
from controller.app.telling import Teller
from controller.app.watching import SITE_WINDOW, Watch, response
from controller.clock import wake
from controller.errors import EventStateError, PeakshareError
from controller.events import may_become
from controller.model.events import DREvent, EventStatus, Timeline
from controller.model.ids import CohortId, EventId
from controller.model.plans import Plan
from controller.model.resources import ResourceKind
from controller.model.settings import Config
from controller.model.time import Interval, Series
from controller.ports import Clock, Journal
from controller.verify import (
    Health,
    Verdict,
    Verification,
    corrected_kw,
    needs_replan,
    verify,
)

CORRECT_EVERY = timedelta(minutes=25)
"""A correction acts from the next interval on and shows in the meters an interval later."""
GIVE_BACK_EVERY = timedelta(minutes=5)
CORRECT_BEFORE = timedelta(hours=2)
"""From this long before the start on, peers correct the homes' operating forecast."""


AGAIN_AFTER = timedelta(minutes=5)
"""A plan that could not be made (no forecast, no history) is tried again after this."""


async def _nothing(_: Interval) -> None:
    """Nothing has to be prepared."""


@dataclass(kw_only=True)
class Steering:
    """Drives the devices to what the ruling events ask."""

    config: Config
    situation: Situation
    journal: Journal
    clock: Clock
    planner: Planner
    asker: Asker
    teller: Teller
    caller: Caller
    watch: Watch
    poked: asyncio.Event = field(default_factory=asyncio.Event)
    verifications: list[Verification] = field(default_factory=list)
    correction_kw: float = 0.0
    """Planned beyond the target, because deliveries fall short of promises by so much."""
    prepare: Callable[[Interval], Awaitable[None]] = _nothing
    """Have operating forecasts for a stretch of time in the hands of all who use them."""
    _due: list[tuple[str, EventId | None]] = field(default_factory=list)
    _again_at: datetime | None = None
    """When a plan that could not be made is tried again."""
    _told_free: bool = True
    _lives: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)
    _next_verify: datetime | None = None
    _next_give_back: datetime | None = None
    _steered_at: datetime | None = None

    def want_plan(self, reason: str, event_id: EventId | None = None) -> None:
        """Ask for a new plan at the next step, and take that step now."""
        self._due.append((reason, event_id))
        self._again_at = None
        self.poked.set()

    @property
    def all_free(self) -> bool:
        """Every device that was ever commanded was read back as free."""
        return not self.situation.owed()

    async def run(self) -> None:
        """Steer until cancelled."""
        while True:
            began = self.clock.now()  # a boundary that passes during a step is not missed
            await self.step()
            await wake(self.clock, self._next_wake(began), self.poked)

    async def step(self) -> None:
        """One look at everything, in the order of the pipeline."""
        now = self.clock.now()
        await self._turn(now)
        await self._follow_lives(now)
        if self.caller.executor.stopped is None:
            await self._steer(now)
        await self._give_back(now)

    async def _steer(self, now: datetime) -> None:
        """Tell, plan, call and verify what the day in hand asks; nothing once it is over."""
        line = self.situation.timeline()
        if line is None or not self.situation.open_events():
            if self.situation.notices:
                await self.teller.stand_down(None)
            return
        if silence := await self.teller.close_unanswered():
            self._due.append((silence, None))
        await self._plan_if_due(line)
        plan = self.situation.plan
        if plan is not None and now < line.grid.end and self.situation.open_events():
            await self._call(plan)
            await self._verify(line)

    async def _turn(self, now: datetime) -> None:
        """Take the next event day in hand when this one is over; everything begins anew."""
        before = set(self.situation.in_hand)
        if self.situation.turn(now):
            (first, *_) = self.situation.today
            await self.journal.audit(now, "controller", TURNED, self.config.area.id, first.id)
            self.correction_kw, self._steered_at, self._next_verify = 0.0, None, None
            self.verifications.clear()
            self.asker.response_frac.clear()
            self.caller.letting_go = False
            self.caller.look_again()
        fresh = self.situation.in_hand - before
        known = {e for _, e in self._due}
        self._due += [
            (f"event {e.source_id or e.id}", e.id)
            for e in self.situation.open_events()
            if e.id in fresh and e.id not in known and self._lacks_plan(e)
        ]

    def _lacks_plan(self, event: DREvent) -> bool:
        return not any(event.id in ruled(p) for p in self.situation.plans)

    def prove_free(self) -> None:
        """Read back and release at once, until every device is free."""
        self._next_give_back = None
        self.poked.set()

    async def set_status(
        self, event: DREvent, status: EventStatus, reason: str, actor: str = "controller"
    ) -> DREvent:
        """Journal a transition that the table allows; the event with its new status.

        Raises EventStateError where it does not, by what the event is by then: an operator may have
        cancelled it while we waited.
        """
        async with self._lives:
            current = self.situation.events[event.id]
            if not may_become(current.status, status):
                raise EventStateError(
                    f"event {event.id} is {current.status}: not {status} any more"
                )
            now = self.clock.now()
            await self.journal.log_event(event.id, now, status, reason, actor)
            fresh = replace(current, status=status)
            self.situation.events[event.id] = fresh
            return fresh

    async def note(self, kind: str, text: str) -> None:
        """Keep a happening for the report; durable."""
        await note(self.situation, self.journal, self.clock.now(), kind, text)

    async def _follow_lives(self, now: datetime) -> None:
        for event in list(self.situation.events.values()):
            with suppress(EventStateError):  # an operator was faster
                await self._follow(event, now)

    async def _follow(self, event: DREvent, now: datetime) -> None:
        if event.status is EventStatus.APPROVED and self._is_planned(event):
            event = await self.set_status(event, EventStatus.DISPATCHED, "a plan is in force")
        if event.status is EventStatus.APPROVED and now >= event.span.end:
            reason = "its end came before there was a plan for it"
            event = await self.set_status(event, EventStatus.CANCELLED, reason)
            await self.note("fault", f"event {event.source_id or event.id}: {reason}")
        if event.status is EventStatus.DISPATCHED and now >= event.span.start:
            event = await self.set_status(event, EventStatus.ACTIVE, "its start has come")
        if event.status is EventStatus.ACTIVE and now >= event.span.end:
            await self.set_status(event, EventStatus.ENDED, "its end has come")

    def _is_planned(self, event: DREvent) -> bool:
        """Whether the plan in force knows the event: it rules there, or it rules nowhere."""
        line, plan = self.situation.timeline(), self.situation.plan
        if line is None or plan is None or event.id not in self.situation.in_hand:
            return False
        return event.id in plan.ruling or event.id not in line.ruling

    async def _plan_if_due(self, line: Timeline) -> None:
        """Make the plan that is due, once every told contract has answered or fallen silent."""
        now, today = self.clock.now(), {e.id for e in self.situation.today}
        self._due = [(why, e) for why, e in self._due if e is None or e in today]
        if not self._due or now >= line.grid.end or now < (self._again_at or now):
            return
        answers_only = all(" answered " in why for why, _ in self._due)
        waiting = self.teller.waiting_until()
        if answers_only and waiting is not None and now <= waiting < line.grid.start:
            return
        due, self._due = self._due, []
        causes = [e for _, e in due if e is not None]
        event_id = causes[-1] if causes else self.situation.open_events()[-1].id
        try:
            await self.prepare(line.grid.span)
        except PeakshareError as error:
            self._due, self._again_at = due + self._due, now + AGAIN_AFTER
            await self.note("fault", f"no plan can be made: {error.message}")
            return
        before = self.situation.plan
        plan = await self._make_plan(line, event_id)
        reasons = "; ".join(dict.fromkeys(why for why, _ in due))
        await self.note("plan", f"plan {plan.revision} ({plan.status}): {reasons}")
        if before is not None:
            await self.note("replaced", self._newly_called(before, plan, now))
        if self.situation.timeline() == line:  # else events came or went while we planned: again
            await self.teller.stand_down(plan)
            await self.teller.notify(plan)

    async def _make_plan(self, line: Timeline, event_id: EventId) -> Plan:
        problem = self.asker.problem(
            self._with_correction(line),
            self.clock.now(),
            event_id=event_id,
            lead=self.config.dispatch.lead,
        )
        plan = replace(await self.planner.plan(problem), config_hash=self.config.hash)
        await self.journal.save_plan(plan)
        self.situation.plans.append(plan)
        return plan

    def _with_correction(self, line: Timeline) -> Timeline:
        asked = line.target.values > 0
        values = np.where(asked, np.maximum(line.target.values + self.correction_kw, 0.0), 0.0)
        return replace(line, target=Series(grid=line.grid, values=values))

    def _newly_called(self, before: Plan, plan: Plan, now: datetime) -> str:
        """Which contracts the new plan calls for more, over the rest of the event."""
        rest = slice(max(0, plan.grid.index(now)), None)
        old, new = before.committed_kw(), plan.committed_kw()
        step_h = plan.grid.step_h
        more: list[tuple[float, str]] = []
        for contract_id, kw in new.items():
            was = old[contract_id].on(plan.grid).values if contract_id in old else 0.0 * kw.values
            gained = float(np.nansum((kw.values - np.nan_to_num(was))[rest])) * step_h
            if gained > 1.0:
                more.append((gained, self.config.contracts[contract_id].name))
        return ", ".join(f"{name} +{kwh:.0f} kWh" for kwh, name in sorted(more, reverse=True)) or (
            "nothing"
        )

    async def _call(self, plan: Plan) -> None:
        if trouble := await self.caller.call(plan):
            self._steered_at = self.clock.now()
            self.want_plan(trouble)

    async def _verify(self, line: Timeline) -> None:
        now, plan = self.clock.now(), self.situation.plan
        if plan is None or (self._next_verify is not None and now < self._next_verify):
            return
        self._next_verify = now + self.config.verify.every
        if now < line.grid.start - CORRECT_BEFORE:
            return
        self.watch.learn_peers(plan, now)
        called = self.watch.called(plan, now)
        if not called:
            return
        target_kw = float(np.nan_to_num(line.target.value_at(now - SITE_WINDOW)))
        seen = verify(called, now, target_kw, self.config.verify)
        self.verifications.append(seen)
        kinds: dict[CohortId, ResourceKind] = {c.id: c.kind for c in plan.cohorts}
        for kind, frac in response(seen, kinds).items():
            before = self.asker.response_frac.get(kind, frac)
            self.asker.response_frac[kind] = 0.5 * before + 0.5 * frac
        for failure in seen.failed:
            await self.caller.give_up(failure.contract_id, _failure_text(failure))
        await self._replan_if_needed(seen, now)

    async def _replan_if_needed(self, seen: Verification, now: datetime) -> None:
        """A failure is replaced at once; a drift of the whole when the last remedy has worked."""
        reason = needs_replan(seen, self.config.verify)
        if reason is None:
            return
        if seen.failed:
            self._steered_at = now
            self.want_plan(reason)
        elif self._steered_at is None or now >= self._steered_at + CORRECT_EVERY:
            self._steered_at = now
            self.correction_kw = corrected_kw(self.correction_kw, seen, self.config.verify)
            self.want_plan(reason)

    async def _give_back(self, now: datetime) -> None:
        """Whose hold should be over is read back, and let go if it is not, until all are free."""
        due = self.caller.due_back(busy=self._calling(now))
        if due and now >= (self._next_give_back or now):
            self._next_give_back = now + GIVE_BACK_EVERY
            await self.caller.give_back(due)
        if not self.all_free:
            self._told_free = False
        elif not self._told_free and not self._calling(now):
            self._told_free = True
            await self.note("release", "every commanded device was read back as free")

    def _calling(self, now: datetime) -> bool:
        line = self.situation.timeline()
        return bool(self.situation.open_events()) and line is not None and now >= line.grid.start

    def _next_wake(self, now: datetime) -> datetime:
        """The next boundary (less the lead), verification, reply or give-back."""
        times = [*self._next_given_back(now)]
        line, open_ = self.situation.timeline(), self.situation.open_events()
        if line is not None and open_:
            times += [t for e in open_ for t in (e.span.start, e.span.end)]
            times += self._next_called(line, now)
        if self._due and self._again_at is not None:
            times.append(self._again_at)
        if (waiting := self.teller.waiting_until()) is not None:
            times.append(waiting + timedelta(seconds=1))
        return min([t for t in times if t > now], default=now + timedelta(hours=1))

    def _next_called(self, line: Timeline, now: datetime) -> list[datetime]:
        lead, first = self.config.dispatch.lead, line.grid.start
        times = [first - CORRECT_BEFORE, first - timedelta(hours=1) - lead]
        if first - timedelta(hours=1) <= now + lead < line.grid.end:
            step = max(0, line.grid.index(now + lead) + 1) if now + lead >= first else 0
            times.append(line.grid.at(step) - lead)
        if first - CORRECT_BEFORE <= now < line.grid.end:
            times.append(self._next_verify or now + self.config.verify.every)
        return times

    def _next_given_back(self, now: datetime) -> list[datetime]:
        """Never at once again: a device that cannot be reached must not keep us spinning."""
        if self.all_free:
            return []
        soonest = max(self._next_give_back or now, now + timedelta(seconds=30))
        if self.caller.due_back(busy=self._calling(now)):
            return [soonest]
        return [max(soonest, s.until) for s in self.caller.executor.obeys.values()]


def _failure_text(verdict: Verdict) -> str:
    """What the operator reads about a unit that is given up."""
    if verdict.health is Health.SILENT:
        return f"silent: no reading while called for {verdict.committed_kw:.0f} kW"
    return f"{verdict.health}: {verdict.delivered_kw:.0f} of {verdict.committed_kw:.0f} kW"
