"""Baselines of many meters at once: the same bits as one alone, and a plain walk's days."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import numpy as np
import pytest

from controller.baseline.baselines import baselines, used_kw
from controller.baseline.days import MeterDays
from controller.model.contracts import (
    BaselineMethod,
    BaselineRule,
    Pick,
)
from controller.model.ids import MeterId
from controller.model.time import Interval
from tests.baseline_world import (
    EVENT_DAY,
    HOUR,
    PJM,
    RATIO,
    RECENT,
    flat_days,
    history,
    hours,
    one,
    program,
    working_days_back,
    x_of_y,
)


def random_history(seed: int, meters: int) -> MeterDays:
    rng = np.random.default_rng(seed)
    first = EVENT_DAY - timedelta(days=40)
    kw = rng.integers(0, 40, (meters, 41, 24)) * rng.choice([0.25, 1.0, 7.3], (meters, 1, 1))
    kw = kw.astype(np.float64)
    kw[rng.random(kw.shape) < 0.01] = np.nan
    kw[rng.random((meters, 41)) < 0.1] *= 0.1
    return MeterDays(
        meter_ids=tuple(MeterId(f"m{i}") for i in range(meters)),
        timezone="UTC",
        step=HOUR,
        days=tuple(first + timedelta(days=i) for i in range(41)),
        kw=kw,
    )


RULES = [
    RECENT,
    replace(RECENT, days=10, low_usage_frac=0.5, high_usage_frac=1.5),
    x_of_y(4, 10, Pick.HIGH),
    x_of_y(6, 10, Pick.MID),
    x_of_y(3, 5, Pick.LOW),
]


@pytest.mark.parametrize("rule", RULES)
def test_the_days_are_those_a_plain_walk_in_fractions_finds(rule):
    """An independent reading of the rules, one meter at a time, exact."""
    past = random_history(5, 60)
    made = baselines(rule, program(), past, spans=hours(14, 17), notified_at=hours(14, 17).start)
    for i, baseline in enumerate(made):
        assert baseline.days_used == tuple(walk(rule, past, i, range(14, 18)))


def walk(rule: BaselineRule, past: MeterDays, meter: int, event: range) -> list[date]:
    energy: dict[date, int] = {}
    for day in working_days_back(60):
        if day < max(past.days[0], EVENT_DAY - timedelta(days=rule.lookback_days)):
            break
        kw = past.kw[meter, past.days.index(day), event.start : event.stop]
        if not np.isnan(kw).any():
            energy[day] = sum(int(Fraction(float(x)) * 1000 + Fraction(1, 2)) for x in kw)
    left = list(energy)
    low, high = Fraction(str(rule.low_usage_frac)), Fraction(str(rule.high_usage_frac))
    while True:
        sample = left[: rule.days]
        if not sample:
            return []
        mean = Fraction(sum(energy[d] for d in sample), len(sample))
        bad = [
            d
            for d in sample
            if energy[d] < low * mean
            or (rule.method is BaselineMethod.RECENT_N and energy[d] > high * mean)
        ]
        if not bad:
            break
        left = [d for d in left if d not in bad]
    if rule.method is BaselineMethod.RECENT_N:
        return sample
    sign = 1 if rule.pick is Pick.LOW else -1
    ranked = sorted(sample, key=lambda d: (sign * energy[d], -d.toordinal()))
    skip = max(0, len(ranked) - rule.pick_days) // 2 if rule.pick is Pick.MID else 0
    return sorted(ranked[skip : skip + rule.pick_days], reverse=True)


@pytest.mark.parametrize("rule", [*RULES, RATIO, replace(PJM, adjustment_cap_frac=0.1)])
def test_a_meter_alone_gets_the_same_bits_as_among_many(rule):
    past = random_history(11, 40)
    span = hours(14, 17)
    told = span.start - timedelta(minutes=7)
    many = baselines(rule, program(), past, spans=span, notified_at=told)
    for i in (0, 7, 39):
        (alone,) = baselines(rule, program(), past.rows([i]), spans=span, notified_at=told)
        assert alone == many[i]


def test_meters_called_at_different_hours_get_their_own_hours():
    past = history({d: {h: float(h) for h in range(24)} for d in working_days_back(6)}, meters=2)
    made = baselines(
        RECENT,
        program(),
        past,
        spans=[hours(10, 11), hours(15, 16)],
        notified_at=[hours(10, 10).start, hours(15, 15).start],
    )
    assert [b.series.values.tolist() for b in made] == [[10.0, 11.0], [15.0, 16.0]]
    assert [b.meter_id for b in made] == ["m0", "m1"]


def test_an_event_over_midnight_reads_both_days():
    start = datetime(2026, 6, 24, 23, tzinfo=UTC)
    days: dict[date, dict[int, float]] = {}
    for back in range(1, 9):
        days[EVENT_DAY - timedelta(days=back)] = {23: 100.0, 0: 40.0}
    days[EVENT_DAY] = {0: 60.0}
    made = one(RECENT, history(days), Interval(start=start, end=start + 2 * HOUR))
    assert made.series.values.tolist() == [100.0, 40.0]
    assert EVENT_DAY - timedelta(days=1) not in made.days_used


def test_a_meter_that_feeds_in_keeps_its_sign():
    made = one(RECENT, history(flat_days([-10, -12, -11, -9, -8])), hours(15, 16))
    assert made.series.values.tolist() == [-10.0, -10.0]


def test_the_days_used_can_be_shown_with_their_values():
    past = history(flat_days([100, 110, 120, 130, 140]))
    made = one(RECENT, past, hours(15, 16))
    shown = used_kw(past, made)
    assert list(shown) == list(made.days_used)
    assert np.mean([s.values for s in shown.values()], axis=0).tolist() == [120.0, 120.0]


def test_history_of_another_time_zone_is_refused():
    with pytest.raises(ValueError, match="history in UTC"):
        one(RECENT, history(flat_days([1.0])), hours(15, 16),
            under=replace(program(), timezone="Asia/Shanghai"))  # fmt: skip
