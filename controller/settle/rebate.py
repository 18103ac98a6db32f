"""Rebate: energy payment, start cost and penalty of one customer in one event."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby

from controller.model.contracts import Contract, ContractKind, Program, TierBasis
from controller.model.money import Performance
from controller.settle import words
from controller.settle.tiers import Grade, exact, grade
from controller.units import WH_PER_KWH, round_half_up


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """One component: whole minor units (a penalty < 0) and the arithmetic behind it."""

    component: str
    """energy · start · penalty · points"""
    amount_minor: int
    currency: str
    formula: str
    committed_wh: int
    delivered_wh: int
    ratio: str
    tier: str


def rebate(program: Program, contract: Contract, rows: Sequence[Performance]) -> tuple[Amount, ...]:
    """Energy payment, start cost and penalty for the rows of one customer under one contract.

    Meters are netted per interval, with sign; intervals without a valid value neither earn nor
    owe. Each component is rounded once, half up. Only who cuts without us (interruptible) can owe
    in total: where we control the device, a penalty never exceeds what is paid. With fewer than
    `valid_frac` of the intervals metered everything is 0 and on hold. Contracts that only earn
    points have no rebate.
    """
    if contract.points_per_kwh and not contract.energy_price_minor_per_kwh:
        return ()
    if on_hold(program, rows):
        return (held(program, rows, "energy", program.currency),)
    grades = graded(program, rows)
    energy = _energy(program, contract, grades)
    start = _start(program, contract, rows, grades)
    owed_most = None
    if contract.kind is not ContractKind.INTERRUPTIBLE:
        owed_most = sum(a.amount_minor for a in (energy, *start))
    return (energy, *start, *_penalty(program, contract, grades, owed_most))


def on_hold(program: Program, rows: Sequence[Performance]) -> bool:
    """Too few of the committed intervals have a valid value."""
    return sum(p.valid for p in rows) < exact(program.valid_frac) * len(rows)


def graded(program: Program, rows: Iterable[Performance]) -> tuple[Grade, ...]:
    """One grade per interval, or one for the event, as the program says; valid rows only."""
    by_time = sorted((p for p in rows if p.valid), key=lambda p: p.interval)
    if program.tier_basis is TierBasis.EVENT:
        groups = [by_time] if by_time else []
    else:
        groups = [list(g) for _, g in groupby(by_time, key=lambda p: p.interval)]
    return tuple(
        grade(program.tiers, sum(p.committed_wh for p in g), sum(p.delivered_wh for p in g))
        for g in groups
    )


def _energy(program: Program, contract: Contract, grades: Sequence[Grade]) -> Amount:
    return _priced(
        "energy",
        program,
        contract.energy_price_minor_per_kwh,
        grades,
        lambda g: (g.tier.pay_frac, g.paid_wh) if g.tier else (0.0, Fraction(0)),
    )


def _start(
    program: Program,
    contract: Contract,
    rows: Sequence[Performance],
    grades: Sequence[Grade],
) -> tuple[Amount, ...]:
    """The start of a run, paid by the event in which it began."""
    if not (program.start_paid and contract.start_cost_minor):
        return ()
    began = any(row.starts_run for row in rows)
    pays = began and any(g.paid_wh > 0 for g in grades)
    cost = words.money(contract.start_cost_minor, program.currency)
    text = f"start cost of the run = {cost}" if pays else "no tier that pays: no start cost"
    if not began:
        text = "the run began under another event, which pays its start"
    return (_amount("start", program, contract.start_cost_minor if pays else 0, text, grades),)


def _penalty(
    program: Program, contract: Contract, grades: Sequence[Grade], most: int | None
) -> tuple[Amount, ...]:
    charged = _priced(
        "penalty",
        program,
        contract.penalty_minor_per_kwh,
        grades,
        lambda g: (g.tier.penalty_frac, g.missing_wh) if g.tier else (0.0, Fraction(0)),
    )
    owed, text = charged.amount_minor, charged.formula
    if not owed:
        return ()
    if most is not None and owed > most:
        owed = most
        text += f", limited to what is paid: {words.money(owed, program.currency)}"
    return (_amount("penalty", program, -owed, text, grades),)


def _priced(
    component: str,
    program: Program,
    price_minor: int,
    grades: Sequence[Grade],
    part: Callable[[Grade], tuple[float, Fraction]],
) -> Amount:
    """Σ energy × fraction × price, rounded once; the formula groups equal fractions."""
    by_frac: dict[float, Fraction] = {}
    for g in grades:
        frac, energy_wh = part(g)
        if energy_wh:
            by_frac[frac] = by_frac.get(frac, Fraction(0)) + energy_wh
    in_full = sum((exact(f) * e for f, e in by_frac.items()), Fraction(0))
    unrounded = in_full * price_minor / WH_PER_KWH
    amount = round_half_up(unrounded)
    return _amount(
        component, program, amount, _formula(program, price_minor, by_frac, unrounded), grades
    )


def _formula(
    program: Program, price_minor: int, by_frac: dict[float, Fraction], unrounded: Fraction
) -> str:
    terms = [
        f"{words.kwh(e)} kWh" + ("" if f == 1 else f" × {f:g}") for f, e in sorted(by_frac.items())
    ] or ["0.000 kWh"]
    energy = terms[0] if len(terms) == 1 else f"({' + '.join(terms)})"
    price = words.money(price_minor, program.currency)
    exactly = words.unrounded(unrounded, program.currency)
    rounded = words.money(round_half_up(unrounded), program.currency)
    return f"{energy} × {price}/kWh = {exactly} → {rounded}"


def _amount(
    component: str, program: Program, amount_minor: int, formula: str, grades: Sequence[Grade]
) -> Amount:
    committed = sum(g.committed_wh for g in grades)
    delivered = sum(g.delivered_wh for g in grades)
    return Amount(
        component=component,
        amount_minor=amount_minor,
        currency=program.currency,
        formula=formula,
        committed_wh=committed,
        delivered_wh=delivered,
        ratio=words.ratio(Fraction(delivered, committed)) if committed else "–",
        tier=_tiers(program, grades),
    )


def _tiers(program: Program, grades: Sequence[Grade]) -> str:
    """'tier 2: …' for an event; '14 intervals in tier 2, 1 in tier 1' where those are graded."""
    number = {t: f"tier {i}" for i, t in enumerate(program.tiers, start=1)}
    if program.tier_basis is TierBasis.EVENT and grades:
        row = grades[0].tier
        return f"{number[row]}: {words.tier(row)}" if row else words.tier(None)
    counts = Counter(number[g.tier] if g.tier else "no tier" for g in grades)
    return ", ".join(f"{n} × {name}" for name, n in sorted(counts.items()))


def held(program: Program, rows: Sequence[Performance], component: str, currency: str) -> Amount:
    """Nothing paid or charged for now, and why."""
    valid = [p for p in rows if p.valid]
    committed = sum(p.committed_wh for p in valid)
    delivered = sum(p.delivered_wh for p in valid)
    return Amount(
        component=component,
        amount_minor=0,
        currency=currency,
        formula=f"on hold: {len(valid)} of {len(rows)} committed intervals have a meter value and "
        f"a baseline, {program.valid_frac:.0%} are needed",
        committed_wh=committed,
        delivered_wh=delivered,
        ratio=words.ratio(Fraction(delivered, committed)) if committed else "–",
        tier="on hold",
    )
