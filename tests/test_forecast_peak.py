"""From a band to the ask: probabilities that agree with quantiles, targets that can be asked."""

import subprocess
import sys
from datetime import UTC, datetime, time, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.forecast.peak import exceedance, quantile_kw, shaving_target
from controller.model.ids import ProgramId
from controller.model.plans import Forecast
from controller.model.settings import Shaving
from controller.model.time import QUARTER_HOUR, Grid
from tests.forecast_cases import HOT_DAY, forecast_of, the_area

START = datetime(2014, 1, 28, 0, 0, tzinfo=UTC)


def a_forecast(*median: float, spread: float = 5.0) -> Forecast:
    """Quantiles 0.1, 0.5, 0.9 at median − spread, median, median + spread."""
    middle = np.array(median)
    return Forecast(
        made_at=START,
        model="by hand",
        grid=Grid(start=START, step=QUARTER_HOUR, count=len(median)),
        quantiles=(0.1, 0.5, 0.9),
        kw=np.stack([middle - spread, middle, middle + spread]),
    )


def a_shaving(limit_kw: float, **changes: object) -> Shaving:
    fields = {
        "program_id": ProgramId("p"),
        "run_at": time(20),
        "limit_kw": limit_kw,
        "quantile": 0.5,
        "ask_frac": 0.65,
        "min_duration": timedelta(minutes=45),
        "max_duration": timedelta(minutes=90),
        "round_kw": 10.0,
    }
    return Shaving(**{**fields, **changes})  # type: ignore[arg-type]


def asked(loads: list[float], cap_kw: float = 1000.0, **changes: object) -> tuple[int, list[float]]:
    """First interval and values of the target over a limit of 100 kW; (-1, []) without one."""
    target = shaving_target(a_forecast(*loads), a_shaving(100.0, **changes), cap_kw)
    if target is None:
        return -1, []
    return (target.grid.start - START) // QUARTER_HOUR, target.values.tolist()


def test_quantiles_that_were_forecast_are_given_back():
    forecast = a_forecast(100.0, 200.0)
    for q in forecast.quantiles:
        assert quantile_kw(forecast, q).values == pytest.approx(forecast.at_quantile(q).values)


@given(st.floats(0.001, 0.999), st.floats(0.1, 50))
def test_exceedance_is_the_quantiles_inverse(q, spread):
    forecast = a_forecast(100.0, spread=spread)
    limit_kw = float(quantile_kw(forecast, q).values[0])
    assert exceedance(forecast, limit_kw).values[0] == pytest.approx(1 - q, abs=1e-6)


def test_a_higher_limit_is_exceeded_less_often():
    forecast = a_forecast(100.0)
    odds = [exceedance(forecast, limit).values[0] for limit in range(80, 125, 5)]
    assert (np.diff(odds) < 0).all()
    assert odds[0] > 0.9999
    assert odds[-1] < 1e-4


def test_a_sure_forecast_is_over_the_limit_or_not():
    forecast = a_forecast(100.0, 120.0, np.nan, spread=0.0)
    assert exceedance(forecast, 110.0).values[:2] == pytest.approx([0.0, 1.0])
    assert np.isnan(exceedance(forecast, 110.0).values[2])


def test_quantiles_outside_the_open_interval_are_refused():
    with pytest.raises(ValueError, match="between 0 and 1"):
        quantile_kw(a_forecast(1.0), 1.0)


def test_what_is_above_the_limit_is_asked_rounded_up():
    assert asked([90, 101, 117, 130, 95]) == (1, [10.0, 20.0, 30.0])


def test_a_careful_quantile_asks_more_than_the_median():
    assert asked([90, 101, 117, 130, 95], quantile=0.9) == (1, [10.0, 30.0, 40.0])


def test_nothing_is_asked_under_the_limit():
    assert asked([90, 100, 99]) == (-1, [])


