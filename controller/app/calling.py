"""What leaves for the devices when, and what their receipts mean."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from time import monotonic
from zlib import crc32
from zoneinfo import ZoneInfo

from controller.app.operating import Operating, as_forecast
from controller.app.situation import GAVE_UP, LATENCY, NOTE, Situation
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
    offsets: dict[int, timedelta] = field(default_factory=dict)
    _asked_s: float | None = None
    _done: tuple[int, int] = (-1, -1)

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
        if self._done == (plan.revision, i) or self.executor.stopped is not None:
            return None
        self._done = (plan.revision, i)
        self.executor.forget_ended()
        await self._freeze(plan, i, now)
        wants = self._wants(plan, soon)
        await self._drop_unwanted(plan, wants, soon)
        due = [w for w in wants.values() if self._must_write(w)]
        passed, refused = admit(
            due,
            self.config.fleet,
            self.readings.latest_kw([w.resource_id for w in due]),
            self.situation.barred(now),
        )
        for refusal in refused:
            await self._fail_site(refusal.resource_id, refusal.reason)
        return await self._take(await self._send(passed, plan))

    async def _send(self, wants: Sequence[Wanted], plan: Plan) -> list[Receipt]:
        asked_s = self._asked_s
        if not wants or asked_s is None:
            return await self.executor.send(wants, plan.revision)
        self._asked_s = None
        first_s = monotonic() - asked_s
        receipts = await self.executor.send(wants, plan.revision)
        self.situation.latency = {
            "event_to_first_command_s": round(first_s, 3),
            "all_acked_s": round(monotonic() - asked_s, 3),
        }
        await self._audit(LATENCY, json.dumps(self.situation.latency))
        return receipts

    async def give_back(self) -> bool:
        """Read every device back that was ever held; release those still held; True if all free.

        Devices free themselves at `until`: this is the proof, and the remedy for those that
        did not.
        """
        commanded = set(self.situation.outcomes) - self.situation.released
        states = await self.executor.read_back(commanded)
        now = self.clock.now()
        held = [r for r, s in states.items() if s.mode is Mode.HELD]
        free = [r for r, s in states.items() if s.mode in (Mode.FREE, Mode.OVERRIDDEN)]
        receipts = [
            Receipt(setpoint_id=None, resource_id=r, at=now, outcome=Outcome.APPLIED,
                    detail="read back as free")
            for r in free
        ]  # fmt: skip
        await self.journal.end_sending(receipts, self.executor.fence)
        self.situation.take_receipts(receipts)
        if held:
            self.situation.take_receipts(await self.executor.release(held))
        return len(free) == len(commanded)

    async def release_all(self) -> list[Receipt]:
        """Emergency stop: every device that obeys us is let go now."""
        receipts = await self.executor.release(list(self.executor.obeys))
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
        return {r: w for r, w in out.items() if not self._given_up(r)}

    def _given_up(self, resource_id: ResourceId) -> bool:
        """A plan's running interval may still name who has failed since it was made."""
        return self.config.contract_of.get(resource_id) in self.situation.given_up

    async def _drop_unwanted(
        self, plan: Plan, wants: Mapping[ResourceId, Wanted], at: datetime
    ) -> None:
        """Release what a new plan no longer wants and what would not end by itself by then."""
        boundary = plan.grid.at(max(0, plan.grid.index(at)))
        slack = self.config.dispatch.release_stagger + timedelta(minutes=1)
        drop = [
            r
            for r, s in self.executor.obeys.items()
            if r not in wants and s.until > boundary + slack
        ]
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
        for receipt in receipts:
            if receipt.outcome is Outcome.APPLIED and self._is_home(receipt.resource_id):
                self.situation.calls[self.config.fleet.index_of[receipt.resource_id]] += 1
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
        if contract_id not in self.situation.given_up:
            now = self.clock.now()
            self.situation.given_up[contract_id] = reason
            await self.journal.audit(now, "controller", GAVE_UP, contract_id, reason)
            await self._note("fault", f"{contract_id}: {reason}")

    async def _note(self, kind: str, text: str) -> None:
        """Keep a happening for the report; durable."""
        self.situation.note(self.clock.now(), kind, text)
        await self._audit(f"{NOTE}{kind}", text)

    async def _audit(self, action: str, text: str) -> None:
        now = self.clock.now()
        await self.journal.audit(now, "controller", action, self.config.area.id, text)

    def _offsets(self, plan: Plan) -> dict[int, timedelta]:
        """Each home's own release offset of the day."""
        day = plan.grid.start.astimezone(ZoneInfo(self.config.area.timezone)).date()
        for assignment in plan.assignments:
            for m in assignment.members:
                if m not in self.offsets:
                    home = self.config.fleet.resources[m].id
                    self.offsets[m] = _offset(home, day, self.config.dispatch.release_stagger)
        return self.offsets

    def _is_home(self, resource_id: ResourceId) -> bool:
        return self.config.fleet[resource_id].kind in APPLIANCE_KINDS


def _offset(home: ResourceId, day: date, stagger: timedelta) -> timedelta:
    """Spread evenly over the stagger, another each day, the same after a restart.

    A function of the name and not a draw: a restarted controller that drew anew would write
    every held home again only to move its end.
    """
    share = crc32(f"{day} {home}".encode()) / 2**32
    return timedelta(seconds=round(share * stagger.total_seconds()))
