"""Reconcile: compute everything again in another way and say what does not agree.

Nothing here calls `tiers`, `rebate`, `points` or `transfers`: an error would have to be made twice
to stay hidden. Amounts are recomputed as fractions from the performances (and these from the
series, where given), then compared with the ledger, and the ledger with the statements.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

from controller.model.contracts import Contract, ContractKind, Program, Tier, TierBasis
from controller.model.ids import ContractId, CustomerId, EventId, MeterId, ProgramId
from controller.model.money import Performance, Phase, Statement, Transfer
from controller.model.resources import Meter
from controller.model.time import Interval, Series
from controller.settle.settle import Settlement

_Key = tuple[EventId, ContractId, CustomerId, str]


def reconcile(
    settlements: Sequence[Settlement],
    ledger: Iterable[Transfer],
    *,
    contracts: Mapping[ContractId, Contract],
    programs: Mapping[ProgramId, Program],
    meters: Mapping[MeterId, Meter],
    statements: Iterable[Statement] = (),
    metered: Mapping[MeterId, Series] | None = None,
) -> tuple[str, ...]:
    """Every disagreement as one sentence; an empty tuple where all agrees.

    `ledger` are all posted transfers; those of events not in `settlements` are left alone.
    """
    events = {s.event_id for s in settlements}
    entries = [t for t in ledger if t.event_id in events and t.phase is Phase.POST]
    rows = [row for s in settlements for row in s.performances]
    wanted = _expected(rows, contracts, programs, meters)
    return (
        *_energy_once(rows),
        *(_series_disagree(settlements, metered) if metered is not None else ()),
        *_amounts_disagree(wanted, entries, contracts, programs),
        *_ledger_unsound(entries),
        *_statements_disagree(statements, entries, rows, meters),
    )


def _energy_once(rows: Sequence[Performance]) -> Iterator[str]:
    """Delivered is baseline − metered, and no contract counts a meter's interval twice."""
    seen: dict[tuple[MeterId, Interval], Performance] = {}
    for p in rows:
        where = f"meter {p.meter_id} at {p.interval.start:%Y-%m-%d %H:%M}Z"
        if p.delivered_wh != (p.baseline_wh - p.metered_wh if p.valid else 0):
            yield f"{where}: delivered {p.delivered_wh} Wh is not baseline − metered"
        other = seen.setdefault((p.meter_id, p.interval), p)
        shared = other.event_id == p.event_id and other.contract_id != p.contract_id
        if other is not p and not shared:
            yield f"{where}: counted in event {other.event_id} and again in {p.event_id}"


def _series_disagree(
    settlements: Sequence[Settlement], metered: Mapping[MeterId, Series]
) -> Iterator[str]:
    """Baseline and metered Wh again, from the exact value of each float."""
    for s in settlements:
        baselines = {b.meter_id: b.series for b in s.baselines}
        sums: dict[tuple[MeterId, Interval], tuple[int, int]] = {}
        for p in (p for p in s.performances if p.valid):
            b, m = sums.get((p.meter_id, p.interval), (0, 0))
            sums[p.meter_id, p.interval] = (b + p.baseline_wh, m + p.metered_wh)
        for (meter_id, at), (b, m) in sums.items():
            for what, wh, series in (("baseline", b, baselines), ("metered", m, metered)):
                again = _wh(series[meter_id].value_at(at.start), at) if meter_id in series else None
                if again != wh:
                    yield (
                        f"meter {meter_id} at {at.start:%Y-%m-%d %H:%M}Z: {what} is {wh} Wh in the "
                        f"settlement and {again} Wh in the series"
                    )


