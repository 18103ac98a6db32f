"""The parts of the rolling engine, each against what it must do."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.forecast.boost import rolling_boost
from controller.forecast.day_table import DayTable, local_zone
from controller.forecast.intervals import QUANTILES, Width, error_bands, error_level
from controller.forecast.kernel import rolling_kernel
from controller.forecast.mix import rolling_mix
from controller.forecast.online_ridge import RecursiveRidge, rolling_ridge
from controller.forecast.scale import Scale
from controller.forecast.simulate_peak import simulated_errors, simulated_peak
from controller.forecast.special_days import day_calendar
from controller.forecast.stations import station_weights
from controller.forecast.weather import weather_of, without_gaps
from controller.forecast.weather_forecast import corrected_forecast, own_forecast
from controller.model.time import Grid

YEAR = [date(2021, 1, 1) + timedelta(days=i) for i in range(365)]


def test_a_rolling_ridge_is_the_faded_ridge_on_the_days_before():
    rng = np.random.default_rng(1)
    X, Y = rng.normal(size=(40, 2, 3)), rng.normal(size=(40, 2, 1))
    found = rolling_ridge(X, Y, penalty=0.5, half_life_days=9, lead_days=2, first_day=30)
    w = 0.5 ** (np.arange(28, -1, -1) / 9)
    for slot in range(2):
        x, y = X[:29, slot], Y[:29, slot]
        beta = np.linalg.solve((x * w[:, None]).T @ x + 0.5 * np.eye(3), (x * w[:, None]).T @ y)
        assert found[30:37, slot] == pytest.approx(X[30:37, slot] @ beta)
    assert np.isnan(found[:30]).all()


@given(st.integers(1, 19))
def test_days_learnt_in_two_parts_are_days_learnt_at_once(cut):
    rng = np.random.default_rng(2)
    X, Y = rng.normal(size=(20, 2, 3)), rng.normal(size=(20, 2, 1))
    Y[7, 1] = np.nan
    parts, whole = (RecursiveRidge(2, 3, 1, 0.1, 5.0) for _ in range(2))
    parts.learn(X[:cut], Y[:cut])
    parts.learn(X[cut:], Y[cut:])
    whole.learn(X, Y)
    assert parts.coefficients() == pytest.approx(whole.coefficients())


def test_china_works_on_a_swapped_sunday():
    """2021-02-07 was a Sunday worked for the Spring Festival, 2021-02-11 a Thursday off."""
    days = day_calendar(YEAR, "CN")
    assert days.off[YEAR.index(date(2021, 2, 7))] == 0
    assert days.off[YEAR.index(date(2021, 2, 11))] == 1
    assert days.off[YEAR.index(date(2021, 2, 28))] == 1


def test_a_region_has_its_own_holidays_and_an_unknown_country_is_refused():
    """Melbourne Cup Day, 2021-11-02, is a holiday of Victoria alone."""
    at = YEAR.index(date(2021, 11, 2))
    assert day_calendar(YEAR, "AU-VIC").holiday[at] == 1
    assert day_calendar(YEAR, "AU").holiday[at] == 0
    assert day_calendar(YEAR, None).holiday.sum() == 0
    with pytest.raises(ValueError, match="XX"):
        day_calendar(YEAR, "XX")


def test_a_table_keeps_the_local_clock_through_summer_time():
    start = datetime(2021, 3, 27, tzinfo=UTC)
    grid = Grid(start=start, step=timedelta(minutes=30), count=3 * 48)
    table = DayTable.of(grid, "Europe/London")
    assert table.dates[:3] == (date(2021, 3, 27), date(2021, 3, 28), date(2021, 3, 29))
    values = table.table(np.arange(144.0))
    assert np.isnan(values[1, 2:4]).all()
    assert values[1, 4] == 48 + 2
    assert table.rows(1)[0].count == 46


def test_a_fixed_offset_and_a_wrong_name():
    assert local_zone("UTC-05:00").utcoffset(None) == timedelta(hours=-5)
    assert local_zone("UTC").utcoffset(datetime(2021, 1, 1, tzinfo=UTC)) == timedelta(0)
    for wrong in ("UTC*5", "Mars/Base", "UTC-x"):
        with pytest.raises(ValueError, match="UTC"):
            local_zone(wrong)


def test_steps_that_do_not_fit_the_local_clock_are_refused():
    start = datetime(2021, 1, 1, 0, 10, tzinfo=UTC)
    with pytest.raises(ValueError, match="off the local clock"):
        DayTable.of(Grid(start=start, step=timedelta(hours=1), count=48), "UTC")
    with pytest.raises(ValueError, match="does not divide"):
        DayTable.of(Grid(start=start, step=timedelta(minutes=7), count=48), "UTC")


def test_gaps_in_temperatures_follow_the_other_stations_and_never_the_future():
    rng = np.random.default_rng(4)
    temp = 10 + np.cumsum(rng.normal(size=240)).reshape(10, 24)
    both = np.stack([temp, temp + 3])
    both[1, 5:7] = np.nan
    filled = without_gaps(both)
    assert filled[1, 5:7] == pytest.approx(temp[5:7] + 3)
    both[:, 8] += 100
    assert without_gaps(both)[:, :8] == pytest.approx(filled[:, :8])


def test_each_day_sees_the_expected_weather_only_for_the_lead():
    measured, expected = np.zeros((12, 24)), np.full((12, 24), 10.0)
    one, two = weather_of(measured, expected, 1), weather_of(measured, expected, 2)
    assert np.all(one.now == 10)
    assert np.all(one.eve_max[1:] == 0)
    assert np.all(two.eve_max[1:] == 10)
    assert 0 < one.smooth[72.0][9, 12] < two.smooth[72.0][9, 12] < 10


def test_the_better_station_is_chosen():
    rng = np.random.default_rng(5)
    season = 12 - 10 * np.cos(2 * np.pi * np.arange(365) / 365)[:, None]
    good = season + 4 * rng.normal(size=(365, 1)) + 3 * np.sin(np.arange(24) / 4)
    bad = season + 4 * rng.normal(size=(365, 1)) + 3 * np.sin(np.arange(24) / 4)
    load = 0.02 * np.maximum(good - 15, 0) + 0.02 * np.maximum(8 - good, 0)
    weights = station_weights(load, np.stack([bad, good]), day_calendar(YEAR, None), 365)
    assert weights.tolist() == [0.0, 1.0]


def test_the_own_forecast_beats_persistence_and_the_correction_learns_a_bias():
    rng = np.random.default_rng(6)
    daily = np.zeros(365)
    for i in range(1, 365):
        daily[i] = 0.6 * daily[i - 1] + 3 * rng.normal()
    hours = np.arange(24)
    temp = (15 + daily[:, None] - 6 * np.cos(2 * np.pi * (hours - 4) / 24))[None]
    season = day_calendar(YEAR, None).season
    own = own_forecast(temp, season, 1)
    persistent = np.abs(temp[:, 101:] - temp[:, 100:-1]).mean()
    assert np.abs(own - temp)[:, 101:].mean() < 0.97 * persistent
    issued = temp + 2 + 0.3 * rng.normal(size=temp.shape)
    issued[:, :200] = np.nan
    corrected = corrected_forecast(temp, issued, 1)
    assert np.isnan(corrected[:, :200]).all()
    assert np.abs(corrected - temp)[:, 260:].mean() < 0.5


def test_the_mix_leans_to_the_better_member_but_not_before_it_knows():
    rng = np.random.default_rng(7)
    actual = rng.normal(size=(80, 24))
    good, bad = actual + 0.1, actual + 1.0
    mixed = rolling_mix(np.stack([good, bad]), actual, 1)
    assert mixed[0] == pytest.approx(actual[0] + 0.55)
    assert np.abs(mixed - actual)[40:].max() < 0.11


def test_bands_cover_what_they_say_and_follow_the_size_of_the_errors():
    rng = np.random.default_rng(8)
    calm = np.where(np.arange(365) < 200, 1.0, 3.0)[:, None]
    error = calm * np.linspace(0.5, 2, 24) * rng.standard_t(5, size=(365, 24))
    bands = error_bands(error, None, day_calendar(YEAR, None), lead=1, first=100)
    low, high = (bands.offsets[QUANTILES.index(q), 240:] for q in (0.1, 0.9))
    inside = (error[240:] >= low) & (error[240:] <= high)
    assert 0.76 < inside.mean() < 0.85
    assert 0.72 < inside[:, :6].mean() < 0.88
    assert np.all(np.diff(bands.offsets[:, 240:], axis=0) >= 0)
    assert (high - low)[:, 20:].mean() > 2 * (high - low)[:, :4].mean()


def test_the_peak_lies_above_the_point_forecast_and_its_hour_is_the_likeliest_window():
    rng = np.random.default_rng(9)
    middle = 100 + 10 * np.cos(2 * np.pi * (np.arange(24) - 18) / 24)
    days = middle + 3 * rng.normal(size=(300, 24))
    peak = simulated_peak(days, 1, (0.1, 0.5, 0.9))
    assert middle.max() < peak.height < middle.max() + 8
    assert peak.quantiles[1] == pytest.approx(peak.height)
    assert 17 <= peak.at <= 19
    assert peak.window == (peak.at - 1, peak.at + 2)


def test_simulations_use_only_known_whole_days():
    scaled = np.arange(10.0)[:, None] * np.ones(24)
    scaled[3, 5] = np.nan
    chosen = simulated_errors(scaled, 9, 6, np.zeros(10))
    assert sorted(chosen[:, 0]) == [0, 1, 2, 4, 5]


def test_a_load_that_touches_zero_is_not_put_in_logarithms():
    load = np.full((40, 24), 50.0)
    assert Scale.of(load, 40).logarithmic
    load[10, :] = 0
    scale = Scale.of(load, 40)
    assert not scale.logarithmic
    assert scale.load(scale.score(load)) == pytest.approx(load)


ROLLING = {
    "ridge": lambda X, Y, lead: rolling_ridge(
        X, Y[..., None], penalty=1.0, half_life_days=50, lead_days=lead, first_day=20
    )[..., 0],
    "kernel": lambda X, Y, lead: rolling_kernel(X[:, 0], Y, lead_days=lead, first=70),
    "boost": lambda X, Y, lead: rolling_boost(
        [X.astype(np.float32)], [Y], lead_days=lead, first=125, seed=1
    )[0],
    "mix": lambda X, Y, lead: rolling_mix(X[..., 1:].transpose(2, 0, 1), Y, lead),
    "level": lambda X, Y, lead: error_level(Y, None, day_calendar(YEAR[:130], None), lead),
    "bands": lambda X, Y, lead: error_bands(
        Y, None, day_calendar(YEAR[:130], None), lead=lead, first=60
    ).offsets[-1],
}


@pytest.mark.parametrize("lead", [1, 2])
@pytest.mark.parametrize("name", ROLLING)
def test_no_part_learns_from_days_that_are_not_known_yet(name, lead):
    """Whatever happens after the last known day, the day forecast from it stays as it was."""
    rng = np.random.default_rng(10)
    X = np.concatenate([np.ones((130, 24, 1)), rng.normal(size=(130, 24, 3))], axis=2)
    Y = X[..., 1] + 0.3 * rng.normal(size=(130, 24))
    before = ROLLING[name](X, Y, lead)
    assert np.isfinite(before[129]).all()
    days = (125,) if name == "boost" else range(111, 130)
    for day in days:
        changed = Y.copy()
        changed[day - lead + 1 :] += 50 * rng.normal(size=(130 - day + lead - 1, 24))
        after = ROLLING[name](X, changed, lead)
        assert np.array_equal(before[: day + 1], after[: day + 1], equal_nan=True)


def test_a_side_that_keeps_missing_is_widened_and_the_other_narrowed():
    width = Width(len(QUANTILES), 24)
    offsets = np.repeat((np.array(QUANTILES) - 0.5)[:, None], 24, axis=1)
    for _ in range(50):
        width.learn(np.full(24, 2.0), offsets)
    after = width.applied(offsets)
    assert np.all(after[-1] > 1.5 * offsets[-1])
    assert np.all(after[0] > offsets[0])
    assert np.all(np.diff(after, axis=0) >= 0)
