"""Life of a DR event: one transition table; and which event rules an interval.

Both are pure. The journal keeps each transition; an event's status is the fold over them.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np

from controller.errors import EventError, Fault
from controller.model.events import Direction, DREvent, EventStatus, Signal, Timeline
from controller.model.time import QUARTER_HOUR, Grid, Interval, Series

S = EventStatus

TRANSITIONS: Mapping[EventStatus, frozenset[EventStatus]] = {
    S.DRAFT: frozenset({S.APPROVED, S.CANCELLED}),
    S.APPROVED: frozenset({S.INVITED, S.DISPATCHED, S.AMENDED, S.SUPERSEDED, S.CANCELLED}),
    S.INVITED: frozenset({S.BID, S.CLEARED, S.DISPATCHED, S.CANCELLED}),
    S.BID: frozenset({S.CLEARED, S.CANCELLED}),
    S.CLEARED: frozenset({S.DISPATCHED, S.CANCELLED}),
    S.DISPATCHED: frozenset({S.ACTIVE, S.AMENDED, S.SUPERSEDED, S.CANCELLED}),
    S.ACTIVE: frozenset({S.ENDED, S.AMENDED, S.SUPERSEDED, S.CANCELLED}),
    S.AMENDED: frozenset({S.APPROVED, S.DISPATCHED, S.ACTIVE, S.ENDED, S.CANCELLED}),
    S.SUPERSEDED: frozenset({S.ACTIVE, S.ENDED, S.CANCELLED}),
    S.ENDED: frozenset({S.PROVISIONAL, S.SETTLED}),
    S.PROVISIONAL: frozenset({S.SETTLED, S.DISPUTED}),
    S.SETTLED: frozenset({S.DISPUTED, S.FINAL}),
    S.DISPUTED: frozenset({S.SETTLED, S.FINAL}),
    S.FINAL: frozenset(),
    S.CANCELLED: frozenset(),
}
"""draft → approved → invited → bid → cleared → dispatched → active → ended → provisional →
settled → disputed → final; emergency and contracted events skip invited … cleared."""

OVER = frozenset({S.ENDED, S.PROVISIONAL, S.SETTLED, S.DISPUTED, S.FINAL})
"""Nothing can be commanded for such an event any more, but what it got still counts."""

CLOSED = OVER | {S.DRAFT, S.CANCELLED}
"""Nothing is commanded for such an event (now)."""

EventDay = tuple[DREvent, ...]
"""Events that are planned, dispatched and settled together, in the order in which they came."""


def may_become(status: EventStatus, then: EventStatus) -> bool:
    """Whether the transition table allows `status` → `then`."""
    return then in TRANSITIONS[status]


def rules_over(challenger: DREvent, holder: DREvent) -> bool:
    """Whether `challenger` takes an interval from `holder`: priority first, then the newer.

    Lower priority numbers win, as in OpenADR 3.1; the standard leaves equal priorities open,
    ours is: the event notified later, then the higher id.
    """

    def rank(event: DREvent) -> tuple[int, float, int, str]:
        return (-event.priority, event.notified_at.timestamp(), event.revision, event.id)

    return rank(challenger) > rank(holder)


def timeline(events: Iterable[DREvent], *, span: Interval | None = None) -> Timeline | None:
    """Which event rules each interval, and its target there in kW.

    ::

        day-ahead   ├──── 4400 ──────────────────────┤
        emergency             ├── 5300 ──┤
        rules       day-ahead │ emergency │ day-ahead

    Cancelled and draft events and drills rule nothing. None where no event asks for anything.
    """
    asking = _asking(events)
    if not asking:
        return None
    whole = span or Interval(
        start=min(e.span.start for e in asking), end=max(e.span.end for e in asking)
    )
    grid = Grid.over(whole, QUARTER_HOUR)
    ruling: list[DREvent | None] = [None] * grid.count
    for event in asking:
        for i in range(grid.count):
            if _asks(event, grid.at(i)):
                holder = ruling[i]
                if holder is None or rules_over(event, holder):
                    ruling[i] = event
    target = [e.target.value_at(grid.at(i)) if e else 0.0 for i, e in enumerate(ruling)]
    return Timeline(
        grid=grid,
        ruling=tuple(e.id if e else None for e in ruling),
        target=Series(grid=grid, values=np.array(target)),
    )


def event_days(events: Iterable[DREvent], timezone: str) -> tuple[EventDay, ...]:
    """Events by the local day on which they start, in order of time; what overlaps stays together.

    A day is what one plan, one timeline and one settlement speak of. Cancelled and draft events
    and drills are in none.
    """
    zone = ZoneInfo(timezone)
    asking = _asking(events)
    days: list[list[DREvent]] = []
    for event in sorted(asking, key=lambda e: (e.span.start, e.id)):
        if days and _same_day(days[-1], event, zone):
            days[-1].append(event)
        else:
            days.append([event])
    return tuple(tuple(e for e in asking if e in day) for day in days)


def superseded_in(event: DREvent, line: Timeline) -> tuple[Interval, ...]:
    """The intervals in which `event` asks but another event rules."""
    return tuple(
        line.grid.interval(i)
        for i in range(line.grid.count)
        if _asks(event, line.grid.at(i)) and line.ruling[i] not in (None, event.id)
    )


def check_event(event: DREvent, now: datetime, place: str = "event") -> None:
    """Refuse an event that cannot be followed. Raises EventError with every fault at once."""
    faults = [
        Fault(file=place, place=key, value=value, expected=expected)
        for key, value, expected, wrong in _rules(event, now)
        if wrong
    ]
    if faults:
        raise EventError(f"this event cannot be taken ({len(faults)} faults)", faults)


def _rules(event: DREvent, now: datetime) -> Sequence[tuple[str, str, str, bool]]:
    grid, values = event.target.grid, event.target.values
    quarter = QUARTER_HOUR.total_seconds()
    return (
        ("start", event.span.start.isoformat(), f"later than now ({now.isoformat()})",
         event.span.end <= now),
        ("start", event.span.start.isoformat(), "a whole quarter hour",
         grid.start.timestamp() % quarter != 0),
        ("step", str(grid.step), "15 minutes", grid.step != QUARTER_HOUR),
        ("duration", str(event.span.duration), "between 15 minutes and 24 hours",
         not 1 <= grid.count <= 96),
        ("target", str(values.tolist()), "finite kW >= 0 in every interval",
         not bool(np.all(np.isfinite(values) & (values >= 0)))),
        ("target", str(values.tolist()), "more than 0 kW in some interval",
         not bool(np.any(values != 0))),
        ("signal", event.signal, "reduce_kw (the others are not acted on yet)",
         event.signal is not Signal.REDUCE_KW),
        ("direction", event.direction, "down (valley filling is not acted on yet)",
         event.direction is not Direction.DOWN),
    )  # fmt: skip


def _same_day(day: Sequence[DREvent], event: DREvent, zone: ZoneInfo) -> bool:
    """Whether `event`, which starts no earlier than those of `day`, belongs to it."""
    first = day[0].span.start.astimezone(zone).date()
    same = event.span.start.astimezone(zone).date() == first
    return same or event.span.start < max(e.span.end for e in day)


def _asking(events: Iterable[DREvent]) -> list[DREvent]:
    """Those that count: neither cancelled nor draft, and no drill."""
    return [e for e in events if e.status not in (S.CANCELLED, S.DRAFT) and not e.test]


def _asks(event: DREvent, at: datetime) -> bool:
    value = event.target.value_at(at)
    return bool(np.isfinite(value)) and value > 0
