"""The statement as a page (HTML) and as plain text: everything to redo it by hand."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from controller.model.contracts import Contract, Program
from controller.model.ids import ContractId, EventId, ProgramId
from controller.model.money import Statement
from controller.settle import words
from controller.settle.parts import Part, Told, UsedDays, parts
from controller.settle.statement import totals

COMPONENTS = {"energy": "电量补偿", "start": "启动补偿", "penalty": "偏差考核", "points": "积分"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """An event under a short number, and when this customer was called in it."""

    number: str
    event_id: EventId
    when: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A statement, the terms behind it, and the curve of each day behind its baselines."""

    statement: Statement
    contracts: Mapping[ContractId, Contract]
    programs: Mapping[ProgramId, Program]
    used_days: UsedDays = field(default_factory=dict)


def statement_html(*sections: Section, contact: str = "", disclaimer: str = "") -> str:
    """A page that needs no other file; its template is templates/statement.html.j2.

    One section per version of the terms that the customer's events were settled under, all of the
    same customer. `contact` is whom to write to, `disclaimer` a first line that says e.g. that
    all of it is fictional.
    """
    from jinja2 import Environment, PackageLoader

    templates = Environment(
        loader=PackageLoader("controller.settle"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return templates.get_template("statement.html.j2").render(
        sections=[_shown(s) for s in sections],
        customer_name=sections[0].statement.customer_name,
        disclaimer=disclaimer,
        contact=contact,
        components=COMPONENTS,
        money=words.money,
        kwh=words.kwh,
    )


def _shown(section: Section) -> dict[str, object]:
    """What the template says of one statement."""
    statement, contracts, programs = section.statement, section.contracts, section.programs
    called = _called(statement, _zone(statement, contracts, programs))
    number = {c.event_id: c.number for c in called}
    return {
        "s": statement,
        "made": _made(statement, contracts, programs),
        "called": called,
        "number": number,
        "lines": sorted(statement.lines, key=lambda x: int(number.get(x.event_id, 0))),
        "parts": tuple(parts(statement, contracts, programs, section.used_days)),
        "totals": [words.money(a, c) for c, a in totals(statement.lines).items()],
        "names": {x.contract_id: contracts[x.contract_id].name for x in statement.lines},
    }


def statement_text(
    statement: Statement,
    *,
    contracts: Mapping[ContractId, Contract],
    programs: Mapping[ProgramId, Program],
) -> str:
    """The same on a terminal: amounts with formulas, then the table of each meter."""
    out = [
        f"Statement 结算单  {statement.customer_name} ({statement.customer_id})",
        f"made {_made(statement, contracts, programs)}, "
        f"configuration {statement.config_hash[:16] or '–'}",
        "",
        "Amounts 金额 (above zero: to the customer)",
    ]
    for line in statement.lines:
        out += [
            f"  {line.component:<8} {words.money(line.amount_minor, line.currency):>18}  "
            f"event {line.event_id}, contract {contracts[line.contract_id].name}",
            f"           {line.formula}",
            f"           delivered {words.kwh(line.delivered_wh)} of "
            f"{words.kwh(line.committed_wh)} kWh, ratio {line.ratio}; {line.tier}",
        ]
    sums = (words.money(a, c) for c, a in totals(statement.lines).items())
    out += [f"  total 合计 {' · '.join(sums) or 'nothing: not called'}"]
    for part in parts(statement, contracts, programs, {}):
        out += ["", *_part_text(part)]
    out += ["", "Rules 规则", *(f"  {p}" for p in statement.program.splitlines())]
    if statement.object_until:
        out += ["", f"Objections 异议: in writing until and including {statement.object_until}."]
    return "\n".join(out) + "\n"


def _part_text(part: Part) -> Iterator[str]:
    yield f"Meter 计量点 {part.meter_id}, contract {part.contract}"
    for told in part.baselines:
        yield from _baseline_text(told)
    head = ("baseline", "metered", "committed", "delivered", "ratio", "tier", "paid")
    yield f"  {'interval':>12}" + "".join(f"{h:>11}" for h in head) + "  (kWh) event"
    for r in part.rows:
        cells = (r.baseline, r.metered, r.committed, r.delivered, r.ratio, r.tier, r.paid)
        yield f"  {r.when:>12}" + "".join(f"{c:>11}" for c in cells) + f"  {r.event}"
    yield f"  {'sum 合计':>10}" + "".join(f"{c:>11}" for c in part.total)


def _baseline_text(told: Told) -> Iterator[str]:
    yield f"  baseline 基线 of {', '.join(told.events)}: {told.baseline.method}"
    yield f"    used 采用: {', '.join(map(str, told.baseline.days_used)) or 'none'}"
    yield from (f"    dropped 剔除: {d.day} {d.reason}" for d in told.baseline.days_dropped)
    yield from (f"    {note}" for note in told.baseline.notes)


def _called(statement: Statement, zone: ZoneInfo) -> tuple[Called, ...]:
    """The statement's events in order of time, numbered from 1."""
    spans: dict[EventId, list[list[datetime]]] = {}
    for p in sorted(statement.performances, key=lambda p: p.interval):
        own = spans.setdefault(p.event_id, [])
        if own and p.interval.start <= own[-1][1]:
            own[-1][1] = max(own[-1][1], p.interval.end)
        else:
            own.append([p.interval.start, p.interval.end])
    return tuple(
        Called(
            number=str(n),
            event_id=event_id,
            when=f"{own[0][0].astimezone(zone):%Y-%m-%d} "
            + ", ".join(
                f"{start.astimezone(zone):%H:%M}–{end.astimezone(zone):%H:%M}" for start, end in own
            ),
        )
        for n, (event_id, own) in enumerate(spans.items(), start=1)
    )


def _zone(
    statement: Statement,
    contracts: Mapping[ContractId, Contract],
    programs: Mapping[ProgramId, Program],
) -> ZoneInfo:
    zones = [programs[contracts[x.contract_id].program_id].timezone for x in statement.lines]
    return ZoneInfo(zones[0] if zones else "UTC")


def _made(
    statement: Statement,
    contracts: Mapping[ContractId, Contract],
    programs: Mapping[ProgramId, Program],
) -> str:
    zone = _zone(statement, contracts, programs)
    return f"{statement.made_at.astimezone(zone):%Y-%m-%d %H:%M} ({zone.key})"
