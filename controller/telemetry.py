"""Readings in: what every resource draws now, frames to the store, overrides to the journal."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from controller.model.commands import Override, Quality, Reading
from controller.model.ids import ResourceId, ZoneId
from controller.model.resources import Fleet
from controller.model.time import Interval
from controller.ports import Clock, Frames, Journal, Link, Telemetry

MINUTE = timedelta(minutes=1)
RING_MINUTES = 128
"""How far back live windows may look; older minutes are in the store."""

_QUALITY = {Quality.OK: 0, Quality.ESTIMATED: 1, Quality.STALE: 2, Quality.MISSING: 3}


class Readings:
    """The newest readings of a fleet: a ring of minutes over the fleet's dense index.

    A reading stands in the minute in which its averaging ended; NaN where nothing came in.
    """

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._kw = np.full((RING_MINUTES, len(fleet)), np.nan, dtype=np.float32)
        self._quality = np.full((RING_MINUTES, len(fleet)), 3, dtype=np.uint8)
        self._minute = np.full(RING_MINUTES, -1, dtype=np.int64)
        self._newest = np.full(len(fleet), -1, dtype=np.int64)
        self._by_meter = {r.meter_id: i for i, r in enumerate(fleet.resources)}
        self.received = 0
        self.unknown = 0

    def take(self, readings: Sequence[Reading]) -> None:
        """Store readings in place; one of an unknown meter is counted and dropped."""
        for reading in readings:
            i = self._by_meter.get(reading.meter_id)
            if i is None:
                self.unknown += 1
                continue
            minute = _minute(reading.at)
            slot = self._slot(minute)
            if slot is not None:
                self._kw[slot, i] = reading.power_kw
                self._quality[slot, i] = _QUALITY[reading.quality]
                self._newest[i] = max(self._newest[i], minute)
            self.received += 1

    def mean_kw(self, span: Interval) -> NDArray[np.float64]:
        """(n,) mean of the readings in (start, end], NaN where none came."""
        minutes = np.arange(_minute(span.start) + 1, _minute(span.end) + 1)
        slots = minutes[self._minute[minutes % RING_MINUTES] == minutes] % RING_MINUTES
        rows = self._kw[slots]
        known = np.isfinite(rows)
        count = known.sum(axis=0)
        total = np.where(known, rows, 0.0).sum(axis=0, dtype=np.float64)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)

    def latest_kw(self, resource_ids: Sequence[ResourceId]) -> dict[ResourceId, float]:
        """The newest reading of each resource that ever sent one (within the ring)."""
        out: dict[ResourceId, float] = {}
        for r in resource_ids:
            i = self._fleet.index_of[r]
            minute = int(self._newest[i])
            slot = minute % RING_MINUTES
            if minute >= 0 and self._minute[slot] == minute:
                out[r] = float(self._kw[slot, i])
        return out

    def age(self, now: datetime) -> NDArray[np.float64]:
        """(n,) minutes since each resource's newest reading; inf where none ever came."""
        return np.where(self._newest < 0, np.inf, _minute(now) - self._newest).astype(np.float64)

    def frames(self, span: Interval) -> Frames:
        """The ring's minutes in [start, end) as frames for the store."""
        minutes = range(_minute(span.start), _minute(span.end))
        known = [m for m in minutes if self._minute[m % RING_MINUTES] == m]
        slots = [m % RING_MINUTES for m in known]
        times = tuple(datetime.fromtimestamp(m * 60, UTC) for m in known)
        return Frames(times=times, values=self._kw[slots], quality=self._quality[slots])

    def _slot(self, minute: int) -> int | None:
        """The ring row of a minute, cleared when a new minute takes it; None if too old."""
        slot = minute % RING_MINUTES
        if self._minute[slot] > minute:
            return None
        if self._minute[slot] < minute:
            self._kw[slot], self._quality[slot], self._minute[slot] = np.nan, 3, minute
        return slot


async def collect(
    link: Link,
    readings: Readings,
    journal: Journal,
    on_override: Callable[[Override], None],
) -> None:
    """Take in what a link reports until cancelled; an override is durable before it acts."""
    async for batch in link.reports():
        readings.take([r for r in batch if isinstance(r, Reading)])
        for override in (o for o in batch if isinstance(o, Override)):
            await journal.save_override(override)
            on_override(override)


async def keep_frames(
    readings: Readings, store: Telemetry, zone: ZoneId, clock: Clock, every: timedelta
) -> None:
    """Write the live minutes to the store, `every` so often, until cancelled.

    Looks back over two periods, so that late readings of the last one are kept too.
    """
    while True:
        now = clock.now()
        await clock.sleep_until(now + every)
        end = clock.now().replace(second=0, microsecond=0)
        frames = readings.frames(Interval(start=end - 2 * every, end=end))
        if frames.times:
            await store.save_frames("minute", zone, frames)


def _minute(at: datetime) -> int:
    return int(at.timestamp() // 60)
