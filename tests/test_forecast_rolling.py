"""The rolling engine: nothing leaks, bands hold, peaks are found, gaps and clocks are survived."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from numpy.typing import NDArray

from controller.forecast.rolling import DayForecast, RollingSettings, SeriesSet, forecast_days
from controller.forecast.score import Score, score
from controller.model.time import Grid

DAYS = 260
FIRST, LAST = date(2021, 8, 10), date(2021, 9, 16)
PLAIN = RollingSettings(weather="actual", boosting=False)
Mode = Literal["actual", "issued", "none"]


def a_year(seed: int = 3, zone: str = "UTC-05:00", step_min: int = 60) -> SeriesSet:
    """Two zones whose load follows clock, week and two stations' mean, with lasting noise."""
    rng = np.random.default_rng(seed)
    start = datetime(2021, 1, 1, 5, tzinfo=UTC)
    grid = Grid(start=start, step=timedelta(minutes=step_min), count=DAYS * 24 * 60 // step_min)
    hours = np.arange(grid.count) * grid.step_h
    weekday = (hours // 24 + 4) % 7
    swing = persistent(rng, grid.count, 0.97) * 3
    temp = 14 - 11 * np.cos(2 * np.pi * hours / 8760) - 5 * np.cos(2 * np.pi * (hours - 4) / 24)
    stations = np.stack([temp + swing + persistent(rng, grid.count, 0.9) for _ in range(2)])
    felt = stations.mean(axis=0)
    shape = 1 + 0.2 * np.sin(2 * np.pi * (hours - 9) / 24) - 0.1 * (weekday >= 5)
    weather = 0.02 * np.maximum(felt - 18, 0) + 0.01 * np.maximum(10 - felt, 0)
    noise = 0.01 * persistent(rng, grid.count, 0.9)
    load = np.stack([1000 * (shape + weather + noise), 400 * (shape + 0.5 * weather - noise)])
    return SeriesSet(grid=grid, load=load, temperature=stations, timezone=zone)


def until(inputs: SeriesSet, on: date) -> SeriesSet:
    """The first zone alone, up to the end of a day."""
    count = ((on - date(2021, 1, 1)).days + 1) * 24
    grid = replace(inputs.grid, count=count)
    load, temperature = inputs.load[:1, :count], inputs.temperature[:, :count]
    return replace(inputs, grid=grid, load=load, temperature=temperature)


def persistent(rng: np.random.Generator, n: int, keep: float) -> NDArray[np.float64]:
    out = np.zeros(n)
    for i, push in enumerate(rng.standard_normal(n) * np.sqrt(1 - keep**2)):
        out[i] = keep * out[i - 1] + push
    return out


def run(inputs: SeriesSet, settings: RollingSettings = PLAIN) -> list[DayForecast]:
    return list(forecast_days(inputs, FIRST, LAST, settings))


def figures(inputs: SeriesSet, forecasts: list[DayForecast], series: int = 0) -> Score:
    mine = [f for f in forecasts if f.series == series]
    return score(mine, inputs.load[series], inputs.grid)


def planted(inputs: SeriesSet, at: datetime) -> Iterator[tuple[str, SeriesSet]]:
    """The inputs with something absurd from `at` on, once in the load and once in the weather."""
    i = inputs.grid.index(at)
    load, temp = inputs.load.copy(), inputs.temperature.copy()
    load[:, i:] *= 3
    temp[:, i:] += 25
    yield "load", replace(inputs, load=load)
    yield "weather", replace(inputs, temperature=temp)


@pytest.mark.parametrize("lead", [1, 2])
@pytest.mark.parametrize("mode", ["actual", "issued", "none"])
def test_nothing_after_the_origin_moves_a_forecast(mode: Mode, lead: Literal[1, 2]) -> None:
    """Loads after known-to never count; measured weather counts only where it is given."""
    first = date(2021, 5, 20)
    inputs = until(a_year(), first)
    if mode == "issued":
        inputs = replace(inputs, issued=inputs.temperature + 0.5)
    settings = RollingSettings(weather=mode, lead_days=lead, boosting=False)
    known_to = datetime(2021, 5, 20, 5, tzinfo=UTC) - timedelta(days=lead - 1)
    one = list(forecast_days(inputs, first, first, settings))
    for what, changed in planted(inputs, known_to):
        if what == "weather" and mode == "actual":
            continue
        two = list(forecast_days(changed, first, first, settings))
        for before, after in zip(one, two, strict=True):
            assert np.array_equal(before.values, after.values), what
            assert before.peak == after.peak
            assert np.array_equal(before.peak_chance, after.peak_chance)


def test_boosting_sees_nothing_after_the_origin() -> None:
    first = date(2021, 6, 20)
    inputs = until(a_year(), first)
    settings = RollingSettings(weather="none")
    one = list(forecast_days(inputs, first, first, settings))
    for _, changed in planted(inputs, datetime(2021, 6, 20, 5, tzinfo=UTC)):
        two = list(forecast_days(changed, first, first, settings))
        assert np.array_equal(one[0].values, two[0].values)


def test_the_same_inputs_give_the_same_forecast() -> None:
    settings, first = RollingSettings(weather="none", seed=5), date(2021, 6, 20)
    inputs = until(a_year(), first)
    one, two = (next(forecast_days(inputs, first, first, settings)) for _ in range(2))
    assert np.array_equal(one.values, two.values)
    assert one.peak == two.peak


def test_a_load_that_follows_the_weather_is_forecast_well() -> None:
    inputs = a_year()
    found = figures(inputs, run(inputs))
    assert found.days == 38
    assert found.mape_pct < 1.8
    assert found.peak_mape_pct < 1.8
    assert found.peak_hit_1h_pct > 80
    assert 68 < found.cover_80_pct < 90


def test_issued_weather_beats_none_and_is_beaten_by_the_measured() -> None:
    inputs = a_year()
    rng = np.random.default_rng(8)
    wrong = np.stack([persistent(rng, inputs.grid.count, 0.87) for _ in inputs.temperature])
    issued = inputs.temperature + 1.5 + wrong
    issued[:, : inputs.grid.index(datetime(2021, 6, 1, tzinfo=UTC))] = np.nan
    inputs = replace(inputs, issued=issued)
    errors = {}
    for mode in ("actual", "issued", "none"):
        forecasts = run(inputs, RollingSettings(weather=mode, boosting=False))
        errors[mode] = figures(inputs, forecasts).mape_pct
    assert errors["actual"] < errors["issued"] < errors["none"]


def test_quantiles_ascend_and_chances_add_to_one() -> None:
    for forecast in run(a_year()):
        assert np.all(np.diff(forecast.values, axis=0) >= 0)
        assert np.all(np.diff(forecast.peak_quantiles) >= 0)
        assert forecast.peak_chance.sum() == pytest.approx(1)
        start, stop = forecast.peak_window
        assert start <= forecast.peak_at < stop <= forecast.grid.count
        assert forecast.quantiles[9] == 0.5


def test_summer_time_gives_a_short_and_a_long_day() -> None:
    inputs = a_year(zone="Europe/London", step_min=30)
    spring = list(forecast_days(inputs, date(2021, 3, 27), date(2021, 3, 29), PLAIN))
    assert [f.grid.count for f in spring if f.series == 0] == [48, 46, 48]
    assert all(np.isfinite(f.values).all() for f in spring)


def test_gaps_are_survived() -> None:
    inputs = a_year()
    load, temp = inputs.load.copy(), inputs.temperature.copy()
    load[:, 3000:3400] = np.nan
    load[0, -24 * 40 : -24 * 38] = np.nan
    temp[0, 2000:2500] = np.nan
    temp[:, 4000:4003] = np.nan
    inputs = replace(inputs, load=load, temperature=temp)
    forecasts = run(inputs)
    assert all(np.isfinite(f.values).all() and np.isfinite(f.peak) for f in forecasts)
    assert figures(inputs, forecasts, 1).mape_pct < 2


def test_no_station_at_all_still_gives_a_forecast() -> None:
    inputs = a_year()
    inputs = replace(inputs, temperature=np.empty((0, inputs.grid.count)))
    forecasts = run(inputs, RollingSettings(boosting=False))
    assert figures(inputs, forecasts).mape_pct < 6


def test_negative_net_load_is_forecast_on_a_linear_scale() -> None:
    inputs = a_year()
    inputs = replace(inputs, load=inputs.load - 1000)
    forecasts = run(inputs)
    assert min(f.values.min() for f in forecasts) < 0
    assert figures(inputs, forecasts).wape_pct < 12


def test_too_little_history_and_days_off_the_grid_are_refused() -> None:
    inputs = a_year()
    with pytest.raises(ValueError, match="at least 28"):
        list(forecast_days(inputs, date(2021, 1, 10), LAST, PLAIN))
    with pytest.raises(ValueError, match="not within"):
        list(forecast_days(inputs, FIRST, date(2025, 1, 1), PLAIN))


def test_series_of_unlike_length_are_refused() -> None:
    inputs = a_year()
    with pytest.raises(ValueError, match="as long as the grid"):
        replace(inputs, load=inputs.load[:, :-1])
    with pytest.raises(ValueError, match="same stations"):
        replace(inputs, issued=inputs.temperature[:1])


def test_the_repeated_hour_is_forecast_twice_alike() -> None:
    zone = ZoneInfo("Europe/London")
    inputs = a_year(zone="Europe/London")
    day = next(forecast_days(inputs, date(2021, 3, 28), date(2021, 3, 28), PLAIN))
    assert day.grid.start.astimezone(zone).hour == 0
    assert day.grid.count == 23
