"""The situation rebuilt from the journal after a start: nothing else remembers anything."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime

from controller.app.situation import (
    GAVE_UP,
    LATENCY,
    NOTE,
    RESUMED,
    STOPPED,
    TURNED,
    Played,
    Situation,
    first_told,
    ruled,
)
from controller.dispatch.restore import NEVER_LEFT
from controller.events import EventDay
from controller.model.commands import Outcome
from controller.model.events import Notice
from controller.model.ids import ContractId, EventId, ResourceId
from controller.model.plans import Plan
from controller.model.resources import APPLIANCE_KINDS
from controller.model.settings import Config
from controller.ports import Command, Journal


async def load_situation(config: Config, journal: Journal) -> Situation:
    """Rebuild the situation: the day that was in hand, and what earlier ones left behind.

    What the journal says of resources and contracts that the configuration does not know any
    more is left out.
    """
    situation = Situation(config=config)
    situation.events = {e.id: e for e in await journal.events()}
    situation.overrides = {o.resource_id: o for o in await journal.overrides()}
    _fold_audit(situation, await journal.audit_log())
    commands = [
        c for c in await journal.commands()
        if c.setpoint.resource_id in config.fleet.index_of and _left(c)
    ]  # fmt: skip
    notices = [n for n in await journal.notices() if n.contract_id in config.contracts]
    _fold_plans(situation, await journal.plans(), commands, notices)
    situation.notices = {n.id: n for n in notices if n.event_id in situation.in_hand}
    offers = await journal.offers()
    situation.offers = {o.notice_id: o for o in offers if o.notice_id in situation.notices}
    _fold_commands(situation, commands)
    _fold_releases(situation, commands, {
        r.resource_id: r.at for r in await journal.releases() if r.outcome is Outcome.APPLIED
    })  # fmt: skip
    return situation


def _fold_audit(situation: Situation, log: Sequence[tuple[datetime, str, str, str, str]]) -> None:
    """Stops, the day in hand, and since it was taken: failures and happenings."""
    days = {e.id: day for day in situation.days() for e in day}
    for at, _actor, action, subject, text in log:
        if action == TURNED:
            situation.take_in_hand(days.get(EventId(text), ()))
            situation.in_hand.add(EventId(text))
        elif action == STOPPED:
            situation.stopped = text
        elif action == RESUMED:
            situation.stopped = None
        elif action == GAVE_UP and subject in situation.config.contracts:
            situation.given_up[ContractId(subject)] = text
        elif action == LATENCY:
            situation.latency = json.loads(text)
        elif action.startswith(NOTE):
            situation.note(at, action.removeprefix(NOTE), text)


def _fold_plans(
    situation: Situation,
    plans: Sequence[Plan],
    commands: Sequence[Command],
    notices: Sequence[Notice],
) -> None:
    """Plans of the day in hand; of every earlier day its last, with who took a command in it."""
    last: dict[EventDay, Plan] = {}
    days = situation.days()
    for plan in plans:
        if ruled(plan) & situation.in_hand:
            situation.plans.append(plan)
            continue
        day = next((d for d in days if ruled(plan) & {e.id for e in d}), None)
        if day is not None:
            last[day] = plan
    for day in days:
        if day in last:
            ids = {e.id for e in day}
            situation.remember(Played(
                plan=last[day], took=_took(commands, ids), told_at=first_told(notices, ids)
            ))  # fmt: skip


def _took(commands: Iterable[Command], ids: set[EventId]) -> frozenset[ResourceId]:
    good = (Outcome.APPLIED, Outcome.LATE)
    return frozenset(
        c.setpoint.resource_id for c in commands
        if c.setpoint.event_id in ids and c.outcome in good
    )  # fmt: skip


def _fold_commands(situation: Situation, commands: Iterable[Command]) -> None:
    """Last outcomes: of the day in hand, and of whoever was commanded before and is still owed."""
    fleet = situation.config.fleet
    bad = (Outcome.REFUSED, Outcome.UNREACHABLE)
    for command in commands:
        r, outcome = command.setpoint.resource_id, command.outcome
        if outcome is None:
            continue
        situation.outcomes[r] = outcome
        if command.setpoint.event_id in situation.in_hand:
            if outcome in (Outcome.APPLIED, Outcome.LATE):
                situation.took.add(r)
                situation.lost.pop(r, None)
            elif outcome in bad and fleet[r].kind in APPLIANCE_KINDS:
                situation.lost[r] = outcome


def _fold_releases(
    situation: Situation, commands: Iterable[Command], freed: dict[ResourceId, datetime]
) -> None:
    """A release counts only if no command came after it; who is owed nothing from before goes."""
    last = {c.setpoint.resource_id: c for c in commands if c.outcome is not None}
    for r, command in last.items():
        if r in freed and freed[r] > command.at:
            if command.setpoint.event_id in situation.in_hand:
                situation.released.add(r)
            else:
                del situation.outcomes[r]


def _left(command: Command) -> bool:
    """Whether a command may ever have reached its device."""
    return not (command.outcome is Outcome.LATE and command.detail == NEVER_LEFT)
