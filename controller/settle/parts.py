"""A statement's rows as a customer reads them: per contract and meter, as texts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, tzinfo
from zoneinfo import ZoneInfo

from controller.model.contracts import Contract, Program, TierBasis
from controller.model.ids import ContractId, EventId, MeterId, ProgramId
from controller.model.money import Baseline, Performance, Statement
from controller.model.time import Interval, Series
from controller.settle import words
from controller.settle.tiers import Grade, grade

UsedDays = Mapping[tuple[EventId, MeterId], Mapping[date, Series]]
"""The metered kW of the days a baseline used, per event and meter, so that it can be redone."""
_GradeKey = tuple[EventId, ContractId, Interval]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One interval: energy in kWh; ratio, tier and paid energy where intervals are graded."""

    when: str
    event: str
    baseline: str
    metered: str
    committed: str
    delivered: str
    ratio: str
    tier: str
    paid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One baseline: for which events, and per interval the kW of its days, their mean, itself."""

    events: tuple[EventId, ...]
    baseline: Baseline
    days: tuple[date, ...]
    adjusted: bool
    """The baseline differs from the mean somewhere; else the curve ends with the mean."""
    curve: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Step lines in a drawing of 640 × 180; missing values leave a gap."""

    baseline: str
    metered: str
    top_kw: str
    bottom_kw: str
    first: str
    last: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One meter under one contract over all events of the statement."""

    meter_id: MeterId
    contract: str
    baselines: tuple[Told, ...]
    rows: tuple[Row, ...]
    chart: Chart
    sums: Mapping[str, tuple[str, str, str, str]]
    """Per event, baseline, metered, committed and delivered kWh of the intervals with a value."""
    total: tuple[str, str, str, str]
    """The same over all events."""


def parts(
    statement: Statement,
    contracts: Mapping[ContractId, Contract],
    programs: Mapping[ProgramId, Program],
    used_days: UsedDays,
) -> Iterator[Part]:
    """The statement's performances, by contract and meter, in time order."""
    groups: dict[tuple[ContractId, MeterId], list[Performance]] = {}
    for p in statement.performances:
        groups.setdefault((p.contract_id, p.meter_id), []).append(p)
    graded = _grades(statement, contracts, programs)
    for (contract_id, meter_id), rows in sorted(groups.items()):
        rows.sort(key=lambda p: p.interval)
        contract = contracts[contract_id]
        program = programs[contract.program_id]
        zone = ZoneInfo(program.timezone)
        by_event: dict[EventId, list[Performance]] = {}
        for p in rows:
            by_event.setdefault(p.event_id, []).append(p)
        yield Part(
            meter_id=meter_id,
            contract=contract.name,
            baselines=_told(statement, meter_id, rows, used_days, zone),
            rows=tuple(
                _row(p, program, graded.get((p.event_id, contract_id, p.interval)), zone)
                for p in rows
            ),
            chart=_chart(rows, zone),
            sums={event: _sum(own) for event, own in by_event.items()},
            total=_sum(rows),
        )


def _grades(
    statement: Statement,
    contracts: Mapping[ContractId, Contract],
    programs: Mapping[ProgramId, Program],
) -> dict[_GradeKey, Grade]:
    """Grades per interval where the program grades so; the customer's meters are netted."""
    sums: dict[_GradeKey, tuple[int, int]] = {}
    for p in statement.performances:
        program = programs[contracts[p.contract_id].program_id]
        if p.valid and program.tier_basis is TierBasis.INTERVAL:
            key = (p.event_id, p.contract_id, p.interval)
            committed, delivered = sums.get(key, (0, 0))
            sums[key] = (committed + p.committed_wh, delivered + p.delivered_wh)
    return {
        key: grade(programs[contracts[key[1]].program_id].tiers, *both)
        for key, both in sums.items()
    }


