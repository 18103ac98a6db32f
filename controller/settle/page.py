"""The statement as a page (HTML) and as plain text: everything to redo it by hand."""

from collections.abc import Iterator, Mapping
from zoneinfo import ZoneInfo

from controller.model.contracts import Contract, Program
from controller.model.ids import ContractId, ProgramId
from controller.model.money import Statement
from controller.settle import words
from controller.settle.parts import Part, Told, UsedDays, parts
from controller.settle.statement import totals


def statement_html(
    statement: Statement,
    *,
    contracts: Mapping[ContractId, Contract],
    programs: Mapping[ProgramId, Program],
    used_days: UsedDays | None = None,
    contact: str = "",
) -> str:
    """A page that needs no other file; its template is templates/statement.html.j2.

    `used_days` adds the curve of each day behind the baselines, `contact` whom to write to.
    """
    from jinja2 import Environment, PackageLoader

    templates = Environment(
        loader=PackageLoader("controller.settle"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return templates.get_template("statement.html.j2").render(
        s=statement,
        made=_made(statement, contracts, programs),
        parts=tuple(parts(statement, contracts, programs, used_days or {})),
        totals=[words.money(a, c) for c, a in totals(statement.lines).items()],
        money=words.money,
        kwh=words.kwh,
        names={x.contract_id: contracts[x.contract_id].name for x in statement.lines},
        contact=contact,
    )


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
    yield f"  baseline 基线 of {told.events}: {told.baseline.method}"
    yield f"    used 采用: {', '.join(map(str, told.baseline.days_used)) or 'none'}"
    yield from (f"    dropped 剔除: {d.day} {d.reason}" for d in told.baseline.days_dropped)
    yield from (f"    {note}" for note in told.baseline.notes)


def _made(
    statement: Statement,
    contracts: Mapping[ContractId, Contract],
    programs: Mapping[ProgramId, Program],
) -> str:
    zones = [programs[contracts[x.contract_id].program_id].timezone for x in statement.lines]
    zone = zones[0] if zones else "UTC"
    return f"{statement.made_at.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M} ({zone})"
