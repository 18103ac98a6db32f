"""Points: what a home earns for the energy it saved."""

from collections.abc import Sequence
from fractions import Fraction

from controller.model.contracts import Contract, Program
from controller.model.money import POINTS, Performance
from controller.settle import words
from controller.settle.rebate import Amount, held, on_hold
from controller.settle.tiers import exact
from controller.units import WH_PER_KWH


def points(program: Program, contract: Contract, rows: Sequence[Performance]) -> tuple[Amount, ...]:
    """floor(kWh × points per kWh), of one customer under one contract in one event.

    kWh is what the meter shows over the valid intervals, netted with sign: at most
    `points_cap_frac` × committed, and no points at all below `points_min_frac` × baseline or for a
    negative sum. Who opted out half-way keeps what was delivered.
    """
    if not contract.points_per_kwh:
        return ()
    if on_hold(program, rows):
        return (held(program, rows, "points", POINTS),)
    valid = [p for p in rows if p.valid]
    committed = sum(p.committed_wh for p in valid)
    delivered = sum(p.delivered_wh for p in valid)
    least = exact(program.points_min_frac) * sum(p.baseline_wh for p in valid)
    most = exact(program.points_cap_frac) * committed
    counted = min(Fraction(delivered), most) if delivered > 0 and delivered >= least else 0
    earned = int(counted * contract.points_per_kwh // WH_PER_KWH)
    if counted:
        formula = (
            f"⌊min({words.kwh(delivered)}, {program.points_cap_frac:g} × {words.kwh(committed)}) "
            f"kWh × {contract.points_per_kwh} points/kWh⌋ = {earned}"
        )
    else:
        formula = f"{words.kwh(delivered)} kWh is below the least of {words.kwh(least)} kWh: 0"
    return (
        Amount(
            component="points",
            amount_minor=earned,
            currency=POINTS,
            formula=formula,
            committed_wh=committed,
            delivered_wh=delivered,
            ratio=words.ratio(Fraction(delivered, committed)) if committed else "–",
            tier=f"points on up to {program.points_cap_frac:g} × committed",
        ),
    )
