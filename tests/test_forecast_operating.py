"""Operating forecasts of many meters at once, and their correction by readings."""

import time
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.forecast.features import local_calendar
from controller.forecast.operating import correct, operating_forecast, weather_share
from controller.model.time import QUARTER_HOUR, Grid, Series
from tests.forecast_cases import (
    HOLIDAYS,
    HOT_DAY,
    MELBOURNE,
    day_grid,
    evening_before,
    the_area,
    until,
)

PAST = the_area().load.grid.within(until(the_area().load, evening_before(HOT_DAY)).grid.span)
DAY = day_grid(HOT_DAY)
WHOLE = Grid(start=PAST.start, step=QUARTER_HOUR, count=(DAY.end - PAST.start) // QUARTER_HOUR)
TEMP_C = the_area().temperature.on(WHOLE).values
CALENDAR = local_calendar(WHOLE, MELBOURNE, HOLIDAYS)
HOUR = CALENDAR.frac * 24


def forecast(meters: np.ndarray) -> np.ndarray:
    """The hot day of `meters` (m, whole), from what was known the evening before."""
    area = the_area()
    return operating_forecast(
        meters[:, : PAST.count],
        PAST,
        area.temperature.on(PAST),
        area.temperature.on(DAY),
        DAY,
        timezone=MELBOURNE,
        holidays=HOLIDAYS,
    )


def of_day(meters: np.ndarray) -> np.ndarray:
    return meters[:, WHOLE.count - DAY.count :]


def a_factory() -> np.ndarray:
    """Two shifts on working days with sharp edges, a little noise."""
    shift = CALENDAR.working & (HOUR >= 6) & (HOUR < 22)
    return np.where(shift, 900.0, 150.0) + np.random.default_rng(1).normal(0, 10, WHOLE.count)


def cooling(capacity: float = 1.0) -> np.ndarray:
    """What the heat adds: from 22 °C on, saturating at 36 °C, half an hour late."""
    return capacity * np.clip((np.roll(TEMP_C, 2) - 22) / 14, 0, 1)


def a_mall() -> np.ndarray:
    opened = (HOUR >= 9) & (HOUR < 21)
    return np.where(opened, 300 + cooling(250.0), 80.0)


def test_a_factorys_shifts_keep_their_edges():
    meters = a_factory()[None]
    error = forecast(meters) - of_day(meters)
    assert np.abs(error).mean() < 20
    assert np.abs(error).max() < 80


def test_heat_raises_a_mall_as_far_as_it_did_before():
    """16:00 to 20:00 on the 41 °C day, seen from a history with 43 °C in it."""
    meters = a_mall()[None]
    afternoon = slice(64, 80)
    ratio = forecast(meters)[0, afternoon].mean() / of_day(meters)[0, afternoon].mean()
    assert ratio == pytest.approx(1.0, abs=0.04)


def test_the_weathers_part_is_told_from_the_rest():
    meters = np.stack([a_mall(), a_factory()])
    area = the_area()
    share = weather_share(
        meters[:, : PAST.count],
        PAST,
        area.temperature.on(PAST),
        area.temperature.on(DAY),
        DAY,
        timezone=MELBOURNE,
        holidays=HOLIDAYS,
    )
    afternoon = slice(64, 80)
    assert share[0, afternoon].mean() == pytest.approx(
        cooling(250.0)[WHOLE.count - DAY.count :][afternoon].mean(), rel=0.1
    )
    assert np.abs(share[1]).mean() < 20
    assert (share >= 0).all()


def test_the_forecast_of_a_sum_is_the_sum_of_the_forecasts():
    """So a cohort's mean may be forecast from its members', as long as no bound is met."""
    random = np.random.default_rng(5)
    meters = np.stack([a_mall() + 5000 + random.normal(0, 5, WHOLE.count) for _ in range(4)])
    assert forecast(meters).sum(axis=0) == pytest.approx(forecast(meters.sum(axis=0)[None])[0])


def test_gaps_hurt_little_and_a_silent_meter_is_nan():
    whole = a_mall()
    holey = whole.copy()
    holey[np.random.default_rng(2).random(WHOLE.count) < 0.2] = np.nan
    out = forecast(np.stack([whole, holey, np.full(WHOLE.count, np.nan)]))
    assert np.abs(out[1] - out[0]).mean() < 0.03 * out[0].mean()
    assert np.isnan(out[2]).all()


def test_a_day_of_outage_is_not_taken_for_a_habit():
    """Without power on 21 January: the forecast for the 28th does not sink."""
    meters = np.stack([a_factory(), a_factory()])
    day = slice(WHOLE.count - 8 * 96, WHOLE.count - 7 * 96)
    meters[1, day] = 0.0
    out = forecast(meters)
    assert np.abs(out[1] - out[0])[40:80].mean() < 0.01 * out[0, 40:80].mean()


def test_one_day_of_history_is_enough_for_a_guess():
    """With no more than a day the forecast is like that day, not wild."""
    meters = a_factory()[None].copy()
    meters[:, : PAST.count - 96] = np.nan
    out = forecast(meters)
    assert out.min() > -50
    assert out.max() < 1100


@settings(max_examples=20)
@given(st.integers(0, 1000), st.floats(0.1, 1000))
def test_a_forecast_stays_within_what_was_ever_metered(seed, size):
    random = np.random.default_rng(seed)
    meters = np.abs(random.normal(0, size, (2, WHOLE.count)))
    meters[1] -= size
    out = forecast(meters)
    low, high = meters[:, : PAST.count].min(axis=1), meters[:, : PAST.count].max(axis=1)
    assert (out >= np.minimum(low, 0)[:, None] * 1.1 - 1e-9).all()
    assert (out <= np.maximum(high, 0)[:, None] * 1.1 + 1e-9).all()


def test_a_history_of_the_wrong_shape_is_refused():
    area = the_area()
    with pytest.raises(ValueError, match="shape"):
        operating_forecast(
            np.zeros((3, 5)), PAST, area.temperature, area.temperature, DAY,
            timezone=MELBOURNE, holidays=HOLIDAYS,
        )  # fmt: skip


def test_two_thousand_meters_take_less_than_three_seconds():
    random = np.random.default_rng(9)
    scale = random.uniform(0.5, 2, (2000, 1))
    meters = scale * (0.4 + cooling(2.0)) + random.exponential(0.2, (2000, WHOLE.count))
    begin = time.process_time()
    out = forecast(meters)
    assert time.process_time() - begin < 5.0  # both cores together
    assert out[:, 64:80].mean() == pytest.approx(of_day(meters)[:, 64:80].mean(), rel=0.05)


def a_day(value: float) -> Series:
    return Series.full(DAY, value)


NOON = DAY.at(48)


def test_readings_lift_the_hours_after_them_and_the_lift_fades():
    fresh = correct(a_day(100.0), a_day(120.0), until=NOON, decay_h=6.0).values
    assert (fresh[:48] == 100.0).all()
    assert fresh[48] == pytest.approx(120.0)
    assert fresh[48 + 24] == pytest.approx(100 + 20 * np.exp(-1))
    assert (np.diff(fresh[48:]) < 0).all()


def test_a_correction_may_be_asked_to_stay():
    assert (correct(a_day(100.0), a_day(80.0), until=NOON, decay_h=None).values[48:] == 80.0).all()


def test_readings_after_the_instant_are_not_looked_at():
    readings = a_day(100.0)
    readings.values[48:] = 1e6
    assert correct(a_day(100.0), readings, until=NOON) == a_day(100.0)


def test_minutes_correct_quarter_hours():
    minutes = Grid(start=NOON - timedelta(hours=2), step=QUARTER_HOUR / 15, count=120)
    fresh = correct(a_day(100.0), Series.full(minutes, 90.0), until=NOON)
    assert fresh.values[48] == pytest.approx(90.0)


def test_no_reading_leaves_the_forecast():
    assert correct(a_day(100.0), Series.missing(DAY), until=NOON) == a_day(100.0)
    past = replace(DAY, start=DAY.start - timedelta(days=3))
    assert correct(a_day(100.0), Series.full(past, 5.0), until=NOON) == a_day(100.0)


def test_a_correction_does_not_push_a_quiet_evening_below_zero():
    """40 kW less at noon are not 40 kW less of the 10 kW forecast for the evening."""
    expected = a_day(100.0)
    expected.values[72:] = 10.0
    fresh = correct(expected, a_day(60.0), until=NOON, decay_h=None).values
    assert (fresh[48:72] == 60.0).all()
    assert (fresh[72:] == 0.0).all()


@given(st.floats(-1e4, 1e4), st.floats(0, 1e3), st.integers(8, 95))
def test_a_correction_is_bounded_and_makes_no_feed_in(reading, level, i):
    fresh = correct(a_day(level), a_day(reading), until=DAY.at(i)).values
    assert (np.abs(fresh - level) <= level / 2 + 1e-9).all()
    assert (fresh >= 0).all()
