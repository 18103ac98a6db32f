"""Meter values by local day: the shape in which baselines read history."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from controller.model.ids import MeterId
from controller.model.time import QUARTER_HOUR, Interval, require_utc

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class WallHours:
    """Intervals as wall-clock positions: `slots[i]` of the day `offsets[i]` days after `day`.

    Both are (k,). A span within `day` has offsets 0, one over midnight 0 and 1, one on the
    evening before −1.
    """

    day: date
    offsets: NDArray[np.int64]
    slots: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MeterDays:
    """Values of many meters, cut into local days: `kw` is (meters, days, slots), NaN = missing.

    A slot is a position of the clock on the wall: slot s starts at local 00:00 + s × `step`, so
    every day has 24 h / step of them and 15:00 is the same slot all year. Where the clock jumps
    forward (a day of 92 quarter hours) the slots of the skipped hour are NaN; where it falls back
    (100) both passes of the repeated hour share their slots, which hold the mean of what is known.
    `days` ascend without a gap.
    """

    meter_ids: tuple[MeterId, ...]
    timezone: str
    step: timedelta
    days: tuple[date, ...]
    kw: NDArray[np.float64] = field(repr=False)

    def __post_init__(self) -> None:
        shape = (len(self.meter_ids), len(self.days), _DAY // self.step)
        if self.kw.shape != shape:
            raise ValueError(f"kw is {self.kw.shape}, meters × days × slots are {shape}")
        if any(b - a != _DAY for a, b in zip(self.days, self.days[1:], strict=False)):
            raise ValueError("days must ascend without a gap")

    @property
    def step_h(self) -> float:
        return self.step.total_seconds() / 3600

    def rows(self, rows: Sequence[int]) -> "MeterDays":
        """The same days for the meters at these indexes."""
        return MeterDays(
            meter_ids=tuple(self.meter_ids[i] for i in rows),
            timezone=self.timezone,
            step=self.step,
            days=self.days,
            kw=self.kw[np.asarray(rows, dtype=np.int64)],
        )

    def only(self, meter_ids: Iterable[MeterId]) -> "MeterDays":
        """The same days for these meters, in this order. Raises KeyError for an unknown one."""
        index = {m: i for i, m in enumerate(self.meter_ids)}
        return self.rows([index[m] for m in meter_ids])

    def wall_hours(self, span: Interval, day: date | None = None) -> WallHours:
        """Where on the wall the intervals of `span` lie, counted from `day` (default: its first).

        Raises ValueError where the span does not begin and end on the grid of slots.
        """
        count, rest = divmod(span.duration, self.step)
        if rest:
            raise ValueError(f"{span.duration} is not a whole number of {self.step}")
        zone = ZoneInfo(self.timezone)
        walls = [_wall(span.start + self.step * i, zone, self.step) for i in range(count)]
        day = day or _local(span.start, zone).date()
        return WallHours(
            day=day,
            offsets=np.array([(d - day).days for d, _ in walls], dtype=np.int64),
            slots=np.array([s for _, s in walls], dtype=np.int64),
        )

    def on(self, days: Sequence[date], hours: WallHours) -> NDArray[np.float64]:
        """(meters, len(days), k): the values at `hours` as seen from each day; NaN = unknown."""
        if not days or not len(hours.slots):
            return np.empty((len(self.meter_ids), len(days), len(hours.slots)))
        first = np.array([(d - self.days[0]).days for d in days], dtype=np.int64)
        row = first[:, None] + hours.offsets[None, :]
        known = (row >= 0) & (row < len(self.days))
        kw = self.kw[:, np.clip(row, 0, len(self.days) - 1), hours.slots[None, :]]
        kw[:, ~known] = np.nan
        return kw


def local_days(
    meter_ids: Sequence[MeterId],
    times: Sequence[datetime],
    values: NDArray[np.floating],
    timezone: str,
    step: timedelta = QUARTER_HOUR,
) -> MeterDays:
    """Cut frames into local days; see `MeterDays` for days of 92 and 100 quarter hours.

    `times` are the starts of the intervals (aware, each once, any order), `values` is
    (times, meters) kW with NaN for missing. Raises ValueError for naive, repeated or misaligned
    times, for shapes that do not fit, and when there is no time at all.
    """
    if values.shape != (len(times), len(meter_ids)):
        raise ValueError(f"{values.shape} values for {len(times)} times × {len(meter_ids)} meters")
    if not times or len(set(times)) != len(times):
        raise ValueError("frames need at least one time, and each time once")
    zone = ZoneInfo(timezone)
    walls = [_wall(t, zone, step) for t in times]
    first = min(d for d, _ in walls)
    days = tuple(first + _DAY * i for i in range((max(d for d, _ in walls) - first).days + 1))
    slots = _DAY // step
    cells = np.array([(d - first).days * slots + s for d, s in walls], dtype=np.int64)
    return MeterDays(
        meter_ids=tuple(meter_ids),
        timezone=timezone,
        step=step,
        days=days,
        kw=_placed(cells, values, len(days) * slots).reshape(len(meter_ids), len(days), slots),
    )


def _placed(
    cells: NDArray[np.int64], values: NDArray[np.floating], width: int
) -> NDArray[np.float64]:
    """(meters, width): each time's values in its cell; a cell met twice holds the mean."""
    kw = np.full((values.shape[1], width), np.nan)
    _, where = np.unique(cells, return_index=True)
    again = np.setdiff1d(np.arange(len(cells)), where)
    kw[:, cells[where]] = values[where].T
    for i in again:
        old, new = kw[:, cells[i]], values[i].astype(np.float64)
        both = np.isfinite(old) & np.isfinite(new)
        kw[:, cells[i]] = np.where(both, (old + new) / 2, np.where(np.isfinite(old), old, new))
    return kw


def _local(at: datetime, zone: ZoneInfo) -> datetime:
    return require_utc(at).astimezone(zone)


def _wall(at: datetime, zone: ZoneInfo, step: timedelta) -> tuple[date, int]:
    local = _local(at, zone)
    since_midnight = timedelta(
        hours=local.hour, minutes=local.minute, seconds=local.second, microseconds=local.microsecond
    )
    slot, rest = divmod(since_midnight, step)
    if rest:
        raise ValueError(f"{at.isoformat()} is not the start of a local interval of {step}")
    return local.date(), slot
