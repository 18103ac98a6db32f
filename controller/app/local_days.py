"""Local days on a grid: where each begins, however the clocks change."""

import re
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from controller.errors import Fault, InputError
from controller.model.time import Grid

_OFFSET: Final = re.compile(r"UTC(?:(?P<sign>[+-])(?P<hours>\d{1,2})(?::?(?P<minutes>\d\d))?)?")


def zone_of(name: str) -> tzinfo:
    """The time zone of a name (Australia/Melbourne) or a fixed offset (UTC-05:00).

    Raises InputError for anything else.
    """
    if match := _OFFSET.fullmatch(name.strip()):
        offset = timedelta(hours=int(match["hours"] or 0), minutes=int(match["minutes"] or 0))
        if offset < timedelta(hours=24):
            return timezone(-offset if match["sign"] == "-" else offset)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        fault = Fault(
            file="command line", place="--timezone", value=name,
            expected="a name such as Australia/Melbourne, or a fixed offset such as UTC-05:00",
        )  # fmt: skip
        raise InputError("the time zone is not known", [fault]) from error


def midnight(day: date, zone: tzinfo) -> datetime:
    """The instant at which a local day begins."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def day_edges(grid: Grid, zone: tzinfo) -> tuple[list[date], list[int]]:
    """The whole local days of `grid`, and the rows at which they begin (one more: the end).

    An interval that holds a midnight belongs to the day after it: at midnight it is not known.
    """
    day = grid.start.astimezone(zone).date()
    if midnight(day, zone) < grid.start:
        day += timedelta(days=1)
    days, edges = [], [grid.index(midnight(day, zone))]
    while midnight(day + timedelta(days=1), zone) <= grid.end:
        days.append(day)
        day += timedelta(days=1)
        edges.append(grid.index(midnight(day, zone)))
    return days, edges
