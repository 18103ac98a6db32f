"""How good rolling forecasts were: the figures of the backtest, all in per cent."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from controller.forecast.rolling import DayForecast
from controller.model.time import Grid

Array = NDArray[np.float64]
DECILES = tuple(k / 10 for k in range(1, 10))
HIGHEST_DAYS = 10
KNOWN_FRAC = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Over the days whose load is known; NaN where no day is."""

    days: int
    mape_pct: float
    wape_pct: float
    peak_mape_pct: float
    peak_hit_1h_pct: float
    """Days on which the interval named for the peak is at most one hour off."""
    peak_mape_top10_pct: float
    """Peak MAPE of the ten days with the highest measured peaks."""
    pinball_pct: float
    """Mean pinball loss of the deciles, of the mean load."""
    cover_80_pct: float


def score(forecasts: Sequence[DayForecast], load: Array, grid: Grid) -> Score:
    """One series' forecasts against its (n,) measured `load` on `grid`.

    Days with less than 95 % of their load known are left out; intervals with no load or none
    but zero do not count for MAPE.
    """
    days = [_Day(f, _part(load, grid, f.grid)) for f in forecasts]
    days = [day for day in days if day.known.mean() >= KNOWN_FRAC]
    if not days:
        nan = float("nan")
        return Score(
            days=0,
            mape_pct=nan,
            wape_pct=nan,
            peak_mape_pct=nan,
            peak_hit_1h_pct=nan,
            peak_mape_top10_pct=nan,
            pinball_pct=nan,
            cover_80_pct=nan,
        )
    actual = np.concatenate([day.actual for day in days])
    error = np.abs(np.concatenate([day.error for day in days]))
    nonzero = actual != 0
    mean_load = float(np.abs(actual).mean())
    peaks = np.array([[day.peak_error, day.peak] for day in days])
    highest = peaks[np.argsort(-peaks[:, 1], kind="stable")[:HIGHEST_DAYS]]
    return Score(
        days=len(days),
        mape_pct=100 * float((error[nonzero] / np.abs(actual[nonzero])).mean()),
        wape_pct=100 * float(error.sum() / np.abs(actual).sum()),
        peak_mape_pct=100 * float(np.nanmean(peaks[:, 0])),
        peak_hit_1h_pct=100 * float(np.mean([day.hit for day in days])),
        peak_mape_top10_pct=100 * float(np.nanmean(highest[:, 0])),
        pinball_pct=100 * float(np.concatenate([d.pinball for d in days]).mean()) / mean_load,
        cover_80_pct=100 * float(np.concatenate([d.inside for d in days]).mean()),
    )


class _Day:
    """One forecast day against what was measured, on the intervals known."""

    def __init__(self, forecast: DayForecast, load: Array) -> None:
        self.known = np.isfinite(load)
        self.actual = load[self.known]
        if not self.actual.size:
            return
        values = forecast.values[:, self.known]
        rows = [forecast.quantiles.index(q) for q in DECILES]
        self.error = self.actual - forecast.point[self.known]
        self.inside = (self.actual >= values[rows[0]]) & (self.actual <= values[rows[-1]])
        over, tau = self.actual - values[rows], np.array(DECILES)[:, None]
        self.pinball = np.maximum(tau * over, (tau - 1) * over).mean(axis=0)
        self.peak = float(self.actual.max())
        self.peak_error = abs(forecast.peak - self.peak) / abs(self.peak) if self.peak else np.nan
        at = int(np.nanargmax(load))
        self.hit = abs(forecast.peak_at - at) * forecast.grid.step_h <= 1 + 1e-9


def _part(load: Array, grid: Grid, part: Grid) -> Array:
    start = grid.index(part.start)
    return load[start : start + part.count]
