"""The loop that steers: who rules, plan, tell, call, verify, plan again, give back.

It wakes at each interval's boundary, at each verification, and whenever something happens
(an event, an answer, an opt-out). An error in here ends the process: the supervisor starts it
again, it reads the devices back and carries on, and if nobody does, `until` ends every
setpoint.
"""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np

from controller.app.asking import Asker
from controller.app.calling import Caller
from controller.app.planner import Planner
from controller.app.situation import NOTE, Situation
from controller.app.telling import Teller
from controller.app.watching import SITE_WINDOW, Watch, response
from controller.clock import wake
from controller.events import may_become
from controller.model.events import DREvent, EventStatus, Timeline
from controller.model.ids import CohortId, EventId
from controller.model.plans import Plan
from controller.model.resources import ResourceKind
from controller.model.settings import Config
from controller.model.time import Series
from controller.ports import Clock, Journal
from controller.verify import Verification, corrected_kw, needs_replan, verify

CORRECT_EVERY = timedelta(minutes=25)
"""A correction acts from the next interval on and shows in the meters an interval later."""
GIVE_BACK_EVERY = timedelta(minutes=5)
CORRECT_BEFORE = timedelta(hours=2)
"""From this long before the start on, peers correct the homes' operating forecast."""


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
    all_free: bool = False
    _due: list[str] = field(default_factory=list)
    _cause: EventId | None = None
    _next_verify: datetime | None = None
    _next_give_back: datetime | None = None
    _steered_at: datetime | None = None

    def want_plan(self, reason: str, event_id: EventId | None = None) -> None:
        """Ask for a new plan at the next step, and take that step now."""
        self._due.append(reason)
        self._cause = event_id or self._cause
        self.poked.set()

    async def run(self) -> None:
        """Steer until cancelled."""
        while True:
            await self.step()
            await wake(self.clock, self._next_wake(self.clock.now()), self.poked)

    async def step(self) -> None:
        """One look at everything, in the order of the pipeline."""
        now = self.clock.now()
        await self._follow_lives(now)
        line = self.situation.timeline()
        if line is None:
            return
        if self.caller.executor.stopped is not None:
            await self._give_back()
            return
        if silence := await self.teller.close_unanswered():
            self._due.append(silence)
        await self._plan_if_due(line)
        plan = self.situation.plan
        if plan is None:
            return
        if self.situation.open_events() and now < line.grid.end:
            await self._call(plan)
            await self._verify(line)
        elif now >= line.grid.end + self.config.dispatch.release_stagger:
            await self._give_back()

    def prove_free(self) -> None:
        """After an emergency stop: read back and release until every device is free."""
        self.all_free, self._next_give_back = False, None
        self.poked.set()

    async def set_status(
        self, event: DREvent, status: EventStatus, reason: str, actor: str = "controller"
    ) -> DREvent:
        """Journal a transition that the table allows; the event with its new status."""
        if not may_become(event.status, status):
            raise ValueError(f"{event.id}: {event.status} may not become {status}")
        now = self.clock.now()
        await self.journal.log_event(event.id, now, status, reason, actor)
        fresh = replace(event, status=status)
        self.situation.events[event.id] = fresh
        return fresh

    async def note(self, kind: str, text: str) -> None:
        """Keep a happening for the report; durable."""
        now = self.clock.now()
        self.situation.note(now, kind, text)
        await self.journal.audit(now, "controller", f"{NOTE}{kind}", self.config.area.id, text)

    async def _follow_lives(self, now: datetime) -> None:
        for event in list(self.situation.events.values()):
            if event.status is EventStatus.APPROVED and self.situation.plan is not None:
                event = await self.set_status(event, EventStatus.DISPATCHED, "a plan is in force")
            if event.status is EventStatus.DISPATCHED and now >= event.span.start:
                event = await self.set_status(event, EventStatus.ACTIVE, "its start has come")
            if event.status is EventStatus.ACTIVE and now >= event.span.end:
                await self.set_status(event, EventStatus.ENDED, "its end has come")

    async def _plan_if_due(self, line: Timeline) -> None:
        """Make the plan that is due, once every told contract has answered or fallen silent."""
        now = self.clock.now()
        if not self._due or now >= line.grid.end or not self.situation.open_events():
            return
        answers_only = all(" answered " in reason for reason in self._due)
        waiting = self.teller.waiting_until()
        if answers_only and waiting is not None and now <= waiting < line.grid.start:
            return
        reasons, self._due = "; ".join(dict.fromkeys(self._due)), []
        event_id = self._cause or self.situation.open_events()[-1].id
        self._cause = None
        before = self.situation.plan
        plan = await self._make_plan(line, event_id)
        await self.note("plan", f"plan {plan.revision} ({plan.status}): {reasons}")
        if before is not None:
            await self.note("replaced", self._newly_called(before, plan, now))
        await self.teller.notify(plan)

    async def _make_plan(self, line: Timeline, event_id: EventId) -> Plan:
        problem = self.asker.problem(
            self._with_correction(line),
            self.clock.now(),
            event_id=event_id,
            lead=self.config.dispatch.lead,
        )
        plan = await self.planner.plan(problem)
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
            reason = (
                f"{failure.health}: {failure.delivered_kw:.0f} of {failure.committed_kw:.0f} kW"
            )
            await self.caller.give_up(failure.contract_id, reason)
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

    async def _give_back(self) -> None:
        now = self.clock.now()
        if self.all_free or (self._next_give_back is not None and now < self._next_give_back):
            return
        self._next_give_back = now + GIVE_BACK_EVERY
        self.all_free = await self.caller.give_back()
        if self.all_free:
            await self.note("release", "every commanded device was read back as free")

    def _next_wake(self, now: datetime) -> datetime:
        """The next boundary (less the lead), verification, reply or give-back."""
        line = self.situation.timeline()
        soonest = now + timedelta(hours=1)
        if line is None:
            return soonest
        times = [e.span.start for e in self.situation.open_events()]
        times += [e.span.end for e in self.situation.open_events()]
        if (waiting := self.teller.waiting_until()) is not None:
            times.append(waiting + timedelta(seconds=1))
        lead = self.config.dispatch.lead
        times += [line.grid.start - CORRECT_BEFORE, line.grid.start - timedelta(hours=1) - lead]
        if line.grid.start - timedelta(hours=1) <= now + lead < line.grid.end:
            step = max(0, line.grid.index(now + lead) + 1) if now + lead >= line.grid.start else 0
            times.append(line.grid.at(step) - lead)
        if line.grid.start - CORRECT_BEFORE <= now < line.grid.end:
            times.append(self._next_verify or now + self.config.verify.every)
        if now >= line.grid.end and not self.all_free:
            ended = line.grid.end + self.config.dispatch.release_stagger
            times.append(max(ended, self._next_give_back or ended, now + timedelta(seconds=30)))
        if self.caller.executor.stopped is not None and not self.all_free:
            times.append(max(self._next_give_back or now, now + timedelta(seconds=30)))
        return min([t for t in times if t > now], default=soonest)
