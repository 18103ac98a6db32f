"""Tiers: what a ratio of delivered to committed earns and owes. Exact, without rounding."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from controller.model.contracts import Tier


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """Committed and delivered Wh with the tier they fall into, and what follows from it."""

    committed_wh: int
    delivered_wh: int
    tier: Tier | None
    """None: no row of the table holds the ratio; nothing is paid or charged."""
    paid_wh: Fraction
    """Delivered, within 0 and `cap_ratio` × committed; 0 in a tier that pays nothing."""
    missing_wh: Fraction
    """What lacks to `penalty_ratio` × committed; 0 in a tier without penalty."""

    @property
    def ratio(self) -> Fraction:
        return Fraction(self.delivered_wh, self.committed_wh)


def grade(tiers: Sequence[Tier], committed_wh: int, delivered_wh: int) -> Grade:
    """The first tier with from_ratio ≤ delivered / committed < to_ratio, and its quantities.

    Exact: 160 of 200 is 0.8 and pays, 159.99 does not. `committed_wh` > 0.
    """
    ratio = Fraction(delivered_wh, committed_wh)
    tier = next((t for t in tiers if _holds(t, ratio)), None)
    paid = missing = Fraction(0)
    if tier is not None and tier.pay_frac:
        paid = Fraction(max(0, delivered_wh))
        if not math.isinf(tier.cap_ratio):
            paid = min(paid, exact(tier.cap_ratio) * committed_wh)
    if tier is not None and tier.penalty_frac:
        missing = max(Fraction(0), exact(tier.penalty_ratio) * committed_wh - delivered_wh)
    return Grade(
        committed_wh=committed_wh,
        delivered_wh=delivered_wh,
        tier=tier,
        paid_wh=paid,
        missing_wh=missing,
    )


@lru_cache(maxsize=1024)
def exact(number: float) -> Fraction:
    """The decimal that the program's author wrote: 0.8 is 4/5, not its nearest binary fraction."""
    return Fraction(repr(number))


def _holds(tier: Tier, ratio: Fraction) -> bool:
    above = tier.from_ratio == -math.inf or ratio >= exact(tier.from_ratio)
    return above and (tier.to_ratio == math.inf or ratio < exact(tier.to_ratio))
