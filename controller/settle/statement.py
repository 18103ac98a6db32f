"""Statement: what one customer gets for one or more events, and until when to object (结算单)."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from controller.model.contracts import Contract, Customer, Program, TierBasis
from controller.model.ids import ContractId, CustomerId, MeterId, ProgramId
from controller.model.money import Baseline, Performance, Statement, StatementLine
from controller.model.resources import Meter
from controller.settle import words
from controller.settle.settle import Settlement
from controller.units import major_text


def statement(
    customer: Customer,
    settlements: Sequence[Settlement],
    *,
    contracts: Mapping[ContractId, Contract],
    programs: Mapping[ProgramId, Program],
    meters: Mapping[MeterId, Meter],
    made_at: datetime,
    config_hash: str = "",
) -> Statement:
    """One customer's statement over `settlements`, in their order; see `statements`."""
    (one,) = statements(
        [customer],
        settlements,
        contracts=contracts,
        programs=programs,
        meters=meters,
        made_at=made_at,
        config_hash=config_hash,
    )
    return one


def statements(
    customers: Iterable[Customer],
    settlements: Sequence[Settlement],
    *,
    contracts: Mapping[ContractId, Contract],
    programs: Mapping[ProgramId, Program],
    meters: Mapping[MeterId, Meter],
    made_at: datetime,
    config_hash: str = "",
) -> tuple[Statement, ...]:
    """The statements of many customers, each over all `settlements`, in their order.

    The objection ends `objection_days` working days after the local day of `made_at`, by the most
    patient program concerned; None, and no lines, where the customer was not called.
    """
    rows: dict[CustomerId, list[Performance]] = {}
    for row in (row for s in settlements for row in s.performances):
        rows.setdefault(meters[row.meter_id].customer_id, []).append(row)
    used = {(b.event_id, b.meter_id): b for s in settlements for b in s.baselines}
    out: list[Statement] = []
    for customer in customers:
        own = tuple(rows.get(customer.id, ()))
        called = dict.fromkeys((row.event_id, row.meter_id) for row in own)
        lines = tuple(line for s in settlements for line in s.lines.get(customer.id, ()))
        under = [programs[p] for p in sorted({contracts[x.contract_id].program_id for x in lines})]
        baselines = tuple(used[c] for c in called if c in used)
        out.append(
            Statement(
                customer_id=customer.id,
                customer_name=customer.name,
                made_at=made_at,
                program="\n".join(implemented(p, baselines) for p in under),
                lines=lines,
                baselines=baselines,
                performances=own,
                config_hash=config_hash,
                object_until=max((objection_end(p, made_at) for p in under), default=None),
            )
        )
    return tuple(out)


def totals(lines: Sequence[StatementLine]) -> dict[str, int]:
    """Minor units per currency, > 0 to the customer."""
    out: dict[str, int] = {}
    for line in lines:
        out[line.currency] = out.get(line.currency, 0) + line.amount_minor
    return out


def as_table(statements: Iterable[Statement]) -> tuple[tuple[str, ...], ...]:
    """All lines of many statements as one table of texts, header first, e.g. for a CSV file."""
    header = (
        "customer", "name", "event", "contract", "component", "committed_kwh", "delivered_kwh",
        "ratio", "tier", "amount", "currency", "formula", "object_until",
    )  # fmt: skip
    rows = (
        (
            s.customer_id,
            s.customer_name,
            line.event_id,
            line.contract_id,
            line.component,
            words.kwh(line.committed_wh).replace(",", ""),
            words.kwh(line.delivered_wh).replace(",", ""),
            line.ratio,
            line.tier,
            major_text(line.amount_minor, words.exponent(line.currency)).replace(",", ""),
            line.currency,
            line.formula,
            str(s.object_until or ""),
        )
        for s in statements
        for line in s.lines
    )
    return (header, *rows)


def implemented(program: Program, baselines: Sequence[Baseline]) -> str:
    """The program's rules as they were applied; we implement rules, we certify nothing."""
    methods = "; ".join(dict.fromkeys(b.method for b in baselines)) or "no baseline"
    basis = "the whole event" if program.tier_basis is TierBasis.EVENT else "each interval"
    numbered = (f"tier {i}: {words.tier(t)}" for i, t in enumerate(program.tiers, start=1))
    tiers = "; ".join(numbered) or "none"
    sources = f" Rules read in: {'; '.join(program.sources)}." if program.sources else ""
    return (
        f"{program.name}: implements baseline [{methods}] with these parameters; tiers on the "
        f"ratio of {basis} [{tiers}]; amounts rounded once, half up.{sources}"
    )


def objection_end(program: Program, made_at: datetime) -> date:
    """The last day to object: `objection_days` working days after the statement's local day."""
    holidays = {date.fromisoformat(d) for d in program.holidays}
    day = made_at.astimezone(ZoneInfo(program.timezone)).date()
    left = program.objection_days
    while left > 0:
        day += timedelta(days=1)
        left -= day.weekday() < 5 and day not in holidays
    return day


def customers_of(settlements: Sequence[Settlement]) -> tuple[CustomerId, ...]:
    """Everyone who was called, by id."""
    return tuple(sorted({c for s in settlements for c in s.lines}))
