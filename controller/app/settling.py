"""The day after: contractual baselines, performances, transfers, statements, reconciled."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np

from controller.app.operating import regular
from controller.baseline.baselines import baselines, used_kw
from controller.baseline.days import MeterDays, local_days
from controller.errors import InputError
from controller.model.contracts import BaselineRule, Program
from controller.model.events import EventStatus, Timeline
from controller.model.ids import ContractId, CustomerId, EventId, MeterId
from controller.model.money import POINTS, Baseline, Statement
from controller.model.plans import Plan
from controller.model.resources import APPLIANCE_KINDS
from controller.model.settings import Config
from controller.model.time import QUARTER_HOUR, Interval, Series
from controller.settle.page import statement_html
from controller.settle.reconcile import reconcile
from controller.settle.settle import Settlement, settle_event, settle_performances
from controller.settle.statement import as_table, statement, statements

if TYPE_CHECKING:
    from controller.app.controller import Controller

LOOKBACK = timedelta(days=60)
HOME_NOTICE = timedelta(minutes=60)
"""Homes are told an hour ahead: their morning until then is unaffected."""

Committed = Mapping[tuple[ContractId, MeterId], Series]


@dataclass(frozen=True, kw_only=True)
class Day:
    """One event day on its way to money: who was called, baseline and meter of each."""

    line: Timeline
    plan: Plan
    committed: Committed
    baselines: dict[MeterId, Baseline]
    metered: Mapping[MeterId, Series]
    history: MeterDays
    settlements: list[Settlement] = field(default_factory=list)

    def delivered_kw(self) -> np.ndarray:
        """(n,) kW on the timeline: baseline − metered of every called meter, signed.

        From a meter's first call to the end, its rebound included; NaN where a meter is missing.
        """
        parts = [self.delivered_of(m) for m in self.baselines]
        return np.sum(parts, axis=0) if parts else np.zeros(self.line.grid.count)

    def delivered_of(self, meter_id: MeterId) -> np.ndarray:
        """(n,) kW of one meter from its first call on; 0 before, NaN where unknown."""
        grid, baseline = self.line.grid, self.baselines[meter_id].series
        gone = baseline.on(grid).values - self.metered[meter_id].on(grid).values
        called = np.arange(grid.count) >= grid.index(baseline.grid.start)
        return np.where(called, gone, 0.0)


async def settle(controller: Controller, actor: str) -> dict[str, Any]:
    """Settle every event that has ended; settling again posts nothing new."""
    ended = [
        e
        for e in controller.situation.events.values()
        if e.status in (EventStatus.ENDED, EventStatus.PROVISIONAL, EventStatus.SETTLED)
    ]
    if not ended:
        return {"events": 0, "posted": 0}
    day = await settled_day(controller)
    journal, now = controller.services.journal, controller.clock.now()
    posted = 0
    for event, settlement in zip(ended, day.settlements, strict=True):
        await journal.save_settlement(
            event.id, settlement.version, settlement.baselines, settlement.performances
        )
        posted += await journal.post(settlement.transfers, now)
        if event.status is not EventStatus.SETTLED:
            await controller.steering.set_status(
                event, EventStatus.SETTLED, "settled from its meters", actor
            )
    await journal.audit(now, actor, "settle", controller.config.area.id, f"{posted} transfers")
    return {"events": len(ended), "posted": posted} | await totals(controller, day)


async def settled_day(controller: Controller) -> Day:
    """Baselines, meters and settlements of the day in force. Raises InputError without meters."""
    config, plan = controller.config, controller.situation.plan
    line = controller.situation.timeline()
    if plan is None or line is None:
        raise InputError("there is no planned event to settle")
    committed = who_was_called(config, plan, line, controller)
    history = await _history(controller, line)
    grid, kw = regular(history)
    index = config.fleet.meter_index_of
    called = sorted({meter_id for _, meter_id in committed})
    metered = {
        m: Series(grid=grid, values=kw[index[m]]).on(line.grid) for m in called
    }  # fmt: skip
    days = local_days(
        tuple(m.id for m in config.fleet.meters), history.times, history.values,
        config.area.timezone,
    )  # fmt: skip
    excluded = _other_event_days(controller, line)
    work = controller.services.threads.submit(_baselines, config, committed, days, line, excluded)
    day = Day(
        line=line, plan=plan, committed=committed, metered=metered, history=days,
        baselines=await controller.clock.offload(work),
    )  # fmt: skip
    over = {EventStatus.ENDED, EventStatus.PROVISIONAL, EventStatus.SETTLED}
    day.settlements.extend(
        settle_event(
            event.id,
            timeline=line,
            contracts=config.contracts,
            programs=config.programs,
            meters={m.id: m for m in config.fleet.meters},
            baselines=day.baselines,
            metered=metered,
            committed=committed,
        )
        for event in controller.situation.events.values()
        if event.status in over
    )
    return day


async def totals(controller: Controller, day: Day) -> dict[str, Any]:
    """Rebate, points, customers and the independent recomputation's disagreements."""
    transfers = await controller.services.journal.transfers()
    disagreements = reconciled(controller, day, transfers)
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


def reconciled(controller: Controller, day: Day, transfers: Any) -> tuple[str, ...]:
    """What an independent recomputation finds different, over every settlement of the day."""
    config = controller.config
    return reconcile(
        day.settlements,
        transfers,
        contracts=config.contracts,
        programs=config.programs,
        meters={m.id: m for m in config.fleet.meters},
        statements=_statements(controller, day),
        metered=day.metered,
    )


async def statement_table(controller: Controller) -> list[list[str]]:
    """Every line of every customer's statement, header first."""
    day = await settled_day(controller)
    return [list(row) for row in as_table(_statements(controller, day))]


