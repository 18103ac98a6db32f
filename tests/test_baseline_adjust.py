"""Baselines: the same-day adjustment, by worked examples."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.model.contracts import (
    Adjustment,
    BaselineRule,
)
from controller.model.money import Baseline
from tests.baseline_world import (
    EVENT_DAY,
    RATIO,
    flat_days,
    history,
    hours,
    one,
    working_days_back,
)


def adjusted_case(
    rule: BaselineRule, today: Mapping[int, float], notified_at: datetime | None = None
) -> Baseline:
    """Five days of 100 kW in hours 8 to 17; the event is hours 15 and 16."""
    days: dict[date, Mapping[int, float]] = dict(flat_days([100.0] * 5, range(8, 18)))
    return one(rule, history({**days, EVENT_DAY: today}), hours(15, 16), notified_at=notified_at)


def test_the_ratio_scales_to_the_morning_and_is_capped():
    free = replace(RATIO, adjustment_cap_frac=None)
    assert adjusted_case(free, {11: 130, 12: 130, 13: 130}).adjustment == pytest.approx(1.3)
    made = adjusted_case(RATIO, {11: 130, 12: 130, 13: 130})
    assert made.adjustment == 1.2
    assert made.series.values.tolist() == pytest.approx([120.0, 120.0])
    assert made.unadjusted.values.tolist() == [100.0, 100.0]
    assert "11:00–14:00" in made.notes[0]
    assert "limited to 1.2" in made.notes[0]


def test_the_additive_shift_is_capped_by_the_mean_baseline_and_never_below_no_load():
    rule = replace(RATIO, adjustment=Adjustment.ADDITIVE, adjustment_cap_frac=0.2)
    assert adjusted_case(rule, {11: 150, 12: 150, 13: 150}).adjustment == 20.0
    free = replace(rule, adjustment_cap_frac=None)
    made = adjusted_case(free, {11: -60, 12: -60, 13: -60})
    assert made.adjustment == -160.0
    assert made.series.values.tolist() == [0.0, 0.0]


def test_the_window_ends_at_the_notice_when_that_is_earlier():
    """Told at 12:30, the customer's load of 12:00 to 13:00 no longer counts."""
    told = datetime(2026, 6, 24, 12, 30, tzinfo=UTC)
    made = adjusted_case(RATIO, {9: 110, 10: 110, 11: 110, 12: 500, 13: 500}, notified_at=told)
    assert made.adjustment == pytest.approx(1.1)
    assert "09:00–12:00" in made.notes[0]


def test_an_evening_notice_compares_the_evenings_before():
    """Told at 18:00 the day before, 110 kW then: each sample's own evening before had 100."""
    days: dict[date, dict[int, float]] = {}
    for day in working_days_back(5):
        days.setdefault(day, {}).update({15: 100.0, 16: 100.0})
        evening = days.setdefault(day - timedelta(days=1), {})
        evening |= dict.fromkeys((15, 16, 17), 100.0)
    days[EVENT_DAY - timedelta(days=1)] |= dict.fromkeys((15, 16, 17), 110.0)
    told = datetime(2026, 6, 23, 18, tzinfo=UTC)
    made = one(replace(RATIO, adjustment_hours=3.0), history(days), hours(15, 16), notified_at=told)
    assert made.adjustment == pytest.approx(1.1)
    assert "2026-06-23 15:00–18:00" in made.notes[0]


def test_nothing_metered_in_the_window_leaves_the_baseline_alone_and_says_so():
    made = adjusted_case(RATIO, {})
    assert made.adjustment == 1.0
    assert made.series.values.tolist() == [100.0, 100.0]
    assert "not adjusted" in made.notes[0]


@given(st.lists(st.floats(0, 1000), min_size=24, max_size=24))
@settings(max_examples=50)
def test_nothing_after_the_window_changes_the_baseline(today):
    """Neither the hour before the start nor the event itself is ever read."""
    morning = {11: 90.0, 12: 95.0, 13: 105.0}
    known = adjusted_case(RATIO, morning)
    other = {h: kw for h, kw in enumerate(today) if h not in morning}
    assert adjusted_case(RATIO, {**morning, **other}) == known
