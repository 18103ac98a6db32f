"""Frames: dense, merged value by value, never mixed up between fleets."""

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from controller.clock import SystemClock
from controller.errors import StoreError
from controller.model.ids import ZoneId
from controller.model.time import Interval
from controller.ports import Frames
from controller.store import open_store
from controller.store.telemetry import MISSING, _merge
from tests.store_nouns import NOON, ZONE

NAN = float("nan")
MINUTE = timedelta(minutes=1)
DAY = Interval(start=NOON, end=NOON + timedelta(days=1))


@pytest.fixture
async def telemetry(tmp_path):
    async with open_store(tmp_path, SystemClock()) as store:
        yield store.telemetry


def frames(*rows, at=0, quality=None):
    values = np.array(rows, dtype=np.float32)
    given = np.where(np.isnan(values), MISSING, 0) if quality is None else np.array(quality)
    times = tuple(NOON + MINUTE * (at + i) for i in range(len(rows)))
    return Frames(times=times, values=values, quality=given.astype(np.uint8))


def same(one, other):
    np.testing.assert_array_equal(one.values, other.values)
    np.testing.assert_array_equal(one.quality, other.quality)
    assert one.times == other.times
    assert (one.values.dtype, one.quality.dtype) == (np.float32, np.uint8)
    return True


async def test_what_is_saved_is_read_in_order_of_time(telemetry):
    await telemetry.save_frames("minute", ZONE, frames([3.0, NAN], at=2))
    await telemetry.save_frames("minute", ZONE, frames([1.0, 0.5], [2.0, -1.5]))
    got = await telemetry.frames("minute", ZONE, DAY)
    assert same(got, frames([1.0, 0.5], [2.0, -1.5], [3.0, NAN]))
    assert got.values.flags.writeable, "the caller may work on it"


async def test_a_span_is_half_open(telemetry):
    await telemetry.save_frames("minute", ZONE, frames([1.0], [2.0], [3.0]))
    span = Interval(start=NOON + MINUTE, end=NOON + 2 * MINUTE)
    assert same(await telemetry.frames("minute", ZONE, span), frames([2.0], at=1))
    assert await telemetry.span("minute", ZONE) == Interval(start=NOON, end=NOON + 2 * MINUTE)


async def test_kinds_and_zones_are_kept_apart(telemetry):
    await telemetry.save_frames("minute", ZONE, frames([1.0]))
    await telemetry.save_frames("meter", ZONE, frames([2.0, 2.5]))
    await telemetry.save_frames("minute", ZoneId("hillside"), frames([3.0]))
    assert same(await telemetry.frames("minute", ZONE, DAY), frames([1.0]))
    assert same(await telemetry.frames("meter", ZONE, DAY), frames([2.0, 2.5]))


async def test_nothing_stored_is_an_empty_answer(telemetry):
    got = await telemetry.frames("minute", ZONE, DAY)
    assert (got.times, got.values.shape, got.quality.shape) == ((), (0, 0), (0, 0))
    assert await telemetry.span("minute", ZONE) is None
    nothing = Frames(times=(), values=np.empty((0, 3), "f4"), quality=np.empty((0, 3), "u1"))
    await telemetry.save_frames("minute", ZONE, nothing)
    assert await telemetry.span("minute", ZONE) is None


async def test_a_late_frame_fills_gaps_and_a_missing_value_takes_nothing_away(telemetry):
    await telemetry.save_frames("minute", ZONE, frames([1.0, NAN, 3.0, NAN]))
    late = frames([NAN, 2.0, 9.0, NAN], quality=[[2, 1, 0, 2]])
    await telemetry.save_frames("minute", ZONE, late)
    got = await telemetry.frames("minute", ZONE, DAY)
    assert same(got, frames([1.0, 2.0, 9.0, NAN], quality=[[0, 1, 0, 2]]))


