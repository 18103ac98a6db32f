"""One forecast from load files, issued at any instant: quantiles, the peak, and what was doubted.

Each local day that the horizon touches is forecast from the last midnight at which its loads are
known; what is left of a day that has begun is corrected by its readings (`forecast.intraday`).
Nothing behind the issue is looked at. A series without a week of history borrows
from the other series of the file, or is refused with the reason.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final

import numpy as np

from controller.app.backtest import Asked, Model, Progress, cleaned_case, scaled_back
from controller.app.local_days import midnight, zone_of
from controller.errors import Fault, InputError
from controller.forecast.case import Case, Floats, Rolled, Weather
from controller.forecast.clean import Cleaned
from controller.forecast.intraday import learn, rest_of_day
from controller.forecast.newcomer import borrowed_kw
from controller.meters.load_files import LoadFiles
from controller.model.time import Grid

MOST_HORIZON: Final = timedelta(days=8)
ERROR_DAYS: Final = 60
"""Past days forecast the same way, from whose errors a correction by readings learns."""
LEAST_DAYS: Final = 14
SAID_DAYS: Final = 60
"""Doubted readings further back than that are not listed."""
STALE: Final = timedelta(days=14)
"""A series that has been silent for longer is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubted:
    """Readings [start, end) of a series that the forecast does not rest on."""

    id: str
    start: datetime
    end: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ahead:
    """The forecast of a file's series; NaN for one that is refused."""

    issued_at: datetime
    model: str
    quantiles: tuple[float, ...]
    grid: Grid
    kw: Floats = field(repr=False)
    """(quantiles, series, grid.count)."""
    days: tuple[date, ...]
    """Local days that the horizon covers whole."""
    peak_kw: Floats = field(repr=False)
    """(quantiles, series, days)."""
    peak_at: tuple[tuple[datetime | None, ...], ...]
    """Per series and day, where the peak is likeliest."""
    peak_chance: Floats = field(repr=False)
    """(series, grid.count) that the day's peak falls into the interval; NaN in days not whole."""
    doubted: tuple[Doubted, ...]
    notes: tuple[str, ...]
    refused: Mapping[str, str]


def forecast_files(
    files: LoadFiles,
    *,
    issued_at: datetime,
    horizon: timedelta,
    timezone: str,
    country: str | None,
    weather: Weather | None,
    model: Model,
    progress: Progress,
) -> Ahead:
    """Forecast [issued_at, issued_at + horizon). `weather` None: issued where there is one.

    Raises InputError for an issue that the files do not reach and a horizon that is no horizon.
    """
    zone = zone_of(timezone)
    grid = _asked_grid(files.grid, issued_at, horizon)
    _refuse_misplaced(files, grid, horizon)
    files = _as_known(files, grid)
    today = grid.start.astimezone(zone).date()
    whole = _whole(files, midnight((grid.end - files.grid.step).astimezone(zone).date()
                                   + timedelta(days=1), zone))  # fmt: skip
    ahead = (grid.end - files.grid.step).astimezone(zone).date() - today
    parts: list[tuple[Case, Cleaned, Rolled]] = []
    for k in range(ahead.days + 1):
        day = today + timedelta(days=k)
        asked = Asked(
            timezone=timezone, country=country, first=day, last=day, lag_days=k,
            weather=weather or _weather(whole, grid),
        )  # fmt: skip
        begun = k == 0 and whole.grid.at(_edge(whole, zone, day)) < grid.start
        parts.append(_one_day(whole, asked, model, progress, readings_to=grid if begun else None))
    return _joined(files, grid, parts, [today + timedelta(days=k) for k in range(len(parts))])


def _edge(files: LoadFiles, zone: tzinfo, day: date) -> int:
    return files.grid.index(midnight(day, zone))


def _one_day(
    files: LoadFiles, asked: Asked, model: Model, progress: Progress, *, readings_to: Grid | None
) -> tuple[Case, Cleaned, Rolled]:
    """The answer for one day; with the readings before `readings_to`'s start put to use."""
    case, cleaned = cleaned_case(files, asked, files.kw)
    if readings_to is None:
        return case, cleaned, scaled_back(case, cleaned, model(case, progress))
    first = max(case.first_day - ERROR_DAYS, LEAST_DAYS)
    if first < case.first_day:
        case, cleaned = cleaned_case(
            files, replace(asked, first=asked.first - timedelta(days=case.first_day - first)),
            files.kw,
        )  # fmt: skip
    rolled = scaled_back(case, cleaned, model(case, progress))
    for s in range(len(case.ids)):
        _correct(case, cleaned, rolled, s)
    return replace(case, first_day=case.last_day), cleaned, rolled


def _correct(case: Case, cleaned: Cleaned, rolled: Rolled, series: int) -> None:
    """Bring the last day of `rolled` to the day's trusted readings; the peak's figures stand."""
    today, n = case.rows(case.last_day), case.per_day
    rows = [case.rows(day) for day in range(case.first_day, case.last_day)]
    rows = [r for r in rows if r.stop - r.start == n]
    if today.stop - today.start != n or np.isnan(rolled.kw[:, series, today]).any():
        return
    errors = learn(
        np.array([rolled.kw[:, series, r] for r in rows]).reshape(-1, len(rolled.quantiles), n),
        np.array([cleaned.kw[series, r] for r in rows]).reshape(-1, n),
        rolled.quantiles,
        case.grid.step_h,
    )
    rolled.kw[:, series, today] = rest_of_day(
        rolled.kw[:, series, today], rolled.quantiles, cleaned.kw[series, today], errors
    )