def _expected(
    rows: Sequence[Performance],
    contracts: Mapping[ContractId, Contract],
    programs: Mapping[ProgramId, Program],
    meters: Mapping[MeterId, Meter],
) -> dict[_Key, int]:
    """Signed minor units per event, contract, customer and component; zeros left out."""
    groups: dict[tuple[EventId, ContractId, CustomerId], list[Performance]] = {}
    for p in rows:
        key = (p.event_id, p.contract_id, meters[p.meter_id].customer_id)
        groups.setdefault(key, []).append(p)
    out: dict[_Key, int] = {}
    for (event, contract_id, customer), group in groups.items():
        contract = contracts[contract_id]
        for component, amount in _recomputed(contract, programs[contract.program_id], group):
            if amount:
                out[event, contract_id, customer, component] = amount
    return out


def _recomputed(
    contract: Contract, program: Program, rows: Sequence[Performance]
) -> Iterator[tuple[str, int]]:
    valid = [p for p in rows if p.valid]
    if not valid or Fraction(len(valid), len(rows)) < _number(program.valid_frac):
        return
    if contract.points_per_kwh:
        yield "points", _points(contract, program, valid)
        if not contract.energy_price_minor_per_kwh:
            return
    energy, owed, paying = Fraction(0), Fraction(0), False
    for committed, delivered in _sums(program, valid):
        for tier in program.tiers:
            if _inside(tier, Fraction(delivered) / committed):
                counted = max(Fraction(0), min(Fraction(delivered), _times(tier, committed)))
                share = _number(tier.pay_frac)
                energy += Fraction(contract.energy_price_minor_per_kwh, 1000) * share * counted
                paying |= share * counted > 0
                lacking = max(Fraction(0), _number(tier.penalty_ratio) * committed - delivered)
                rate = Fraction(contract.penalty_minor_per_kwh, 1000) * _number(tier.penalty_frac)
                owed += rate * lacking
                break
    began = program.start_paid and any(p.starts_run for p in rows)
    start = contract.start_cost_minor if began and paying else 0
    penalty = _nearest(owed)
    if contract.kind is not ContractKind.INTERRUPTIBLE:
        penalty = min(penalty, _nearest(energy) + start)
    yield from (("energy", _nearest(energy)), ("start", start), ("penalty", -penalty))


def _points(contract: Contract, program: Program, valid: Sequence[Performance]) -> int:
    saved = Fraction(sum(p.delivered_wh for p in valid), 1000)
    if saved <= 0 or saved * 1000 < _number(program.points_min_frac) * sum(
        p.baseline_wh for p in valid
    ):
        return 0
    promised = Fraction(sum(p.committed_wh for p in valid), 1000)
    most = _number(program.points_cap_frac) * promised
    return math.floor(min(saved, most) * contract.points_per_kwh)


def _sums(program: Program, valid: Sequence[Performance]) -> list[tuple[int, int]]:
    """(committed, delivered) Wh of what one ratio is formed over."""
    committed: Counter[object] = Counter()
    delivered: Counter[object] = Counter()
    for p in valid:
        over = p.interval if program.tier_basis is TierBasis.INTERVAL else None
        committed[over] += p.committed_wh
        delivered[over] += p.delivered_wh
    return [(committed[k], delivered[k]) for k in committed]


def _amounts_disagree(
    wanted: Mapping[_Key, int],
    entries: Sequence[Transfer],
    contracts: Mapping[ContractId, Contract],
    programs: Mapping[ProgramId, Program],
) -> Iterator[str]:
    booked: dict[_Key, list[Transfer]] = {}
    for t in entries:
        key = (t.event_id, t.contract_id, t.customer_id, t.component)
        booked.setdefault(key, []).append(t)
    for key in sorted({*wanted, *booked}):
        event, contract_id, customer, component = key
        what = f"{component} of {customer} under {contract_id} in event {event}"
        found = booked.get(key, [])
        if len(found) != 1:
            yield f"{what}: {len(found)} transfers, expected {1 if key in wanted else 0}"
        if key not in wanted and len(found) == 1:
            yield f"{what}: {found[0].amount_minor} booked, nothing is due"
        if key in wanted and found:
            yield from _entry_differs(what, wanted[key], found[0], contracts[contract_id], programs)


