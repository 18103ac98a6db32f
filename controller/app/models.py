"""The day-ahead models by name, each asked the same `Case`.

To add a model: a function from a case (and a progress to call) to a `Rolled`, and its line in
`MODELS`. Each imports its own stage, so that naming them loads none.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from statistics import NormalDist
from typing import Final

import numpy as np

from controller.app.backtest import FORECASTING, TRAINING, Model, Progress
from controller.app.local_days import zone_of
from controller.forecast.case import Case, Floats, Ints, Rolled
from controller.model.time import Grid, Series

ENSEMBLE_DAYS: Final = 90
"""Days of history from which the ensemble is asked; before, and for series with less, the ridge."""
LEAST_SERIES_DAYS: Final = 60


def roll_ensemble(case: Case, progress: Progress) -> Rolled:
    """The library's best, from the day on that there is enough history; the ridge before it."""
    ready = max(case.first_day, ENSEMBLE_DAYS + case.lag_days)
    known = ~np.isnan(case.kw[:, : case.known(min(ready, case.last_day))])
    able = np.flatnonzero(known.sum(axis=1) >= LEAST_SERIES_DAYS * case.per_day)
    if ready > case.last_day or not len(able):
        return _requantiled(roll_day_effects(case, progress), _quantiles())
    out = _asked(replace(case, first_day=ready), able, progress)
    parts = [replace(case, last_day=ready - 1)] if ready > case.first_day else []
    short = np.setdiff1d(np.arange(len(case.ids)), able)
    for part in parts:
        _take(out, _requantiled(roll_day_effects(part, progress), _quantiles()), part, None)
    if len(short):
        rest = replace(
            case, first_day=ready, ids=tuple(case.ids[s] for s in short), kw=case.kw[short]
        )
        made = _requantiled(roll_day_effects(rest, progress), _quantiles())
        _take(out, made, rest, short)
    return out


def _quantiles() -> tuple[float, ...]:
    from controller.forecast.intervals import QUANTILES

    return tuple(round(float(q), 6) for q in QUANTILES)


def _asked(case: Case, able: Ints, progress: Progress) -> Rolled:
    """The ensemble's answer for the series it is able to forecast."""
    from controller.forecast.rolling import RollingSettings, SeriesSet, forecast_days

    first, last = (_date(case, d) for d in (case.first_day, case.last_day))
    inputs = SeriesSet(
        grid=case.grid,
        load=case.kw[able],
        temperature=case.temp_c,
        issued=case.issued_c if np.isfinite(case.issued_c).any() else None,
        timezone=case.timezone,
        country=case.country,
    )
    settings = RollingSettings(weather=case.weather, lead_days=2 if case.lag_days else 1)
    out = _empty(case, "ensemble", _quantiles())
    asked = case.last_day - case.first_day + 1
    for made in forecast_days(inputs, first, last, settings):
        day, s = case.first_day + (made.day - first).days, able[made.series]
        if made.series == 0:
            progress(FORECASTING if day > case.first_day else TRAINING, day - case.first_day, asked)
        rows = case.grid.index(made.grid.start) + np.arange(made.grid.count)
        out.kw[:, s, rows] = made.values
        out.peak_kw[:, s, day] = made.peak_quantiles
        out.peak_row[s, day] = rows[0] + made.peak_at
        out.peak_chance[s, rows] = made.peak_chance
    progress(FORECASTING, asked, asked)
    return out


def _take(out: Rolled, made: Rolled, case: Case, series: Ints | None) -> None:
    """Put the days that `case` asks for into `out`."""
    rows = slice(case.rows(case.first_day).start, case.rows(case.last_day).stop)
    days = slice(case.first_day, case.last_day + 1)
    at: slice | Ints = slice(None) if series is None else series
    out.kw[:, at, rows] = made.kw[:, :, rows]
    out.peak_kw[:, at, days] = made.peak_kw[:, :, days]
    out.peak_row[at, days] = made.peak_row[:, days]
    out.peak_chance[at, rows] = made.peak_chance[:, rows]


def _requantiled(rolled: Rolled, quantiles: tuple[float, ...]) -> Rolled:
    """The same answer at other quantiles: straight lines over the normal score, ends drawn on."""
    normal = NormalDist()
    have, want = (np.array([normal.inv_cdf(q) for q in qs]) for qs in (rolled.quantiles, quantiles))
    at = np.clip(np.searchsorted(have, want) - 1, 0, len(have) - 2)
    share = (want - have[at]) / (have[at + 1] - have[at])

    def read(values: Floats) -> Floats:
        by = share.reshape(-1, *[1] * (values.ndim - 1))
        between: Floats = values[at] + by * (values[at + 1] - values[at])
        return between

    return replace(rolled, quantiles=quantiles, kw=read(rolled.kw), peak_kw=read(rolled.peak_kw))


