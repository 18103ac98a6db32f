"""The area's load a day ahead, with an honest band, from a few weeks of history.

A ridge on time of day, kind of day and weather, with effects of single days that fade: a day
that ran high makes the next one higher. It is fitted to the load and to its logarithm and the
two are averaged by their past errors. The band comes from the same fit made again at every
earlier day's hour of issue (docs/decisions/0005-forecast-model.md has the measurements).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from controller.forecast.bands import QUANTILES, Backtest, band_kw, noise_scale
from controller.forecast.features import (
    DAY,
    Calendar,
    harmonics,
    joined_temperature,
    local_calendar,
    persistent,
    wave_numbers,
    weather_columns,
)
from controller.forecast.ridge import Fit, Normal
from controller.model.plans import Forecast
from controller.model.time import Grid, Series, require_utc

MODEL = "ridge with day effects, load and log load"
LOOKBACK_DAYS = 42
"""More than six weeks back is another season."""
LEAST_DAYS = 7
"""Days of history below which no forecast is made, and before the first rolling origin."""
HALF_LIFE_DAYS = 20.0
DAILY_WAVES, KIND_WAVES, SATURDAY_WAVES, WEATHER_WAVES = 10, 6, 3, 3

# Penalties in days of data that speak against one unit of a coefficient (chosen on Victoria
# 2012–2013; the error is flat around them).
DAILY_PENALTY, KIND_PENALTY, SATURDAY_PENALTY, WEATHER_PENALTY = 0.0003, 0.005, 0.03, 0.08
EFFECT_PENALTIES = (0.2, 0.6, 0.6)
EFFECT_KEEPS = (0.75, 0.6, 0.6)
KIND_EFFECT_PENALTY, KIND_EFFECT_KEEP = 0.3, 0.85


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Design:
    """The regression's rows over history and horizon on one `axis`."""

    axis: Grid
    now: int
    """Rows before this end at or before the issue."""
    first: int
    """Row of the forecast grid's first interval."""
    count: int
    per_day: int
    columns: NDArray[np.float64]
    penalty: NDArray[np.float64]

    @property
    def horizon(self) -> NDArray[np.float64]:
        return self.columns[self.first : self.first + self.count]


def forecast_load(
    history: Series,
    temperature: Series,
    weather: Series,
    grid: Grid,
    *,
    made_at: datetime,
    timezone: str,
    holidays: Sequence[str],
    quantiles: tuple[float, ...] = QUANTILES,
    weather_mae_c: float,
) -> Forecast:
    """Quantiles of the load in kW on `grid`, as known at `made_at`.

    `history` (kW) and `temperature` (°C) are measured and share `grid`'s step; neither may
    end after `made_at`. `weather` is the temperature forecast for `grid`; it may begin as
    early as `made_at`, and what lies between is interpolated. `weather_mae_c` is its stated
    mean absolute error. Raises ValueError on values from the future, on unaligned series and
    on less than 7 days of history.
    """
    made_at = require_utc(made_at, "made_at")
    _refuse_the_future(history, temperature, made_at)
    _refuse_unordered(quantiles)
    _refuse_misplaced(history.grid, grid, made_at)
    history = _recent(history, made_at)
    axis = Grid(
        start=history.grid.start,
        step=grid.step,
        count=(grid.end - history.grid.start) // grid.step,
    )
    load = history.on(axis).values
    known_days = float(np.count_nonzero(~np.isnan(load))) * (grid.step / DAY)
    if known_days < LEAST_DAYS:
        raise ValueError(f"{known_days:.1f} days of history; at least {LEAST_DAYS} are needed")
    temp_c = joined_temperature(axis, temperature, weather)
    calendar = local_calendar(axis, timezone, holidays)
    design = _design(axis, calendar, temp_c, grid, made_at)
    scale = float(np.nanmean(np.abs(load))) or 1.0
    targets = _targets(load / scale)
    past, fit = _rolling(design, targets)
    weights = past.weights()
    middle = _load(fit.predict(design.horizon), weights)
    shifted = _shifted(design, calendar, temp_c, grid, made_at, noise_scale(weather_mae_c))
    doubt = np.abs(_load(fit.predict(shifted), weights) - middle)
    kw = band_kw(middle, past, fit.doubt(design.horizon), doubt, quantiles) * scale
    return Forecast(
        made_at=made_at,
        model=MODEL,
        grid=grid,
        quantiles=quantiles,
        kw=kw,
        history_days=round(known_days),
        notes=_notes(known_days, past, weather_mae_c, temp_c, design),
    )


