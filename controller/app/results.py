"""What is shown: the state now, a plan in words, and the result of a day as data."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np

from controller.app import settling
from controller.app.reporting import report_section
from controller.errors import TooEarlyError
from controller.evaluate.result import event_result
from controller.evaluate.scorecard import score_intervals, scorecard
from controller.events import superseded_in, timeline
from controller.model.commands import Mode, Outcome, Receipt
from controller.model.events import DREvent
from controller.model.money import Transfer
from controller.model.plans import Plan
from controller.model.time import Series
from controller.plan.explain import summary
from controller.ports import Command, EventLogEntry

if TYPE_CHECKING:
    from controller.app.controller import Controller
    from controller.app.day_after import Day

log = logging.getLogger("peakshare")


class Planned(TypedDict):
    """What a scorecard says of the plans behind an event."""

    replans: int
    gap_frac: float | None


def event_row(event: DREvent) -> dict[str, Any]:
    """One event as a row."""
    return {
        "id": event.id,
        "source": event.source,
        "source_id": event.source_id,
        "program_id": event.program_id,
        "status": event.status,
        "priority": event.priority,
        "emergency": event.emergency,
        "start": event.span.start.isoformat(),
        "end": event.span.end.isoformat(),
        "notified_at": event.notified_at.isoformat(),
        "peak_kw": float(event.target.values.max()),
        "target_kw": [float(v) for v in event.target.values],
    }


def event_page(event: DREvent, log: Sequence[EventLogEntry]) -> dict[str, Any]:
    """One event with its log."""
    rows = [[e.at.isoformat(), e.status, e.reason, e.actor] for e in log]
    return event_row(event) | {"log": rows}


def status(controller: Controller) -> dict[str, Any]:
    """The state now, small enough for one screen."""
    situation, now = controller.situation, controller.clock.now()
    line, plan_ = situation.timeline(), situation.plan
    seen = controller.steering.verifications
    last = seen[-1] if seen else None
    return {
        "now": now.isoformat(),
        "area": controller.config.area.name,
        "config": controller.config.hash[:12],
        "events": {e.id: e.status for e in situation.events.values()},
        "window": [line.grid.start.isoformat(), line.grid.end.isoformat()] if line else None,
        "plan_revision": plan_.revision if plan_ else None,
        "target_kw": float(line.target.value_at(now)) if line and now in line.grid.span else 0.0,
        "committed_kw": round(last.committed_kw, 1) if last else None,
        "delivered_kw": round(last.delivered_kw, 1) if last else None,
        "devices_held": len(controller.executor.obeys),
        "opted_out": len(situation.overrides),
        "given_up": dict(situation.given_up),
        "readings": controller.readings.received,
        "all_free": controller.steering.all_free,
        "stopped": controller.executor.stopped,
        "happenings": [[h.at.isoformat(), h.kind, h.text] for h in situation.happenings[-50:]],
    }


def plan(plan_: Plan | None) -> dict[str, Any]:
    """A plan, with a reason for everyone chosen or left."""
    if plan_ is None:
        return {"plan": None, "reasons": [], "lines": ["no plan yet"]}
    return {
        "plan": {
            "id": plan_.id,
            "revision": plan_.revision,
            "status": plan_.status,
            "start": plan_.grid.start.isoformat(),
            "target_kw": plan_.target_kw.values.tolist(),
            "expected_kw": plan_.expected_kw.values.tolist(),
            "shortfall_kw": plan_.shortfall_kw.values.tolist(),
            **_cost(plan_),
        },
        "reasons": [[r.of, r.chosen, r.code, r.text] for r in plan_.reasons],
        "lines": list(summary(plan_)),
    }


async def result(controller: Controller) -> dict[str, Any]:
    """The day as data: result.json without what only the simulators know."""
    situation, config = controller.situation, controller.config
    day: Day | None = None
    settlement: dict[str, Any] | None = None
    try:
        day = await controller.day_after.settled()
        settlement = await settling.totals(controller, day)
    except TooEarlyError as error:  # a day that is not over, or whose meters are still to come
        log.info("the day is not settled: %s", error.message)
    first, now = situation.first_plan, controller.clock.now()
    return {
        "forecast": _forecast(controller),
        "events": await _events(controller, day),
        "plan": _cost(first) if first else None,
        "devices": await _devices(controller),
        "settlement": settlement,
        "latency": controller.situation.latency,
        "reasons": [[r.of, r.chosen, r.code, r.text] for r in first.reasons] if first else [],
        "plans": len(situation.plans),
        "happenings": [[h.at.isoformat(), h.kind, h.text] for h in situation.happenings],
        "report": report_section(config, day, situation.happenings, now) if day else None,
    }


def _cost(plan_: Plan) -> dict[str, Any]:
    return {
        "cost_fen": plan_.cost_minor,
        "greedy_cost_fen": plan_.merit_order_cost_minor,
        "bound_fen": plan_.bound_minor,
        "gap_frac": plan_.gap_frac,
        "status": plan_.status,
        "solve_s": round(plan_.solve_s, 3),
    }


def _forecast(controller: Controller) -> dict[str, Any] | None:
    forecast = controller.day_ahead.forecast
    if forecast is None:
        return None
    at, kw = forecast.peak
    return {
        "peak_kw": round(kw, 1),
        "peak_at": at.isoformat(),
        "issued_at": forecast.made_at.isoformat(),
        "notes": list(forecast.notes),
        "quantiles": list(forecast.quantiles),
        "start": forecast.grid.start.isoformat(),
        "kw": [[round(float(v), 1) for v in row] for row in forecast.kw],
    }


async def _events(controller: Controller, day: Day | None) -> list[dict[str, Any]]:
    """The events of the day that is shown, each with its scorecard."""
    events = controller.day_after.shown()
    line, played = timeline(events), controller.situation.of_day(events)
    if line is None or played is None:
        return [event_row(e) | {"replans": 0, "intervals": []} for e in events]
    promised = [s.on(line.grid).values for s in played.plan.committed_kw().values()]
    committed = np.sum(promised, axis=0) if promised else np.zeros(line.grid.count)
    delivered = day.delivered_kw() if day else np.full(line.grid.count, np.nan)
    commands = await controller.services.journal.commands()
    rows: list[dict[str, Any]] = []
    for event in events:
        card = scorecard(
            event,
            score_intervals(
                event, line, superseded=superseded_in(event, line),
                committed_kw=Series(grid=line.grid, values=committed),
                delivered_kw=Series(grid=line.grid, values=delivered),
            ),
            transfers=_transfers(event, day),
            receipts=_receipts(event, commands),
            taken_back=controller.situation.overrides.keys(),
            **_planned(controller, event),
        )  # fmt: skip
        rows.append(event_row(event) | event_result(card))
    return rows


def _transfers(event: DREvent, day: Day | None) -> list[Transfer] | None:
    """None before the event is settled."""
    own = [s for s in day.settlements if s.event_id == event.id] if day else []
    return [t for s in own for t in s.transfers] if own else None


def _receipts(event: DREvent, commands: Sequence[Command]) -> list[Receipt]:
    return [
        Receipt(
            setpoint_id=c.setpoint.id, resource_id=c.setpoint.resource_id, at=c.at,
            outcome=c.outcome, detail=c.detail,
        )
        for c in commands
        if c.setpoint.event_id == event.id and c.outcome is not None
    ]  # fmt: skip


def _planned(controller: Controller, event: DREvent) -> Planned:
    """Plans that this event caused, after its first; and how good that one was."""
    plans = [p for p in controller.situation.plans if p.event_id == event.id]
    return {
        "replans": max(0, len(plans) - 1),
        "gap_frac": plans[0].gap_frac if plans else None,
    }


async def _devices(controller: Controller) -> dict[str, Any]:
    situation = controller.situation
    outcomes = situation.outcomes
    unreleased = set(outcomes) - situation.released
    states = await controller.executor.read_back(unreleased)
    counted = {o: sum(1 for x in outcomes.values() if x is o) for o in Outcome}
    return {
        "commanded": len(outcomes),
        "applied": counted[Outcome.APPLIED] + counted[Outcome.LATE],
        "refused": counted[Outcome.REFUSED],
        "overridden": len([r for r in outcomes if r in situation.overrides]),
        "unreachable": counted[Outcome.UNREACHABLE],
        "released": len(outcomes) - len(unreleased),
        "still_curtailed": sum(1 for s in states.values() if s.mode is not Mode.FREE),
    }