def roll_day_effects(case: Case, progress: Progress) -> Rolled:
    """The ridge of `forecast.load`: six weeks of history, each series and day by itself."""
    from controller.forecast.bands import QUANTILES
    from controller.forecast.naive import with_plain_peaks

    kw = np.full((len(QUANTILES), *case.kw.shape), np.nan)
    for day in range(case.first_day, case.last_day + 1):
        for s in range(len(case.ids)):
            kw[:, s, case.rows(day)] = _one_day(case, s, day)
        progress(FORECASTING, day - case.first_day + 1, case.last_day - case.first_day + 1)
    return with_plain_peaks(case, "day effects", QUANTILES, kw)


def roll_seasonal_naive(case: Case, progress: Progress) -> Rolled:
    """What was a week ago."""
    from controller.forecast.naive import roll_naive

    rolled = roll_naive(case)
    progress(FORECASTING, 1, 1)
    return rolled


MODELS: Final[Mapping[str, Model]] = {
    "ensemble": roll_ensemble,
    "day-effects": roll_day_effects,
    "seasonal-naive": roll_seasonal_naive,
}


def _empty(case: Case, model: str, quantiles: tuple[float, ...]) -> Rolled:
    days = len(case.edges) - 1
    return Rolled(
        model=model,
        quantiles=quantiles,
        kw=np.full((len(quantiles), *case.kw.shape), np.nan),
        peak_kw=np.full((len(quantiles), len(case.ids), days), np.nan),
        peak_row=np.full((len(case.ids), days), -1, np.int64),
        peak_chance=np.full(case.kw.shape, np.nan),
    )


def _date(case: Case, day: int) -> date:
    at = case.grid.at(int(case.edges[day])) + timedelta(hours=3)
    return at.astimezone(zone_of(case.timezone)).date()


def _one_day(case: Case, series: int, day: int) -> Floats:
    """(quantiles, rows of the day); NaN with less than the week of history the ridge needs."""
    from controller.forecast.load import LEAST_DAYS, LOOKBACK_DAYS, forecast_load

    known, rows = case.known(day), case.rows(day)
    start = max(0, known - LOOKBACK_DAYS * case.per_day)
    past = Grid(start=case.grid.at(start), step=case.grid.step, count=known - start)
    ahead = Grid(start=case.grid.at(rows.start), step=case.grid.step, count=rows.stop - rows.start)
    history = case.kw[series, start:known]
    if np.count_nonzero(~np.isnan(history)) < LEAST_DAYS * case.per_day:
        return np.full((1, ahead.count), np.nan)
    measured, weather = _weather(case, slice(start, known), rows)
    made = forecast_load(
        Series(grid=past, values=history),
        Series(grid=past, values=measured),
        Series(grid=ahead, values=weather),
        ahead,
        made_at=past.end,
        timezone=_named(case.timezone),
        holidays=_holidays(case, day),
        weather_mae_c=0.8 if case.weather == "issued" else 0.0,
    )
    return made.kw


def _named(timezone: str) -> str:
    """A fixed offset under a name of the zone database, to the nearest hour."""
    offset = zone_of(timezone).utcoffset(None)
    if offset is None:
        return timezone
    hours = round(offset / timedelta(hours=1))
    return f"Etc/GMT{-hours:+d}" if hours else "UTC"


def _holidays(case: Case, day: int) -> tuple[str, ...]:
    """The country's holidays of the day's year and its neighbours, as ISO dates."""
    if case.country is None:
        return ()
    import holidays

    country, _, part = case.country.partition("-")
    year = _date(case, day).year
    years = range(year - 1, year + 2)
    named = holidays.country_holidays(country, subdiv=part or None, years=years)
    return tuple(sorted(d.isoformat() for d in named))


def _weather(case: Case, past: slice, ahead: slice) -> tuple[Floats, Floats]:
    """The stations' mean in the past and ahead; mild throughout where no forecast is allowed."""
    source = {"actual": case.temp_c, "issued": case.issued_c}.get(case.weather)
    if source is None or not np.isfinite(source[:, ahead]).any():
        return np.full(past.stop - past.start, 17.0), np.full(ahead.stop - ahead.start, 17.0)
    with np.errstate(invalid="ignore"):
        return _means(case.temp_c[:, past]), _means(source[:, ahead])


def _means(temp_c: Floats) -> Floats:
    known = ~np.isnan(temp_c)
    count = known.sum(axis=0)
    total = np.where(known, temp_c, 0.0).sum(axis=0)
    means: Floats = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return means
