"""The day after: contractual baselines, performances, transfers, statements, reconciled."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np

from controller.app.operating import regular
from controller.app.situation import Played
from controller.baseline.baselines import baselines, used_kw
from controller.baseline.days import MeterDays, local_days
from controller.errors import InputError
from controller.events import EventDay, timeline
from controller.model.contracts import BaselineRule, Program
from controller.model.events import EventStatus, Timeline
from controller.model.ids import ContractId, CustomerId, EventId, MeterId
from controller.model.money import POINTS, Baseline, Statement
from controller.model.plans import Plan
from controller.model.resources import APPLIANCE_KINDS
from controller.model.settings import Config
from controller.model.time import QUARTER_HOUR, Interval, Series
from controller.ports import Frames
from controller.settle.page import statement_html
from controller.settle.reconcile import reconcile
from controller.settle.settle import Settlement, settle_event, settle_performances
from controller.settle.statement import as_table, statement, statements

if TYPE_CHECKING:
    from controller.app.controller import Controller

LOOKBACK = timedelta(days=60)
HOME_NOTICE = timedelta(minutes=60)
"""Homes are told an hour ahead: their morning until then is unaffected."""

UNSETTLED = frozenset({EventStatus.ENDED, EventStatus.PROVISIONAL})
ENDED = UNSETTLED | {EventStatus.SETTLED}

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
    """Settle every event that has ended; settling again posts nothing new.

    Day by day: those not settled yet, and the last one again. A day whose meters are not there
    yet waits; InputError if that is so of all of them.
    """
    ended = [d for d in controller.situation.days() if any(e.status in ENDED for e in d)]
    due = [d for d in ended if d is ended[-1] or any(e.status in UNSETTLED for e in d)]
    if not due:
        return {"events": 0, "posted": 0}
    settled, waiting = [], []
    for events in due:
        try:
            settled.append(await settled_day(controller, events))
        except InputError as error:
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


def shown_day(controller: Controller) -> EventDay:
    """The last event day that has begun; the one in hand where none has."""
    begun = [
        d for d in controller.situation.days()
        if any(e.status in ENDED or e.status is EventStatus.ACTIVE for e in d)
    ]  # fmt: skip
    return begun[-1] if begun else controller.situation.today


async def settled_day(controller: Controller, events: EventDay | None = None) -> Day:
    """Baselines, meters and settlements of an event day, by default of the one to be shown.

    Raises InputError without a plan or meters.
    """
    events = shown_day(controller) if events is None else events
    played, line = controller.situation.of_day(events), timeline(events)
    if played is None or line is None:
        raise InputError("there is no planned event to settle")
    ended = tuple(e.id for e in events if e.status in ENDED)
    key = (ended, played.plan.id, played.took, controller.imports)
    if controller.settled is None or controller.settled[0] != key:
        history = await _history(controller, line.grid.span)
        excluded = _other_event_days(controller, line)
        work = controller.services.threads.submit(
            _settled, controller.config, events, line, played, history, excluded
        )
        controller.settled = (key, await controller.clock.offload(work))
    return controller.settled[1]


def _settled(
    config: Config,
    events: EventDay,
    line: Timeline,
    played: Played,
    history: Frames,
    excluded: Mapping[date, str],
) -> Day:
    """CPU only: call it off the loop."""
    committed = who_was_called(config, played, line)
    grid, kw = regular(history)
    index = config.fleet.meter_index_of
    called = sorted({meter_id for _, meter_id in committed})
    metered = {m: Series(grid=grid, values=kw[index[m]]).on(line.grid) for m in called}
    days = local_days(
        tuple(m.id for m in config.fleet.meters), history.times, history.values,
        config.area.timezone,
    )  # fmt: skip
    made = _baselines(config, committed, days, line, excluded, played.told_at)
    settlements = [
        settle_event(
            event.id, timeline=line, contracts=config.contracts, programs=config.programs,
            meters={m.id: m for m in config.fleet.meters}, baselines=made, metered=metered,
            committed=committed,
        )
        for event in events
        if event.status in ENDED
    ]  # fmt: skip
    return Day(
        line=line, plan=played.plan, committed=committed, metered=metered, history=days,
        baselines=made, settlements=settlements,
    )  # fmt: skip


async def totals(controller: Controller, day: Day) -> dict[str, Any]:
    """Rebate, points, customers and the independent recomputation's disagreements."""
    transfers = await controller.services.journal.transfers()
    work = controller.services.threads.submit(reconciled, controller, day, transfers)
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
        programs=config.programs, meters=meters, made_at=await _settled_at(controller),
        config_hash=config.hash,
    )  # fmt: skip
    used: dict[tuple[EventId, MeterId], Mapping[date, Series]] = {}
    if made.baselines:
        spans = [b.series.grid.span for b in made.baselines]
        history = await _history(controller, Interval(
            start=min(s.start for s in spans), end=max(s.end for s in spans)
        ))  # fmt: skip
        days = local_days(
            tuple(m.id for m in config.fleet.meters), history.times, history.values,
            config.area.timezone,
        )  # fmt: skip
        used = {(b.event_id, b.meter_id): used_kw(days, b) for b in made.baselines if b.event_id}
    return statement_html(
        made, contracts=config.contracts, programs=config.programs, used_days=used,
        disclaimer=config.area.disclaimer,
    )  # fmt: skip


