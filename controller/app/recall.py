"""The situation rebuilt from the journal after a start: nothing else remembers anything."""

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
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
from controller.app.versions import Versions
from controller.dispatch.restore import NEVER_LEFT
from controller.errors import StoreError
from controller.events import EventDay
from controller.model.commands import Outcome
from controller.model.events import Notice
from controller.model.ids import ContractId, EventId, ResourceId
from controller.model.plans import Plan
from controller.model.resources import APPLIANCE_KINDS, Resource
from controller.model.settings import Config
from controller.ports import Command, Journal

log = logging.getLogger("peakshare")
_GOOD = (Outcome.APPLIED, Outcome.LATE)


async def load_situation(
    config: Config, journal: Journal, versions: Versions | None = None
) -> Situation:
    """Rebuild the situation: the day that was in hand, and what earlier ones left behind.

    What the journal says of resources and contracts that the configuration does not know any
    more is left out of what is steered by, and kept for settlement. Without `versions` every plan
    is taken for one of this configuration.
    """
    situation = Situation(config=config)
    situation.events = {e.id: e for e in await journal.events()}
    situation.overrides = {o.resource_id: o for o in await journal.overrides()}
    _fold_audit(situation, await journal.audit_log())
    left = [c for c in await journal.commands() if _left(c)]
    commands = [c for c in left if c.setpoint.resource_id in config.fleet.index_of]
    told = await journal.notices()
    plans = [(p, await _here(p, config, versions)) for p in await journal.plans()]
    _fold_plans(situation, plans, left, told)
    notices = [n for n in told if n.contract_id in config.contracts]
    situation.notices = {n.id: n for n in notices if n.event_id in situation.in_hand}
    offers = await journal.offers()
    situation.offers = {o.notice_id: o for o in offers if o.notice_id in situation.notices}
    situation.took = set(_took(left, situation.in_hand))
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
    plans: Iterable[tuple[Plan, Plan]],
    commands: Sequence[Command],
    notices: Sequence[Notice],
) -> None:
    """Plans of the day in hand; of every earlier day its last, with who took a command in it.

    Each as it was made, and as it is followed here.
    """
    last: dict[EventDay, tuple[Plan, Plan]] = {}
    days = situation.days()
    for made, here in plans:
        if ruled(made) & situation.in_hand:
            situation.plans.append(here)
            if here is not made:
                situation.as_made[made.id] = made
            continue
        day = next((d for d in days if ruled(made) & {e.id for e in d}), None)
        if day is not None:
            last[day] = made, here
    for day in days:
        if day in last:
            ids = {e.id for e in day}
            made, here = last[day]
            played = Played(plan=made, took=_took(commands, ids), told_at=first_told(notices, ids))
            situation.remember(played, here)


async def _here(plan: Plan, config: Config, versions: Versions | None) -> Plan:
    if versions is None or plan.config_hash in ("", config.hash):
        return plan
    try:
        before = (await versions.of(plan.config_hash)).fleet.resources
    except StoreError as error:  # an old version that nobody can read must not stop a start
        log.error("the homes of plan %s are not known: %s", plan.id, error.message)
        before = ()
    return carried_over(plan, before, config)


def carried_over(plan: Plan, before: Sequence[Resource], config: Config) -> Plan:
    """A plan over the resources `before`, in the indexes of `config`'s fleet.

    Contracts and members that are not there any more are left out.
    """
    moved = {i: config.fleet.index_of.get(r.id) for i, r in enumerate(before)}

    def members(old: Iterable[int]) -> tuple[int, ...]:
        return tuple(new for m in old if (new := moved.get(m)) is not None)

    return replace(
        plan,
        commitments=tuple(
            c for c in plan.commitments
            if c.contract_id in config.contracts
            and all(r in config.fleet.index_of for r in c.resource_ids)
        ),
        cohorts=tuple(replace(c, members=members(c.members)) for c in plan.cohorts),
        assignments=tuple(
            replace(a, members=kept) for a in plan.assignments
            if a.contract_id in config.contracts and (kept := members(a.members))
        ),
    )  # fmt: skip


def _took(commands: Iterable[Command], ids: set[EventId]) -> frozenset[ResourceId]:
    return frozenset(
        c.setpoint.resource_id for c in commands
        if c.setpoint.event_id in ids and c.outcome in _GOOD
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
            if outcome in _GOOD:
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