def _entry_differs(
    what: str,
    due: int,
    entry: Transfer,
    contract: Contract,
    programs: Mapping[ProgramId, Program],
) -> Iterator[str]:
    points = entry.component == "points"
    currency = "POINT" if points else programs[contract.program_id].currency
    customer, program = f"customer:{entry.customer_id}", f"program:{contract.program_id}:"
    to, of = (entry.credit, entry.debit) if due > 0 else (entry.debit, entry.credit)
    if entry.amount_minor != abs(due):
        yield f"{what}: {entry.amount_minor} booked, {abs(due)} is due"
    if entry.currency != currency:
        yield f"{what}: booked in {entry.currency}, due in {currency}"
    if to != customer or not of.startswith(program):
        yield f"{what}: booked from {entry.debit} to {entry.credit}"


def _ledger_unsound(entries: Sequence[Transfer]) -> Iterator[str]:
    """Ids are unique, amounts positive, and all accounts together are zero in each currency."""
    for entry_id, n in Counter(t.id for t in entries).items():
        if n > 1:
            yield f"transfer {entry_id} stands {n} times in the ledger"
    yield from (
        f"transfer {t.id}: {t.amount_minor} from {t.debit} to {t.credit}"
        for t in entries
        if t.amount_minor <= 0 or t.debit == t.credit
    )
    for currency in sorted({t.currency for t in entries}):
        rest = sum(_balances(entries, currency).values())
        if rest:
            yield f"the accounts in {currency} add up to {rest}, not to 0"


def _balances(entries: Iterable[Transfer], currency: str) -> Counter[str]:
    balances: Counter[str] = Counter()
    for t in entries:
        if t.currency == currency:
            balances[t.debit] -= t.amount_minor
            balances[t.credit] += t.amount_minor
    return balances


def _statements_disagree(
    statements: Iterable[Statement],
    entries: Sequence[Transfer],
    rows: Sequence[Performance],
    meters: Mapping[MeterId, Meter],
) -> Iterator[str]:
    """A statement's total is its customer's balance, and nobody who was called lacks one."""
    told = list(statements)
    if not told:
        return
    balances = {c: _balances(entries, c) for c in {t.currency for t in entries}}
    for s in told:
        lines: Counter[str] = Counter()
        for line in s.lines:
            lines[line.currency] += line.amount_minor
        for currency in sorted({*lines, *balances}):
            booked = balances.get(currency, Counter())[f"customer:{s.customer_id}"]
            if lines[currency] != booked:
                yield (
                    f"statement of {s.customer_id}: {lines[currency]} {currency}, "
                    f"the ledger has {booked}"
                )
    missing = {meters[p.meter_id].customer_id for p in rows} - {s.customer_id for s in told}
    yield from (f"{customer} was called and has no statement" for customer in sorted(missing))


def _inside(tier: Tier, ratio: Fraction) -> bool:
    low = tier.from_ratio != -math.inf and ratio < _number(tier.from_ratio)
    return not low and (tier.to_ratio == math.inf or ratio < _number(tier.to_ratio))


def _times(tier: Tier, committed: int) -> Fraction:
    """The cap in Wh; what no cap limits is limited by nothing."""
    return Fraction(10**30) if tier.cap_ratio == math.inf else _number(tier.cap_ratio) * committed


def _number(decimal: float) -> Fraction:
    return Fraction(Decimal(str(decimal)))


def _nearest(amount: Fraction) -> int:
    """Half up, of amounts that are not negative."""
    return math.floor(amount + Fraction(1, 2))


def _wh(kw: float, at: Interval) -> int | None:
    if math.isnan(kw):
        return None
    seconds = Fraction(at.duration.total_seconds())
    exactly = Fraction(kw) * 1000 * seconds / 3600
    return _nearest(exactly) if exactly >= 0 else -_nearest(-exactly)
