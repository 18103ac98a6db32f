"""The world of a simulated day: outdoor temperature, the area's load, and weather forecasts."""

import csv
import gzip
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from controller.errors import Fault, ScenarioError
from controller.forecast.resample import split_half_hours
from controller.model.time import QUARTER_HOUR, Grid, Series
from simulators.chance import draws

COLUMNS = ("time_utc", "demand_mw", "temp_c")
HALF_HOUR = timedelta(minutes=30)
ERROR_CORRELATION_PER_H = 0.87
"""Errors of day-ahead temperature forecasts persist for some hours."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AreaCurve:
    """Half-hourly demand and temperature of a real region."""

    demand_mw: Series
    temp_c: Series


def read_area(path: Path) -> AreaCurve:
    """Read `time_utc, demand_mw, temp_c` per half hour (CSV, gzip by name).

    Raises ScenarioError with every fault at once.
    """
    if not path.is_file():
        fault = Fault(file=str(path), place="file", value="missing", expected="an area curve")
        raise ScenarioError("the area's curve cannot be read", [fault])
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as text:
        rows = list(csv.reader(text))
    faults, times, values = _parse(path, rows)
    if faults:
        raise ScenarioError("the area's curve cannot be used", faults)
    grid = Grid(start=times[0], step=HALF_HOUR, count=len(times))
    demand, temp = np.array(values).T
    return AreaCurve(
        demand_mw=Series(grid=grid, values=demand), temp_c=Series(grid=grid, values=temp)
    )


def _parse(
    path: Path, rows: list[list[str]]
) -> tuple[list[Fault], list[datetime], list[tuple[float, float]]]:
    faults: list[Fault] = []
    times: list[datetime] = []
    values: list[tuple[float, float]] = []

    def wrong(line: int, value: str, expected: str) -> None:
        faults.append(Fault(file=str(path), place=f"line {line}", value=value, expected=expected))

    if not rows or tuple(rows[0]) != COLUMNS:
        wrong(1, ",".join(rows[0]) if rows else "nothing", ",".join(COLUMNS))
        return faults, times, values
    for line, row in enumerate(rows[1:], start=2):
        try:
            at = datetime.fromisoformat(row[0])
            values.append((float(row[1]), float(row[2])))
        except (ValueError, IndexError):
            wrong(line, ",".join(row)[:60], "an instant and two numbers")
            continue
        if at.tzinfo is None or (times and at != times[-1] + HALF_HOUR):
            wrong(line, row[0], "half hours in UTC, ascending, none missing")
        times.append(at.astimezone(UTC))
    if len(times) < 2 and not faults:
        wrong(2, "nothing", "at least two half hours")
    return faults, times, values


class World:
    """A service area that is `fraction` of a real region, in the region's real weather.

    `timezone` is the local one of people and schedules. What is random here (the error of a
    weather forecast) depends on `seed` alone.
    """

    def __init__(self, area: AreaCurve, fraction: float, timezone: str, seed: int) -> None:
        self.timezone = ZoneInfo(timezone)
        self.seed = seed
        self._area = area
        grid = area.demand_mw.grid
        quarters = Grid(start=grid.start, step=QUARTER_HOUR, count=2 * grid.count)
        load_kw = split_half_hours(area.demand_mw.values * fraction * 1000)
        self._load_kw = Series(grid=quarters, values=load_kw)
        self._knots_s = grid.start.timestamp() + np.arange(grid.count) * grid.step.total_seconds()

    @property
    def grid(self) -> Grid:
        """Quarter hours for which there is a load."""
        return self._load_kw.grid

    def outdoor_c(self, at: datetime) -> float:
        """Temperature at an instant, straight lines between the half hours; flat outside them."""
        return float(np.interp(at.timestamp(), self._knots_s, self._area.temp_c.values))

    def outdoor_on(self, grid: Grid) -> NDArray[np.float64]:
        """(count,) °C at the middle of each interval."""
        middle_s = grid.start.timestamp() + (np.arange(grid.count) + 0.5) * (grid.step_h * 3600)
        outdoor_c: NDArray[np.float64] = np.interp(
            middle_s, self._knots_s, self._area.temp_c.values
        )
        return outdoor_c

    def area_kw(self, at: datetime) -> float:
        """Mean load of the quarter hour that holds `at`, without any response; NaN outside."""
        return self._load_kw.value_at(at)

    def area_on(self, grid: Grid) -> Series:
        """The load without any response on a quarter-hourly grid; NaN outside."""
        return self._load_kw.on(grid)

    def weather_forecast(self, issued_at: datetime, grid: Grid, mae_c: float) -> Series:
        """Temperatures as forecast at `issued_at`: the real ones and an error of stated size.

        The error is first-order autoregressive (hour to hour 0.87) and scaled so that its mean
        absolute value over `grid` is `mae_c`.
        """
        random = draws(self.seed, "weather forecast", int(issued_at.timestamp()))
        keep = ERROR_CORRELATION_PER_H**grid.step_h
        error = np.empty(grid.count)
        last = random.standard_normal()
        for i, shock in enumerate(random.standard_normal(grid.count)):
            last = keep * last + np.sqrt(1 - keep**2) * shock
            error[i] = last
        error *= mae_c / max(float(np.mean(np.abs(error))), 1e-9) if grid.count else 0.0
        return Series(grid=grid, values=self.outdoor_on(grid) + error)
