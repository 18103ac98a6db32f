"""The world: real weather, means that survive a split, and forecasts of stated error."""

import gzip
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from controller.errors import InputError
from controller.model.time import Grid
from simulators.fleet import make_homes, write_homes
from simulators.world import read_area
from tests.simulator_cases import DEMO, a_world, local

QUARTER = timedelta(minutes=15)


def test_quarter_hours_keep_the_mean_of_their_half_hour():
    world = a_world()
    area = read_area(DEMO / "area" / "victoria-2014-01.csv.gz").demand_mw
    quarters = world.area_on(world.grid).values.reshape(-1, 2)
    np.testing.assert_allclose(quarters.mean(axis=1), area.values * 10, rtol=1e-12)


def test_the_days_peak_is_where_it_was():
    world = a_world()
    day = world.area_on(Grid(start=local(28, 0), step=QUARTER, count=96))
    assert 92_000 < np.nanmax(day.values) < 92_600
    at = day.grid.at(int(np.nanargmax(day.values)))
    assert local(28, 16, 30) <= at < local(28, 18)
    assert world.outdoor_c(local(28, 17)) > 40


def test_a_forecast_is_wrong_by_the_stated_amount_and_the_same_twice():
    world, grid = a_world(), Grid(start=local(27, 20), step=QUARTER, count=112)
    forecast = world.weather_forecast(grid.start, grid, 0.8)
    error = forecast.values - world.outdoor_on(grid)
    assert np.mean(np.abs(error)) == pytest.approx(0.8)
    assert np.corrcoef(error[4:], error[:-4])[0, 1] > 0.5
    assert forecast == a_world().weather_forecast(grid.start, grid, 0.8)
    assert forecast != a_world(seed=2).weather_forecast(grid.start, grid, 0.8)


def test_a_bad_area_file_is_refused_with_all_its_faults(tmp_path: Path):
    path = tmp_path / "area.csv.gz"
    lines = ["time_utc,demand_mw,temp_c", "2014-01-01T00:00:00Z,1,2", "soon,1,2",
             "2014-01-01T02:00:00Z,1,2"]  # fmt: skip
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    with pytest.raises(InputError) as caught:
        read_area(path)
    assert [f.place for f in caught.value.faults] == ["line 3", "line 4"]


def test_the_demos_homes_are_what_the_generator_makes(tmp_path: Path):
    write_homes(tmp_path / "homes.csv", make_homes(2014))
    assert (tmp_path / "homes.csv").read_bytes() == (DEMO / "fleet" / "homes.csv").read_bytes()
