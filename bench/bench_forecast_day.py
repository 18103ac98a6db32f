"""The day-ahead forecast against two naive ones, on the demo's month and on two other years.

    PEAKSHARE_DATA=../shared python bench/bench_forecast_day.py [--every 1] [--seeds 3]

Every day is forecast at 20:00 the evening before from the 27 days up to then, with the measured
temperature plus an error of 0.8 °C mean absolute as its weather forecast. Naive: the last day of
the same kind (working or not); the same weekday a week before. Take the ratios: below 1 the model
errs less. Chosen on Victoria 2012-2013; the demo's month was only looked at.

Last results (--every 1 --seeds 3), mean and peak error, and × that of the last like day:
demo's month 3.97 and 4.29 %, × 0.31 and 0.27; its 28 January 4.09 and 6.37 %, × 0.18 and 0.16;
Victoria, November to March 3.18 and 3.84 %, × 0.45 and 0.39; its days of 32 °C and more 3.38 and
4.33 %, × 0.33 and 0.26; the rest of the year 2.52 and 2.63 %, × 0.62 and 0.79. In the 80 % band
90, 84, 81, 85 and 81 %. A forecast takes 35 to 50 ms on one core.
"""

import argparse
import os
import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from controller.forecast.load import forecast_load
from controller.forecast.resample import split_half_hours
from controller.model.plans import Forecast
from controller.model.time import QUARTER_HOUR, Grid, Interval, Series

ZONE = ZoneInfo("Australia/Melbourne")
HISTORY = timedelta(days=27)
ISSUED_BEFORE = timedelta(hours=4)
MAE_C, ERROR_LASTS_H = 0.8, 6.0
AREA = Path(__file__).parents[1] / "configs" / "demo" / "area" / "victoria-2014-01.csv.gz"
DEMO_HOLIDAYS = frozenset({"2014-01-01", "2014-01-27"})
HOT_C = 32.0


@dataclass(frozen=True, kw_only=True)
class Region:
    """A load and its temperature by quarter hours, and the dates nobody works."""

    load: Series
    temperature: Series
    holidays: frozenset[str]

    def works(self, day: date) -> bool:
        return day.weekday() < 5 and day.isoformat() not in self.holidays


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--every", type=int, default=3, help="take each n-th day of the long set")
    options.add_argument("--seeds", type=int, default=1, help="weather errors drawn per day")
    args = options.parse_args()
    demo = the_demo()
    january = [date(2014, 1, 14) + timedelta(days=i) for i in range(21)]
    compare("demo, 14 Jan to 3 Feb 2014", demo, january, args.seeds)
    compare("demo, 28 Jan 2014", demo, [date(2014, 1, 28)], max(10, args.seeds))
    folder = os.environ.get("PEAKSHARE_DATA")
    path = Path(folder) / "data" / "vic_elec" / "load.parquet" if folder else None
    if path is None or not path.is_file():
        print("skipped: Victoria 2012-2013, no data/vic_elec under PEAKSHARE_DATA")
        return
    long = victoria(path)
    days = [date(2012, 2, 1) + timedelta(days=i) for i in range(0, 698, args.every)]
    warm = [d for d in days if d.month in (11, 12, 1, 2, 3)]
    compare("2012-2013, November to March", long, warm, args.seeds)
    hot = [d for d in warm if long.temperature.on(of(d)).values.max() >= HOT_C]
    compare(f"2012-2013, days of {HOT_C:g} °C and more", long, hot, args.seeds)
    compare("2012-2013, the rest", long, [d for d in days if d not in warm], args.seeds)


def compare(title: str, region: Region, days: list[date], seeds: int) -> None:
    rows, naive, seconds = [], [], []
    for day in days:
        actual = region.load.on(of(day)).values
        naive.append([scores(like(region, day), actual), scores(last_week(region, day), actual)])
        for seed in range(seeds):
            begin = time.perf_counter()
            forecast = issued(region, day, seed)
            seconds.append(time.perf_counter() - begin)
            rows.append([*scores(forecast.median.values, actual), *band(forecast, actual)])
    ours, others = np.mean(rows, axis=0), np.nanmean(naive, axis=0)
    print(f"{title}: {len(days)} days × {seeds}, {1000 * np.median(seconds):.0f} ms each")
    print(f"  mean error {ours[0]:5.2f} %   peak error {ours[1]:5.2f} %   "
          f"peak within an hour {100 * ours[2]:3.0f} %")  # fmt: skip
    for name, other in zip(("last like day", "a week before"), others, strict=True):
        print(f"  against {name:13}  mean × {ours[0] / other[0]:.2f} (of {other[0]:.1f} %)   "
              f"peak × {ours[1] / other[1]:.2f} (of {other[1]:.1f} %)")  # fmt: skip
    print(f"  in the 80 % band {100 * ours[3]:.0f} %, in the 90 % band {100 * ours[4]:.0f} %; "
          f"peak at or below the 0.9 quantile's {100 * ours[5]:.0f} %")  # fmt: skip