async def _settled_at(controller: Controller) -> datetime:
    """When the last event was settled: a statement printed later says the same."""
    at = [
        entry.at
        for event in controller.situation.events.values()
        for entry in await controller.services.journal.event_log(event.id)
        if entry.status is EventStatus.SETTLED
    ]
    return max(at, default=controller.clock.now())


def who_was_called(config: Config, played: Played, line: Timeline) -> Committed:
    """KW committed per contract and meter on the timeline; homes that never took it left out."""
    out: dict[tuple[ContractId, MeterId], np.ndarray] = defaultdict(
        lambda: np.zeros(line.grid.count)
    )
    fleet, plan = config.fleet, played.plan
    for commitment in plan.commitments:
        kw = np.nan_to_num(commitment.kw.on(line.grid).values)
        rated = np.array([fleet[r].rated_kw for r in commitment.resource_ids])
        for r, share in zip(commitment.resource_ids, rated / rated.sum(), strict=True):
            if kw.any():
                out[commitment.contract_id, fleet[r].meter_id] += kw * share
    for assignment in plan.assignments:
        each = np.nan_to_num(assignment.kw_each.on(line.grid).values)
        held = np.zeros(line.grid.count)
        run = slice(assignment.start, min(assignment.start + assignment.length, held.size))
        held[run] = np.maximum(each[run], 0.0)
        for member in assignment.members:
            resource = fleet.resources[member]
            if resource.id in played.took and held.any():
                out[assignment.contract_id, resource.meter_id] += held
    return {k: Series(grid=line.grid, values=v) for k, v in out.items()}


def _baselines(
    config: Config,
    committed: Committed,
    days: MeterDays,
    line: Timeline,
    excluded: Mapping[date, str],
    told_at: Mapping[ContractId, datetime],
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
        learnt_at = told_at.get(contract_id, start - notice)
        span = Interval(start=start, end=line.grid.end)
        by_rule[program.baseline].append((meter_id, program, span, learnt_at))
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


async def _history(controller: Controller, called: Interval) -> Frames:
    """Meter frames from the look-back to the end of the day on which `called` ends."""
    zone = ZoneInfo(controller.config.area.timezone)
    end = called.end.astimezone(zone).replace(hour=0, minute=0) + timedelta(days=1)
    span = Interval(start=called.start - LOOKBACK, end=end.astimezone(UTC))
    frames = await controller.services.telemetry.frames("meter", controller.config.area.id, span)
    if not frames.times or max(frames.times) + QUARTER_HOUR < called.end:
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
