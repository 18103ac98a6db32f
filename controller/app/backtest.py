"""A backtest: every day of a span forecast as it would have been, and scored against the meter.

An origin is 00:00 local of the day forecast. History before the first day is training data. The
model sees cleaned loads (`forecast.clean` judges each day by what was known at its end); the score
is taken against the loads as metered. `naive` is the seasonal naive forecast of the same days.
"""

import resource
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from typing import Any, Final

import numpy as np

from controller.app.local_days import day_edges, zone_of
from controller.errors import Fault, InputError
from controller.forecast.case import Case, Floats, Rolled, Weather
from controller.forecast.clean import Cleaned, block_edges, clean
from controller.forecast.figures import Figures, figures, overall, scored_days
from controller.forecast.naive import roll_naive
from controller.meters.load_files import LoadFiles

LEAST_HISTORY_DAYS: Final = 14
"""Less history before the first day is refused."""

TRAINING, FORECASTING = "training", "forecasting"

Progress = Callable[[str, int, int], None]
"""What was just done (`TRAINING` or `FORECASTING`), how many steps are done, of how many."""
Model = Callable[[Case, Progress], Rolled]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a backtest is to do; both days are included."""

    timezone: str
    country: str | None
    first: date
    last: date
    lag_days: int
    weather: Weather


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The scores of a backtest, by series."""

    model: str
    series: Mapping[str, Figures]
    naive: Mapping[str, Figures]
    dropped_days: Mapping[str, int]
    """Days asked for but not scored: too little of their load is known, or no forecast."""
    doubted: Mapping[str, Mapping[str, int]]
    """Intervals that were not trusted, by series and reason."""
    train_s: float
    forecast_s: float
    rss_mb_max: float
    notes: tuple[str, ...]
    ignored: tuple[str, ...]

    def shown(self) -> dict[str, Any]:
        """As JSON: the figures rounded to a thousandth."""
        return {
            "series": {name: _rounded(s) for name, s in self.series.items()},
            "overall": _rounded(overall(list(self.series.values()))),
            "naive": {
                "series": {name: _rounded(s) for name, s in self.naive.items()},
                "overall": _rounded(overall(list(self.naive.values()))),
            },
            "train_s": round(self.train_s, 2),
            "forecast_s": round(self.forecast_s, 2),
            "rss_mb_max": round(self.rss_mb_max, 1),
            "model": self.model,
            "dropped_days": dict(self.dropped_days),
            "doubted_intervals": {k: dict(v) for k, v in self.doubted.items()},
            "ignored": list(self.ignored),
            "notes": list(self.notes),
        }


@dataclass(slots=True, kw_only=True)
class _Watch:
    """Passes progress on and adds up how long each kind of work took."""

    progress: Progress
    last: float
    took_s: dict[str, float] = field(default_factory=dict)

    def __call__(self, what: str, done: int, of: int) -> None:
        now = time.perf_counter()
        self.took_s[what] = self.took_s.get(what, 0.0) + now - self.last
        self.last = now
        self.progress(what, done, of)


def run_backtest(files: LoadFiles, asked: Asked, model: Model, progress: Progress) -> Result:
    """Forecast and score. Raises InputError where the files do not hold what is asked."""
    case, cleaned = prepared(files, asked)
    watch = _Watch(progress=progress, last=time.perf_counter())
    rolled = scaled_back(case, cleaned, model(case, watch))
    watch(FORECASTING, 1, 1)
    naive = roll_naive(replace(case, kw=cleaned.kw))
    scored = scored_days(case, rolled, files.kw)
    asked_days = case.last_day - case.first_day + 1
    return Result(
        model=rolled.model,
        series={name: figures(case, rolled, files.kw, s) for s, name in enumerate(case.ids)},
        naive={name: figures(case, naive, files.kw, s) for s, name in enumerate(case.ids)},
        dropped_days={
            name: int(asked_days - scored[s].sum())
            for s, name in enumerate(case.ids)
            if scored[s].sum() < asked_days
        },
        doubted=_doubted(case, cleaned),
        train_s=watch.took_s.get(TRAINING, 0.0),
        forecast_s=sum(s for what, s in watch.took_s.items() if what != TRAINING),
        rss_mb_max=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        notes=files.notes,
        ignored=files.ignored,
    )


