"""How each hour of new readings lowers the error of the remaining hours of the day.

Folder of the public sets in PEAKSHARE_DATA (vic_elec, gefcom2012). The ensemble's day-ahead
forecasts, the correction learnt from the 90 days before; printed per hour of issue: MAPE of the
rest of the day without and with the readings, their ratio, and what the 80 % band covered.
"""

import os
import sys
from datetime import date
from pathlib import Path

import numpy as np

from controller.app.backtest import Asked, prepared
from controller.app.models import roll_ensemble
from controller.forecast.intraday import learn, rest_of_day
from controller.meters.load_files import read_load_files

LEARN_DAYS = 90
SETS = {
    "vic_elec": ("Australia/Melbourne", "AU-VIC", date(2013, 1, 1), date(2013, 12, 30), "all"),
    "gefcom2012": ("UTC-05:00", "US", date(2006, 7, 1), date(2007, 6, 29), "1"),
}


def main() -> None:
    root = Path(os.environ["PEAKSHARE_DATA"]) / "data"
    for name in sys.argv[1:] or SETS:
        curve(name, root)


def curve(name: str, root: Path) -> None:
    timezone, country, first, last, series = SETS[name]
    temperature = root / name / "temperature.parquet"
    files = read_load_files(
        root / name / "load.parquet", [temperature] if temperature.exists() else []
    )
    asked = Asked(
        timezone=timezone, country=country, first=first, last=last, lag_days=0, weather="actual"
    )
    case, _ = prepared(files, asked)
    case = case.of(case.ids.index(series))
    rolled = roll_ensemble(case, lambda *_: None)
    n, quantiles = case.per_day, rolled.quantiles
    days = [case.rows(d) for d in range(case.first_day, case.last_day + 1)]
    days = [r for r in days if r.stop - r.start == n and np.isfinite(case.kw[0, r]).all()]
    kw, actual = (
        np.array([rolled.kw[:, 0, r] for r in days]),
        np.array([case.kw[0, r] for r in days]),
    )
    half, low, high = (quantiles.index(q) for q in (0.5, 0.1, 0.9))
    print(f"{name} {series}: {len(days) - LEARN_DAYS} days, measured weather")
    print("hour  day-ahead MAPE  corrected  ratio  cover 80")
    models = [
        learn(kw[d - LEARN_DAYS : d], actual[d - LEARN_DAYS : d], quantiles, case.grid.step_h)
        for d in range(LEARN_DAYS, len(days))
    ]
    for hour in range(0, 24, 2):
        seen = round(hour / case.grid.step_h)
        before, after, inside = [], [], []
        for model, forecast, load in zip(models, kw[LEARN_DAYS:], actual[LEARN_DAYS:], strict=True):
            read = np.where(np.arange(n) < seen, load, np.nan)
            made, rest = rest_of_day(forecast, quantiles, read, model)[:, seen:], load[seen:]
            before.append(np.abs(forecast[half, seen:] / rest - 1).mean())
            after.append(np.abs(made[half] / rest - 1).mean())
            inside.append(((made[low] <= rest) & (rest <= made[high])).mean())
        was, now = 100 * np.mean(before), 100 * np.mean(after)
        print(f"{hour:4d}  {was:14.2f}  {now:9.2f}  {now / was:5.2f}  {100 * np.mean(inside):8.1f}")


if __name__ == "__main__":
    main()
