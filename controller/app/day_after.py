"""The day after: who was called, contractual baselines, meters and the settlement of each event."""

from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from controller.app.operating import regular
from controller.app.situation import Played, Situation
from controller.app.versions import Terms, Versions, terms
from controller.baseline.baselines import baselines
from controller.baseline.days import MeterDays, local_days
from controller.errors import TooEarlyError
from controller.events import EventDay, timeline
from controller.model.contracts import BaselineRule, Program
from controller.model.events import EventStatus, Timeline
from controller.model.ids import ContractId, EventId, MeterId
from controller.model.money import Baseline
from controller.model.resources import APPLIANCE_KINDS, Fleet
from controller.model.settings import Area, Config
from controller.model.time import QUARTER_HOUR, Interval, Series
from controller.ports import Clock, Frames, Telemetry
from controller.settle.committed import Committed, committed_by_meter
from controller.settle.settle import Settlement, settle_event

LOOKBACK = timedelta(days=60)
HOME_NOTICE = timedelta(minutes=60)
"""Homes are told an hour ahead: their morning until then is unaffected."""

UNSETTLED = frozenset({EventStatus.ENDED, EventStatus.PROVISIONAL})
ENDED = UNSETTLED | {EventStatus.SETTLED}


@dataclass(frozen=True, kw_only=True)
class Day:
    """One event day on its way to money: who was called, baseline and meter of each."""

    line: Timeline
    fleet: Fleet
    """As its last plan knew it."""
    terms: Mapping[EventId, Terms]
    """What each of its events is settled under."""
    baselines: Mapping[MeterId, Baseline]
    """Under the terms of the first event; each settlement has its own."""
    metered: Mapping[MeterId, Series]
    settlements: tuple[Settlement, ...]

    @property
    def first_terms(self) -> Terms:
        return next(iter(self.terms.values()))

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


@dataclass(kw_only=True)
class DayAfter:
    """Settles event days from what was planned, taken and metered; the last one is kept."""

    config: Config
    situation: Situation
    versions: Versions
    telemetry: Telemetry
    clock: Clock
    threads: Executor
    imports: int = 0
    """Meter files taken in so far: what was computed from meters before is then out of date."""
    _made: tuple[object, Day] | None = field(default=None, init=False, repr=False)

    def shown(self) -> EventDay:
        """The last event day that has begun; the one in hand where none has."""
        begun = [
            d for d in self.situation.days()
            if any(e.status in ENDED or e.status is EventStatus.ACTIVE for e in d)
        ]  # fmt: skip
        return begun[-1] if begun else self.situation.today

    async def settled(self, events: EventDay | None = None) -> Day:
        """Baselines, meters and settlements of an event day, by default of the one shown.

        Raises TooEarlyError without a plan or meters, StoreError without the configuration version
        that the day was planned under.
        """
        events = self.shown() if events is None else events
        played, line = self.situation.of_day(events), timeline(events)
        if played is None or line is None:
            raise TooEarlyError("there is no planned event to settle")
        ended = tuple(e.id for e in events if e.status in ENDED)
        key = (ended, played.plan.id, played.took, self.imports)
        if self._made is None or self._made[0] != key:
            planned = await self.versions.of(played.plan.config_hash)
            own = {e.id: await self._terms(e.config_hash, planned) for e in events}
            history = await meter_history(self.telemetry, self.config.area, line.grid.span)
            work = self.threads.submit(
                _settled, planned.fleet, own, ended, line, played, history, self._others(line)
            )
            self._made = (key, await self.clock.offload(work))
        return self._made[1]

    async def _terms(self, config_hash: str, planned: Config) -> Terms:
        return terms(await self.versions.of(config_hash), planned)

    def _others(self, line: Timeline) -> dict[date, str]:
        """Days that cannot be samples of a baseline: other events'."""
        zone = ZoneInfo(self.config.area.timezone)
        today = line.grid.start.astimezone(zone).date()
        days = {
            e.span.start.astimezone(zone).date(): "event day"
            for e in self.situation.events.values()
            if e.status not in (EventStatus.DRAFT, EventStatus.CANCELLED)
        }
        return {d: why for d, why in days.items() if d != today}


async def meter_history(telemetry: Telemetry, area: Area, called: Interval) -> Frames:
    """Meter frames from the look-back to the end of the day on which `called` ends.

    Raises TooEarlyError where the meters of `called` are not there yet.
    """
    zone = ZoneInfo(area.timezone)
    end = called.end.astimezone(zone).replace(hour=0, minute=0) + timedelta(days=1)
    span = Interval(start=called.start - LOOKBACK, end=end.astimezone(UTC))
    frames = await telemetry.frames("meter", area.id, span)
    if not frames.times or max(frames.times) + QUARTER_HOUR < called.end:
        raise TooEarlyError(
            "the event's meter readings are not there yet",
            hint="Import the metering operator's file with `peakshare meter import`.",
        )
    return frames


def meter_days(frames: Frames, fleet: Fleet, timezone: str) -> MeterDays:
    """Frames by local day; meters that came to the fleet later are left out."""
    columns = _columns(frames, len(fleet.meters))
    return local_days(tuple(m.id for m in fleet.meters), frames.times, columns, timezone)


def _columns(frames: Frames, count: int) -> np.ndarray:
    """(times, count) kW; NaN for meters that no frame knows."""
    out = np.full((len(frames.times), count), np.nan)
    known = frames.values[:, :count]
    out[:, : known.shape[1]] = known
    return out


def _settled(
    fleet: Fleet,
    own: Mapping[EventId, Terms],
    ended: tuple[EventId, ...],
    line: Timeline,
    played: Played,
    history: Frames,
    excluded: Mapping[date, str],
) -> Day:
    """CPU only: call it off the loop."""
    committed = committed_by_meter(played.plan, fleet, played.took, line)
    grid, kw = regular(history)
    columns = {m: fleet.meter_index_of[m] for m in sorted({meter_id for _, meter_id in committed})}
    metered = {
        m: Series(grid=grid, values=kw[i]).on(line.grid) for m, i in columns.items() if i < len(kw)
    }
    made: dict[str, dict[MeterId, Baseline]] = {}
    for under in own.values():
        if under.version.hash not in made:
            days = meter_days(history, fleet, under.version.area.timezone)
            made[under.version.hash] = _baselines(
                under, fleet, committed, days, line, excluded, played.told_at
            )
    settlements = tuple(
        settle_event(
            event_id, timeline=line, contracts=own[event_id].contracts,
            programs=own[event_id].programs, meters=own[event_id].meters,
            baselines=made[own[event_id].version.hash], metered=metered, committed=committed,
        )
        for event_id in ended
    )  # fmt: skip
    first = next(iter(own.values()))
    return Day(
        line=line, fleet=fleet, terms=own, metered=metered,
        baselines=made[first.version.hash], settlements=settlements,
    )  # fmt: skip


def _baselines(
    under: Terms,
    fleet: Fleet,
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
        contract = under.contracts[contract_id]
        program = under.programs[contract.program_id]
        start = line.grid.at(int(np.flatnonzero(kw.values > 0)[0]))
        home = fleet[fleet.meter(meter_id).resource_ids[0]].kind in APPLIANCE_KINDS
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
