"""The area's day-ahead forecast: honest about its error, blind to the future, quick."""

import time
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from controller.forecast.bands import QUANTILES, student_t
from controller.forecast.features import local_calendar
from controller.forecast.load import LEAST_DAYS, _design, _rolling, _targets, forecast_load
from controller.model.plans import Forecast
from controller.model.time import QUARTER_HOUR, Grid, Series
from tests.forecast_cases import (
    HOLIDAYS,
    HOT_DAY,
    MELBOURNE,
    Area,
    day_grid,
    evening_before,
    forecast_of,
    local_midnight,
    the_area,
    until,
)

ROLLING_DAYS = [date(2014, 1, 14) + timedelta(days=i) for i in range(21)]


@pytest.fixture(scope="module")
def rolling() -> list[tuple[Forecast, np.ndarray]]:
    """Every day from 14 January to 3 February, issued the evening before, with the real load."""
    return [(forecast_of(d, seed=0), the_area().load.on(day_grid(d)).values) for d in ROLLING_DAYS]


def test_the_hot_day_is_seen_coming():
    """The peak of a 41 °C day within 12 %, and its hour, from January alone and five weathers."""
    actual = the_area().load.on(day_grid(HOT_DAY)).values
    for seed in range(5):
        forecast = forecast_of(HOT_DAY, seed=seed)
        at, peak_kw = forecast.peak
        real_at = forecast.grid.at(int(actual.argmax()))
        assert peak_kw == pytest.approx(actual.max(), rel=0.12)
        assert abs(at - real_at) <= timedelta(hours=1)
        assert forecast.at_quantile(0.9).values.max() > 0.95 * actual.max()


def test_a_month_of_days_is_forecast_better_than_like_yesterday(rolling):
    """Mean error over 21 days: the model's against that of the last day of the same kind."""
    ours, naive = [], []
    for (forecast, actual), day in zip(rolling, ROLLING_DAYS, strict=True):
        like = day - timedelta(days=1)
        while (like.weekday() < 5) != (day.weekday() < 5):
            like -= timedelta(days=1)
        before = the_area().load.on(day_grid(like)).values
        ours.append(np.abs(forecast.median.values / actual - 1).mean())
        naive.append(np.abs(before / actual - 1).mean())
    assert np.mean(ours) < 0.055
    assert np.mean(ours) < 0.5 * np.mean(naive)


def test_the_band_holds_what_it_says(rolling):
    """Of 2,016 quarter hours about 80 % lie in the 80 % band; the month was an extreme one."""
    inside = [
        (actual >= f.at_quantile(0.1).values) & (actual <= f.at_quantile(0.9).values)
        for f, actual in rolling
    ]
    assert 0.7 < np.mean(inside) < 0.95


def test_quantiles_never_cross(rolling):
    for forecast, _ in rolling:
        assert forecast.kw.shape == (len(QUANTILES), 96)
        assert (np.diff(forecast.kw, axis=0) >= 0).all()


def test_nothing_after_the_issue_moves_the_forecast():
    """Planted values from 20:00 on, when the forecast is made, change not one bit of it."""
    area, made_at = the_area(), evening_before(HOT_DAY)
    planted = area.load.values.copy()
    planted[area.load.grid.index(made_at) :] = 1e6
    fake = Area(load=Series(grid=area.load.grid, values=planted), temperature=area.temperature)
    assert np.array_equal(forecast_of(HOT_DAY, area=fake).kw, forecast_of(HOT_DAY).kw)


def test_what_was_measured_is_believed_before_what_was_forecast():
    """A weather series that reaches back says nothing about hours with a thermometer."""
    area, made_at = the_area(), evening_before(HOT_DAY)
    values = area.temperature.values.copy()
    values[: area.load.grid.index(made_at)] = 60.0
    reaching_back = Series(grid=area.load.grid, values=values)
    load, temperature = until(area.load, made_at), until(area.temperature, made_at)
    ahead = area.temperature.on(Grid(start=made_at, step=QUARTER_HOUR, count=16 + 96))
    forecasts = [a_forecast(load, temperature, weather=w) for w in (reaching_back, ahead)]
    assert np.array_equal(forecasts[0].kw, forecasts[1].kw)


@pytest.mark.parametrize("late", ["history", "temperature"])
def test_a_history_from_the_future_is_refused(late):
    area, made_at = the_area(), evening_before(HOT_DAY)
    load, temperature = until(area.load, made_at), until(area.temperature, made_at)
    longer = until(area.load, made_at + QUARTER_HOUR)
    history = longer if late == "history" else load
    measured = temperature if late == "history" else longer
    with pytest.raises(ValueError, match=f"{late} ends"):
        a_forecast(history, measured)


def test_an_earlier_days_test_forecast_knows_only_what_was_known_then():
    """The backtest behind the band: a change to the last day moves no earlier test forecast."""
    area, made_at = the_area(), evening_before(HOT_DAY)
    history, grid = until(area.load, made_at), day_grid(HOT_DAY)
    axis = Grid(start=made_at - timedelta(days=26), step=QUARTER_HOUR, count=26 * 96 + 112)
    design = _design(
        axis,
        local_calendar(axis, MELBOURNE, HOLIDAYS),
        area.temperature.on(axis).values,
        grid,
        made_at,
    )
    relative = history.on(axis).values / 5e4
    planted = relative.copy()
    planted[design.now - 96 :] *= 3
    past, _ = _rolling(design, _targets(relative))
    other, _ = _rolling(design, _targets(planted))
    assert past.days == 26 - LEAST_DAYS
    assert np.array_equal(past.predicted, other.predicted)
    assert not np.array_equal(past.actual, other.actual, equal_nan=True)