async def test_the_same_time_twice_in_one_call_is_merged_too(telemetry):
    twice = Frames(
        times=(NOON, NOON),
        values=np.array([[1.0, NAN], [NAN, 2.0]]),
        quality=np.array([[0, 3], [3, 0]]),
    )
    await telemetry.save_frames("minute", ZONE, twice)
    assert same(await telemetry.frames("minute", ZONE, DAY), frames([1.0, 2.0]))


ROWS = st.tuples(
    arrays(np.float32, 6, elements=st.sampled_from([NAN, 0.0, -1.5, 2.0])),
    arrays(np.uint8, 6, elements=st.integers(0, 3)),
)


@settings(max_examples=200, deadline=None)
@given(old=ROWS, new=ROWS)
def test_a_merge_loses_no_value_and_each_value_keeps_its_quality(old, new):
    kw, quality = _merge((old[0].tobytes(), old[1].tobytes()), *new)
    merged = zip(np.frombuffer(kw, "<f4"), np.frombuffer(quality, np.uint8), strict=True)
    for i, (value, how) in enumerate(merged):
        wins = old if np.isnan(new[0][i]) and not np.isnan(old[0][i]) else new
        np.testing.assert_equal(value, wins[0][i])
        assert how == wins[1][i]


async def test_a_grown_fleet_reads_its_old_frames_as_missing_in_the_new_columns(telemetry):
    await telemetry.save_frames("meter", ZONE, frames([1.0, 2.0]))
    await telemetry.save_frames("meter", ZONE, frames([4.0, 5.0, 6.0], at=1))
    got = await telemetry.frames("meter", ZONE, DAY)
    assert same(got, frames([1.0, 2.0, NAN], [4.0, 5.0, 6.0]))
    await telemetry.save_frames("meter", ZONE, frames([NAN, NAN, 3.0]))
    got = await telemetry.frames("meter", ZONE, DAY)
    assert same(got, frames([1.0, 2.0, 3.0], [4.0, 5.0, 6.0]))


async def test_a_shrunk_fleet_is_refused_because_columns_would_mean_other_meters(telemetry):
    await telemetry.save_frames("meter", ZONE, frames([1.0, 2.0]))
    with pytest.raises(StoreError, match="meter frames of riverside have 2 columns, not 1"):
        await telemetry.save_frames("meter", ZONE, frames([1.0], at=5))
    assert same(await telemetry.frames("meter", ZONE, DAY), frames([1.0, 2.0]))


async def test_the_caller_may_go_on_writing_into_its_arrays(telemetry):
    buffer = frames([1.0, 2.0])
    coming = telemetry.save_frames("minute", ZONE, buffer)
    await coming
    buffer.values[:] = 99.0
    assert same(await telemetry.frames("minute", ZONE, DAY), frames([1.0, 2.0]))


@pytest.mark.parametrize(
    ("times", "shape", "quality_shape"),
    [((NOON,), (2, 3), (2, 3)), ((NOON, NOON + MINUTE), (2, 3), (2, 2)), ((NOON,), (1,), (1,))],
)
async def test_shapes_that_do_not_fit_are_refused(telemetry, times, shape, quality_shape):
    values, quality = np.zeros(shape, np.float32), np.zeros(quality_shape, np.uint8)
    wrong = Frames(times=times, values=values, quality=quality)
    with pytest.raises(ValueError, match="quality bytes"):
        await telemetry.save_frames("minute", ZONE, wrong)


async def test_a_naive_time_is_refused(telemetry):
    one = frames([1.0])
    naive = Frames(times=(NOON.replace(tzinfo=None),), values=one.values, quality=one.quality)
    with pytest.raises(ValueError, match="no time zone"):
        await telemetry.save_frames("minute", ZONE, naive)


async def test_frames_take_five_bytes_a_value(tmp_path):
    async with open_store(tmp_path, SystemClock()) as store:
        rows = np.random.default_rng(1).normal(size=(96, 2000))
        await store.telemetry.save_frames("meter", ZONE, frames(*rows))
    size = (tmp_path / "telemetry.db").stat().st_size
    assert size < 1.1 * 5 * rows.size