def test_the_ask_is_flat_at_the_cap_in_whole_steps():
    assert asked([90, 110, 150, 160, 150, 90], cap_kw=39.0) == (1, [10.0, 30.0, 30.0, 30.0])


def test_a_cap_below_one_step_asks_nothing():
    assert asked([90, 150, 150, 150], cap_kw=9.0) == (-1, [])


def test_a_lone_interval_far_from_the_peak_is_dropped():
    assert asked([105, 90, 90, 90, 120, 130, 120, 90]) == (4, [20.0, 30.0, 20.0])


def test_of_two_stretches_the_one_with_more_to_shave_is_taken():
    assert asked([120, 120, 120, 90, 90, 130, 130, 130]) == (5, [30.0, 30.0, 30.0])


def test_a_lone_interval_at_the_fringe_is_dropped():
    assert asked([105, 90, 120, 130, 120, 90, 105]) == (2, [20.0, 30.0, 20.0])


def test_a_short_dip_does_not_part_the_run():
    assert asked([120, 120, 95, 120, 130]) == (0, [20.0, 20.0, 10.0, 20.0, 30.0])


def test_a_short_excess_grows_to_the_shortest_call_on_the_higher_side():
    assert asked([90, 95, 120, 91, 90]) == (1, [10.0, 20.0, 10.0])


def test_a_long_excess_keeps_its_highest_hours():
    loads = [110.0, 120, 130, 140, 150, 140, 130, 125, 110]
    assert asked(loads) == (2, [30.0, 40.0, 50.0, 40.0, 30.0, 30.0])


def test_durations_off_the_grid_are_refused():
    with pytest.raises(ValueError, match="multiples"):
        asked([120.0], min_duration=timedelta(minutes=20))


@given(
    st.lists(st.floats(0, 300), min_size=4, max_size=40),
    st.floats(0, 150),
    st.sampled_from([1.0, 7.5, 50.0]),
)
def test_a_target_is_one_run_of_whole_steps_within_cap_and_durations(loads, cap_kw, round_kw):
    shaving = a_shaving(100.0, round_kw=round_kw)
    target = shaving_target(a_forecast(*loads), shaving, cap_kw)
    if target is None:
        assert max(loads) <= 100 or cap_kw < round_kw
        return
    steps = target.values / round_kw
    assert np.abs(steps - np.round(steps)).max() < 1e-6
    assert (target.values >= round_kw).all()
    assert (target.values <= cap_kw + 1e-6).all()
    assert shaving.min_duration <= target.grid.count * QUARTER_HOUR <= shaving.max_duration
    assert target.grid.start >= START
    assert target.grid.end <= START + len(loads) * QUARTER_HOUR


def test_the_demos_hot_day_gives_a_long_flat_ask_whatever_the_weather_error():
    """Limit 84 MW at the 0.9 quantile, cap 4.6 MW: at least 2.5 h at the cap around the peak."""
    shaving = a_shaving(
        84_000.0,
        quantile=0.9,
        min_duration=timedelta(hours=2),
        max_duration=timedelta(hours=3, minutes=45),
        round_kw=50.0,
    )
    actual = the_area().load.on(forecast_of(HOT_DAY).grid)
    real_peak_at = actual.grid.at(int(actual.values.argmax()))
    for seed in range(5):
        target = shaving_target(forecast_of(HOT_DAY, seed=seed), shaving, 4_600.0)
        assert target is not None
        assert np.count_nonzero(target.values == 4_600.0) >= 10
        assert real_peak_at in target.grid.span


def test_asking_loads_no_data_frames():
    """Importing the stage and its peak page brings in neither pandas nor scikit-learn."""
    code = (
        "import sys; from controller.forecast import shaving_target, forecast_load; "
        "print(sorted({'pandas', 'sklearn', 'scipy', 'pyarrow'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_an_unknown_name_is_an_attribute_error():
    import controller.forecast

    with pytest.raises(AttributeError, match="no_such_thing"):
        _ = controller.forecast.no_such_thing