def _refuse_the_future(history: Series, temperature: Series, made_at: datetime) -> None:
    for what, series in (("history", history), ("temperature", temperature)):
        if series.grid.end > made_at:
            raise ValueError(f"{what} ends {series.grid.end}, after the issue at {made_at}")


def _refuse_unordered(quantiles: tuple[float, ...]) -> None:
    inside = all(0 < q < 1 for q in quantiles)
    if not inside or 0.5 not in quantiles or list(quantiles) != sorted(set(quantiles)):
        raise ValueError(f"quantiles must ascend in (0, 1) and include 0.5, not {quantiles}")


def _refuse_misplaced(history: Grid, grid: Grid, made_at: datetime) -> None:
    if history.step != grid.step or (grid.start - history.start) % grid.step:
        raise ValueError("history and forecast are not aligned")
    if grid.start < history.start or grid.end <= made_at:
        raise ValueError(f"a forecast made at {made_at} cannot be for {grid.start} to {grid.end}")


def _recent(history: Series, made_at: datetime) -> Series:
    """The last weeks of `history` before the issue."""
    grid = history.grid
    first = max(0, grid.index(made_at) - LOOKBACK_DAYS * (DAY // grid.step))
    count = max(0, grid.count - first)
    return history.on(Grid(start=grid.at(first), step=grid.step, count=count))


def _targets(relative: NDArray[np.float64]) -> NDArray[np.float64]:
    """(rows, 2) the load and its logarithm; (rows, 1) where the load may touch zero."""
    if np.nanmin(relative) < 0.05:
        return relative[:, None]
    return np.stack([relative, np.log(relative)], axis=1)


def _load(predicted: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) relative load from the (n, 1 or 2) predicted targets, mixed by `weights`."""
    loads = predicted.copy()
    loads[:, 1:] = np.exp(loads[:, 1:])
    return loads @ weights


def _design(
    axis: Grid, calendar: Calendar, temp_c: NDArray[np.float64], grid: Grid, made_at: datetime
) -> _Design:
    blocks = [*_calendar_blocks(calendar), _weather_block(calendar, temp_c, axis.step_h)]
    blocks += _effect_blocks(calendar)
    per_day = DAY // axis.step
    columns, penalties = zip(*blocks, strict=True)
    return _Design(
        axis=axis,
        now=axis.index(made_at),
        first=axis.index(grid.start),
        count=grid.count,
        per_day=per_day,
        columns=np.hstack(columns),
        penalty=np.concatenate(penalties) * per_day + 1e-9,
    )


_Block = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Columns and the penalty of each."""


def _calendar_blocks(calendar: Calendar) -> list[_Block]:
    """The usual day, what a day without work changes, and what a Saturday changes of that."""
    daily = harmonics(calendar.frac, DAILY_WAVES)
    kind = harmonics(calendar.frac, KIND_WAVES) * ~calendar.working[:, None]
    saturday = harmonics(calendar.frac, SATURDAY_WAVES) * calendar.saturday[:, None]
    free_level = np.full(daily.shape[1], DAILY_PENALTY)
    free_level[0] = 0.0
    return [
        (daily, free_level),
        (kind, np.full(kind.shape[1], KIND_PENALTY)),
        (saturday, np.full(saturday.shape[1], SATURDAY_PENALTY)),
    ]


def _weather_block(calendar: Calendar, temp_c: NDArray[np.float64], step_h: float) -> _Block:
    """Each weather column times the slow waves of the day: a hot hour counts by its hour."""
    waves = harmonics(calendar.frac, WEATHER_WAVES)
    weather = weather_columns(temp_c, step_h)
    columns = (weather[:, :, None] * waves[:, None, :]).reshape(len(weather), -1)
    penalty = WEATHER_PENALTY * (1 + wave_numbers(WEATHER_WAVES) ** 2)
    return columns, np.tile(penalty, weather.shape[1])


def _effect_blocks(calendar: Calendar) -> list[_Block]:
    """Levels of single days that fade, over all days and apart for working and other days."""
    shape = harmonics(calendar.frac, 1)
    blocks = []
    for k, (penalty, keep) in enumerate(zip(EFFECT_PENALTIES, EFFECT_KEEPS, strict=True)):
        columns = persistent(calendar.days, keep)[calendar.day] * shape[:, [k]]
        blocks.append((columns, np.full(calendar.days, penalty)))
    for mine in (calendar.working, ~calendar.working):
        nth = _nth_of_kind(calendar, mine)
        of_kind = int(nth.max()) + 1
        columns = persistent(of_kind, KIND_EFFECT_KEEP)[nth] * mine[:, None]
        blocks.append((columns, np.full(of_kind, KIND_EFFECT_PENALTY)))
    return blocks


def _nth_of_kind(calendar: Calendar, mine: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(rows,) how many days of this kind came before the row's day."""
    of_day = np.zeros(calendar.days, dtype=np.int64)
    of_day[calendar.day[mine]] = 1
    return np.maximum(np.cumsum(of_day) - 1, 0)[calendar.day]


def _rolling(design: _Design, targets: NDArray[np.float64]) -> tuple[Backtest, Fit]:
    """Every earlier day's forecast, made at the same hour with what was known then; and today's."""
    normal = Normal(design.penalty, targets.shape[1])
    issues = range(design.now % design.per_day, design.now + 1, design.per_day)
    lead, begin = design.first - design.now, 0
    actual, predicted, doubt = [], [], []
    for issue in issues:
        _learn(normal, design, targets, slice(begin, issue))
        begin = issue
        if LEAST_DAYS * design.per_day <= issue < design.now:
            fit, rows = normal.fit(), slice(issue + lead, issue + lead + design.count)
            predicted.append(fit.predict(design.columns[rows]))
            doubt.append(fit.doubt(design.columns[rows]))
            actual.append(targets[rows])
    past = Backtest.of(actual, predicted, doubt, design.count, targets.shape[1])
    return past, normal.fit()


def _learn(normal: Normal, design: _Design, targets: NDArray[np.float64], rows: slice) -> None:
    """Add the rows up to an issue; all earlier ones fade by the time that passed."""
    age = (rows.stop - 1 - np.arange(rows.start, rows.stop)) / design.per_day
    normal.fade(0.5 ** ((rows.stop - rows.start) / design.per_day / HALF_LIFE_DAYS))
    weight = np.where(np.isnan(targets[rows, 0]), 0.0, 0.5 ** (age / HALF_LIFE_DAYS))
    normal.add(design.columns[rows], targets[rows], weight)


def _shifted(
    design: _Design,
    calendar: Calendar,
    temp_c: NDArray[np.float64],
    grid: Grid,
    made_at: datetime,
    by_c: float,
) -> NDArray[np.float64]:
    """The horizon's rows had the weather after the issue been `by_c` warmer throughout."""
    warmer = temp_c.copy()
    warmer[design.now :] += by_c
    return _design(design.axis, calendar, warmer, grid, made_at).horizon


def _notes(
    known_days: float,
    past: Backtest,
    weather_mae_c: float,
    temp_c: NDArray[np.float64],
    design: _Design,
) -> tuple[str, ...]:
    notes = [
        f"{known_days:.0f} days of history: the band rests on {past.days} earlier days forecast "
        "the same way and is widened for their small number",
        f"weather forecast with a mean absolute error of {weather_mae_c:g} °C",
    ]
    seen, ahead = temp_c[: design.now], temp_c[design.first :]
    for word, beyond in (("above", ahead.max() - seen.max()), ("below", seen.min() - ahead.min())):
        if beyond > 0:
            notes.append(
                f"the forecast goes {beyond:.1f} °C {word} all temperatures in the history"
            )
    return tuple(notes)
