"""The worked cases of the shared settlement file that fall into recent_n and x_of_y.

The file lies outside the project; PEAKSHARE_DATA names its folder, and without it these skip.
Their arithmetic is repeated by hand in test_baseline.py.
"""

import json
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

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

FILE = Path(os.environ.get("PEAKSHARE_DATA", "/nowhere")) / "cases" / "settlement.json"
pytestmark = pytest.mark.skipif(not FILE.exists(), reason=f"{FILE} is not here")

Days = Mapping[date, Mapping[int, float]]
WEDNESDAY = date(2026, 6, 24)


def case(name: str) -> dict[str, Any]:
    cases = json.loads(FILE.read_text())["cases"]
    return next(c for c in cases if c["id"] == name)


def baseline(
    rule: BaselineRule,
    days: Days,
    event_day: date,
    event_hours: Sequence[int],
    holidays: Sequence[str] = (),
    event_days: Sequence[str] = (),
) -> Baseline:
    first = min(days)
    dates = tuple(first + timedelta(days=i) for i in range((event_day - first).days + 1))
    kw = np.full((1, len(dates), 24), np.nan)
    for day, hours in days.items():
        for hour, value in hours.items():
            kw[0, (day - first).days, hour] = value
    history = MeterDays(
        meter_ids=(MeterId("m"),), timezone="UTC", step=timedelta(hours=1), days=dates, kw=kw
    )
    program = Program(
        id=ProgramId("p"), name="p", currency="CNY", timezone="UTC", baseline=rule, tiers=(),
        holidays=tuple(holidays),
    )  # fmt: skip
    start = datetime(*event_day.timetuple()[:3], event_hours[0], tzinfo=UTC)
    (made,) = baselines(
        rule,
        program,
        history,
        spans=Interval(start=start, end=start + timedelta(hours=len(event_hours))),
        notified_at=start,
        excluded={date.fromisoformat(d): "event day" for d in event_days},
    )
    return made


def working_days(count: int) -> list[date]:
    """Newest first."""
    days = (WEDNESDAY - timedelta(days=i) for i in range(1, 40))
    return [d for d in days if d.weekday() < 5][:count]


def china(name: str, event_day: date, rule: BaselineRule) -> Baseline:
    given = case(name)["inputs"]
    days = {
        date.fromisoformat(d): dict(zip(given["hours"], kw, strict=True))
        for d, kw in given["load_kw_by_day"].items()
    }
    return baseline(
        rule, days, event_day, given["hours"], given["holidays"], given["prior_event_days"]
    )


RECENT = BaselineRule(method=BaselineMethod.RECENT_N, days=5, days_non_working=3)


def test_cn_wd_1_the_low_day_is_replaced():
    expected = case("CN-WD-1")["expected"]
    made = china("CN-WD-1", WEDNESDAY, RECENT)
    assert [d.isoformat() for d in made.days_used] == expected["sample_days"]
    assert made.series.values.tolist() == pytest.approx(expected["baseline_kw"], abs=1e-9)
    low = [d.day.isoformat() for d in made.days_dropped if "below" in d.reason]
    assert low == expected["dropped_days"]


def test_cn_wd_2_the_replacement_is_tested_again():
    expected = case("CN-WD-2")["expected"]
    made = china("CN-WD-2", WEDNESDAY, RECENT)
    assert [d.isoformat() for d in made.days_used] == expected["sample_days"]
    assert made.series.values.mean() == pytest.approx(expected["sample_mean_kw"], abs=1e-9)
    low = [d.day.isoformat() for d in made.days_dropped if "below" in d.reason]
    assert low == expected["dropped_days"]


def test_cn_nwd_1_a_saturday_takes_three_weekend_days():
    expected = case("CN-NWD-1")["expected"]
    made = china("CN-NWD-1", date(2026, 6, 27), RECENT)
    assert [d.isoformat() for d in made.days_used] == expected["sample_days"]
    assert made.series.values.tolist() == pytest.approx(expected["baseline_kw"], abs=1e-6)


