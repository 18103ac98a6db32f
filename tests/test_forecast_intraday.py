"""Readings correct the rest of the day: nearer, narrower, and still calibrated."""

from statistics import NormalDist

import numpy as np
import pytest

from controller.forecast.intraday import ErrorModel, learn, rest_of_day

QUANTILES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
Z = np.array([NormalDist().inv_cdf(q) for q in QUANTILES])
N = 24


def world(days: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """(days, quantiles, N) calibrated forecasts, and loads whose errors fade over hours."""
    rng = np.random.default_rng(seed)
    apart = np.abs(np.arange(N)[:, None] - np.arange(N))
    root = np.linalg.cholesky(0.9**apart + 1e-9 * np.eye(N))
    middle = 1000 + 200 * np.sin(2 * np.pi * np.arange(N) / N)
    kw = np.repeat((middle + 50 * Z[:, None])[None], days, axis=0)
    return kw, middle + 50 * rng.standard_normal((days, N)) @ root.T


@pytest.fixture(scope="module")
def learnt() -> ErrorModel:
    return learn(*world(150), QUANTILES, 1.0)


def corrected(model: ErrorModel, hour: int, days: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """(days, quantiles, rest) forecasts after `hour` readings of new days, and the truth."""
    kw, actual = world(days, seed=2)
    seen = np.where(np.arange(N) < hour, actual, np.nan)
    made = [rest_of_day(k, QUANTILES, s, model) for k, s in zip(kw, seen, strict=True)]
    return np.array(made)[:, :, hour:], actual[:, hour:]


def test_each_hour_of_readings_lowers_the_error_of_the_remaining_hours(learnt: ErrorModel):
    last = slice(18, None)
    errors = []
    for hour in (0, 10, 13, 15, 17, 18):
        made, actual = corrected(learnt, hour)
        errors.append(np.abs(made[:, 5] - actual)[:, slice(last.start - hour, None)].mean())
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.75 * errors[0]


def test_the_bands_narrow_and_still_cover_what_they_say(learnt: ErrorModel):
    before, _ = corrected(learnt, 0)
    made, actual = corrected(learnt, 12)
    width, was = (k[:, 9] - k[:, 1] for k in (made, before))
    assert width[:, 0].mean() < 0.7 * was[:, 12].mean()
    assert np.mean((made[:, 1] <= actual) & (actual <= made[:, 9])) == pytest.approx(0.8, abs=0.06)


def test_what_was_read_comes_back_as_read_and_nothing_crosses(learnt: ErrorModel):
    kw, actual = world(1, seed=4)
    seen = np.where(np.arange(N) < 10, actual[0], np.nan)
    made = rest_of_day(kw[0], QUANTILES, seen, learnt)
    assert (made[:, :10] == actual[0, :10]).all()
    assert (np.diff(made, axis=0) >= 0).all()


def test_without_readings_the_forecast_stands(learnt: ErrorModel):
    kw, _ = world(1)
    np.testing.assert_array_equal(rest_of_day(kw[0], QUANTILES, np.full(N, np.nan), learnt), kw[0])


def test_a_reading_to_come_moves_nothing(learnt: ErrorModel):
    """The correction knows only what stands in `readings`: later loads are not an argument."""
    kw, actual = world(1, seed=5)
    seen = np.where(np.arange(N) < 8, actual[0], np.nan)
    one = rest_of_day(kw[0], QUANTILES, seen, learnt)
    again = rest_of_day(kw[0], QUANTILES, seen.copy(), learnt)
    np.testing.assert_array_equal(one, again)


def test_a_wild_reading_is_bounded(learnt: ErrorModel):
    kw, actual = world(1, seed=6)
    seen = np.where(np.arange(N) < 8, actual[0], np.nan)
    seen[7] = 1e7
    made = rest_of_day(kw[0], QUANTILES, seen, learnt)
    assert made.max(where=np.arange(N) >= 8, initial=0) < 1700


def test_without_past_days_there_is_the_assumed_decay():
    model = learn(np.empty((0, len(QUANTILES), N)), np.empty((0, N)), QUANTILES, 1.0)
    kw, actual = world(1, seed=7)
    made = rest_of_day(kw[0], QUANTILES, np.where(np.arange(N) < 8, kw[0, 9], np.nan), model)
    assert (made[5, 8:] > kw[0, 5, 8:]).all()
    lift = made[5, 8:] - kw[0, 5, 8:]
    assert (np.diff(lift) < 0).all()
    assert model.days == 0
    assert actual.shape == (1, N)