def _row(p: Performance, program: Program, graded: Grade | None, zone: tzinfo) -> Row:
    tier = str(program.tiers.index(graded.tier) + 1) if graded and graded.tier else ""
    return Row(
        when=_when(p.interval, zone),
        event=p.event_id,
        baseline=words.kwh(p.baseline_wh) if p.valid else "–",
        metered=words.kwh(p.metered_wh) if p.valid else "no value 缺数",
        committed=words.kwh(p.committed_wh),
        delivered=words.kwh(p.delivered_wh) if p.valid else "–",
        ratio=words.ratio(graded.ratio) if graded else "",
        tier=tier,
        paid=words.kwh(graded.paid_wh) if graded else "",
    )


def _sum(rows: Sequence[Performance]) -> tuple[str, str, str, str]:
    valid = [p for p in rows if p.valid]
    return (
        words.kwh(sum(p.baseline_wh for p in valid)),
        words.kwh(sum(p.metered_wh for p in valid)),
        words.kwh(sum(p.committed_wh for p in valid)),
        words.kwh(sum(p.delivered_wh for p in valid)),
    )


def _told(
    statement: Statement,
    meter_id: MeterId,
    rows: Sequence[Performance],
    used_days: UsedDays,
    zone: tzinfo,
) -> tuple[Told, ...]:
    """Equal baselines are told once, with all events they served."""
    called = dict.fromkeys(p.event_id for p in rows)
    by_content: dict[Baseline, list[EventId]] = {}
    for b in statement.baselines:
        if b.meter_id == meter_id and b.event_id in called:
            by_content.setdefault(replace(b, event_id=None), []).append(b.event_id)
    out: list[Told] = []
    for baseline, events in by_content.items():
        used = used_days.get((events[0], meter_id), {})
        own = [p for p in rows if p.event_id in events]
        adjusted = any(
            f"{baseline.unadjusted.value_at(p.interval.start):.4f}"
            != f"{baseline.series.value_at(p.interval.start):.4f}"
            for p in own
        )
        out.append(
            Told(
                events=tuple(events),
                baseline=baseline,
                days=tuple(used),
                adjusted=adjusted,
                curve=tuple(_curve_row(p, baseline, used, adjusted, zone) for p in own),
            )
        )
    return tuple(out)


def _curve_row(
    p: Performance, baseline: Baseline, used: Mapping[date, Series], adjusted: bool, zone: tzinfo
) -> tuple[str, ...]:
    """Days to the watt, as meters count; their mean and what became of it to a tenth of that."""
    at = p.interval.start
    ends = (baseline.unadjusted, *((baseline.series,) if adjusted else ()))
    return (
        _when(p.interval, zone),
        *(f"{s.value_at(at):.3f}" for s in used.values()),
        *(f"{s.value_at(at):.4f}" for s in ends),
    )


def _chart(rows: Sequence[Performance], zone: tzinfo) -> Chart:
    hours = rows[0].interval.duration.total_seconds() / 3600
    base = [p.baseline_wh / hours / 1000 for p in rows]
    met = [p.metered_wh / hours / 1000 for p in rows]
    top, bottom = max([0.1, *base, *met]), min([0.0, *base, *met])
    t0, t1 = rows[0].interval.start, rows[-1].interval.end
    span = (t1 - t0).total_seconds()

    def path(values: Sequence[float]) -> str:
        out, end = "", None
        for p, v in zip(rows, values, strict=True):
            if p.valid:
                y = f"{175 - 170 * (v - bottom) / (top - bottom):.1f}"
                x = f"{640 * (p.interval.start - t0).total_seconds() / span:.1f}"
                out += f"V{y}" if end == p.interval.start else f"M{x} {y}"
                out += f"H{640 * (p.interval.end - t0).total_seconds() / span:.1f}"
                end = p.interval.end
        return out

    return Chart(
        baseline=path(base),
        metered=path(met),
        top_kw=f"{top:,.2f}",
        bottom_kw=f"{bottom:,.2f}",
        first=f"{t0.astimezone(zone):%H:%M}",
        last=f"{t1.astimezone(zone):%H:%M}",
    )


def _when(at: Interval, zone: tzinfo) -> str:
    return f"{at.start.astimezone(zone):%H:%M}–{at.end.astimezone(zone):%H:%M}"
