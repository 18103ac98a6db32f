"""Readings in: what every resource draws now, frames to the store, overrides to the journal."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from controller.errors import DeviceError, StoreError
from controller.model.commands import Override, Quality, Reading
from controller.model.ids import ResourceId, ZoneId
from controller.model.resources import APPLIANCE_KINDS, Fleet
from controller.model.time import Interval
from controller.ports import Clock, Frames, Journal, Link, Telemetry

log = logging.getLogger("peakshare")

MINUTE = timedelta(minutes=1)
AHEAD = timedelta(minutes=2)
"""A reading from further in the future comes from a wrong clock: it would hold its minute's place
in the ring, for every device, until that time has come."""
AGAIN_S = 5.0
"""Real seconds before a link that broke off its reports is listened to again."""
RING_MINUTES = 128
"""How far back live windows may look; older minutes are in the store."""

_NEWS = (Quality.OK, Quality.ESTIMATED)
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
        self._net = [
            r.kind in APPLIANCE_KINDS and fleet.meter(r.meter_id).net for r in fleet.resources
        ]
        self.received = 0
        self.unknown = 0
        """Readings of meters that the fleet does not know."""
        self.odd = 0
        """Readings that cannot be: from the future, or not a number."""

    def take(self, readings: Sequence[Reading], now: datetime | None = None) -> None:
        """Store readings in place; unknown meters and, given `now`, wrong clocks are counted.

        What an appliance behind a net meter draws by itself is not the meter's value, and a
        value that its device calls missing or stale is no news: neither is stored.
        """
        for reading in readings:
            i = self._by_meter.get(reading.meter_id)
            if i is None:
                self.unknown += 1
            elif (now is not None and reading.at > now + AHEAD) or not np.isfinite(
                reading.power_kw
            ):
                self.odd += 1
            else:
                self.received += 1
                if reading.quality in _NEWS and not (self._net[i] and reading.resource_id):
                    self._put(i, reading)

    def _put(self, i: int, reading: Reading) -> None:
        minute = _minute(reading.at)
        slot = self._slot(minute)
        if slot is not None:
            self._kw[slot, i] = reading.power_kw
            self._quality[slot, i] = _QUALITY[reading.quality]
            self._newest[i] = max(self._newest[i], minute)

    def mean_kw(self, span: Interval) -> NDArray[np.float64]:
        """(n,) mean of the readings in (start, end], NaN where none came."""
        minutes = np.arange(_minute(span.start) + 1, _minute(span.end) + 1)
        slots = minutes[self._minute[minutes % RING_MINUTES] == minutes] % RING_MINUTES
        rows = self._kw[slots]
        known = np.isfinite(rows)
        count = known.sum(axis=0)
        total = np.where(known, rows, 0.0).sum(axis=0, dtype=np.float64)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)

    def latest_kw(
        self, resource_ids: Sequence[ResourceId], since: datetime | None = None
    ) -> dict[ResourceId, float]:
        """The newest reading of each resource that sent one, `since` then or within the ring."""
        out: dict[ResourceId, float] = {}
        oldest = 0 if since is None else _minute(since)
        for r in resource_ids:
            i = self._fleet.index_of[r]
            minute = int(self._newest[i])
            slot = minute % RING_MINUTES
            if minute >= oldest and self._minute[slot] == minute:
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
    clock: Clock,
    on_override: Callable[[Override], None],
) -> None:
    """Take in what a link reports until cancelled; an override is durable before it acts.

    A link that fails us is listened to again: trouble of the outside never ends the process.
    """
    while True:
        try:
            async for batch in link.reports():
                readings.take([r for r in batch if isinstance(r, Reading)], clock.now())
                for override in (o for o in batch if isinstance(o, Override)):
                    await journal.save_override(override)
                    on_override(override)
            return
        except DeviceError as error:
            log.error("a link reports no more: %s", error)
            await asyncio.sleep(AGAIN_S)


async def keep_frames(
    readings: Readings, store: Telemetry, zone: ZoneId, clock: Clock, every: timedelta
) -> None:
    """Write the live minutes to the store, `every` so often, until cancelled.

    Looks back over two periods, so that late readings of the last one are kept too. A store that
    fails is tried again at the next.
    """
    while True:
        now = clock.now()
        await clock.sleep_until(now + every)
        end = clock.now().replace(second=0, microsecond=0)
        frames = readings.frames(Interval(start=end - 2 * every, end=end))
        if frames.times:
            try:
                await store.save_frames("minute", zone, frames)
            except StoreError as error:  # these minutes are for looking back; steering goes on
                log.error("the live readings were not kept: %s", error)


def _minute(at: datetime) -> int:
    return int(at.timestamp() // 60)
