"""Values survive being written and read; what would not is refused when it is written."""

import enum
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, timedelta
from types import UnionType
from typing import NewType, Union, get_args, get_origin, get_type_hints

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controller.errors import StoreError
from controller.model.commands import Override, Receipt, Setpoint
from controller.model.events import DREvent, Notice, Offer
from controller.model.money import Baseline, Performance, Transfer
from controller.model.plans import Forecast, Plan
from controller.model.time import Grid, Interval, Series
from controller.store.codec import decode, encode, instant, instant_text
from tests.store_nouns import GRID, NOON, a_forecast, a_plan, a_setpoint, an_event

STORED = [
    DREvent, Plan, Setpoint, Receipt, Notice, Offer, Override, Baseline, Performance, Transfer,
    Forecast,
]  # fmt: skip

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
INSTANTS = st.integers(0, 4 * 10**15).map(lambda us: EPOCH + timedelta(microseconds=us))
STEPS = st.integers(1, 10**12).map(lambda us: timedelta(microseconds=us))
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
GRIDS = st.builds(Grid, start=INSTANTS, step=STEPS, count=st.integers(0, 4))
LEAVES = {
    str: st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    int: st.integers(-(2**63), 2**63 - 1),
    float: NUMBERS,
    bool: st.booleans(),
    datetime: INSTANTS,
    date: st.dates(),
    timedelta: STEPS,
    type(None): st.none(),
    Grid: GRIDS,
}


def values_of(hint):
    """A strategy for any type of the model, read from its annotations."""
    if hint in LEAVES:
        return LEAVES[hint]
    if isinstance(hint, NewType):
        return values_of(hint.__supertype__)
    if get_origin(hint) in (UnionType, Union):
        return st.one_of([values_of(h) for h in get_args(hint)])
    if get_origin(hint) is tuple:
        return st.lists(values_of(get_args(hint)[0]), max_size=2).map(tuple)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return st.sampled_from(hint)
    if hint is Interval:
        return st.builds(lambda at, d: Interval(start=at, end=at + d), INSTANTS, STEPS)
    if hint is Series:
        return GRIDS.flatmap(lambda g: st.builds(Series, grid=st.just(g), values=means(g.count)))
    assert isinstance(hint, type), f"no strategy for {hint}"
    assert is_dataclass(hint), f"no strategy for {hint}"
    hints = get_type_hints(hint)
    return st.builds(hint, **{f.name: values_of(hints[f.name]) for f in fields(hint)})


def means(count):
    return st.lists(NUMBERS | st.just(float("nan")), min_size=count, max_size=count).map(np.array)


@st.composite
def forecasts(draw):
    grid = draw(GRIDS)
    quantiles = draw(st.lists(NUMBERS, min_size=1, max_size=3))
    kw = np.array([draw(means(grid.count)) for _ in quantiles])
    return Forecast(made_at=draw(INSTANTS), model="m", grid=grid, quantiles=tuple(quantiles), kw=kw)


def as_fields(value):
    """The fields of a value without `==` of its own, arrays with NaN-safe equality."""
    return [
        (v.shape, v.dtype, v.tobytes()) if isinstance(v, np.ndarray) else v
        for v in (getattr(value, f.name) for f in fields(value))
    ]


@pytest.mark.parametrize("kind", STORED, ids=lambda kind: kind.__name__)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_what_is_written_is_read_back_the_same(kind, data):
    value = data.draw(forecasts() if kind is Forecast else values_of(kind))
    body = encode(value)
    again = decode(kind, body)
    if kind is Forecast:
        assert as_fields(again) == as_fields(value)
    else:
        assert again == value
    assert encode(again) == body, "canonical: equal values have equal bytes"


def test_missing_means_are_null_and_come_back_as_nan():
    series = Series(grid=GRID, values=np.array([1.5, np.nan, 0.0, -2.0]))
    assert b"[1.5,null,0.0,-2.0]" in encode(series)
    assert np.isnan(decode(Series, encode(series)).values[1])


def test_numpy_scalars_are_stored_as_the_numbers_they_are():
    setpoint = a_setpoint(value=np.float64(0.8), revision=np.int64(3))
    assert decode(Setpoint, encode(setpoint)) == setpoint


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_json_has_not_is_refused_by_name(value):
    """It would be written as null and could never be read again."""
    with pytest.raises(StoreError, match=r"Setpoint\.value is"):
        encode(a_setpoint(value=value))
    with pytest.raises(StoreError, match=r"Plan\.gap_frac is"):
        encode(a_plan(gap_frac=value))


def test_an_infinite_mean_is_refused():
    """As null it would come back as missing."""
    kw = a_forecast().kw.copy()
    kw[0, 0] = np.inf
    with pytest.raises(StoreError, match="infinite"):
        encode(Forecast(made_at=NOON, model="m", grid=GRID, quantiles=(0.1, 0.5), kw=kw))


def test_a_naive_instant_is_refused_by_name():
    naive = NOON.replace(tzinfo=None)
    with pytest.raises(StoreError, match=r"Setpoint\.until .* has no time zone"):
        encode(a_setpoint(until=naive))
    with pytest.raises(StoreError, match=r"DREvent\.reply_by .* has no time zone"):
        encode(an_event(reply_by=naive))
    with pytest.raises(StoreError, match="has no time zone"):
        instant_text(naive)


def test_a_type_that_is_not_of_the_model_is_refused():
    with pytest.raises(StoreError, match="object cannot be stored"):
        encode((object(),))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"value":0.8', b'"value":"0.8"'),
        (b'"value":0.8', b'"value":null'),
        (b',"value":0.8', b""),
        (b'"control":"cap_kw"', b'"control":"cap"'),
        (b'"revision":1', b'"revision":1.5'),
    ],
)
def test_reading_is_strict(old, new):
    body = encode(a_setpoint())
    assert old in body
    with pytest.raises(StoreError, match="stored Setpoint cannot be read"):
        decode(Setpoint, body.replace(old, new))


def test_a_text_in_an_array_is_not_taken_for_a_number():
    body = encode(an_event()).replace(b"[100.0,", b'["100.0",')
    with pytest.raises(StoreError, match="stored DREvent cannot be read"):
        decode(DREvent, body)


@given(at=INSTANTS)
def test_instants_as_text_sort_as_instants(at):
    later = at + timedelta(microseconds=1)
    assert instant(instant_text(at)) == at
    assert instant_text(at) < instant_text(later)
