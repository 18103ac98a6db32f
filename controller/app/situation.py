"""What the controller knows now: folds over the journal, rebuilt whole after a restart.

One event day is in hand at a time (`controller.events.event_days`): its plan is in force, its
notices are out, its failures count. The next is taken in hand when nothing of it is open any
more; what settlement needs of an earlier one is kept in `played`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from controller.events import CLOSED, EventDay, event_days, timeline
from controller.model.commands import Outcome, Override, Receipt
from controller.model.contracts import ContractUse
from controller.model.events import Answer, DREvent, Notice, Offer, Timeline
from controller.model.ids import ContractId, EventId, PlanId, ResourceId
from controller.model.plans import Plan
from controller.model.resources import APPLIANCE_KINDS
from controller.model.settings import Config
from controller.model.time import Series

GAVE_UP = "gave up"
"""Audit action: a contract is not called again today; the subject is its id."""
LATENCY = "latency"
"""Audit action: real seconds from the last event's coming in, as JSON."""
NOTE = "note:"
"""Audit actions that begin so are happenings; the kind follows."""
STOPPED = "stop"
RESUMED = "resume"
"""Audit actions: an emergency stop, and its end."""
TURNED = "event day"
"""Audit action: an event day was taken in hand; the text is one of its events."""
PLAN_AHEAD = timedelta(hours=36)
"""A day is taken in hand no earlier: what is known of weather and load ends there."""
KEEP_DAYS = 14
"""So many earlier event days can be settled without reading the journal again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """Something an operator wants to read afterwards, in order of time."""

    at: datetime
    kind: str
    """event · plan · fault · replaced · opt_out · notice · answer · release · stop"""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What settlement needs of an event day: its last plan, who took a command, who was told."""

    plan: Plan
    """As it was made, whatever the configuration is now."""
    took: frozenset[ResourceId]
    told_at: Mapping[ContractId, datetime] = field(default_factory=dict)
    """When each told contract first learnt of its call."""


