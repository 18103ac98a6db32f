"""What leaves for the devices when, and what their receipts mean."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from time import monotonic
from zlib import crc32
from zoneinfo import ZoneInfo

from controller.app.notes import give_up, note
from controller.app.operating import Operating, as_forecast
from controller.app.situation import LATENCY, Situation
from controller.dispatch.executor import Executor
from controller.dispatch.gate import admit
from controller.dispatch.setpoints import Wanted, differs, wanted
from controller.model.commands import Mode, Outcome, Receipt
from controller.model.ids import ContractId, ResourceId, ZoneId
from controller.model.plans import Plan
from controller.model.resources import APPLIANCE_KINDS
from controller.model.settings import Config
from controller.ports import Clock, Journal
from controller.telemetry import Readings

ADVANCE = timedelta(minutes=60)
"""Homes are told this long before their window; they hold the start themselves."""


@dataclass(kw_only=True)
class Caller:
    """Brings the devices to what the plan in force wants of them, and gives them back."""

    config: Config
    situation: Situation
    operating: Operating
    readings: Readings
    executor: Executor
    journal: Journal
    clock: Clock
    letting_go: bool = False
    """True: nothing is asked any more (a stop, a cancelled event); all are given back at once."""
    _silent: set[ResourceId] = field(default_factory=set)
    """Those that could not be read back the last time."""
    _asked_s: float | None = None
    _done: tuple[str, int] = ("", -1)

    def look_again(self) -> None:
        """Something changed who may be held: compare all again at the next step."""
        self._done = ("", -1)

    def event_came(self) -> None:
        """Start the stopwatch: an event from outside came in just now."""
        self._asked_s = monotonic()

    async def call(self, plan: Plan) -> str | None:
        """Send the differences for the interval that begins now; why to replan, or None.

        Once per plan and interval: what is sent is absolute, and a lost device is for the
        next plan to replace.
        """
        now = self.clock.now()
        soon = now + self.config.dispatch.lead
        i = plan.grid.index(soon)
        if self._done == (plan.id, i) or self.executor.stopped is not None:
            return None
        self._done, self.letting_go = (plan.id, i), False
        self.executor.forget_ended()
        await self._freeze(plan, i, now)
        wants = self._wants(plan, soon)
        await self._drop_unwanted(plan, wants, soon)
        due = [w for w in wants.values() if self._must_write(w)]
        passed, refused = admit(
            due,
            self.config.fleet,
            self.readings.latest_kw(
                [w.resource_id for w in due], now - self.config.telemetry.stale_after
            ),
            self.situation.barred(now),
            self.executor.obeys,
        )
        for refusal in refused:
            await self._fail_site(refusal.resource_id, refusal.reason)
        return await self._take(await self._send(passed, plan))

    async def _send(self, wants: Sequence[Wanted], plan: Plan) -> list[Receipt]:
        asked_s = self._asked_s
        if not wants or asked_s is None:
            return await self.executor.send(wants, plan.revision, self._still)
        self._asked_s = None
        first_s = monotonic() - asked_s
        receipts = await self.executor.send(wants, plan.revision, self._still)
        self.situation.latency = {
            "event_to_first_command_s": round(first_s, 3),
            "all_acked_s": round(monotonic() - asked_s, 3),
        }
        await self.journal.audit(
            self.clock.now(), "controller", LATENCY, self.config.area.id,
            json.dumps(self.situation.latency),
        )  # fmt: skip
        return receipts

    def _still(self, wants: Sequence[Wanted]) -> list[Wanted]:
        """Looked at just before the wire: nothing was cancelled, nobody opted out meanwhile."""
        now = self.clock.now()
        open_, barred = {e.id for e in self.situation.open_events()}, self.situation.barred(now)
        return [
            w for w in wants
            if w.event_id in open_ and w.resource_id not in barred and w.until > now
        ]  # fmt: skip

    def due_back(self, *, busy: bool) -> set[ResourceId]:
        """Whose hold should be over by now and who was not yet seen to be free.

        While the controller is `busy` with an event it asks no one again who did not answer:
        each would hold up the others by a whole deadline.
        """
        owed, now = self.situation.owed(), self.clock.now()
        if self.letting_go or self.executor.stopped is not None:
            return owed
        obeys = self.executor.obeys
        over = {r for r in owed if r not in obeys or obeys[r].until <= now}
        return over - self._silent if busy else over

    async def give_back(self, due: set[ResourceId]) -> None:
        """Read back devices whose hold should be over; release those that are still held.

        Devices free themselves at `until`: this is the proof, and the remedy for those that
        did not.
        """
        states = await self.executor.read_back(sorted(due))
        now = self.clock.now()
        held = [r for r, s in states.items() if s.mode is Mode.HELD]
        free = [r for r, s in states.items() if s.mode in (Mode.FREE, Mode.OVERRIDDEN)]
        self._silent = {r for r, s in states.items() if s.mode is Mode.UNKNOWN} | (
            self._silent - set(states)
        )
        receipts = [
            Receipt(setpoint_id=None, resource_id=r, at=now, outcome=Outcome.APPLIED,
                    detail="read back as free")
            for r in free
        ]  # fmt: skip
        await self.journal.end_sending(receipts, self.executor.fence)
        for r in free:
            self.executor.obeys.pop(r, None)
        self.situation.take_receipts(receipts)
        if held:
            self.situation.take_receipts(await self.executor.release(held))

    async def release_all(self) -> list[Receipt]:
        """Let go of every device that obeys us or may do so (its answer was lost), now."""
        self.letting_go = True
        held = self.situation.owed() | set(self.executor.obeys)
        receipts = await self.executor.release(sorted(held))
        self.situation.take_receipts(receipts)
        return receipts

    def _wants(self, plan: Plan, at: datetime) -> Mapping[ResourceId, Wanted]:
        """What is wanted now, and of free homes what will be within the hour."""
        offsets = self._offsets(plan)
        sites = self.operating.sites()
        out = wanted(plan, self.config, sites, offsets, at)
        later = at + plan.grid.step
        while later < min(at + ADVANCE, plan.grid.end):
            for r, want in wanted(plan, self.config, sites, offsets, later).items():
                free = r not in self.executor.obeys or self.executor.obeys[r].start >= want.start
                if r not in out and self._is_home(r) and free:
                    out[r] = want
            later += plan.grid.step
        barred = self.situation.barred(self.clock.now())
        return {r: w for r, w in out.items() if not self._given_up(r) and r not in barred}

    def _given_up(self, resource_id: ResourceId) -> bool:
        """A plan's running interval may still name who has failed since it was made."""
        return self.config.contract_of.get(resource_id) in self.situation.given_up

    async def _drop_unwanted(
        self, plan: Plan, wants: Mapping[ResourceId, Wanted], at: datetime
    ) -> None:
        """Release what a new plan no longer wants and what would not end by itself by then.

        Who opted out is let go whenever the hold ends, again and again until it is done.
        """
        i = plan.grid.index(at)
        boundary = plan.grid.at(i) if 0 <= i < plan.grid.count else at
        soon = boundary + self.config.dispatch.release_stagger + timedelta(minutes=1)
        out = self.situation.opted_out(self.clock.now())
        drop = [
            r for r, s in self.executor.obeys.items()
            if r not in wants and (s.until > soon or r in out)
        ]  # fmt: skip
        if drop:
            self.situation.take_receipts(await self.executor.release(drop))

    def _must_write(self, want: Wanted) -> bool:
        profile = self.config.profiles[self.config.fleet[want.resource_id].profile]
        return differs(want, self.executor.obeys.get(want.resource_id), profile.deadband_kw)

    async def _freeze(self, plan: Plan, i: int, now: datetime) -> None:
        """A site's operating forecast is corrected one last time before its first call."""
        for commitment in plan.commitments:
            if 0 <= i < plan.grid.count and commitment.kw.values[i] > 0:
                for r in commitment.resource_ids:
                    series = self.operating.freeze(r, self.readings, now)
                    if series is not None:
                        await self.journal.save_forecast(ZoneId(r), as_forecast(series, now))

    async def _take(self, receipts: list[Receipt]) -> str | None:
        bad = self.situation.take_receipts(receipts)
        sites = [r for r in bad if not self._is_home(r.resource_id)]
        homes = [r for r in bad if self._is_home(r.resource_id)]
        for receipt in homes:
            self.situation.lost[receipt.resource_id] = receipt.outcome
        for receipt in sites:
            await self._fail_site(receipt.resource_id, f"{receipt.outcome}: {receipt.detail}")
        reasons = [f"{r.resource_id} {r.outcome}" for r in sites]
        if len(homes) > 5:
            reasons.append(f"{len(homes)} homes did not take their command")
            await self._note("fault", reasons[-1])
        return ", ".join(reasons) or None

    async def _fail_site(self, resource_id: ResourceId, reason: str) -> None:
        contract_id = self.config.contract_of.get(resource_id)
        if contract_id is not None and not self._is_home(resource_id):
            await self.give_up(contract_id, reason)

    async def give_up(self, contract_id: ContractId, reason: str) -> None:
        """Count on this contract no more today; durable, so that a restart knows it too."""
        if await give_up(self.situation, self.journal, self.clock.now(), contract_id, reason):
            await self._note("fault", f"{contract_id}: {reason}")

    async def _note(self, kind: str, text: str) -> None:
        await note(self.situation, self.journal, self.clock.now(), kind, text)

    def _offsets(self, plan: Plan) -> dict[int, timedelta]:
        """Each home's own release offset of the day."""
        day = plan.grid.start.astimezone(ZoneInfo(self.config.area.timezone)).date()
        stagger, resources = self.config.dispatch.release_stagger, self.config.fleet.resources
        members = {m for a in plan.assignments for m in a.members}
        return {m: _offset(resources[m].id, day, stagger) for m in members}

    def _is_home(self, resource_id: ResourceId) -> bool:
        return self.config.fleet[resource_id].kind in APPLIANCE_KINDS


def _offset(home: ResourceId, day: date, stagger: timedelta) -> timedelta:
    """Spread evenly over the stagger, another each day, the same after a restart.

    A function of the name and not a draw: a restarted controller that drew anew would write
    every held home again only to move its end.
    """
    share = crc32(f"{day} {home}".encode()) / 2**32
    return timedelta(seconds=round(share * stagger.total_seconds()))
