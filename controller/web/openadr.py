"""An OpenADR 3.1 event (openadr3.yaml, schema eventRequest) as a DREvent: pure.

What we act on: interval payloads DISPATCH_SETPOINT_RELATIVE (the reduction asked, in the unit
of its payloadDescriptor, KW where none is given) and ALERT_GRID_EMERGENCY beside it. Anything
else is refused by name rather than half understood.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

import numpy as np
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from controller.config.faults import shape_faults
from controller.errors import EventError, Fault
from controller.model.events import DREvent, EventSource
from controller.model.ids import EventId, ProgramId, ZoneId, new_uuid7
from controller.model.time import QUARTER_HOUR, Grid, Series

REDUCE = "DISPATCH_SETPOINT_RELATIVE"
EMERGENCY = "ALERT_GRID_EMERGENCY"
LOWEST_PRIORITY = 1000
"""OpenADR: an event without a priority has the lowest."""

LONGEST = timedelta(hours=24)

_KW_PER_UNIT = {"KW": 1.0, "MW": 1000.0}


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore")


class Payload(_Wire):
    """One value map of an interval."""

    type: str = Field(min_length=1, max_length=128)
    values: list[Any] = Field(min_length=1, max_length=64)


class Period(_Wire):
    """OpenADR intervalPeriod: start and ISO 8601 duration."""

    start: AwareDatetime
    duration: timedelta | None = None


class WireInterval(_Wire):
    """One interval of an event; its own period overrides the event's."""

    id: int
    intervalPeriod: Period | None = None  # noqa: N815 - the standard's spelling
    payloads: list[Payload] = Field(min_length=1, max_length=64)


class Descriptor(_Wire):
    """Which unit a payload type is in."""

    payloadType: str  # noqa: N815
    units: str | None = None


class EventRequest(_Wire):
    """Schema eventRequest of OpenADR 3.1, as far as we act on it."""

    programID: str = Field(min_length=1, max_length=128)  # noqa: N815
    eventName: str | None = Field(default=None, max_length=256)  # noqa: N815
    priority: int | None = Field(default=None, ge=0, le=2**31 - 1)
    intervalPeriod: Period | None = None  # noqa: N815
    payloadDescriptors: list[Descriptor] | None = None  # noqa: N815
    intervals: list[WireInterval] = Field(min_length=1, max_length=96)


def event_from_openadr(
    wire: object, *, zone: ZoneId, source: EventSource, now: datetime, random: Random
) -> DREvent:
    """The DREvent that an OpenADR 3.1 event asks for. Raises EventError with every fault."""
    try:
        request = EventRequest.model_validate(wire)
    except ValidationError as error:
        raise EventError("this is not an OpenADR 3.1 event", _spelled(wire, error)) from error
    target, emergency = _target(request)
    name = request.eventName or ""
    return DREvent(
        id=EventId(new_uuid7(now, random)),
        source=source,
        source_id=name,
        program_id=ProgramId(request.programID),
        zone=zone,
        target=target,
        notified_at=now,
        priority=LOWEST_PRIORITY if request.priority is None else request.priority,
        emergency=emergency,
    )


def event_to_openadr(event: DREvent) -> dict[str, object]:
    """The event as OpenADR 3.1 shows it (object metadata included)."""
    stamps = {
        "id": event.id,
        "objectType": "EVENT",
        "createdDateTime": event.notified_at.isoformat(),
        "modificationDateTime": event.notified_at.isoformat(),
    }
    return stamps | reduction_event(
        event.target,
        program_id=event.program_id,
        name=event.source_id,
        priority=event.priority,
        emergency=event.emergency,
    )


def reduction_event(
    target: Series, *, program_id: str, name: str, priority: int, emergency: bool = False
) -> dict[str, object]:
    """The OpenADR 3.1 event that asks for `target` kW: what a grid operator's client sends."""
    grid = target.grid
    alert = [{"type": EMERGENCY, "values": ["grid emergency"]}] if emergency else []
    return {
        "programID": program_id,
        "eventName": name,
        "priority": priority,
        "payloadDescriptors": [
            {"objectType": "EVENT_PAYLOAD_DESCRIPTOR", "payloadType": REDUCE, "units": "KW"}
        ],
        "intervalPeriod": {
            "start": grid.start.isoformat(),
            "duration": f"PT{int(grid.step.total_seconds() // 60)}M",
        },
        "intervals": [
            {"id": i, "payloads": [{"type": REDUCE, "values": [float(v)]}, *alert]}
            for i, v in enumerate(target.values)
        ],
    }