@dataclass(kw_only=True)
class Situation:
    """Events, and of the day in hand: plans, answers, failures, commands."""

    config: Config
    events: dict[EventId, DREvent] = field(default_factory=dict)
    """All there ever were."""
    in_hand: set[EventId] = field(default_factory=set)
    """The events of the day in hand, cancelled ones included."""
    plans: list[Plan] = field(default_factory=list)
    """As they can be followed now, in the indexes of this configuration's fleet."""
    as_made: dict[PlanId, Plan] = field(default_factory=dict)
    """Those of them that were made under another configuration, as they were."""
    notices: dict[str, Notice] = field(default_factory=dict)
    offers: dict[str, Offer] = field(default_factory=dict)
    given_up: dict[ContractId, str] = field(default_factory=dict)
    lost: dict[ResourceId, str] = field(default_factory=dict)
    """Homes that refused or could not be reached: left out of cohorts."""
    outcomes: dict[ResourceId, Outcome] = field(default_factory=dict)
    """The last outcome of each commanded resource."""
    took: set[ResourceId] = field(default_factory=set)
    """Resources that ever took a command of this day."""
    released: set[ResourceId] = field(default_factory=set)
    happenings: list[Happening] = field(default_factory=list)
    latency: dict[str, float] = field(default_factory=dict)
    """Real seconds from the last event's coming in to its first command and last receipt."""

    overrides: dict[ResourceId, Override] = field(default_factory=dict)
    """Whatever the day."""
    stopped: str | None = None
    """The reason of an emergency stop that nobody has lifted."""
    played: list[Played] = field(default_factory=list)
    calls: Counter[int] = field(default_factory=Counter)
    """Fleet index → times called on earlier days, for rotation and the season's limit."""
    used: dict[ContractId, ContractUse] = field(default_factory=dict)
    """Budgets spent on earlier days."""

    @property
    def plan(self) -> Plan | None:
        """The plan in force."""
        return self.plans[-1] if self.plans else None

    @property
    def first_plan(self) -> Plan | None:
        """The day-ahead plan."""
        return self.plans[0] if self.plans else None

    def days(self) -> tuple[EventDay, ...]:
        """Every event day, in order of time."""
        return event_days(self.events.values(), self.config.area.timezone)

    @property
    def today(self) -> EventDay:
        """The event day in hand; events that join it later included."""
        return next((d for d in self.days() if any(e.id in self.in_hand for e in d)), ())

    def turn(self, now: datetime) -> bool:
        """Take the next event day in hand if nothing of this one is open; True if it changed.

        Devices that were not yet read back as free stay owed, whatever day commanded them.
        """
        if self.open_events():
            self.in_hand |= {e.id for e in self.today}
            return False
        coming = next((d for d in self.days() if _may_begin(d, now)), None)
        if coming is None or any(e.id in self.in_hand for e in coming):
            self.in_hand |= {e.id for e in coming or ()}
            return False
        self._put_away()
        self.take_in_hand(coming)
        return True

    def take_in_hand(self, day: EventDay) -> None:
        """From now on this is today; of what happened, what came after yesterday's end stays."""
        if ended := [e.span.end for e in self.today]:
            self.happenings = [h for h in self.happenings if h.at >= max(ended)]
        self.in_hand = {e.id for e in day}
        self.given_up.clear()

    def timeline(self) -> Timeline | None:
        """Who rules when on the day in hand; None when nothing is asked."""
        return timeline(self.today)

    def open_events(self) -> list[DREvent]:
        """Events of the day in hand that can still be commanded for."""
        return [e for e in self.today if e.status not in CLOSED]

    def owed(self) -> set[ResourceId]:
        """Everyone who was commanded and not yet given back, or not yet seen to be free."""
        return set(self.outcomes) - self.released

    def barred(self, now: datetime) -> dict[ResourceId, str]:
        """Resources that must not be commanded, and why."""
        return dict(self.lost) | self.opted_out(now)

    def opted_out(self, now: datetime) -> dict[ResourceId, str]:
        """Resources of the fleet whose customers have taken them back."""
        return {
            r: f"opted out ({o.source})"
            for r, o in self.overrides.items()
            if (o.until is None or o.until > now) and r in self.config.fleet.index_of
        }

    def excluded(self, now: datetime) -> dict[ContractId, str]:
        """Contracts a plan may not call: protected, opted out, given up today, or no answer."""
        barred = self.barred(now)
        out: dict[ContractId, str] = {}
        for contract in self.config.contracts.values():
            resources = self.config.resources_of(contract)
            if any(r.kind in APPLIANCE_KINDS for r in resources):
                continue
            if any(r.protected for r in resources):
                out[contract.id] = "protected load, never called"
            for r in resources:
                if r.id in barred:
                    out[contract.id] = barred[r.id]
        return out | self.given_up

    def locked(self) -> dict[ContractId, Series]:
        """What told contracts promised: their newest accepted offer, no choice any more."""
        out: dict[ContractId, Series] = {}
        for offer in sorted(self.offers.values(), key=lambda o: o.answered_at):
            if offer.answer in (Answer.ACCEPT, Answer.PART):
                out[offer.contract_id] = offer.kw
        return {c: kw for c, kw in out.items() if c not in self.given_up}

    def use(self) -> Mapping[ContractId, ContractUse]:
        """Budgets spent before the day in hand; today's runs are in its plan."""
        return {c: self.used.get(c, ContractUse(contract_id=c)) for c in self.config.contracts}

    def of_day(self, day: EventDay) -> Played | None:
        """Plan and takers of an event day; None where it was never planned."""
        ids = {e.id for e in day}
        if ids & self.in_hand:
            plan = self.plan
            return None if plan is None else self._played(plan)
        return next((p for p in reversed(self.played) if ids & ruled(p.plan)), None)

    def take_receipts(self, receipts: Iterable[Receipt]) -> list[Receipt]:
        """Fold receipts in; returns those that mean a resource is not to be counted on."""
        bad: list[Receipt] = []
        for receipt in receipts:
            if receipt.setpoint_id is None:
                if receipt.outcome is Outcome.APPLIED:
                    self.released.add(receipt.resource_id)
                continue
            self.outcomes[receipt.resource_id] = receipt.outcome
            self.released.discard(receipt.resource_id)
            if receipt.outcome in (Outcome.APPLIED, Outcome.LATE):
                self.took.add(receipt.resource_id)
            if receipt.outcome in (Outcome.REFUSED, Outcome.UNREACHABLE, Outcome.OVERRIDDEN):
                bad.append(receipt)
        return bad

    def note(self, at: datetime, kind: str, text: str) -> None:
        self.happenings.append(Happening(at=at, kind=kind, text=text))

    def _put_away(self) -> None:
        if self.plan is not None:
            self.remember(self._played(self.plan), self.plan)
        owed = self.owed()
        self.outcomes = {r: o for r, o in self.outcomes.items() if r in owed}
        self.plans.clear()
        self.as_made.clear()
        self.notices.clear()
        self.offers.clear()
        self.lost.clear()
        self.took.clear()
        self.released.clear()

    def _played(self, plan: Plan) -> Played:
        told_at = first_told(self.notices.values(), self.in_hand)
        made = self.as_made.get(plan.id, plan)
        return Played(plan=made, took=frozenset(self.took), told_at=told_at)

    def remember(self, played: Played, plan: Plan) -> None:
        """Keep an earlier day for its settlement, and what it used up of everyone's limits.

        `plan` is the one played, in the indexes of this configuration's fleet.
        """
        self.played = [*self.played, played][-KEEP_DAYS:]
        self.calls.update(m for a in plan.assignments for m in a.members)
        for commitment in plan.commitments:
            on = commitment.kw.values > 0
            before = self.used.get(commitment.contract_id) or ContractUse(
                contract_id=commitment.contract_id
            )
            self.used[commitment.contract_id] = ContractUse(
                contract_id=commitment.contract_id,
                calls_season=before.calls_season
                + int(np.count_nonzero(np.diff(on.astype(int), prepend=0) > 0)),
                hours_year=before.hours_year + float(on.sum()) * plan.grid.step_h,
            )


def first_told(notices: Iterable[Notice], ids: Set[EventId]) -> dict[ContractId, datetime]:
    """When each told contract first learnt of a call for one of these events."""
    told: dict[ContractId, datetime] = {}
    for notice in sorted(notices, key=lambda n: n.sent_at):
        if notice.event_id in ids:
            told.setdefault(notice.contract_id, notice.sent_at)
    return told


def ruled(plan: Plan) -> set[EventId]:
    """The events that a plan is for."""
    return {e for e in plan.ruling if e is not None} | {plan.event_id}


def _may_begin(day: EventDay, now: datetime) -> bool:
    waiting = any(e.status not in CLOSED for e in day)
    return waiting and min(e.span.start for e in day) - now <= PLAN_AHEAD


def is_stand_down(notice: Notice) -> bool:
    """A notice of nothing takes back an earlier one; nobody has to answer it."""
    return not bool(np.any(notice.kw.values > 0))
