"""Same-day adjustment: shift or scale the chosen days to the hours before the notice."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from controller.baseline.days import MeterDays
from controller.model.contracts import Adjustment, BaselineRule
from controller.model.time import Interval, require_utc

_NOTHING_KW = 1e-9
"""A baseline whose window sums to no more than this cannot be scaled."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Adjusted:
    """(meters, k) adjusted kW, (meters,) kW added or factor applied, and a note per meter."""

    kw: NDArray[np.float64] = field(repr=False)
    amount: NDArray[np.float64]
    notes: tuple[str, ...]


def adjusted(
    rule: BaselineRule,
    history: MeterDays,
    window: Interval,
    event_day: date,
    days: Sequence[date],
    used: NDArray[np.bool_],
    kw: NDArray[np.float64],
) -> Adjusted:
    """Apply `rule.adjustment` to `kw`, (meters, k); `used` is (meters, days).

    Both sides of the comparison use the same intervals: those of the window that the event day
    and all used days know. Additive: c = mean(metered) − mean(baseline), never below zero load;
    ratio: f = Σ metered / Σ baseline, clipped to 1 ± cap, 1 where the baseline is nothing
    (the SAA of PJM, day-of adjustment of CAISO, in-day adjustment of GB DFS).
    """
    if rule.adjustment is Adjustment.NONE:
        none = np.zeros(len(kw))
        return Adjusted(kw=kw.copy(), amount=none, notes=("",) * len(kw))
    # After an early notice the window lies on the evening before: on that of each sample too.
    hours = history.wall_hours(window, event_day)
    today = history.on([event_day], hours)[:, 0, :]
    like = mean_of(history.on(days, hours), used)
    both = np.isfinite(today) & np.isfinite(like)
    metered, base = _ordered_sum(today, both), _ordered_sum(like, both)
    known = both.sum(axis=1)
    when = _text(window, history.timezone)
    if rule.adjustment is Adjustment.ADDITIVE:
        return _additive(rule, kw, metered, base, known, when)
    return _ratio(rule, kw, metered, base, known, when)


def adjustment_window(
    rule: BaselineRule, start: datetime, notified_at: datetime, step: timedelta
) -> Interval:
    """`adjustment_hours` up to the gap before the start or to the notice, whichever is earlier.

    The end is moved back to a whole interval, so no part of it follows the notice.
    """
    end = min(start - timedelta(hours=rule.adjustment_gap_h), require_utc(notified_at))
    end -= (end - start) % step
    length = math.floor(timedelta(hours=rule.adjustment_hours) / step) * step
    return Interval(start=end - length, end=end)


def mean_of(kw: NDArray[np.float64], used: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(meters, k): the mean over the used days of (meters, days, k); NaN where one is unknown.

    Days are added newest first, one by one, so that the result has the same bits for one meter as
    for a million.
    """
    total = np.zeros((kw.shape[0], kw.shape[2]))
    for i in range(kw.shape[1]):
        total += np.where(used[:, i, None], kw[:, i, :], 0.0)
    count = used.sum(axis=1)[:, None]
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _additive(
    rule: BaselineRule,
    kw: NDArray[np.float64],
    metered: NDArray[np.float64],
    base: NDArray[np.float64],
    known: NDArray[np.int64],
    when: str,
) -> Adjusted:
    n = np.maximum(known, 1)
    raw = np.where(known > 0, metered / n - base / n, 0.0)
    shift = raw
    if rule.adjustment_cap_frac is not None:
        most = rule.adjustment_cap_frac * np.abs(_row_mean(kw))
        shift = np.clip(raw, -most, most)
    # Never below no load; a meter that feeds in keeps its sign.
    out = np.maximum(kw + shift[:, None], np.minimum(kw, 0.0))
    notes = (
        _compared(when, m / k, "−", b / k, f"{r:+.4f} kW") + _capped(r, s)
        if k
        else f"{when}: nothing to compare, not adjusted"
        for m, b, k, r, s in zip(metered, base, known, raw, shift, strict=True)
    )
    return Adjusted(kw=out, amount=shift, notes=tuple(notes))


def _ratio(
    rule: BaselineRule,
    kw: NDArray[np.float64],
    metered: NDArray[np.float64],
    base: NDArray[np.float64],
    known: NDArray[np.int64],
    when: str,
) -> Adjusted:
    usable = (known > 0) & (base > _NOTHING_KW)
    raw = np.where(usable, metered / np.where(usable, base, 1.0), 1.0)
    cap = math.inf if rule.adjustment_cap_frac is None else rule.adjustment_cap_frac
    factor = np.clip(raw, max(0.0, 1 - cap), 1 + cap)
    notes = (
        _compared(when, m / k, "÷", b / k, f"{r:.6f}") + _capped(r, f)
        if ok
        else f"{when}: no load to compare, not adjusted"
        for m, b, k, r, f, ok in zip(metered, base, known, raw, factor, usable, strict=True)
    )
    return Adjusted(kw=kw * factor[:, None], amount=factor, notes=tuple(notes))


def _compared(when: str, metered: float, sign: str, base: float, result: str) -> str:
    return (
        f"{when}: metered {metered:.4f} kW {sign} same hours of the days used {base:.4f} kW = "
        f"{result}"
    )


def _capped(raw: float, applied: float) -> str:
    return "" if raw == applied else f", limited to {applied:.6f}"


def _ordered_sum(kw: NDArray[np.float64], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(meters,): sums in time order, the same bits whatever the number of meters."""
    total = np.zeros(len(kw))
    for i in range(kw.shape[1]):
        total += np.where(known[:, i], kw[:, i], 0.0)
    return total


def _row_mean(kw: NDArray[np.float64]) -> NDArray[np.float64]:
    known = np.isfinite(kw)
    mean: NDArray[np.float64] = _ordered_sum(kw, known) / np.maximum(known.sum(axis=1), 1)
    return mean


def _text(window: Interval, timezone: str) -> str:
    zone = ZoneInfo(timezone)
    start, end = window.start.astimezone(zone), window.end.astimezone(zone)
    return f"{start:%Y-%m-%d %H:%M}–{end:%H:%M}"
