"""Half hours become quarter hours, and no energy is lost on the way."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.forecast.resample import coarsen, split_half_hours
from controller.model.time import Grid, Series
from tests.forecast_cases import the_area

loads = st.lists(st.floats(-1e5, 1e5), min_size=1, max_size=60).map(np.array)


@given(loads)
def test_each_half_hour_keeps_its_mean(half_hours):
    quarters = split_half_hours(half_hours)
    assert np.abs(quarters.reshape(-1, 2).mean(axis=1) - half_hours).max() < 1e-9


@given(loads)
def test_no_load_turns_into_feed_in(half_hours):
    quarters = split_half_hours(half_hours).reshape(-1, 2)
    assert (quarters * np.sign(half_hours)[:, None] >= -1e-9).all()


@given(loads, st.integers(0, 59))
def test_a_gap_stays_a_gap_and_spoils_nothing_beside_it(half_hours, gap):
    half_hours = half_hours.copy()
    half_hours[gap % len(half_hours)] = np.nan
    quarters = split_half_hours(half_hours).reshape(-1, 2)
    assert np.array_equal(np.isnan(quarters).any(axis=1), np.isnan(half_hours))
    assert np.array_equal(np.isnan(quarters).all(axis=1), np.isnan(half_hours))


def test_a_straight_line_stays_a_straight_line():
    assert split_half_hours(np.array([4.0, 8.0, 12.0])).tolist() == [3.0, 5.0, 7.0, 9.0, 11.0, 13.0]


def test_a_real_curve_is_smooth_within_its_half_hours():
    """Steps inside half hours are of the size of those between them."""
    step = np.abs(np.diff(the_area().load.values))
    assert step[0::2].mean() < 1.2 * step[1::2].mean() < 1.5 * step[0::2].mean()


def test_finer_readings_become_means_of_what_is_known():
    minutes = Grid(start=the_area().load.grid.start, step=the_area().load.grid.step / 15, count=45)
    values = np.arange(45.0)
    values[20:30] = np.nan
    values[30:] = np.nan
    quarters = Grid(start=minutes.start, step=minutes.step * 15, count=3)
    means = coarsen(Series(grid=minutes, values=values), quarters).values
    assert means[:2].tolist() == [7.0, 17.0]
    assert np.isnan(means[2])


def test_steps_that_do_not_divide_are_refused():
    series = the_area().load
    with pytest.raises(ValueError, match="whole number"):
        coarsen(series, Grid(start=series.grid.start, step=series.grid.step * 1.5, count=2))
