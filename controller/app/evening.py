"""The scheduled peak-shaving run: every evening tomorrow's forecast, and its event where needed."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from controller.app.day_ahead import DayAhead, local_day
from controller.app.situation import Situation
from controller.app.steering import Steering
from controller.errors import PeakshareError
from controller.model.events import DREvent, EventSource
from controller.model.settings import Config
from controller.ports import Clock
from controller.schedule import daily, next_fire

log = logging.getLogger("peakshare")


TakeEvent = Callable[[DREvent, str], Awaitable[DREvent]]


@dataclass(kw_only=True)
class Evening:
    """Waits for its time of the evening, forecasts tomorrow and makes the event that shaves it."""

    config: Config
    situation: Situation
    clock: Clock
    day_ahead: DayAhead
    steering: Steering

    async def run(self, take_event: TakeEvent) -> None:
        """Every evening until cancelled; one that fails leaves a note, and steering goes on."""
        trigger = daily(self.config.shaving.run_at, self.config.area.timezone)
        last: datetime | None = None
        while True:
            at = next_fire(trigger, self.clock.now(), last)
            await self.clock.sleep_until(at)
            last = at
            try:
                if (event := await self.once()) is not None:
                    await take_event(event, "scheduler")
            except PeakshareError as error:
                log.error("the evening run failed: %s", error)
                await self.steering.note("fault", f"the evening run failed: {error.message}")
            except Exception as error:  # a task's boundary: steering goes on
                log.exception("the evening run failed")
                await self.steering.note("fault", f"the evening run failed: {error!r}")

    async def once(self) -> DREvent | None:
        """Forecast tomorrow and make its event; None where none is needed, or it was made."""
        timezone = self.config.area.timezone
        today = self.clock.now().astimezone(ZoneInfo(timezone)).date()
        tomorrow = today + timedelta(days=1)
        span = local_day(tomorrow, timezone)
        if self._has_event(self.day_ahead.source_id(span.start)):
            return None
        forecast = await self.day_ahead.forecast_area(tomorrow)
        operating = await self.day_ahead.prepare(span)
        event = self.day_ahead.event(forecast, replace(self.steering.asker, operating=operating))
        if event is None:
            await self.steering.note("event", "no interval of tomorrow exceeds the limit")
        return event

    def _has_event(self, source_id: str) -> bool:
        """Whether the scheduled event of that name was made already, before a restart."""
        return any(
            e.source is EventSource.SCHEDULER and e.source_id == source_id
            for e in self.situation.events.values()
        )
