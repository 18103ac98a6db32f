"""Numbers as a customer reads them: exact decimals, kWh, money, tiers."""

import math
from fractions import Fraction

from controller.model.contracts import Tier
from controller.model.money import POINTS
from controller.units import WH_PER_KWH, major_text, round_half_up

_EXPONENTS = {POINTS: 0, "JPY": 0, "KRW": 0, "VND": 0}
"""ISO 4217: currencies without hundredths; all others of our markets have two."""


def exponent(currency: str) -> int:
    """Decimal places between minor and major unit."""
    return _EXPONENTS.get(currency, 2)


def money(amount_minor: int, currency: str) -> str:
    """'1,234.50 CNY', '512 points'."""
    text = major_text(amount_minor, exponent(currency))
    return f"{text} {'points' if currency == POINTS else currency}"


def unrounded(amount_minor: Fraction, currency: str) -> str:
    """An amount before rounding, in major units."""
    return decimal(amount_minor / 10 ** exponent(currency))


def kwh(energy_wh: Fraction | int) -> str:
    """'12.345': whole Wh need three places, fractions of a Wh more."""
    return decimal(Fraction(energy_wh) / WH_PER_KWH, least=3)


def decimal(value: Fraction, least: int = 0, most: int = 9) -> str:
    """All digits where there are at most `most`, else rounded to that; at least `least` places."""
    places = next((p for p in range(least, most) if (value * 10**p).denominator == 1), most)
    return major_text(round_half_up(value * 10**places), places)


def ratio(value: Fraction) -> str:
    """'0.9734'; cut, not rounded, after six places, so that it never shows a limit not reached."""
    return decimal(Fraction(math.floor(value * 10**6), 10**6), least=4)


def tier(row: Tier | None) -> str:
    """'0.8 ≤ ratio < 1.2: pays 100% of the price up to 1.2 × committed'."""
    if row is None:
        return "outside the table: nothing paid, nothing charged"
    low = "" if math.isinf(row.from_ratio) else f"{row.from_ratio:g} ≤ "
    high = "" if math.isinf(row.to_ratio) else f" < {row.to_ratio:g}"
    parts = []
    if row.pay_frac:
        cap = "" if math.isinf(row.cap_ratio) else f" up to {row.cap_ratio:g} × committed"
        parts.append(f"pays {row.pay_frac * 100:.6g}% of the price{cap}")
    else:
        parts.append("pays nothing")
    if row.penalty_frac:
        parts.append(
            f"charges {row.penalty_frac * 100:.6g}% of the penalty price below "
            f"{row.penalty_ratio:g} × committed"
        )
    band = f"{low}ratio{high}" if low or high else "any ratio"
    return f"{band}: {', '.join(parts)}"