def test_a_worse_weather_forecast_widens_the_band():
    sure, unsure = forecast_of(HOT_DAY, mae_c=0.3), forecast_of(HOT_DAY, mae_c=2.5)
    assert np.allclose(sure.median.values, unsure.median.values)
    assert width(unsure)[60:72].mean() > 1.2 * width(sure)[60:72].mean()


def test_less_history_means_a_wider_band_and_the_notes_say_so():
    whole, short = forecast_of(HOT_DAY), forecast_of(HOT_DAY, days=9)
    assert width(short).mean() > width(whole).mean()
    assert whole.history_days == 27
    assert whole.notes[0].startswith("27 days of history")
    assert whole.notes[1] == "weather forecast with a mean absolute error of 0.8 °C"
    assert short.notes[0].startswith("9 days of history")


def test_heat_that_was_never_seen_is_noted():
    notes = forecast_of(date(2014, 1, 14)).notes
    assert any("above all temperatures in the history" in note for note in notes)


def test_gaps_in_the_history_are_lived_with():
    """A tenth of the quarter hours and one whole day missing: nearly the same forecast."""
    area = the_area()
    values = area.load.values.copy()
    values[np.random.default_rng(3).random(values.size) < 0.1] = np.nan
    values[96 * 6 : 96 * 7] = np.nan
    holey = Area(load=Series(grid=area.load.grid, values=values), temperature=area.temperature)
    whole = forecast_of(HOT_DAY).median.values
    assert np.abs(forecast_of(HOT_DAY, area=holey).median.values / whole - 1).max() < 0.05


def test_a_load_that_feeds_in_is_forecast_too():
    """Where the load passes zero there is no logarithm; the band is one of differences then."""
    area = the_area()
    shifted = area.load.values - 45_000
    net = Area(load=Series(grid=area.load.grid, values=shifted), temperature=area.temperature)
    forecast, whole = forecast_of(HOT_DAY, area=net), forecast_of(HOT_DAY)
    assert forecast.median.values.min() < 0
    assert (np.diff(forecast.kw, axis=0) >= 0).all()
    assert np.abs(forecast.median.values + 45_000 - whole.median.values).max() < 4000


def test_the_day_the_clocks_change_has_its_hundred_quarter_hours():
    """6 April 2014, when Melbourne's day has 25 hours; the history is January's, shifted."""
    area = the_area()
    day = date(2014, 4, 6)
    shift = (local_midnight(day) - local_midnight(HOT_DAY)) // QUARTER_HOUR * QUARTER_HOUR
    grid = replace(area.load.grid, start=area.load.grid.start + shift)
    later = Area(
        load=Series(grid=grid, values=area.load.values),
        temperature=Series(grid=grid, values=area.temperature.values),
    )
    assert forecast_of(day, area=later).grid.count == 100


def test_a_week_of_history_is_the_least():
    area, made_at = the_area(), evening_before(HOT_DAY)
    grid = Grid(start=made_at - timedelta(days=6), step=QUARTER_HOUR, count=6 * 96)
    with pytest.raises(ValueError, match=r"6\.0 days of history; at least 7"):
        a_forecast(area.load.on(grid), until(area.temperature, made_at))


def test_quantiles_without_the_median_are_refused():
    area, made_at = the_area(), evening_before(HOT_DAY)
    with pytest.raises(ValueError, match=r"include 0\.5"):
        a_forecast(
            until(area.load, made_at), until(area.temperature, made_at), quantiles=(0.1, 0.9)
        )


def test_a_forecast_takes_less_than_a_second():
    begin = time.process_time()
    forecast_of(HOT_DAY)
    assert time.process_time() - begin < 1.0


@pytest.mark.parametrize(
    ("q", "freedom", "exact"),
    [(0.95, 4, 2.1318), (0.9, 10, 1.3722), (0.75, 7, 0.7111), (0.05, 20, -1.7247), (0.5, 9, 0.0)],
)
def test_students_t_is_close_to_the_table(q, freedom, exact):
    assert student_t(q, freedom) == pytest.approx(exact, abs=0.01)


def width(forecast: Forecast) -> np.ndarray:
    return forecast.at_quantile(0.9).values - forecast.at_quantile(0.1).values


def a_forecast(
    history: Series,
    temperature: Series,
    quantiles: tuple[float, ...] = QUANTILES,
    weather: Series | None = None,
) -> Forecast:
    grid = day_grid(HOT_DAY)
    return forecast_load(
        history,
        temperature,
        the_area().temperature.on(grid) if weather is None else weather,
        grid,
        made_at=evening_before(HOT_DAY),
        timezone=MELBOURNE,
        holidays=HOLIDAYS,
        quantiles=quantiles,
        weather_mae_c=0.8,
    )
