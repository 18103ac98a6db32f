"""Baselines: worked examples by hand, and what must hold for any meter."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.baseline.baselines import baselines, used_kw
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


# --- recent_n ---------------------------------------------------------------------------------


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


def x_of_y(x: int, y: int, which: Pick = Pick.HIGH) -> BaselineRule:
    return BaselineRule(method=BaselineMethod.X_OF_Y, pick_days=x, days=y, pick=which)


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


# --- same-day adjustment ----------------------------------------------------------------------


def adjusted_case(
    rule: BaselineRule, today: Mapping[int, float], notified_at: datetime | None = None
) -> Baseline:
    """Five days of 100 kW in hours 8 to 17; the event is hours 15 and 16."""
    days: dict[date, Mapping[int, float]] = dict(flat_days([100.0] * 5, range(8, 18)))
    return one(rule, history({**days, EVENT_DAY: today}), hours(15, 16), notified_at=notified_at)


RATIO = BaselineRule(
    method=BaselineMethod.X_OF_Y,
    days=5,
    pick_days=5,
    adjustment=Adjustment.RATIO,
    adjustment_cap_frac=0.2,
)


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


# --- many meters ------------------------------------------------------------------------------


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
