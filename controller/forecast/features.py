"""What drives a load: the clock, the kind of day and the weather, as columns of numbers.

Shared by the area's forecast (`load`) and the meters' (`operating`). Rows are the intervals
of a grid, columns are features; everything is local to the zone's time zone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from controller.model.time import Grid, Series

DAY = timedelta(days=1)
WARM_C = (18.0, 24.0, 30.0, 36.0)
"""Cooling begins, steepens and at last saturates at these knees; between them straight lines."""
COLD_C = 16.0
"""Heating begins below this."""
KNEES_C = {0.0: WARM_C, 3.0: WARM_C, 24.0: WARM_C[:2]}
"""Hours of smoothing (buildings follow the weather late) and the knees looked at then."""
WEATHER_COLUMNS = sum(len(knees) + 1 for knees in KNEES_C.values())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calendar:
    """The local calendar of a grid, each (count,)."""

    frac: NDArray[np.float64]
    """Time of day of the interval's middle, 0 … 1."""
    day: NDArray[np.int64]
    """Local days counted from the first interval's."""
    working: NDArray[np.bool_]
    saturday: NDArray[np.bool_]
    """A Saturday that is no public holiday."""

    @property
    def days(self) -> int:
        return int(self.day[-1]) + 1 if len(self.day) else 0


def local_calendar(grid: Grid, timezone: str, holidays: Sequence[str]) -> Calendar:
    """The calendar of `grid` in `timezone`; `holidays` are ISO dates that are no working days."""
    zone, off = ZoneInfo(timezone), {date.fromisoformat(h) for h in holidays}
    middles = [(grid.at(i) + grid.step / 2).astimezone(zone) for i in range(grid.count)]
    dates = [m.date() for m in middles]
    seconds = np.array([m.hour * 3600 + m.minute * 60 + m.second for m in middles], dtype=float)
    free = np.array([d in off for d in dates], dtype=bool)
    weekday = np.array([d.weekday() for d in dates], dtype=np.int64)
    ordinal = np.array([d.toordinal() for d in dates], dtype=np.int64)
    return Calendar(
        frac=seconds / 86400,
        day=ordinal - (ordinal[0] if len(ordinal) else 0),
        working=(weekday < 5) & ~free,
        saturday=(weekday == 5) & ~free,
    )


def harmonics(frac: NDArray[np.float64], waves: int) -> NDArray[np.float64]:
    """(n, 1 + 2 × waves): a constant and the first sines and cosines of the day."""
    angle = 2 * np.pi * frac[:, None] * np.arange(1, waves + 1)
    return np.hstack([np.ones((len(frac), 1)), np.cos(angle), np.sin(angle)])


def wave_numbers(waves: int) -> NDArray[np.float64]:
    """How often each column of `harmonics` turns in a day: 0, 1 … waves, 1 … waves."""
    turns = np.arange(1, waves + 1, dtype=np.float64)
    return np.concatenate([[0.0], turns, turns])


def weather_columns(temp_c: NDArray[np.float64], step_h: float) -> NDArray[np.float64]:
    """(n, WEATHER_COLUMNS) degrees beyond each knee, now and smoothed, in units of 5 °C."""
    columns = []
    for hours, knees in KNEES_C.items():
        felt = smoothed(temp_c, hours / step_h) if hours else temp_c
        columns += [np.maximum(felt - knee, 0) for knee in knees]
        columns.append(np.maximum(COLD_C - felt, 0))
    return np.stack(columns, axis=1) / 5


def smoothed(values: NDArray[np.float64], steps: float) -> NDArray[np.float64]:
    """Exponential moving mean with a time constant of `steps` intervals."""
    gain = 1 - np.exp(-1 / steps)
    level = float(values[: max(1, round(steps))].mean())
    out = np.empty_like(values)
    for i, value in enumerate(values):
        level += gain * (value - level)
        out[i] = level
    return out


def persistent(days: int, keep: float) -> NDArray[np.float64]:
    """(days, days) root of a first-order autoregression: row d sums the shocks up to day d.

    With unit shocks each day's effect has unit variance, and `keep` of it is left the day
    after. Column d is zero before day d: a shock that is not yet seen moves nothing.
    """
    i = np.arange(days)
    lag = i[:, None] - i[None, :]
    shock = np.where(i == 0, 1.0, np.sqrt(1 - keep * keep))
    root: NDArray[np.float64] = np.where(lag >= 0, keep ** np.maximum(lag, 0) * shock, 0.0)
    return root


def joined_temperature(axis: Grid, measured: Series, forecast: Series) -> NDArray[np.float64]:
    """Temperature over `axis`: measured where known, else forecast, else a straight line between.

    Raises ValueError when neither knows anything.
    """
    known = measured.on(axis).values
    known = np.where(np.isnan(known), forecast.on(axis).values, known)
    ok = ~np.isnan(known)
    if not ok.any():
        raise ValueError("no temperature is known")
    rows = np.arange(axis.count)
    return np.interp(rows, rows[ok], known[ok])
