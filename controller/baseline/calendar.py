"""Which days are like the event day: day class, holidays, earlier events, the look-back limit."""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import date, timedelta

from controller.baseline.days import MeterDays, WallHours
from controller.model.contracts import BaselineRule, Program
from controller.model.money import DroppedDay


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Days that may serve as samples, newest first, and the days that may not."""

    working: bool
    """Whether the event day is a working day; samples are of the same class."""
    days: tuple[date, ...]
    dropped: tuple[DroppedDay, ...]


def candidates(
    rule: BaselineRule,
    program: Program,
    history: MeterDays,
    hours: WallHours,
    excluded: Mapping[date, str],
) -> Candidates:
    """Walk back from the day before the event to the look-back limit or the first day known.

    A working event day takes working days; another takes weekend days that are no statutory
    holiday (as the Southern-China type rule does). A day is excluded too when the event hours seen
    from it reach into an excluded day (events over midnight).
    """
    holidays = frozenset(date.fromisoformat(d) for d in program.holidays)
    working = is_working_day(hours.day, holidays)
    reach = {int(o) for o in hours.offsets}
    days: list[date] = []
    dropped: list[DroppedDay] = []
    for back in range(1, rule.lookback_days + 1):
        day = hours.day - timedelta(days=back)
        if day < history.days[0]:
            break
        reason = _unlike(day, working, holidays) or _excluded(day, reach, excluded, hours.day)
        if reason:
            dropped.append(DroppedDay(day=day, reason=reason))
        else:
            days.append(day)
    return Candidates(working=working, days=tuple(days), dropped=tuple(dropped))


def is_working_day(day: date, holidays: Set[date]) -> bool:
    """Monday to Friday and no holiday."""
    return day.weekday() < 5 and day not in holidays


def _unlike(day: date, working: bool, holidays: Set[date]) -> str:
    if day in holidays:
        return "holiday"
    weekend = day.weekday() >= 5
    if working and weekend:
        return "weekend"
    return "" if working or weekend else "working day"


def _excluded(day: date, reach: Set[int], excluded: Mapping[date, str], event_day: date) -> str:
    for offset in sorted(reach):
        seen = day + timedelta(days=offset)
        if seen in excluded:
            return excluded[seen]
        if seen >= event_day:
            return "its event hours reach into the event day"
    return ""
