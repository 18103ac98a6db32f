"""The calendar of a table's days: weekday, season, public holidays and swapped working days."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
DAY = timedelta(days=1)
SEASON_WAVES = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DayCalendar:
    """One value (or row) per day."""

    weekday: NDArray[np.int64]
    holiday: Array
    """1 on public holidays, also on those that fall on a weekend."""
    off: Array
    """1 where most people do not work: holidays and weekends that were not swapped."""
    season: Array
    """(days, 8) sines and cosines of the year."""
    columns: Array
    """(days, p) regressors; the first is the constant."""


def day_calendar(dates: Sequence[date], country: str | None) -> DayCalendar:
    """The calendar of consecutive `dates` in `country` (ISO 3166: CN, or AU-VIC for a region).

    Raises ValueError for a country that the `holidays` package does not know.
    """
    around = [dates[0] - DAY, *dates, dates[-1] + DAY]
    free, swapped = _public_days(around, country)
    weekday = np.array([d.weekday() for d in around], dtype=np.int64)
    off = np.where(swapped, 0.0, np.maximum(free, weekday >= 5))
    mine = slice(1, -1)
    kinds = (weekday[mine], free[mine], off[mine])
    season = _season(dates)
    columns = _columns(dates, *kinds, off[:-2], off[2:], free[:-2], free[2:], season)
    return DayCalendar(
        weekday=kinds[0], holiday=kinds[1], off=kinds[2], season=season, columns=columns
    )


def _public_days(dates: Sequence[date], country: str | None) -> tuple[Array, NDArray[np.bool_]]:
    """Holidays, and weekend days worked instead of another day (China's working-day swaps)."""
    if country is None:
        return np.zeros(len(dates)), np.zeros(len(dates), dtype=bool)
    import holidays  # lazy: `peakshare --help` must not pay for it

    code, _, region = country.partition("-")
    years = range(dates[0].year, dates[-1].year + 1)
    try:
        known = holidays.country_holidays(code, subdiv=region or None, years=years)
    except NotImplementedError as error:
        raise ValueError(f"no holidays are known for {country!r}") from error
    worked = set(known.weekend_workdays)
    free = np.array([d in known for d in dates], dtype=float)
    return free, np.array([d in worked for d in dates], dtype=bool)


def _season(dates: Sequence[date]) -> Array:
    angle = 2 * np.pi * np.array([d.timetuple().tm_yday for d in dates]) / 365.25
    waves = np.arange(1, SEASON_WAVES + 1) * angle[:, None]
    return np.stack([np.sin(waves), np.cos(waves)], axis=2).reshape(len(dates), -1)


def _columns(
    dates: Sequence[date],
    weekday: NDArray[np.int64],
    free: Array,
    off: Array,
    off_before: Array,
    off_after: Array,
    free_before: Array,
    free_after: Array,
    season: Array,
) -> Array:
    works, weekend = 1 - off, (weekday >= 5).astype(float)
    month_day = [(d.month, d.day) for d in dates]
    turn = np.array([md >= (12, 20) or md <= (1, 5) for md in month_day], dtype=float)
    feast = np.array([md >= (12, 24) or md == (1, 1) for md in month_day], dtype=float)
    great = np.array([md in _GREAT for md in month_day], dtype=float)
    bridge = works * off_before * off_after
    years = np.array([(d - dates[0]).days / 365.25 for d in dates])
    kinds = [free, free_after * works, free_before * works, feast, turn, great, bridge]
    kinds += [free * (1 - weekend), free * (weekday == 0), weekend * works, off, years]
    seasonal = np.hstack([season, weekend[:, None] * season[:, :4], off[:, None] * season[:, :2]])
    one = np.ones((len(dates), 1))
    return np.hstack([one, np.eye(7)[weekday], np.stack(kinds, axis=1), seasonal])


_GREAT = {(12, 24), (12, 25), (12, 26), (12, 31), (1, 1)}
"""Days on which much of the world stands still, whatever its list of holidays says."""
