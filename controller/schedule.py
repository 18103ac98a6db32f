"""When the scheduled runs are due: APScheduler's triggers say when, our clock waits.

APScheduler's own scheduler reads the wall clock (on a jumping loop it never fires), so only
its trigger arithmetic is used; it knows cron rules and daylight saving.
"""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger


def daily(at: time, timezone: str) -> CronTrigger:
    """Every local day at a wall-clock time."""
    return CronTrigger(hour=at.hour, minute=at.minute, timezone=ZoneInfo(timezone))


def next_fire(trigger: CronTrigger, after: datetime, last: datetime | None) -> datetime:
    """The first firing strictly after `last` (at or after `after` where there is none), UTC.

    A daily rule in the hour that autumn repeats would fire twice; the second is skipped.
    """
    fire = trigger.get_next_fire_time(last, after if last is None else last)
    if last is not None and fire is not None and fire - last < timedelta(hours=12):
        fire = trigger.get_next_fire_time(fire, fire)
    if fire is None:
        raise ValueError(f"{trigger} never fires")
    at: datetime = fire.astimezone(UTC)
    return at