def _spelled(wire: object, error: ValidationError) -> list[Fault]:
    """As for every table of ours; what TOML calls a table is an object in JSON."""
    faults = shape_faults("event", "", EventRequest, wire, error)
    return [replace(f, expected=f.expected.replace("a table", "an object")) for f in faults]


def _target(request: EventRequest) -> tuple[Series, bool]:
    """Reduction in kW on 15-minute intervals, gaps 0; and whether it is an emergency."""
    faults: list[Fault] = []
    emergency = False
    pieces: list[tuple[datetime, datetime, float]] = []
    spans: list[tuple[datetime, datetime]] = []
    at = request.intervalPeriod.start if request.intervalPeriod else None
    for i, interval in enumerate(request.intervals):
        place = f"intervals.{i}"
        default = request.intervalPeriod.duration if request.intervalPeriod else None
        period = interval.intervalPeriod
        start = period.start if period else at
        duration = (period.duration if period else None) or default
        if start is None or not duration or not _fits(start, duration):
            expected = "a start and a duration of whole quarter hours, here or in the event"
            where = f"{place}.intervalPeriod" if period else "intervalPeriod"
            faults.append(_fault(where, f"{start}, {duration}", expected))
            continue
        at = start + duration
        if any(begin < at and start < end for begin, end in spans):
            faults.append(_fault(f"{place}.intervalPeriod", str(start), "no overlap with another"))
        spans.append((start, at))
        asked = 0
        for j, payload in enumerate(interval.payloads):
            asked += payload.type == REDUCE
            if payload.type == EMERGENCY:
                emergency = True
            elif payload.type == REDUCE and asked == 1 and _is_number(payload.values):
                pieces.append((start, at, payload.values[0] * _unit(request, faults)))
            else:
                expected = f"{REDUCE} with one number >= 0, or {EMERGENCY}"
                value = f"{payload.type} {payload.values}"[:80]
                faults.append(_fault(f"{place}.payloads.{j}", value, expected))
    if not pieces and not faults:
        faults.append(_fault("intervals", "no reduction", f"a payload of type {REDUCE}"))
    if faults:
        each_once = list(dict.fromkeys(faults))  # what all intervals share is one fault
        raise EventError("this event cannot be acted on", each_once)
    return _series(pieces), emergency


def _series(pieces: list[tuple[datetime, datetime, float]]) -> Series:
    start = min(p[0] for p in pieces)
    count = (max(p[1] for p in pieces) - start) // QUARTER_HOUR
    if count > 96:
        place = f"{start.isoformat()} + {count} quarter hours"
        raise EventError("this event is too long", [_fault("intervals", place, "at most 24 h")])
    grid = Grid(start=start, step=QUARTER_HOUR, count=count)
    values = np.zeros(count)
    for begin, end, kw in pieces:
        values[grid.index(begin) : grid.index(end)] = kw
    return Series(grid=grid, values=values)


def _fits(start: datetime, duration: timedelta) -> bool:
    """Whole quarter hours within a day, in years that calendars agree about."""
    whole = not duration % QUARTER_HOUR and not start.timestamp() % QUARTER_HOUR.total_seconds()
    return whole and timedelta(0) < duration <= LONGEST and 2000 <= start.year < 2200


def _is_number(values: list[Any]) -> bool:
    value = values[0]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return len(values) == 1 and number and 0 <= value < 1e9


def _unit(request: EventRequest, faults: list[Fault]) -> float:
    units = [d.units for d in request.payloadDescriptors or () if d.payloadType == REDUCE]
    unit = (units[0] if units else None) or "KW"
    if unit not in _KW_PER_UNIT:
        faults.append(_fault("payloadDescriptors.units", unit, "KW or MW"))
    return _KW_PER_UNIT.get(unit, 1.0)


def _fault(place: str, value: str, expected: str) -> Fault:
    return Fault(file="event", place=place, value=value, expected=expected)
