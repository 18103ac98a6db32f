"""The figures of a backtest from a model's `Rolled` answer, naive ones without a band included.

Percentages of interval loads leave out intervals whose load is nearly zero; energies are weighed.
The pinball loss (Koenker and Bassett 1978) is averaged over the quantiles 0.1 … 0.9 and given as a
part of the mean load; the 80 % band runs from the 0.1 to the 0.9 quantile.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from controller.forecast.case import Case, Floats, Rolled

LEAST_KNOWN: Final = 0.75
"""A day with a smaller part of its load known is not scored."""
DECILES: Final = tuple(round(0.1 * k, 1) for k in range(1, 10))
TOP_DAYS: Final = 10
HIT_H: Final = 1.0
NEARLY_ZERO: Final = 0.01
"""Loads below this part of the series' mean have no percentage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Of one series, or the plain means of several; None where there is nothing to measure."""

    days: float = 0
    mape_pct: float | None = None
    wape_pct: float | None = None
    peak_mape_pct: float | None = None
    peak_hit_1h_pct: float | None = None
    peak_mape_top10_pct: float | None = None
    pinball_pct: float | None = None
    cover_80_pct: float | None = None


def scored_days(case: Case, rolled: Rolled, actual_kw: Floats) -> NDArray[np.bool_]:
    """(series, days) True on the asked days that have a forecast and enough of their load."""
    out = np.zeros((len(case.ids), len(case.edges) - 1), bool)
    middle = rolled.median()
    for day in range(case.first_day, case.last_day + 1):
        rows = case.rows(day)
        both = ~np.isnan(actual_kw[:, rows]) & ~np.isnan(middle[:, rows])
        out[:, day] = both.mean(axis=1) >= LEAST_KNOWN
    return out


def figures(case: Case, rolled: Rolled, actual_kw: Floats, series: int) -> Figures:
    """Of one series against its (series, rows) loads as metered."""
    days = np.flatnonzero(scored_days(case, rolled, actual_kw)[series])
    if not len(days):
        return Figures()
    rows = np.concatenate([np.arange(case.edges[d], case.edges[d + 1]) for d in days])
    rows = rows[~np.isnan(actual_kw[series, rows]) & ~np.isnan(rolled.median()[series, rows])]
    actual = actual_kw[series, rows]
    error = np.abs(rolled.median()[series, rows] - actual)
    size = float(np.abs(actual).mean())
    some = np.abs(actual) > NEARLY_ZERO * size
    peak, error_pct, hit = _peaks(case, rolled, actual_kw, series, days)
    top = np.argsort(-peak, kind="stable")[:TOP_DAYS]
    return Figures(
        days=len(days),
        mape_pct=_mean(100 * error[some] / np.abs(actual[some])),
        wape_pct=100 * float(error.sum()) / (size * len(rows)) if size else None,
        peak_mape_pct=_mean(error_pct),
        peak_hit_1h_pct=_mean(100 * hit),
        peak_mape_top10_pct=_mean(error_pct[top]),
        pinball_pct=_pinball(rolled, actual, series, rows, size),
        cover_80_pct=_cover(rolled, actual, series, rows),
    )


def overall(of: Sequence[Figures]) -> Figures:
    """The plain mean over series; those without a figure do not count for it."""
    means: dict[str, float | None] = {}
    for field in fields(Figures):
        known = [value for one in of if (value := getattr(one, field.name)) is not None]
        means[field.name] = _mean(np.array(known, dtype=np.float64))
    days = means.pop("days") or 0
    return Figures(days=days, **means)


def _peaks(
    case: Case, rolled: Rolled, actual_kw: Floats, series: int, days: NDArray[np.int64]
) -> tuple[Floats, Floats, Floats]:
    """(days,) each: the true peak, its forecast's error in %, and 1 where its hour was hit."""
    near = HIT_H / case.grid.step_h
    peak, error, hit = (np.full(len(days), np.nan) for _ in range(3))
    for k, day in enumerate(days):
        rows = case.rows(int(day))
        load = actual_kw[series, rows]
        at = rows.start + int(np.nanargmax(load))
        peak[k] = np.nanmax(load)
        if peak[k] != 0:
            error[k] = 100 * abs(rolled.median_peak()[series, day] - peak[k]) / abs(peak[k])
        hit[k] = float(abs(int(rolled.peak_row[series, day]) - at) <= near)
    return peak, error, hit


def _pinball(
    rolled: Rolled, actual: Floats, series: int, rows: NDArray[np.int64], size: float
) -> float | None:
    if not size or any(q not in rolled.quantiles for q in DECILES):
        return None
    losses = []
    for q in DECILES:
        over = actual - rolled.kw[rolled.quantiles.index(q), series, rows]
        losses.append(np.maximum(q * over, (q - 1) * over))
    known = ~np.isnan(losses).any(axis=0)
    loss = _mean(np.array(losses)[:, known].ravel())
    return None if loss is None else 100 * loss / size


def _cover(rolled: Rolled, actual: Floats, series: int, rows: NDArray[np.int64]) -> float | None:
    if 0.1 not in rolled.quantiles or 0.9 not in rolled.quantiles:
        return None
    low = rolled.kw[rolled.quantiles.index(0.1), series, rows]
    high = rolled.kw[rolled.quantiles.index(0.9), series, rows]
    known = ~np.isnan(low)
    return _mean(100.0 * ((low <= actual) & (actual <= high))[known])


def _mean(values: Floats) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None
