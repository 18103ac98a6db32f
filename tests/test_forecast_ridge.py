"""The ridge against an independent one, and its doubt."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from controller.forecast.features import persistent, smoothed
from controller.forecast.ridge import Normal


@given(st.integers(0, 10_000))
def test_coefficients_are_those_of_scikit_learn(seed):
    """Per-column penalties are scaled columns there; weights and two targets alike."""
    random = np.random.default_rng(seed)
    X, Y = random.normal(size=(60, 7)), random.normal(size=(60, 2))
    weight, penalty = random.uniform(0.1, 2, 60), random.uniform(0.1, 5, 7)
    normal = Normal(penalty, 2)
    normal.add(X, Y, weight)
    fit = normal.fit()
    reference = Ridge(alpha=1.0, fit_intercept=False).fit(X / np.sqrt(penalty), Y, weight)
    assert fit.coefficients == pytest.approx(reference.coef_.T / np.sqrt(penalty)[:, None])
    assert fit.predict(X) == pytest.approx(reference.predict(X / np.sqrt(penalty)))


def test_rows_added_in_blocks_that_fade_are_rows_with_fading_weights():
    random = np.random.default_rng(1)
    X, Y = random.normal(size=(30, 4)), random.normal(size=(30, 1))
    blocks, whole = Normal(np.ones(4), 1), Normal(np.ones(4), 1)
    for rows in (slice(0, 10), slice(10, 20), slice(20, 30)):
        blocks.fade(0.5)
        blocks.add(X[rows], Y[rows], np.ones(10))
    whole.add(X, Y, np.repeat([0.25, 0.5, 1.0], 10))
    assert blocks.fit().coefficients == pytest.approx(whole.fit().coefficients)


def test_doubt_grows_away_from_what_was_seen():
    normal = Normal(np.array([0.01, 0.01]), 1)
    x = np.linspace(0, 1, 50)
    normal.add(np.stack([np.ones(50), x], axis=1), x[:, None], np.ones(50))
    near, far = normal.fit().doubt(np.array([[1.0, 0.5], [1.0, 5.0]]))
    assert far > 5 * near


def test_a_missing_target_with_no_weight_counts_for_nothing():
    X, Y = np.eye(3), np.array([[1.0], [np.nan], [3.0]])
    normal = Normal(np.full(3, 1e-9), 1)
    normal.add(X, Y, np.array([1.0, 0.0, 1.0]))
    assert normal.fit().coefficients[:, 0] == pytest.approx([1.0, 0.0, 3.0])


@given(st.integers(2, 30), st.floats(0.05, 0.99))
def test_a_days_effect_has_unit_variance_and_keeps_its_part(days, keep):
    root = persistent(days, keep)
    covariance = root @ root.T
    assert np.diag(covariance) == pytest.approx(1.0)
    assert np.diag(covariance, 1) == pytest.approx(keep)
    assert np.triu(root, 1) == pytest.approx(0.0)


def test_smoothing_keeps_a_constant_and_forgets_in_its_time():
    step = np.concatenate([np.zeros(10), np.ones(40)])
    assert smoothed(np.full(20, 7.0), 5.0) == pytest.approx(7.0)
    assert smoothed(step, 8.0)[10 + 7] == pytest.approx(1 - np.exp(-1), abs=1e-9)
