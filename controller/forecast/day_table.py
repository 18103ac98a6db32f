"""Series as tables of local days: one row per calendar day, one column per interval of the day."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from controller.model.time import Grid

Array = NDArray[np.float64]
DAY = timedelta(days=1)


def local_zone(name: str) -> tzinfo:
    """The zone of an IANA name or of a fixed offset written UTC-05:00.

    Raises ValueError for a name that is neither.
    """
    if name.startswith("UTC") and len(name) > 3:
        try:
            sign = {"+": 1, "-": -1}[name[3]]
            hours, _, minutes = name[4:].partition(":")
            return timezone(sign * timedelta(hours=int(hours), minutes=int(minutes or 0)))
        except (KeyError, ValueError) as error:
            raise ValueError(f"{name!r} is no offset such as UTC-05:00") from error
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is neither an IANA time zone nor UTC±HH:MM") from error


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DayTable:
    """Where each interval of a UTC grid stands in a table of local days.

    The hour that summer time skips stays NaN; of the hour that comes twice the table keeps the
    first, and both are forecast alike.
    """

    grid: Grid
    dates: tuple[date, ...]
    slots: int
    day: NDArray[np.int64]
    slot: NDArray[np.int64]

    @classmethod
    def of(cls, grid: Grid, timezone: str) -> "DayTable":
        """Raises ValueError where the step does not divide a day or an offset is no whole step."""
        if DAY % grid.step or grid.step > timedelta(hours=1):
            raise ValueError(f"a step of {grid.step} does not divide an hour")
        step_s = int(grid.step.total_seconds())
        start_s = int((grid.start - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())
        utc_s = start_s + step_s * np.arange(grid.count, dtype=np.int64)
        local_s = utc_s + _offsets_s(utc_s, local_zone(timezone))
        if np.any(local_s % step_s):
            raise ValueError(f"a step of {grid.step} from {grid.start} is off the local clock")
        day = local_s // 86400
        first = date(1970, 1, 1) + timedelta(days=int(day[0]))
        dates = tuple(first + timedelta(days=i) for i in range(int(day[-1] - day[0]) + 1))
        slot = local_s % 86400 // step_s
        return cls(grid=grid, dates=dates, slots=86400 // step_s, day=day - day[0], slot=slot)

    @property
    def days(self) -> int:
        return len(self.dates)

    def table(self, values: Array) -> Array:
        """(…, days, slots) from (…, n) on the grid; NaN where the grid has nothing."""
        out = np.full((*values.shape[:-1], self.days, self.slots), np.nan)
        out[..., self.day[::-1], self.slot[::-1]] = values[..., ::-1]
        return out

    def rows(self, day: int) -> tuple[Grid, NDArray[np.int64]]:
        """The grid of a local day's intervals, and the slot of each."""
        at = np.flatnonzero(self.day == day)
        grid = Grid(start=self.grid.at(int(at[0])), step=self.grid.step, count=len(at))
        return grid, self.slot[at]


def _offsets_s(utc_s: NDArray[np.int64], zone: tzinfo) -> NDArray[np.int64]:
    """(n,) seconds that local time is ahead of UTC, looked up once per hour."""
    hours, back = np.unique(utc_s // 3600, return_inverse=True)
    offsets = [_offset_s(int(hour) * 3600, zone) for hour in hours]
    ahead: NDArray[np.int64] = np.array(offsets, dtype=np.int64)[back]
    return ahead


def _offset_s(at_s: int, zone: tzinfo) -> int:
    offset = datetime.fromtimestamp(at_s, zone).utcoffset()
    return int(offset.total_seconds()) if offset else 0


def lagged(table: Array, days: int) -> Array:
    """The table as it was `days` earlier; NaN before its first day."""
    if days == 0:
        return table.copy()
    out = np.full(table.shape, np.nan)
    out[days:] = table[:-days]
    return out
