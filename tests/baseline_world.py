"""Invented meters for the tests of baselines: hourly days of one level, called for some hours."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np

from controller.baseline.baselines import baselines
from controller.baseline.days import MeterDays
from controller.model.contracts import (
    Adjustment,
    BaselineMethod,
    BaselineRule,
    Pick,
    Program,
)
from controller.model.ids import MeterId, ProgramId
from controller.model.money import Baseline
from controller.model.time import Interval

EVENT_DAY = date(2026, 6, 24)  # a Wednesday
HOUR = timedelta(hours=1)
RECENT = BaselineRule(method=BaselineMethod.RECENT_N, days=5)
PJM = BaselineRule(
    method=BaselineMethod.X_OF_Y,
    days=5,
    pick_days=4,
    lookback_days=45,
    adjustment=Adjustment.ADDITIVE,
    adjustment_cap_frac=None,
)
RATIO = BaselineRule(
    method=BaselineMethod.X_OF_Y,
    days=5,
    pick_days=5,
    adjustment=Adjustment.RATIO,
    adjustment_cap_frac=0.2,
)


def program(holidays: Sequence[str] = ()) -> Program:
    return Program(
        id=ProgramId("p"),
        name="p",
        currency="CNY",
        timezone="UTC",
        baseline=RECENT,
        tiers=(),
        holidays=tuple(holidays),
    )


def history(
    kw_by_day: Mapping[date, Mapping[int, float]], meters: int = 1, until: date = EVENT_DAY
) -> MeterDays:
    """Hourly days from `{day: {hour: kW}}`, NaN elsewhere; all meters alike."""
    first = min(kw_by_day)
    days = tuple(first + timedelta(days=i) for i in range((until - first).days + 1))
    kw = np.full((meters, len(days), 24), np.nan)
    for day, hours in kw_by_day.items():
        for hour, value in hours.items():
            kw[:, (day - first).days, hour] = value
    return MeterDays(
        meter_ids=tuple(MeterId(f"m{i}") for i in range(meters)),
        timezone="UTC",
        step=HOUR,
        days=days,
        kw=kw,
    )


def hours(first: int, last: int, day: date = EVENT_DAY) -> Interval:
    """From the start of hour `first` to the end of hour `last`."""
    start = datetime(day.year, day.month, day.day, first, tzinfo=UTC)
    return Interval(start=start, end=start + HOUR * (last - first + 1))


def working_days_back(count: int, before: date = EVENT_DAY) -> list[date]:
    out: list[date] = []
    day = before
    while len(out) < count:
        day -= timedelta(days=1)
        if day.weekday() < 5:
            out.append(day)
    return out


def one(
    rule: BaselineRule,
    past: MeterDays,
    span: Interval,
    *,
    notified_at: datetime | None = None,
    under: Program | None = None,
    excluded: Mapping[date, str] | None = None,
) -> Baseline:
    """The first meter's baseline, told at the start unless said otherwise."""
    return baselines(
        rule,
        under or program(),
        past,
        spans=span,
        notified_at=notified_at or span.start,
        excluded=excluded or {},
    )[0]


def flat_days(
    levels: Sequence[float], at: Sequence[int] = (15, 16)
) -> dict[date, dict[int, float]]:
    """Working days before the event, newest first, at one level each."""
    days = working_days_back(len(levels))
    return {d: dict.fromkeys(at, kw) for d, kw in zip(days, levels, strict=True)}


def x_of_y(x: int, y: int, which: Pick = Pick.HIGH) -> BaselineRule:
    return BaselineRule(method=BaselineMethod.X_OF_Y, pick_days=x, days=y, pick=which)
