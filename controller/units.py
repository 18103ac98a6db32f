"""Where numbers change kind: kW·h to whole Wh, yuan to fen, fractions to minor units.

Everything after verification is an integer. Each conversion rounds once, half away from zero
(四舍五入), which is the written tie rule of every program unless its data says otherwise.
"""

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

WH_PER_KWH = 1000


def wh(kw: float, step_h: float) -> int:
    """Energy of a mean power over an interval in whole Wh. Raises ValueError for NaN."""
    return round_half_up(Fraction(kw) * Fraction(step_h).limit_denominator(3600) * WH_PER_KWH)


def wh_array(kw: NDArray[np.float64], step_h: float) -> NDArray[np.int64]:
    """Whole Wh of (n,) means, for choosing days; NaN must be masked out before.

    The product is a float, so a half Wh may fall either way where `wh`, which pays, is exact.
    """
    exact = kw * (step_h * WH_PER_KWH)
    return (np.sign(exact) * np.floor(np.abs(exact) + 0.5)).astype(np.int64)


def round_half_up(value: Fraction) -> int:
    """The nearest integer, ties away from zero."""
    doubled = 2 * abs(value) + 1
    nearest = doubled.numerator // (2 * doubled.denominator)
    return nearest if value >= 0 else -nearest


def minor_from_major(amount: str, exponent: int = 2) -> int:
    """Minor units from a decimal string, e.g. '3.50' yuan → 350 fen. Rounds half up."""
    scaled = Decimal(amount).scaleb(exponent)
    return int(scaled.to_integral_value(rounding=ROUND_HALF_UP))


def major_text(amount_minor: int, exponent: int = 2) -> str:
    """Minor units as decimal text with thousands separators, e.g. 123450 fen → '1,234.50'."""
    sign = "-" if amount_minor < 0 else ""
    whole, rest = divmod(abs(amount_minor), 10**exponent)
    return f"{sign}{whole:,}.{rest:0{exponent}d}" if exponent else f"{sign}{whole:,}"