def _statements(controller: Controller, day: Day) -> tuple[Statement, ...]:
    config = controller.config
    return statements(
        config.customers.values(),
        day.settlements,
        contracts=config.contracts,
        programs=config.programs,
        meters={m.id: m for m in config.fleet.meters},
        made_at=controller.clock.now(),
        config_hash=config.hash,
    )


async def statement_page(controller: Controller, customer_id: CustomerId) -> str:
    """A customer's statement as HTML. Raises InputError for an unknown customer."""
    config = controller.config
    if customer_id not in config.customers:
        raise InputError(f"there is no customer {customer_id!r}")
    journal = controller.services.journal
    meters = {m.id: m for m in config.fleet.meters}
    settlements: list[Settlement] = []
    for event in controller.situation.events.values():
        kept, rows = await journal.settlement(event.id)
        own = [r for r in rows if meters[r.meter_id].customer_id == customer_id]
        if own:
            settlements.append(settle_performances(
                event.id, performances=own, baselines=kept, contracts=config.contracts,
                programs=config.programs, meters=meters,
            ))  # fmt: skip
    made = statement(
        config.customers[customer_id], settlements, contracts=config.contracts,
        programs=config.programs, meters=meters, made_at=controller.clock.now(),
        config_hash=config.hash,
    )  # fmt: skip
    line = controller.situation.timeline()
    used: dict[tuple[EventId, MeterId], Mapping[date, Series]] = {}
    if line is not None and made.baselines:
        history = await _history(controller, line)
        days = local_days(
            tuple(m.id for m in config.fleet.meters), history.times, history.values,
            config.area.timezone,
        )  # fmt: skip
        used = {(b.event_id, b.meter_id): used_kw(days, b) for b in made.baselines if b.event_id}
    return statement_html(
        made, contracts=config.contracts, programs=config.programs, used_days=used
    )


def who_was_called(config: Config, plan: Plan, line: Timeline, controller: Controller) -> Committed:
    """KW committed per contract and meter on the timeline; homes that never took it left out."""
    out: dict[tuple[ContractId, MeterId], np.ndarray] = defaultdict(
        lambda: np.zeros(line.grid.count)
    )
    fleet = config.fleet
    for commitment in plan.commitments:
        kw = np.nan_to_num(commitment.kw.on(line.grid).values)
        rated = np.array([fleet[r].rated_kw for r in commitment.resource_ids])
        for r, share in zip(commitment.resource_ids, rated / rated.sum(), strict=True):
            if kw.any():
                out[commitment.contract_id, fleet[r].meter_id] += kw * share
    took = set(controller.situation.outcomes) - set(controller.situation.lost)
    for assignment in plan.assignments:
        each = np.nan_to_num(assignment.kw_each.on(line.grid).values)
        held = np.zeros(line.grid.count)
        run = slice(assignment.start, min(assignment.start + assignment.length, held.size))
        held[run] = np.maximum(each[run], 0.0)
        for member in assignment.members:
            resource = fleet.resources[member]
            if resource.id in took and held.any():
                out[assignment.contract_id, resource.meter_id] += held
    return {k: Series(grid=line.grid, values=v) for k, v in out.items()}


def _baselines(
    config: Config,
    committed: Committed,
    days: MeterDays,
    line: Timeline,
    excluded: Mapping[date, str],
) -> dict[MeterId, Baseline]:
    """Each called meter's contractual baseline, from its first call to the end of the timeline."""
    by_rule: dict[BaselineRule, list[tuple[MeterId, Program, Interval, datetime]]] = defaultdict(
        list
    )
    for (contract_id, meter_id), kw in committed.items():
        contract = config.contracts[contract_id]
        program = config.programs[contract.program_id]
        start = line.grid.at(int(np.flatnonzero(kw.values > 0)[0]))
        home = config.fleet[contract.resource_ids[0]].kind in APPLIANCE_KINDS
        notice = HOME_NOTICE if home else contract.notice
        span = Interval(start=start, end=line.grid.end)
        by_rule[program.baseline].append((meter_id, program, span, start - notice))
    out: dict[MeterId, Baseline] = {}
    for rule, rows in by_rule.items():
        made = baselines(
            rule,
            rows[0][1],
            days.only([r[0] for r in rows]),
            spans=[r[2] for r in rows],
            notified_at=[r[3] for r in rows],
            excluded=excluded,
        )
        out.update({b.meter_id: b for b in made})
    return out


async def _history(controller: Controller, line: Timeline) -> Any:
    """Meter frames from the look-back to the end of the event day."""
    zone = ZoneInfo(controller.config.area.timezone)
    end = line.grid.end.astimezone(zone).replace(hour=0, minute=0) + timedelta(days=1)
    span = Interval(start=line.grid.start - LOOKBACK, end=end.astimezone(line.grid.start.tzinfo))
    frames = await controller.services.telemetry.frames("meter", controller.config.area.id, span)
    if not frames.times or max(frames.times) + QUARTER_HOUR < line.grid.end:
        raise InputError(
            "the event's meter readings are not there yet",
            hint="Import the metering operator's file with `peakshare meter import`.",
        )
    return frames


def _other_event_days(controller: Controller, line: Timeline) -> dict[date, str]:
    zone = ZoneInfo(controller.config.area.timezone)
    today = line.grid.start.astimezone(zone).date()
    days = {
        e.span.start.astimezone(zone).date(): "event day"
        for e in controller.situation.events.values()
        if e.status not in (EventStatus.DRAFT, EventStatus.CANCELLED)
    }
    return {d: why for d, why in days.items() if d != today}