def prepared(files: LoadFiles, asked: Asked) -> tuple[Case, Cleaned]:
    """The case a model is asked, on trusted loads at one level, and how they were cleaned."""
    days, _ = day_edges(files.grid, zone_of(asked.timezone))
    faults = _span_faults(asked, days)
    if asked.weather == "issued" and not np.isfinite(files.issued_c).any():
        faults.append(_fault("--temperature-forecast", "issued", "temp_forecast_c in some file"))
    if asked.weather == "actual" and not np.isfinite(files.temp_c).any():
        faults.append(_fault("--temperature-forecast", "actual", "temp_c in some file"))
    if faults:
        raise InputError("the files do not hold what is asked", faults)
    return cleaned_case(files, asked, files.kw)


def cleaned_case(files: LoadFiles, asked: Asked, kw: Floats) -> tuple[Case, Cleaned]:
    """As `prepared`, for (series, rows of the files' grid) `kw` and days that surely are there."""
    days, edges = day_edges(files.grid, zone_of(asked.timezone))
    first, last = days.index(asked.first), days.index(asked.last)
    per_day = round(24 / files.grid.step_h)
    known = edges[max(first - asked.lag_days, 0)]
    cleaned = clean(kw, block_edges(edges, files.grid.count, per_day, first_known=known), per_day)
    case = Case(
        grid=files.grid,
        ids=files.ids,
        kw=cleaned.kw / cleaned.level,
        edges=np.array(edges),
        timezone=asked.timezone,
        country=asked.country,
        stations=files.stations,
        temp_c=files.temp_c,
        issued_c=files.issued_c,
        weather=asked.weather,
        lag_days=asked.lag_days,
        first_day=first,
        last_day=last,
    )
    return case, cleaned


def scaled_back(case: Case, cleaned: Cleaned, rolled: Rolled) -> Rolled:
    """The answer at the level of the load that was known when each day was forecast."""
    if (cleaned.level == 1).all():
        return rolled
    rows = np.ones(case.kw.shape)
    days = np.ones((len(case.ids), len(case.edges) - 1))
    for day in range(case.first_day, case.last_day + 1):
        level = cleaned.level[:, max(case.known(day) - 1, 0)]
        rows[:, case.rows(day)] = level[:, None]
        days[:, day] = level
    return replace(rolled, kw=rolled.kw * rows, peak_kw=rolled.peak_kw * days)


def _span_faults(asked: Asked, days: Sequence[date]) -> list[Fault]:
    least = LEAST_HISTORY_DAYS + asked.lag_days
    if len(days) <= least:
        return [_fault("file", f"{len(days)} local days", f"more than {least} days of load")]
    faults = []
    if asked.first > asked.last:
        faults.append(_fault("--to", asked.last.isoformat(), f"not before {asked.first}"))
    if not days[least] <= asked.first <= days[-1]:
        expected = f"a day from {days[least]} (after {least} days of history) to {days[-1]}"
        faults.append(_fault("--from", asked.first.isoformat(), expected))
    if not days[least] <= asked.last <= days[-1]:
        expected = f"a day from {days[least]} to {days[-1]}"
        faults.append(_fault("--to", asked.last.isoformat(), expected))
    return faults


def _fault(place: str, value: str, expected: str) -> Fault:
    return Fault(file="command line", place=place, value=value, expected=expected)


def _doubted(case: Case, cleaned: Cleaned) -> dict[str, dict[str, int]]:
    out: dict[str, dict[str, int]] = {}
    for span in cleaned.spans():
        of = out.setdefault(case.ids[span.series], {})
        of[span.reason] = of.get(span.reason, 0) + span.stop - span.first
    return out


def _rounded(of: Figures) -> dict[str, Any]:
    return {k: v if v is None else round(v, 3) for k, v in asdict(of).items()}
