"""PV: what a site gives under a clear sky is learnt, and clouds are met as they were met before."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from controller.forecast.clear_sky import PLANES, Place, clear_sky
from controller.forecast.pv import QUANTILES, forecast_pv
from controller.model.time import Grid, Series

NORTH = Place(latitude_deg=48.1, longitude_deg=11.6)
SOUTH = Place(latitude_deg=-37.8, longitude_deg=145.0)
START = datetime(2024, 4, 1, tzinfo=UTC)
DAYS = 60


def a_grid(days: int, first: int = 0, step_min: int = 60) -> Grid:
    step = timedelta(minutes=step_min)
    return Grid(start=START + timedelta(days=first), step=step, count=days * 1440 // step_min)


def a_year_of_weather(place: Place, grid: Grid, *, plane: int = 3, seed: int = 1):
    """A site of 5 kW on one plane: its generation, and the irradiance a weather service saw."""
    rng = np.random.default_rng(seed)
    ghi, planes = clear_sky(place, grid)
    a_day = round(timedelta(days=1) / grid.step)
    clear = np.repeat(rng.choice([0.3, 0.7, 1.0], grid.count // a_day), a_day)
    clear = np.clip(clear + 0.05 * rng.normal(size=grid.count), 0.05, 1.0)
    generation = 0.005 * planes[:, plane] * clear
    return Series(grid=grid, values=generation), Series(grid=grid, values=ghi * clear)


@pytest.fixture(scope="module")
def site():
    return a_year_of_weather(NORTH, a_grid(DAYS + 1))


def forecast_last_day(site, *, place=NORTH, irradiance=True, step_min=60):
    power, weather = site
    day = a_grid(1, DAYS, step_min)
    return forecast_pv(
        place, power, day, made_at=day.start, irradiance=weather if irradiance else None
    )


def test_night_is_dark_and_quantiles_do_not_cross(site):
    made = forecast_last_day(site)
    ghi, _ = clear_sky(NORTH, made.grid)
    assert made.quantiles == QUANTILES
    assert (made.kw[:, ghi == 0] == 0).all()
    assert (np.diff(made.kw, axis=0) >= 0).all()
    assert made.kw.max() > 1


@pytest.mark.parametrize("step_min", [15, 30, 60])
@pytest.mark.parametrize("place", [NORTH, SOUTH])
def test_issued_irradiance_tells_the_day(place: Place, step_min: int):
    """The day's weather is drawn anew each day, so that only its forecast can tell it."""
    world = a_year_of_weather(place, a_grid(DAYS + 1, 0, step_min))
    made = forecast_last_day(world, place=place, step_min=step_min)
    true = world[0].on(made.grid).values
    assert np.abs(made.median.values - true).sum() < 0.12 * true.sum()


def test_without_a_weather_forecast_the_band_is_wider(site):
    told, untold = forecast_last_day(site), forecast_last_day(site, irradiance=False)
    assert (untold.kw[-2] - untold.kw[1]).sum() > 1.5 * (told.kw[-2] - told.kw[1]).sum()


def test_a_roof_that_faces_east_peaks_in_the_morning():
    east, west = (
        forecast_last_day(a_year_of_weather(NORTH, a_grid(DAYS + 1), plane=p)) for p in (1, 5)
    )
    assert PLANES[1][1] == 90
    assert east.peak[0] < west.peak[0]


@pytest.mark.parametrize("irradiance", [True, False])
def test_nothing_after_its_issue_moves_it(site, irradiance: bool):
    power, weather = site
    before = forecast_last_day(site, irradiance=irradiance)
    changed = power.values.copy()
    changed[DAYS * 24 :] = 77.0
    after = forecast_last_day((Series(grid=power.grid, values=changed), weather),
                              irradiance=irradiance)  # fmt: skip
    assert np.array_equal(before.kw, after.kw)


def test_days_of_an_outage_are_left_out_and_said(site):
    power, weather = site
    values = power.values.copy()
    values[40 * 24 : 45 * 24] = 0.0
    made = forecast_last_day((Series(grid=power.grid, values=values), weather))
    whole = forecast_last_day(site)
    assert made.notes == ("5 days without any generation were left out",)
    assert made.median.values == pytest.approx(whole.median.values, abs=0.3)


def test_a_week_of_daylight_is_the_least(site):
    power, _ = site
    day = a_grid(1, 5)
    with pytest.raises(ValueError, match="7 days"):
        forecast_pv(NORTH, power, day, made_at=day.start)


def test_a_place_lies_on_earth():
    with pytest.raises(ValueError, match="no place on Earth"):
        Place(latitude_deg=91.0, longitude_deg=0.0)