def test_h4of5_1_high_four_of_five_with_additive_adjustment():
    whole = case("H4OF5-1")
    given, expected = whole["inputs"], whole["expected"]
    dates = dict(zip(given["day_order"], working_days(6), strict=True))
    days = {dates[k]: {int(h): kw for h, kw in v.items()} for k, v in given["days"].items()}
    days[WEDNESDAY] = {int(h): kw for h, kw in given["actual"].items()}
    rule = BaselineRule(
        method=BaselineMethod.X_OF_Y,
        days=5,
        pick_days=4,
        lookback_days=45,
        adjustment=Adjustment.ADDITIVE,
        adjustment_cap_frac=None,
    )
    made = baseline(rule, days, WEDNESDAY, given["event_hours"])
    assert set(made.days_used) == {dates[d] for d in expected["selected"]}
    assert made.adjustment == pytest.approx(expected["saa_kw"], abs=1e-6)
    assert made.unadjusted.values.tolist() == pytest.approx(
        list(expected["unadjusted_kw"].values())
    )
    assert made.series.values.tolist() == pytest.approx(list(expected["adjusted_kw"].values()))
    low = [d.day for d in made.days_dropped if "below" in d.reason]
    assert low == [dates[d] for d in expected["excluded"]]


def test_mid8of10_1_the_highest_and_the_lowest_are_left_out():
    whole = case("MID8OF10-1")
    given, expected = whole["inputs"], whole["expected"]
    dates = dict(zip(given["days"], working_days(10), strict=True))
    days: dict[date, dict[int, float]] = {
        dates[k]: dict(zip((11, 12, 14, 15), [*v["a"], *v["e"]], strict=True))
        for k, v in given["days"].items()
    }
    days[WEDNESDAY] = dict(zip((11, 12), given["actual_adjust_kw"], strict=True))
    rule = BaselineRule(
        method=BaselineMethod.X_OF_Y,
        days=10,
        pick_days=8,
        pick=Pick.MID,
        adjustment=Adjustment.RATIO,
        adjustment_hours=2.0,
        adjustment_cap_frac=None,
    )
    made = baseline(rule, days, WEDNESDAY, [14, 15])
    assert set(made.days_used) == {dates[d] for d in expected["kept"]}
    assert made.adjustment == pytest.approx(expected["adjust_factor"], abs=1e-6)
    assert made.unadjusted.values.tolist() == pytest.approx(expected["unadjusted_kw"])
    assert made.series.values.tolist() == pytest.approx(expected["adjusted_kw"], abs=1e-6)


@pytest.mark.parametrize(("name", "x"), [("10IN10-1", 10), ("5OF10-1", 5)])
def test_x_of_ten_with_a_capped_ratio(name, x):
    """CAISO-like 10 in 10 and NYISO-like 5 of 10, window of the hours 4 to 2 before the start."""
    whole = case(name)
    given, expected = whole["inputs"], whole["expected"]
    days: dict[date, dict[int, float]] = {
        day: dict(zip((10, 11, 12, 14, 15), [*a, *e], strict=True))
        for day, a, e in zip(
            working_days(10), given["days_adjust_kw"], given["days_event_kw"], strict=True
        )
    }
    days[WEDNESDAY] = dict(zip((10, 11, 12), given["actual_adjust_kw"], strict=True))
    rule = BaselineRule(
        method=BaselineMethod.X_OF_Y,
        days=10,
        pick_days=x,
        min_days=5,
        adjustment=Adjustment.RATIO,
        adjustment_cap_frac=0.2,
    )
    made = baseline(rule, days, WEDNESDAY, [14, 15])
    assert made.unadjusted.values.tolist() == pytest.approx(expected["unadjusted_kw"])
    assert made.adjustment == pytest.approx(expected["factor"], abs=1e-6)
    assert made.series.values.tolist() == pytest.approx(expected["adjusted_kw"], abs=1e-6)
    if "selected_idx" in expected:
        assert set(made.days_used) == {working_days(10)[i] for i in expected["selected_idx"]}


def test_ukdfs_1_additive_in_day_adjustment_in_half_hours_of_the_clock():
    """Its six half hours stand here as six hours: the arithmetic is the same."""
    whole = case("UKDFS-1")
    given, expected = whole["inputs"], whole["expected"]
    days: dict[date, dict[int, float]] = {
        day: dict(
            zip(
                (9, 10, 11, 12, 13, 14, 16, 17),
                [*given["ida_unadjusted_kwh"], *given["unadjusted_kwh_event"]],
                strict=True,
            )
        )
        for day in working_days(10)
    }
    days[WEDNESDAY] = dict(zip(range(9, 15), given["ida_actual_kwh"], strict=True))
    rule = BaselineRule(
        method=BaselineMethod.RECENT_N,
        days=10,
        adjustment=Adjustment.ADDITIVE,
        adjustment_hours=6.0,
        adjustment_cap_frac=None,
    )
    made = baseline(rule, days, WEDNESDAY, [16, 17])
    assert made.adjustment == pytest.approx(expected["ida_kwh"], abs=1e-6)
    assert made.series.values.tolist() == pytest.approx(expected["baseline_kwh"], abs=1e-6)
