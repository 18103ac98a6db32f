"""OpenADR 3.1 events in: understood whole, or refused with every fault."""

import contextlib
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.errors import EventError
from controller.model.events import DREvent, EventSource
from controller.model.ids import ZoneId
from controller.web.openadr import event_from_openadr, event_to_openadr

NOW = datetime(2014, 1, 28, 5, 10, tzinfo=UTC)


def a_wire(**changes: Any) -> dict[str, Any]:
    wire: dict[str, Any] = {
        "programID": "contracted",
        "eventName": "grid-dispatch",
        "priority": 0,
        "payloadDescriptors": [
            {"payloadType": "DISPATCH_SETPOINT_RELATIVE", "units": "MW"},
        ],
        "intervalPeriod": {"start": "2014-01-28T16:45:00+11:00", "duration": "PT15M"},
        "intervals": [
            {"id": i, "payloads": [{"type": "DISPATCH_SETPOINT_RELATIVE", "values": [5.2]}]}
            for i in range(4)
        ],
    }
    return wire | changes


def taken(wire: object) -> DREvent:
    return event_from_openadr(
        wire, zone=ZoneId("z"), source=EventSource.OPERATOR, now=NOW, random=Random(1)
    )


def test_an_hour_of_megawatts_becomes_four_quarter_hours_of_kilowatts():
    event = taken(a_wire())

    assert event.span.start == datetime(2014, 1, 28, 5, 45, tzinfo=UTC)
    assert event.target.values.tolist() == [5200.0] * 4
    assert event.priority == 0
    assert not event.emergency


def test_an_interval_may_have_a_period_of_its_own():
    own = {"start": "2014-01-28T06:15:00Z", "duration": "PT30M"}
    payloads = [{"type": "DISPATCH_SETPOINT_RELATIVE", "values": [1]}]
    wire = a_wire(
        intervals=[{"id": 0, "payloads": payloads},
                   {"id": 1, "intervalPeriod": own, "payloads": payloads}]
    )  # fmt: skip

    assert taken(wire).target.values.tolist() == [1000.0, 0.0, 1000.0, 1000.0]


def test_a_grid_emergency_alert_makes_it_an_emergency():
    wire = a_wire()
    wire["intervals"][0]["payloads"].append({"type": "ALERT_GRID_EMERGENCY", "values": ["now"]})

    assert taken(wire).emergency


def test_an_event_without_a_priority_has_the_lowest():
    assert taken(a_wire(priority=None)).priority == 1000


def test_what_we_send_we_also_understand():
    event = taken(a_wire())

    assert taken(event_to_openadr(event)).target == event.target


@pytest.mark.parametrize(
    ("wire", "place"),
    [
        ([], "event"),
        ({}, "programID"),
        (a_wire(priority=-1), "priority"),
        (a_wire(intervals=[]), "intervals"),
        (a_wire(intervalPeriod={"start": "2014-01-28T16:45:00", "duration": "PT15M"}), "start"),
        (a_wire(intervalPeriod={"start": "2014-01-28T16:45:00Z", "duration": "PT7M"}),
         "intervalPeriod: "),
        (a_wire(intervals=[{"id": 0, "payloads": [{"type": "PRICE", "values": [1]}]}]),
         "intervals.0.payloads.0"),
        (a_wire(intervals=[{"id": 0, "payloads": [
            {"type": "DISPATCH_SETPOINT_RELATIVE", "values": [-1]}]}]), "intervals.0.payloads.0"),
        (a_wire(intervals=[{"id": 0, "payloads": [
            {"type": "DISPATCH_SETPOINT_RELATIVE", "values": ["5"]}]}]), "intervals.0.payloads.0"),
        (a_wire(payloadDescriptors=[
            {"payloadType": "DISPATCH_SETPOINT_RELATIVE", "units": "HP"}]), "units"),
    ],
)  # fmt: skip
def test_a_bad_event_names_the_place_of_its_fault(wire: object, place: str):
    with pytest.raises(EventError) as caught:
        taken(wire)

    assert place in str(caught.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner),
    max_leaves=12,
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "programID": json_values,
            "priority": json_values,
            "intervalPeriod": json_values,
            "intervals": json_values,
            "payloadDescriptors": json_values,
        },
    )
)
def test_no_message_does_more_than_be_taken_or_refused(wire: dict[str, Any]):
    """Whatever comes over HTTP ends as an event or as an EventError with its faults."""
    with contextlib.suppress(EventError):
        taken(a_wire() | wire)


@pytest.mark.parametrize("duration", ["-PT15M", "PT0S", "P9999999D", "PT7M", "P2D"])
def test_a_duration_that_no_calendar_can_follow_is_refused(duration: str):
    """A negative, endless or crooked stretch is a fault of the event, never an accident of ours."""
    with pytest.raises(EventError):
        taken(a_wire(intervalPeriod={"start": "2014-01-28T16:45:00+11:00", "duration": duration}))


def test_two_asks_for_one_stretch_are_refused_not_half_followed():
    payloads = [{"type": "DISPATCH_SETPOINT_RELATIVE", "values": [1]}]
    own = {"start": "2014-01-28T16:45:00+11:00", "duration": "PT30M"}

    second = {"id": 1, "intervalPeriod": own, "payloads": payloads}
    with pytest.raises(EventError, match="no overlap"):
        taken(a_wire(intervals=[{"id": 0, "payloads": payloads}, second]))
    with pytest.raises(EventError):
        taken(a_wire(intervals=[{"id": 0, "payloads": payloads * 2}]))


def test_an_interval_off_the_quarter_hour_is_refused():
    period = {"start": "2014-01-28T16:52:00+11:00", "duration": "PT15M"}

    with pytest.raises(EventError):
        taken(a_wire(intervalPeriod=period))