def _asked_grid(known: Grid, issued_at: datetime, horizon: timedelta) -> Grid:
    """The intervals that begin at or after the issue."""
    first = -((known.start - issued_at) // known.step)
    start = known.at(first)
    return Grid(start=start, step=known.step, count=max(0, -(-horizon // known.step)))


def _refuse_misplaced(files: LoadFiles, grid: Grid, horizon: timedelta) -> None:
    faults = []
    if not files.grid.step <= horizon <= MOST_HORIZON:
        expected = f"{files.grid.step} to {MOST_HORIZON.days} days, such as 24h"
        faults.append(_fault("--horizon", str(horizon), expected))
    first, last = files.grid.start + timedelta(days=1), files.known_until + STALE
    if not first <= grid.start <= last:
        expected = f"an instant from {first.isoformat()} to {last.isoformat()}"
        faults.append(_fault("--issued-at", grid.start.isoformat(), expected))
    if faults:
        raise InputError("the files do not hold what is asked", faults)


def _fault(place: str, value: str, expected: str) -> Fault:
    return Fault(file="command line", place=place, value=value, expected=expected)


def _as_known(files: LoadFiles, grid: Grid) -> LoadFiles:
    """The files without any load or measured temperature at or after the issue."""
    at = files.grid.index(grid.start)
    kw, temp_c = files.kw.copy(), files.temp_c.copy()
    kw[:, at:] = np.nan
    temp_c[:, at:] = np.nan
    return replace(files, kw=kw, temp_c=temp_c)


def _whole(files: LoadFiles, end: datetime) -> LoadFiles:
    """The files on a grid that ends at `end`, with NaN where nothing is known."""
    count = -(-(end - files.grid.start) // files.grid.step)
    on = Grid(start=files.grid.start, step=files.grid.step, count=count)

    def laid(values: Floats) -> Floats:
        cut = values[:, :count]
        return np.pad(cut, ((0, 0), (0, count - cut.shape[1])), constant_values=np.nan)

    return replace(
        files, grid=on, kw=laid(files.kw), temp_c=laid(files.temp_c), issued_c=laid(files.issued_c)
    )


def _weather(files: LoadFiles, grid: Grid) -> Weather:
    first = files.grid.index(grid.start)
    return "issued" if np.isfinite(files.issued_c[:, first:]).any() else "none"


def _joined(
    files: LoadFiles,
    grid: Grid,
    parts: list[tuple[Case, Cleaned, Rolled]],
    days: list[date],
) -> Ahead:
    """The days' answers on the asked grid, newcomers and refusals filled in."""
    case, cleaned, first = parts[-1]
    quantiles, at = first.quantiles, case.grid.index(grid.start)
    kw = np.full((len(quantiles), len(case.ids), case.grid.count), np.nan)
    chance = np.full((len(case.ids), case.grid.count), np.nan)
    peaks, peak_rows, covered = [], [], []
    for (one, _, rolled), day in zip(parts, days, strict=True):
        rows = one.rows(one.first_day)
        kw[:, :, rows] = rolled.kw[:, :, rows]
        if rows.start >= at and case.grid.at(rows.stop) <= grid.end:
            chance[:, rows] = rolled.peak_chance[:, rows]
            peaks.append(rolled.peak_kw[:, :, one.first_day])
            peak_rows.append(rolled.peak_row[:, one.first_day])
            covered.append(day)
    asked = slice(at, at + grid.count)
    kw, chance = kw[:, :, asked], chance[:, asked]
    borrowed, refused = _fill_newcomers(files, cleaned, kw, quantiles, at)
    peak_kw = np.stack(peaks, axis=2) if peaks else np.empty((*kw.shape[:2], 0))
    notes = [*files.notes, *borrowed]
    return Ahead(
        issued_at=grid.start,
        model=first.model,
        quantiles=quantiles,
        grid=grid,
        kw=kw,
        days=tuple(covered),
        peak_kw=peak_kw,
        peak_at=tuple(
            tuple(case.grid.at(int(rows[s])) if rows[s] >= 0 else None for rows in peak_rows)
            for s in range(len(case.ids))
        ),
        peak_chance=chance,
        doubted=_doubted(case, cleaned, at),
        notes=tuple(notes),
        refused=refused,
    )


def _fill_newcomers(
    files: LoadFiles, cleaned: Cleaned, kw: Floats, quantiles: tuple[float, ...], at: int
) -> tuple[list[str], dict[str, str]]:
    """Give series without a forecast of their own one from their class; notes and refusals."""
    notes, refused = [], {}
    new = np.isnan(kw).any(axis=(0, 2))
    mates = np.flatnonzero(~new)
    rated = np.array([files.rated_kw.get(i, np.nan) for i in files.ids])
    for s in np.flatnonzero(new):
        name = files.ids[s]
        try:
            if not len(mates):
                raise ValueError("no other series of the file has the history to borrow from")
            kw[:, s] = borrowed_kw(
                kw[:, mates], quantiles, own_kw=cleaned.kw[s, :at],
                known_kw=cleaned.kw[mates, :at], step_h=files.grid.step_h,
                rated_kw=float(rated[s]) if rated[s] > 0 else None, mates_rated_kw=rated[mates],
            )  # fmt: skip
            notes.append(f"{name}: too little history; borrowed from {len(mates)} other series")
        except ValueError as error:
            refused[name] = f"too little history, and {error}"
    return notes, refused


def _doubted(case: Case, cleaned: Cleaned, at: int) -> tuple[Doubted, ...]:
    return tuple(
        Doubted(
            id=case.ids[span.series],
            start=case.grid.at(span.first).astimezone(UTC),
            end=case.grid.at(span.stop).astimezone(UTC),
            reason=span.reason,
        )
        for span in cleaned.spans(since=max(0, at - SAID_DAYS * case.per_day))
    )
