"""Baselines: which days are chosen, by worked examples."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from controller.model.contracts import (
    BaselineRule,
    Pick,
)
from tests.baseline_world import (
    RECENT,
    flat_days,
    history,
    hours,
    one,
    program,
    working_days_back,
    x_of_y,
)


def test_the_last_five_working_days_are_averaged():
    made = one(RECENT, history(flat_days([100, 110, 120, 130, 140, 999])), hours(15, 16))
    assert made.series.values.tolist() == [120.0, 120.0]
    assert made.days_used == tuple(working_days_back(5))


def test_a_weekend_a_holiday_and_an_event_day_are_no_samples_and_say_so():
    days = flat_days([100.0] * 7)
    holiday, event = working_days_back(2)
    made = one(
        RECENT,
        history(days),
        hours(15, 16),
        under=program([holiday.isoformat()]),
        excluded={event: "event day"},
    )
    reasons = {d.day: d.reason for d in made.days_dropped}
    assert reasons[holiday] == "holiday"
    assert reasons[event] == "event day"
    assert reasons[date(2026, 6, 21)] == "weekend"
    assert len(made.days_used) == 5


def test_an_outlier_is_replaced_and_its_replacement_is_tested_too():
    """180 kW is below 25 % of the mean; so is the 140 kW that takes its place."""
    made = one(RECENT, history(flat_days([1000, 180, 980, 1010, 1000, 140, 960])), hours(15, 16))
    assert made.series.values[0] == pytest.approx((1000 + 980 + 1010 + 1000 + 960) / 5)
    low = [d for d in made.days_dropped if "below 25%" in d.reason]
    assert [d.day for d in low] == [working_days_back(6)[1], working_days_back(6)[5]]
    assert "mean 180.000 kW" in low[0].reason
    assert "834.000 kW" in low[0].reason


def test_a_day_above_twice_the_mean_is_replaced():
    made = one(RECENT, history(flat_days([100, 100, 2000, 100, 100, 100])), hours(15, 16))
    assert made.series.values.tolist() == [100.0, 100.0]
    assert "above 200%" in made.days_dropped[0].reason or "above 200%" in " ".join(
        d.reason for d in made.days_dropped
    )


def test_a_day_exactly_at_the_limit_stays():
    """Mean of 25, 116, 117, 118, 124 is 100: 25 is 25 % of it, not below."""
    made = one(RECENT, history(flat_days([25, 116, 117, 118, 124])), hours(15, 16))
    assert len(made.days_used) == 5


def test_a_day_with_a_missing_interval_is_dropped():
    days = flat_days([100, 100, 100, 100, 100, 160])
    gone = working_days_back(1)[0]
    del days[gone][16]
    made = one(RECENT, history(days), hours(15, 16))
    assert made.series.values.tolist() == [112.0, 112.0]
    assert [d.reason for d in made.days_dropped if d.day == gone] == [
        "values missing in the event hours"
    ]


def test_fewer_days_than_asked_are_used_and_told():
    made = one(RECENT, history(flat_days([100, 110, 120])), hours(15, 16))
    assert made.series.values.tolist() == [110.0, 110.0]
    assert any("fewer like days than the 5" in n for n in made.notes)


def test_no_baseline_below_the_least_number_of_days():
    rule = replace(RECENT, min_days=4)
    made = one(rule, history(flat_days([100, 110, 120])), hours(15, 16))
    assert np.isnan(made.series.values).all()
    assert made.notes == ("only 3 valid days of at least 4: no baseline",)


def test_days_beyond_the_look_back_are_not_used():
    rule = replace(RECENT, lookback_days=3)
    made = one(rule, history(flat_days([100, 110, 120, 130])), hours(15, 16))
    assert made.days_used == tuple(working_days_back(2))


def test_a_saturday_takes_its_own_number_of_weekend_days_without_holidays():
    saturday = date(2026, 6, 27)
    days = {date(2026, 6, d): {15: kw} for d, kw in
            [(21, 50.0), (20, 55.0), (14, 400.0), (13, 380.0), (7, 410.0), (6, 390.0)]}  # fmt: skip
    days |= {d: {15: 1000.0} for d in working_days_back(5, saturday)}
    made = one(
        replace(RECENT, days_non_working=3),
        history(days, until=saturday),
        hours(15, 15, saturday),
        under=program(["2026-06-20", "2026-06-21"]),
    )
    assert made.days_used == (date(2026, 6, 14), date(2026, 6, 13), date(2026, 6, 7))
    assert made.series.values[0] == pytest.approx(1190 / 3)


# --- x_of_y -----------------------------------------------------------------------------------


def pick(rule: BaselineRule, levels: Sequence[float]) -> list[int]:
    """Indexes of the used days, 0 = newest."""
    made = one(rule, history(flat_days(levels)), hours(15, 16))
    days = working_days_back(len(levels))
    return [days.index(d) for d in made.days_used]


def test_high_mid_and_low_take_the_days_they_are_called_after():
    levels = [50, 40, 60, 30, 70]
    assert pick(x_of_y(2, 5, Pick.HIGH), levels) == [2, 4]
    assert pick(x_of_y(3, 5, Pick.MID), levels) == [0, 1, 2]
    assert pick(x_of_y(2, 5, Pick.LOW), levels) == [1, 3]


def test_of_equal_days_the_newer_is_taken():
    assert pick(x_of_y(2, 4, Pick.HIGH), [50, 50, 50, 50]) == [0, 1]
    assert pick(x_of_y(2, 4, Pick.LOW), [50, 50, 50, 50]) == [0, 1]


def test_days_less_than_half_a_watt_hour_apart_are_equal():
    """Choice is made on whole Wh, so that no engine's summation order can turn it."""
    assert pick(x_of_y(1, 2), [50.0, 50.0000004]) == [0]
    assert pick(x_of_y(1, 2), [50.0, 50.002]) == [1]


def test_a_day_of_low_usage_is_replaced_before_ranking_and_a_high_one_is_welcome():
    assert pick(x_of_y(2, 4), [50, 5, 60, 55, 70]) == [2, 4]
    assert pick(x_of_y(1, 4), [50, 50, 50, 900]) == [3]


def test_a_ranked_out_day_says_its_rank():
    made = one(x_of_y(1, 3), history(flat_days([50, 60, 40])), hours(15, 16))
    ranks = {d.day: d.reason for d in made.days_dropped if "ranked" in d.reason}
    newest, _, oldest = working_days_back(3)
    assert ranks[newest].startswith("ranked 2 ")
    assert ranks[oldest].startswith("ranked 3 ")
