"""Values that people write as text: durations, money, hours, weekdays, ids, words of a list.

Every function takes what stood in the file and returns the value, or raises ValueError whose
message says what was expected. Each text is read here, once, and nowhere else.
"""

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import time, timedelta
from difflib import get_close_matches
from enum import StrEnum
from functools import cache
from typing import TypeVar
from zoneinfo import available_timezones

from controller.units import minor_from_major

E = TypeVar("E", bound=StrEnum)

CURRENCY_EXPONENT = {"AUD": 2, "CNY": 2, "EUR": 2, "GBP": 2, "JPY": 0, "KRW": 0, "USD": 2}
"""Decimal places of the minor unit (ISO 4217): 2 means fen, cents, pence."""

_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)? ?(?:s|min|h|d))(?: \d+(?:\.\d+)? ?(?:s|min|h|d))*")
_PART = re.compile(r"(\d+(?:\.\d+)?) ?(s|min|h|d)")
_MONEY = re.compile(r"(\d+(?:\.\d+)?) ([A-Z]{3})(?:/([A-Za-z-]+))?")
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """An amount in whole minor units of a currency."""

    minor: int
    currency: str


def duration(raw: object) -> timedelta:
    """'15 min', '2 h', '90 s', '1 h 30 min', '1 d'."""
    if not isinstance(raw, str) or not _DURATION.fullmatch(raw.strip()):
        raise ValueError('a duration such as "90 s", "15 min", "2 h" or "1 h 30 min"')
    return timedelta(seconds=sum(float(n) * _SECONDS[u] for n, u in _PART.findall(raw)))


def duration_text(value: timedelta) -> str:
    """The way `duration` reads it, in the largest units that divide it: '1 h 30 min'."""
    rest, parts = value.total_seconds(), []
    for unit in ("h", "min", "s"):
        count, rest = divmod(rest, _SECONDS[unit])
        if count:
            parts.append(f"{count:g} {unit}")
    return " ".join(parts) or "0 s"


def money(per: str | None) -> Callable[[object], Money]:
    """A reader of '2.40 CNY/kWh' for `per` = 'kWh', of '1500 CNY' for None."""

    def read(raw: object) -> Money:
        match = _MONEY.fullmatch(raw.strip()) if isinstance(raw, str) else None
        if match is None or match[3] != per:
            raise ValueError(f'an amount such as "2.40 CNY{"/" + per if per else ""}"')
        if match[2] not in CURRENCY_EXPONENT:
            raise ValueError(f"a currency out of {', '.join(sorted(CURRENCY_EXPONENT))}")
        exponent = CURRENCY_EXPONENT[match[2]]
        if len(match[1].partition(".")[2]) > exponent:
            raise ValueError(f"at most {exponent} decimals: {match[2]} has no smaller coin")
        return Money(minor=minor_from_major(match[1], exponent), currency=match[2])

    return read


def clock_time(raw: object) -> time:
    """A local wall-clock time, '18:30'."""
    match = _CLOCK.fullmatch(raw) if isinstance(raw, str) else None
    if match is None:
        raise ValueError('a local time such as "18:30", in quotes')
    return time(int(match[1]), int(match[2]))


def weekdays(raw: object) -> tuple[int, ...]:
    """'Mon-Fri' or 'Mon, Wed, Sat-Sun' as numbers, Monday = 0."""
    days: set[int] = set()
    for part in raw.split(",") if isinstance(raw, str) else [""]:
        ends = [name.strip().lower() for name in part.split("-")]
        if len(ends) > 2 or any(name not in _WEEKDAYS for name in ends):
            raise ValueError('weekdays such as "Mon-Fri" or "Sat, Sun"')
        first, last = _WEEKDAYS.index(ends[0]), _WEEKDAYS.index(ends[-1])
        if last < first:
            raise ValueError('weekdays in order from Monday to Sunday, such as "Mon-Fri"')
        days.update(range(first, last + 1))
    return tuple(sorted(days))


def slug(raw: object) -> str:
    """An id: letters, digits, '.', '_' and '-', at most 64 of them."""
    if not isinstance(raw, str) or not _ID.fullmatch(raw):
        raise ValueError("an id of letters, digits, '.', '_' and '-', such as \"mill-3\"")
    return raw


def timezone(raw: object) -> str:
    """A name of the IANA time zone database."""
    known = _timezones()
    if not isinstance(raw, str) or raw not in known:
        raise ValueError('a time zone such as "Asia/Shanghai"' + did_you_mean(raw, known))
    return raw


def currency(raw: object) -> str:
    """A currency code whose minor unit we know."""
    if not isinstance(raw, str) or raw not in CURRENCY_EXPONENT:
        raise ValueError(f"a currency out of {', '.join(sorted(CURRENCY_EXPONENT))}")
    return raw


def options(raw: object) -> dict[str, str | int | float | bool]:
    """A table of plain values; what they mean is the protocol's business."""
    if not isinstance(raw, dict) or not all(isinstance(v, str | int | float) for v in raw.values()):
        raise ValueError("a table whose values are texts, numbers, true or false")
    return raw


def ordered(raw: float) -> float:
    """A number that can be compared: `inf` is one, NaN is not."""
    if math.isnan(raw):
        raise ValueError("a number, or inf or -inf")
    return raw


def word(kind: type[E]) -> Callable[[object], E]:
    """A reader of the words of an enumeration."""
    words = [member.value for member in kind]

    def read(raw: object) -> E:
        if not isinstance(raw, str) or raw not in words:
            raise ValueError(f"one of {', '.join(words)}{did_you_mean(raw, words)}")
        return kind(raw)

    return read


def did_you_mean(raw: object, known: Iterable[str]) -> str:
    """'; did you mean "cap_kw"?' where something known looks like it, else nothing."""
    close = closest(raw, known)
    return f'; did you mean "{close}"?' if close else ""


def closest(raw: object, known: Iterable[str]) -> str | None:
    """The known word that looks most like `raw`, if any does."""
    close = get_close_matches(str(raw), list(known), n=1, cutoff=0.7)
    return close[0] if close else None


@cache
def _timezones() -> frozenset[str]:
    return frozenset(available_timezones())
