"""Cutting UTC frames into local days, also on the two days a year that are not 24 hours long."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from controller.baseline.days import local_days
from controller.model.ids import MeterId
from controller.model.time import QUARTER_HOUR, Interval

BERLIN = "Europe/Berlin"
SPRING, AUTUMN = date(2026, 3, 29), date(2026, 10, 25)


def frames(start: datetime, count: int, step: timedelta = QUARTER_HOUR):
    """`count` UTC intervals; the value of each is its index."""
    times = [start + step * i for i in range(count)]
    return times, np.arange(count, dtype=np.float32)[:, None]


def cut(start: datetime, count: int, zone: str):
    times, values = frames(start, count)
    return local_days([MeterId("m")], times, values, zone)


def test_a_plain_day_has_96_slots_from_local_midnight():
    days = cut(datetime(2026, 6, 23, 16, tzinfo=UTC), 96, "Asia/Shanghai")
    assert days.days == (date(2026, 6, 24),)
    assert days.kw[0, 0].tolist() == list(range(96))


def test_the_skipped_hour_of_spring_is_missing_and_later_slots_keep_their_place():
    days = cut(datetime(2026, 3, 28, 23, tzinfo=UTC), 92, BERLIN)
    assert days.days == (SPRING,)
    assert np.flatnonzero(np.isnan(days.kw[0, 0])).tolist() == [8, 9, 10, 11]
    assert days.kw[0, 0, 15 * 4] == 15 * 4 - 4


def test_the_repeated_hour_of_autumn_holds_the_mean_of_both_passes():
    days = cut(datetime(2026, 10, 24, 22, tzinfo=UTC), 100, BERLIN)
    assert days.days == (AUTUMN,)
    assert days.kw[0, 0, 8:12].tolist() == [10.0, 11.0, 12.0, 13.0]
    assert days.kw[0, 0, 95] == 99


def test_one_known_pass_of_the_repeated_hour_stands_alone():
    times, values = frames(datetime(2026, 10, 24, 22, tzinfo=UTC), 100)
    values[8] = np.nan
    values[13] = np.nan
    days = local_days([MeterId("m")], times, values, BERLIN)
    assert days.kw[0, 0, 8:10].tolist() == [12.0, 9.0]


def test_days_without_frames_between_others_are_missing_not_skipped():
    times, values = frames(datetime(2026, 6, 1, tzinfo=UTC), 96)
    later, more = frames(datetime(2026, 6, 4, tzinfo=UTC), 96)
    days = local_days([MeterId("m")], [*times, *later], np.vstack([values, more]), "UTC")
    assert len(days.days) == 4
    assert np.isnan(days.kw[0, 1:3]).all()


def test_the_order_of_frames_does_not_matter():
    times, values = frames(datetime(2026, 6, 1, tzinfo=UTC), 192)
    there = local_days([MeterId("m")], times, values, BERLIN)
    back = local_days([MeterId("m")], times[::-1], values[::-1], BERLIN)
    assert np.array_equal(there.kw, back.kw, equal_nan=True)


def test_hours_on_the_wall_are_the_same_slots_in_summer_and_winter():
    days = cut(datetime(2026, 1, 1, tzinfo=UTC), 96, BERLIN)
    winter = datetime(2026, 1, 15, 14, tzinfo=UTC)
    summer = datetime(2026, 7, 15, 13, tzinfo=UTC)
    slots = [
        days.wall_hours(Interval(start=at, end=at + timedelta(hours=1))).slots.tolist()
        for at in (winter, summer)
    ]
    assert slots == [[60, 61, 62, 63]] * 2


def test_what_lies_before_the_first_day_is_unknown():
    days = cut(datetime(2026, 6, 1, tzinfo=UTC), 96, "UTC")
    evening = Interval(
        start=datetime(2026, 6, 23, 23, tzinfo=UTC), end=datetime(2026, 6, 24, 1, tzinfo=UTC)
    )
    hours = days.wall_hours(evening, date(2026, 6, 24))
    seen = days.on([date(2026, 6, 1)], hours)[0, 0]
    assert np.isnan(seen[:4]).all()
    assert seen[4:].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([datetime(2026, 6, 1, 0, 7, tzinfo=UTC)], "not the start"),
        ([datetime(2026, 6, 1, tzinfo=UTC)] * 2, "each time once"),
        ([], "at least one"),
        ([datetime(2026, 6, 1)], "no time zone"),  # noqa: DTZ001
    ],
)
def test_frames_that_cannot_be_cut_are_refused(times, message):
    with pytest.raises(ValueError, match=message):
        local_days([MeterId("m")], times, np.zeros((len(times), 1)), "UTC")


def test_a_span_off_the_grid_is_refused():
    days = cut(datetime(2026, 6, 1, tzinfo=UTC), 96, "UTC")
    start = datetime(2026, 6, 1, 12, 5, tzinfo=UTC)
    with pytest.raises(ValueError, match="not the start"):
        days.wall_hours(Interval(start=start, end=start + timedelta(hours=1)))
    with pytest.raises(ValueError, match="whole number"):
        days.wall_hours(Interval(start=start, end=start + timedelta(minutes=20)))
