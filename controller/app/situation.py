"""What the controller knows now: folds over the journal, rebuilt whole after a restart."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from controller.events import OVER, timeline
from controller.model.commands import Outcome, Override, Receipt
from controller.model.contracts import ContractUse
from controller.model.events import Answer, DREvent, EventStatus, Notice, Offer, Timeline
from controller.model.ids import ContractId, EventId, ResourceId
from controller.model.plans import Plan
from controller.model.resources import APPLIANCE_KINDS
from controller.model.settings import Config
from controller.model.time import Series
from controller.ports import Journal

GAVE_UP = "gave up"
"""Audit action: a contract is not called again today; the subject is its id."""
LATENCY = "latency"
"""Audit action: real seconds from the last event's coming in, as JSON."""
NOTE = "note:"
"""Audit actions that begin so are happenings; the kind follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """Something an operator wants to read afterwards, in order of time."""

    at: datetime
    kind: str
    """event · plan · fault · replaced · opt_out · notice · answer · release · stop"""
    text: str


@dataclass(kw_only=True)
class Situation:
    """Events, plans, answers, opt-outs and failures of the running controller."""

    config: Config
    events: dict[EventId, DREvent] = field(default_factory=dict)
    plans: list[Plan] = field(default_factory=list)
    notices: dict[str, Notice] = field(default_factory=dict)
    offers: dict[str, Offer] = field(default_factory=dict)
    overrides: dict[ResourceId, Override] = field(default_factory=dict)
    given_up: dict[ContractId, str] = field(default_factory=dict)
    lost: dict[ResourceId, str] = field(default_factory=dict)
    """Homes that refused or could not be reached: left out of cohorts."""
    outcomes: dict[ResourceId, Outcome] = field(default_factory=dict)
    """The last outcome of each commanded resource."""
    released: set[ResourceId] = field(default_factory=set)
    calls: Counter[int] = field(default_factory=Counter)
    """Fleet index → times called, for rotation."""
    happenings: list[Happening] = field(default_factory=list)
    latency: dict[str, float] = field(default_factory=dict)
    """Real seconds from the last event's coming in to its first command and last receipt."""

    @property
    def plan(self) -> Plan | None:
        """The plan in force."""
        return self.plans[-1] if self.plans else None

    @property
    def first_plan(self) -> Plan | None:
        """The day-ahead plan."""
        return self.plans[0] if self.plans else None

    def timeline(self) -> Timeline | None:
        """Who rules when, over every event of the day that is not cancelled."""
        return timeline(self.events.values())

    def open_events(self) -> list[DREvent]:
        """Events that can still be commanded for."""
        closed = OVER | {EventStatus.DRAFT, EventStatus.CANCELLED}
        return [e for e in self.events.values() if e.status not in closed]

    def barred(self, now: datetime) -> dict[ResourceId, str]:
        """Resources that must not be commanded, and why."""
        out = dict(self.lost)
        out |= {
            r: f"opted out ({o.source})"
            for r, o in self.overrides.items()
            if o.until is None or o.until > now
        }
        return out

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
        """Budgets spent before today (the journal's earlier events); today's runs are planned."""
        return {c: ContractUse(contract_id=c) for c in self.config.contracts}

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
            if receipt.outcome in (Outcome.REFUSED, Outcome.UNREACHABLE, Outcome.OVERRIDDEN):
                bad.append(receipt)
        return bad

    def note(self, at: datetime, kind: str, text: str) -> None:
        self.happenings.append(Happening(at=at, kind=kind, text=text))


async def load_situation(config: Config, journal: Journal) -> Situation:
    """Rebuild the situation from the journal: nothing else remembers anything."""
    situation = Situation(config=config)
    situation.events = {e.id: e for e in await journal.events()}
    situation.plans = list(await journal.plans())
    situation.notices = {n.id: n for n in await journal.notices()}
    situation.offers = {o.notice_id: o for o in await journal.offers()}
    situation.overrides = {o.resource_id: o for o in await journal.overrides()}
    for command in await journal.commands():
        if command.outcome is not None:
            situation.outcomes[command.setpoint.resource_id] = command.outcome
    situation.released = {
        r.resource_id for r in await journal.releases() if r.outcome is Outcome.APPLIED
    }
    for at, _actor, action, subject, text in await journal.audit_log():
        if action == GAVE_UP:
            situation.given_up[ContractId(subject)] = text
        elif action == LATENCY:
            situation.latency = json.loads(text)
        elif action.startswith(NOTE):
            situation.note(at, action.removeprefix(NOTE), text)
    _recall_homes(situation)
    return situation


def _recall_homes(situation: Situation) -> None:
    fleet = situation.config.fleet
    bad = (Outcome.REFUSED, Outcome.UNREACHABLE)
    for resource_id, outcome in situation.outcomes.items():
        if fleet[resource_id].kind in APPLIANCE_KINDS and outcome in bad:
            situation.lost[resource_id] = outcome
    if situation.plan is not None:
        situation.calls.update(m for a in situation.plan.assignments for m in a.members)
