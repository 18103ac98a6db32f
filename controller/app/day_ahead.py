"""The evening run: forecast the coming day, find the peak above the limit, make the day's event."""

from concurrent.futures import Executor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

import numpy as np

from controller.app.asking import Asker
from controller.app.feed import Feed, read_feed
from controller.app.operating import Operating, make_operating, recall_frozen
from controller.errors import FeedError
from controller.forecast.load import forecast_load
from controller.forecast.peak import shaving_target
from controller.model.events import DREvent, EventSource
from controller.model.ids import EventId, new_uuid7
from controller.model.plans import Forecast
from controller.model.settings import Config
from controller.model.time import QUARTER_HOUR, Grid, Interval
from controller.ports import Clock, Journal, Telemetry

HISTORY_DAYS = 60
HALF_WINDOW = timedelta(hours=2)
STALE = timedelta(hours=3)
KEEP_MADE = 2
"""Operating forecasts that are kept: of the day in hand and of the one that comes."""


@dataclass(kw_only=True)
class DayAhead:
    """Forecasts of area and resources for a day, and the event that shaves its peak."""

    config: Config
    journal: Journal
    telemetry: Telemetry
    clock: Clock
    threads: Executor
    feed_folder: Path
    random: Random
    _made: dict[Interval, Operating] = field(default_factory=dict, init=False)
    forecast: Forecast | None = field(default=None, init=False)

    async def prepare(self, span: Interval) -> Operating:
        """Operating forecasts of every resource over the local days of `span`.

        From the meters up to now; those made already are kept. Raises FeedError without history
        or feed.
        """
        whole = local_days(span, self.config.area.timezone)
        if whole not in self._made:
            operating = await self._make(whole)
            self._made = dict([*self._made.items(), (whole, operating)][-KEEP_MADE:])
        return self._made[whole]

    async def _make(self, span: Interval) -> Operating:
        zone = self.config.area.id
        known = await self.telemetry.span("meter", zone)
        if known is None:
            raise FeedError(
                "there is no meter history to forecast from",
                hint="Import it with `peakshare meter import FILE …`.",
            )
        until = min(self.clock.now(), span.start, known.end + QUARTER_HOUR)
        since = max(known.start, until - timedelta(days=HISTORY_DAYS))
        if until <= since:
            raise FeedError("the meter history begins after the day that is to be forecast")
        history = await self.telemetry.frames("meter", zone, Interval(start=since, end=until))
        feed = await self._feed()
        work = self.threads.submit(make_operating, self.config, history, feed, span)
        operating = await self.clock.offload(work)
        await recall_frozen(operating, self.journal)
        return operating

    async def forecast_area(self, day: date) -> Forecast:
        """The area's load for `day`, issued now; kept in the journal."""
        grid = Grid.over(local_day(day, self.config.area.timezone))
        feed = await self._feed()
        self._require_fresh(feed, grid)
        program = self.config.programs[self.config.shaving.program_id]
        work = self.threads.submit(
            forecast_load,
            feed.load,
            feed.temperature,
            feed.weather.on(grid),
            grid,
            made_at=self.clock.now(),
            timezone=self.config.area.timezone,
            holidays=program.holidays,
            weather_mae_c=feed.weather_mae_c,
        )
        self.forecast = await self.clock.offload(work)
        await self.journal.save_forecast(self.config.area.id, self.forecast)
        return self.forecast

    async def recall(self) -> None:
        """After a restart: the newest forecast of the area, as the journal has it."""
        made = await self.journal.forecasts(self.config.area.id)
        self.forecast = made[-1] if made else None

    def event(self, forecast: Forecast, asker: Asker) -> DREvent | None:
        """The event that keeps the forecast under the limit; None when no interval exceeds it.

        It asks at most `ask_frac` of what the fleet can sustain around the peak: the rest is
        kept for emergencies and for replacing what fails.
        """
        shaving, now = self.config.shaving, self.clock.now()
        sustained = asker.sustained_kw(self._window(forecast), now)
        ask_cap_kw = shaving.ask_frac * float(np.min(sustained.values))
        target = shaving_target(forecast, shaving, ask_cap_kw)
        if target is None:
            return None
        return DREvent(
            id=EventId(new_uuid7(now, self.random)),
            source=EventSource.SCHEDULER,
            source_id=self.source_id(target.grid.start),
            program_id=shaving.program_id,
            zone=self.config.area.id,
            target=target,
            notified_at=now,
            priority=100,
        )

    def source_id(self, at: datetime) -> str:
        """What the scheduled event of the local day of `at` is called."""
        return f"peak-shaving {at.astimezone(ZoneInfo(self.config.area.timezone)).date()}"

    def _require_fresh(self, feed: Feed, grid: Grid) -> None:
        """A forecast from yesterday's feed would be a lie about today."""
        now = self.clock.now()
        weather = feed.weather.on(grid).values
        if now - feed.load.grid.end > STALE or np.isnan(weather).any():
            raise FeedError(
                f"the feed is too old: load until {feed.load.grid.end:%Y-%m-%d %H:%M}Z, weather "
                f"until {feed.weather.grid.end:%Y-%m-%d %H:%M}Z",
                hint=f"Bring {self.feed_folder} up to date.",
            )

    def _window(self, forecast: Forecast) -> Interval:
        peak_at, _ = forecast.peak
        return Interval(start=peak_at - HALF_WINDOW, end=peak_at + HALF_WINDOW)

    async def _feed(self) -> Feed:
        return await self.clock.offload(self.threads.submit(read_feed, self.feed_folder))


def local_days(span: Interval, timezone: str) -> Interval:
    """The whole local days that `span` touches."""
    zone = ZoneInfo(timezone)
    first, last = span.start.astimezone(zone), (span.end - QUARTER_HOUR).astimezone(zone)
    return Interval(
        start=local_day(first.date(), timezone).start, end=local_day(last.date(), timezone).end
    )


def local_day(day: date, timezone: str) -> Interval:
    """The local calendar day as UTC instants: 92, 96 or 100 quarter hours."""
    zone = ZoneInfo(timezone)
    start = datetime(day.year, day.month, day.day, tzinfo=zone)
    after = day + timedelta(days=1)
    end = datetime(after.year, after.month, after.day, tzinfo=zone)
    return Interval(start=start.astimezone(UTC), end=end.astimezone(UTC))
