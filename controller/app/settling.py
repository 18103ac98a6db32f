"""The verb settle: ended event days to the ledger, reconciled by an independent recomputation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from controller.app.day_after import ENDED, UNSETTLED, Day
from controller.app.statements import day_statements, under_same_terms
from controller.errors import TooEarlyError
from controller.model.events import EventStatus
from controller.model.money import POINTS, Transfer
from controller.settle.reconcile import reconcile

if TYPE_CHECKING:
    from datetime import datetime

    from controller.app.controller import Controller


async def settle(controller: Controller, actor: str) -> dict[str, Any]:
    """Settle every event that has ended; settling again posts nothing new.

    Day by day: those not settled yet, and the last one again. A day whose meters are not there
    yet waits; TooEarlyError if that is so of all of them.
    """
    ended = [d for d in controller.situation.days() if any(e.status in ENDED for e in d)]
    due = [d for d in ended if d is ended[-1] or any(e.status in UNSETTLED for e in d)]
    if not due:
        return {"events": 0, "posted": 0}
    settled, waiting = [], []
    for events in due:
        try:
            settled.append(await controller.day_after.settled(events))
        except TooEarlyError as error:
            waiting.append(error)
    if not settled:
        raise waiting[0]
    posted = sum([await _post(controller, day, actor) for day in settled])
    journal, now = controller.services.journal, controller.clock.now()
    await journal.audit(now, actor, "settle", controller.config.area.id, f"{posted} transfers")
    sums = [await totals(controller, day) for day in settled]
    return {
        "events": sum(len(day.settlements) for day in settled),
        "posted": posted,
        "waiting": [error.message for error in waiting],
        **{key: _sum(key, sums) for key in sums[0]},
    }


async def _post(controller: Controller, day: Day, actor: str) -> int:
    """Keep and post a day's settlements; how many transfers were new."""
    journal, posted = controller.services.journal, 0
    for settlement in day.settlements:
        await journal.save_settlement(
            settlement.event_id, settlement.version, settlement.baselines, settlement.performances
        )
        posted += await journal.post(settlement.transfers, controller.clock.now())
        event = controller.situation.events[settlement.event_id]
        if event.status in UNSETTLED:
            await controller.steering.set_status(
                event, EventStatus.SETTLED, "settled from its meters", actor
            )
    return posted


def _sum(key: str, rows: list[dict[str, Any]]) -> Any:
    """Over days; the ledger is one, and its length does not add up."""
    if key == "transfers":
        return rows[-1][key]
    total = rows[0][key]
    for row in rows[1:]:
        total = total + row[key]
    return total


async def totals(controller: Controller, day: Day) -> dict[str, Any]:
    """Rebate, points, customers and the independent recomputation's disagreements."""
    transfers = await controller.services.journal.transfers()
    work = controller.services.threads.submit(reconciled, day, transfers, controller.clock.now())
    disagreements = await controller.clock.offload(work)
    paid = [t for s in day.settlements for t in s.transfers]
    sign = {"penalty": -1}
    return {
        "rebate_fen": sum(
            sign.get(t.component, 1) * t.amount_minor for t in paid if t.currency != POINTS
        ),
        "points": sum(t.amount_minor for t in paid if t.currency == POINTS),
        "customers": len({c for s in day.settlements for c in s.lines}),
        "transfers": len(transfers),
        "unreconciled": len(disagreements),
        "disagreements": list(disagreements[:20]),
    }


def reconciled(day: Day, transfers: Sequence[Transfer], now: datetime) -> tuple[str, ...]:
    """What an independent recomputation finds different, over every settlement of the day."""
    found: list[str] = []
    for terms, settlements in under_same_terms(day):
        found += reconcile(
            settlements,
            transfers,
            contracts=terms.contracts,
            programs=terms.programs,
            meters=terms.meters,
            statements=day_statements(terms, settlements, now),
            metered=day.metered,
        )
    return tuple(found)
