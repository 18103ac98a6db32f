"""Hard data: which readings are doubted, and what a forecast makes of it."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.forecast.clean import Cleaned, clean
from controller.forecast.newcomer import borrowed_kw
from tests.load_cases import shape

VICTORIA = Path(os.environ.get("PEAKSHARE_DATA", "/nowhere")) / "data/vic_elec/load.parquet"

PER_DAY = 24
DAYS = 60
FAULTS = {
    "a gap": lambda x: x.__setitem__(slice(1300, 1330), np.nan),
    "a stuck meter": lambda x: x.__setitem__(slice(1300, 1330), x[1300]),
    "a spike up": lambda x: x.__setitem__(1310, 9000.0),
    "a spike down": lambda x: x.__setitem__(1310, 350.0),
    "a sentinel": lambda x: x.__setitem__(slice(1310, 1340), -99999.0),
    "a drop-out": lambda x: x.__setitem__(slice(1310, 1325), 0.0),
}
REASON = {
    "a stuck meter": "stuck", "a spike up": "implausible", "a spike down": "spike",
    "a sentinel": "stuck", "a drop-out": "drop-out",
}  # fmt: skip


def cleaned(load: np.ndarray, per_day: int = PER_DAY) -> Cleaned:
    load = np.atleast_2d(load)
    n = load.shape[1]
    return clean(load, [0, *range(14 * per_day, n, per_day), n], per_day)


def test_a_sound_load_is_trusted_whole():
    assert cleaned(shape(DAYS)).spans() == ()


@pytest.mark.parametrize("kind", list(FAULTS))
def test_a_planted_fault_is_doubted_and_little_else(kind: str):
    load = shape(DAYS)
    FAULTS[kind](load)
    out = cleaned(load)
    doubted = np.flatnonzero(out.why[0])
    wrong = np.flatnonzero(load != shape(DAYS))
    wrong = wrong[~np.isnan(load[wrong])]
    missed = np.setdiff1d(wrong, doubted)
    assert len(missed) <= 1
    assert len(np.setdiff1d(doubted, wrong)) <= 2
    if kind in REASON:
        assert REASON[kind] in {span.reason for span in out.spans()}


def test_a_lasting_level_shift_is_believed_after_a_day_and_the_past_brought_to_it():
    load = shape(DAYS)
    load[1000:] *= 1.8
    out = cleaned(load)
    assert out.level[0, 990] == 1.0
    assert out.level[0, -1] == pytest.approx(1.8, rel=0.05)
    assert {span.reason for span in out.spans()} == {"jump"}
    past = out.relevel(DAYS * PER_DAY)[0, :900]
    assert np.nanmean(past) == pytest.approx(1.8 * shape(DAYS)[:900].mean(), rel=0.05)


def test_an_excursion_of_some_hours_moves_no_level():
    load = shape(DAYS)
    load[1000:1010] *= 0.4
    out = cleaned(load)
    assert (out.level == 1.0).all()
    assert np.isnan(out.kw[0, 1000:1010]).sum() >= 9


def test_a_home_feeding_in_at_noon_is_not_doubted():
    load = shape(DAYS, level=2.0) - 4 * np.maximum(0, np.sin(2 * np.pi * np.arange(DAYS * 24) / 24))
    assert load.min() < -1
    assert cleaned(load).spans() == ()


def test_a_furnace_that_jumps_every_hour_is_not_doubted():
    load = np.random.default_rng(3).choice([5.0, 300.0], DAYS * 24)
    assert cleaned(load).spans() == ()


def test_a_series_of_zeros_is_trusted():
    assert cleaned(np.zeros(DAYS * 24)).spans() == ()


def test_a_customer_that_moved_out_is_believed_after_a_week():
    load = shape(DAYS)
    load[1000:] = 0.0
    out = cleaned(load)
    assert {s.reason for s in out.spans()} <= {"stuck", "drop-out", "jump"}


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10_000),
    day=st.integers(20, 44),
    value=st.sampled_from([0.0, -1.0, 1e6, 400.0, 2500.0, np.nan]),
    length=st.integers(1, 80),
)
def test_what_is_trusted_before_an_edge_does_not_depend_on_what_comes_after(
    seed: int, day: int, value: float, length: int
):
    load = shape(45, seed=seed)
    load[900:915] = load[900]
    edge = day * PER_DAY
    other = load.copy()
    other[edge : edge + length] = value
    a, b = cleaned(load), cleaned(other)
    np.testing.assert_array_equal(a.kw[:, :edge], b.kw[:, :edge])
    np.testing.assert_array_equal(a.level[:, :edge], b.level[:, :edge])


def _class(mates: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Known loads and (3, mates, 24) forecasts of like customers of many sizes."""
    size = np.geomspace(10, 300, mates)
    known = np.stack([shape(10, seed=i, level=s) for i, s in enumerate(size)])
    middle = np.stack([shape(1, seed=50 + i, level=s) for i, s in enumerate(size)])
    return known, np.stack([0.9 * middle, middle, 1.1 * middle])


def test_a_newcomer_has_the_shape_of_its_class_at_the_size_of_its_first_readings():
    known, ahead = _class()
    own = np.full(240, np.nan)
    own[-48:] = shape(10, seed=9, level=70.0)[-48:]
    made = borrowed_kw(ahead, (0.1, 0.5, 0.9), own_kw=own, known_kw=known, step_h=1.0)
    assert made[1] == pytest.approx(shape(1, seed=8, level=70.0), rel=0.12)
    assert (np.diff(made, axis=0) >= 0).all()


def test_a_newcomer_without_a_reading_is_sized_by_its_rating_or_refused():
    known, ahead = _class()
    nothing, rated = np.full(240, np.nan), np.geomspace(10, 300, 6) * 2
    made = borrowed_kw(
        ahead, (0.1, 0.5, 0.9), own_kw=nothing, known_kw=known, step_h=1.0, rated_kw=100.0,
        mates_rated_kw=rated,
    )  # fmt: skip
    assert made[1].mean() == pytest.approx(50.0, rel=0.1)
    with pytest.raises(ValueError, match="rating"):
        borrowed_kw(ahead, (0.1, 0.5, 0.9), own_kw=nothing, known_kw=known, step_h=1.0)


@pytest.mark.skipif(not VICTORIA.exists(), reason="needs the real series in PEAKSHARE_DATA")
def test_real_loads_are_hardly_doubted_but_planted_faults_are():
    load = pd.read_parquet(VICTORIA).load_mw.to_numpy(np.float64)
    sound = cleaned(load, 48)
    assert len(sound.spans()) == 0
    bad = load.copy()
    bad[20000:20030] = bad[20000]
    bad[21000] *= 3
    bad[22000:22010] = 0
    spans = cleaned(bad, 48).spans()
    assert {s.reason for s in spans} >= {"stuck", "drop-out"}
    assert sum(s.stop - s.first for s in spans) <= 45
