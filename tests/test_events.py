"""Life of an event, and who rules an interval."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.errors import EventError
from controller.events import (
    TRANSITIONS,
    check_event,
    event_days,
    may_become,
    superseded_in,
    timeline,
)
from controller.model.events import DREvent, EventSource, EventStatus
from controller.model.ids import EventId, ProgramId, ZoneId
from controller.model.time import QUARTER_HOUR, Grid, Series

NOON = datetime(2014, 1, 28, 1, tzinfo=UTC)


def an_event(
    name: str,
    *,
    start: datetime = NOON,
    kw: list[float] | None = None,
    priority: int = 100,
    status: EventStatus = EventStatus.APPROVED,
    notified_at: datetime = NOON - timedelta(hours=5),
    test: bool = False,
) -> DREvent:
    values = np.array([1000.0] * 8 if kw is None else kw)
    grid = Grid(start=start, step=QUARTER_HOUR, count=len(values))
    return DREvent(
        id=EventId(name),
        source=EventSource.OPERATOR,
        source_id=name,
        program_id=ProgramId("p"),
        zone=ZoneId("z"),
        target=Series(grid=grid, values=values),
        notified_at=notified_at,
        priority=priority,
        status=status,
        test=test,
    )


def test_every_status_can_be_left_or_is_final():
    """No event is caught in a status that is neither an end nor a way on."""
    ends = {EventStatus.FINAL, EventStatus.CANCELLED}

    assert {s for s, then in TRANSITIONS.items() if not then} == ends
    assert set(TRANSITIONS) == set(EventStatus)


def test_nothing_comes_back_from_cancelled():
    assert not any(may_become(EventStatus.CANCELLED, s) for s in EventStatus)


def test_a_settled_event_is_never_commanded_again():
    assert not may_become(EventStatus.SETTLED, EventStatus.ACTIVE)
    assert not may_become(EventStatus.SETTLED, EventStatus.DISPATCHED)


def test_a_short_emergency_cuts_the_day_ahead_event_and_gives_back():
    day_ahead = an_event("day-ahead")
    emergency = an_event(
        "emergency", start=NOON + 2 * QUARTER_HOUR, kw=[1300.0, 1300.0], priority=0
    )

    line = timeline([day_ahead, emergency])

    assert line is not None
    assert line.ruling == ("day-ahead",) * 2 + ("emergency",) * 2 + ("day-ahead",) * 4
    assert line.target.values.tolist() == [1000, 1000, 1300, 1300, 1000, 1000, 1000, 1000]
    assert [i.start for i in superseded_in(day_ahead, line)] == [
        NOON + 2 * QUARTER_HOUR,
        NOON + 3 * QUARTER_HOUR,
    ]
    assert superseded_in(emergency, line) == ()


def test_the_newer_of_two_equal_events_rules():
    old = an_event("old", notified_at=NOON - timedelta(hours=9))
    new = an_event("new", kw=[500.0] * 8)

    line = timeline([new, old])

    assert line is not None
    assert set(line.ruling) == {"new"}


def test_cancelled_drafts_and_drills_rule_nothing():
    events = [
        an_event("a", status=EventStatus.CANCELLED),
        an_event("b", status=EventStatus.DRAFT),
        an_event("c", test=True),
    ]

    assert timeline(events) is None


@given(
    st.lists(
        st.tuples(st.integers(0, 20), st.integers(1, 12), st.integers(0, 3), st.integers(0, 50)),
        min_size=1,
        max_size=6,
    )
)
def test_exactly_one_event_rules_each_asked_interval(rows: list[tuple[int, int, int, int]]):
    """Whatever overlaps: the ruling event asks there, nobody of better priority does."""
    events = [
        an_event(f"e{n}", start=NOON + i * QUARTER_HOUR, kw=[100.0 + n] * count,
                 priority=priority, notified_at=NOON - timedelta(minutes=age))
        for n, (i, count, priority, age) in enumerate(rows)
    ]  # fmt: skip
    line = timeline(events)
    assert line is not None
    for i in range(line.grid.count):
        at = line.grid.at(i)
        asking = {e.id: e for e in events if at in e.span}
        ruling = line.ruling[i]
        assert (ruling is None) == (not asking)
        if ruling is not None:
            assert asking[ruling].priority == min(e.priority for e in asking.values())
            assert line.target.values[i] == asking[ruling].target.value_at(at)


def test_every_fault_of_an_event_is_named_at_once():
    bad = an_event("bad", start=NOON + timedelta(minutes=7), kw=[float("nan"), -1.0])

    with pytest.raises(EventError) as caught:
        check_event(bad, NOON + timedelta(days=1), place="event.json")

    assert {f.place for f in caught.value.faults} == {"start", "target"}
    assert len(caught.value.faults) == 3
    assert "event.json: start" in str(caught.value)
    assert caught.value.exit_code == 2


def test_each_local_day_stands_by_itself_and_what_overlaps_stays_together():
    """Days are local: 23:30 to 00:30 in Melbourne is one event of one day."""
    today, later = an_event("a"), an_event("b", start=NOON + timedelta(hours=5))
    tomorrow = an_event("c", start=NOON + timedelta(days=1))
    night = an_event("d", start=NOON + timedelta(days=1, hours=11, minutes=30))
    over_midnight = an_event("e", start=NOON + timedelta(days=1, hours=12, minutes=15))
    cancelled = an_event("f", start=NOON + timedelta(days=9), status=EventStatus.CANCELLED)

    days = event_days(
        [tomorrow, later, today, over_midnight, night, cancelled], "Australia/Melbourne"
    )

    assert [[e.id for e in d] for d in days] == [["b", "a"], ["c", "e", "d"]]
