"""What each device was told and obeys: one hold at a time, which ends by itself (dead-man)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import heappop, heappush

from controller.model.commands import Setpoint


@dataclass(slots=True)
class Hold:
    """A setpoint that rules a device in [start, end)."""

    setpoint: Setpoint
    start: datetime
    end: datetime


class Holds:
    """A short timeline of holds per device.

    The newest accepted setpoint rules from its start; what ruled before rules until then and
    whatever was still to come is forgotten. A hold ends at the earlier of `until` and `hold_s`
    seconds after it was taken, both by the device's own clock.
    """

    def __init__(self, count: int) -> None:
        self._timelines: list[list[Hold]] = [[] for _ in range(count)]
        self._changes: list[tuple[datetime, int]] = []

    def take(self, i: int, setpoint: Setpoint, now: datetime, skew: timedelta) -> Hold:
        """Accept `setpoint` at `now`; `skew` is how far the device's clock runs ahead."""
        start = max(setpoint.start - skew, now)
        end = min(setpoint.until - skew, now + timedelta(seconds=setpoint.hold_s))
        self._cut(i, start)
        hold = Hold(setpoint=setpoint, start=start, end=max(start, end))
        self._timelines[i].append(hold)
        self._note(i, hold.start, hold.end)
        return hold

    def release(self, i: int, now: datetime) -> None:
        """Free device `i` from `now` on, whatever it held or was going to hold."""
        self._cut(i, now)
        self._note(i, now)

    def ruling(self, i: int, at: datetime) -> Hold | None:
        """The hold that rules device `i` at `at`."""
        return next((h for h in reversed(self._timelines[i]) if h.start <= at < h.end), None)

    def coming(self, i: int, at: datetime) -> Hold | None:
        """The hold that will rule device `i` later than `at`, if one was taken."""
        return next((h for h in reversed(self._timelines[i]) if h.start > at), None)

    def last_end(self, i: int, at: datetime) -> datetime | None:
        """When device `i` was last freed, at or before `at`."""
        ends = [h.end for h in self._timelines[i] if h.start < h.end <= at]
        return max(ends, default=None)

    def changed(self, at: datetime) -> Iterator[int]:
        """Devices whose ruling hold may have changed at or before `at`; each change once."""
        while self._changes and self._changes[0][0] <= at:
            yield heappop(self._changes)[1]

    def _cut(self, i: int, at: datetime) -> None:
        """Let nothing rule device `i` from `at` on; keep the past, for steps not yet taken."""
        for hold in self._timelines[i]:
            hold.end = min(hold.end, max(at, hold.start))
        kept = [h for h in self._timelines[i] if h.start < h.end]
        self._timelines[i] = kept[-8:]

    def _note(self, i: int, *instants: datetime) -> None:
        for at in instants:
            heappush(self._changes, (at, i))