def scores(kw: NDArray[np.float64], actual: NDArray[np.float64]) -> list[float]:
    """Mean and peak error in %, and 1 where the peak's time is right within the hour."""
    if len(kw) != len(actual):
        return [float("nan")] * 3
    late = abs(int(kw.argmax()) - int(actual.argmax())) * QUARTER_HOUR
    return [
        float(np.abs(kw / actual - 1).mean() * 100),
        float(abs(kw.max() / actual.max() - 1) * 100),
        float(late <= timedelta(hours=1)),
    ]


def band(forecast: Forecast, actual: NDArray[np.float64]) -> list[float]:
    def inside(low: float, high: float) -> float:
        above = actual >= forecast.at_quantile(low).values
        return float(np.mean(above & (actual <= forecast.at_quantile(high).values)))

    high = forecast.at_quantile(0.9).values.max()
    return [inside(0.1, 0.9), inside(0.05, 0.95), float(actual.max() <= high)]


def issued(region: Region, day: date, seed: int) -> Forecast:
    made_at = of(day).start - ISSUED_BEFORE
    start = max(region.load.grid.start, of(day).start - HISTORY)
    past = Grid(start=start, step=QUARTER_HOUR, count=(made_at - start) // QUARTER_HOUR)
    ahead = Grid.over(Interval(start=made_at, end=of(day).end))
    error = weather_error_c(ahead, np.random.default_rng([seed, day.toordinal()]))
    return forecast_load(
        region.load.on(past),
        region.temperature.on(past),
        Series(grid=ahead, values=region.temperature.on(ahead).values + error),
        of(day),
        made_at=made_at,
        timezone=ZONE.key,
        holidays=sorted(region.holidays),
        weather_mae_c=MAE_C,
    )


def weather_error_c(grid: Grid, random: np.random.Generator) -> NDArray[np.float64]:
    keep, last = np.exp(-grid.step_h / ERROR_LASTS_H), random.standard_normal()
    out = np.empty(grid.count)
    for i, shock in enumerate(random.standard_normal(grid.count)):
        last = keep * last + np.sqrt(1 - keep**2) * shock
        out[i] = last
    scaled: NDArray[np.float64] = out * (MAE_C * np.sqrt(np.pi / 2))
    return scaled


def like(region: Region, day: date) -> NDArray[np.float64]:
    before = day - timedelta(days=1)
    while region.works(before) != region.works(day):
        before -= timedelta(days=1)
    return region.load.on(of(before)).values


def last_week(region: Region, day: date) -> NDArray[np.float64]:
    return region.load.on(of(day - timedelta(days=7))).values


def of(day: date) -> Grid:
    ends = [datetime(d.year, d.month, d.day, tzinfo=ZONE) for d in (day, day + timedelta(days=1))]
    return Grid.over(Interval(start=ends[0].astimezone(UTC), end=ends[1].astimezone(UTC)))


def the_demo() -> Region:
    rows = np.genfromtxt(AREA, delimiter=",", names=True, dtype=None, encoding="ascii")
    start = datetime.fromisoformat(str(rows["time_utc"][0])).astimezone(UTC)
    return region_of(start, rows["demand_mw"], rows["temp_c"], DEMO_HOLIDAYS)


def victoria(path: Path) -> Region:
    table = pq.read_table(path)
    times = table.column("time_utc").to_pylist()
    free = table.column("is_holiday").to_pylist()
    holidays = {
        t.astimezone(ZONE).date().isoformat() for t, off in zip(times, free, strict=True) if off
    }
    load, celsius = (table.column(c).to_numpy().astype(float) for c in ("load_mw", "temp_c"))
    return region_of(times[0].astimezone(UTC), load, celsius, frozenset(holidays))


def region_of(
    start: datetime,
    load_mw: NDArray[np.float64],
    celsius: NDArray[np.float64],
    free: frozenset[str],
) -> Region:
    grid = Grid(start=start, step=QUARTER_HOUR, count=2 * len(load_mw))
    return Region(
        load=Series(grid=grid, values=split_half_hours(load_mw * 1000)),
        temperature=Series(grid=grid, values=split_half_hours(celsius)),
        holidays=free,
    )


if __name__ == "__main__":
    main()
