"""From a forecast with its band to the ask: how likely the limit is passed, and what to shave."""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from controller.model.plans import Forecast
from controller.model.settings import Shaving
from controller.model.time import Grid, Series

NORMAL = NormalDist()


def quantile_kw(forecast: Forecast, quantile: float) -> Series:
    """The load that is exceeded with probability 1 − `quantile`, in kW.

    Between and beyond the quantiles forecast, straight lines over the normal score. Raises
    ValueError for a quantile outside (0, 1) or a forecast with fewer than two.
    """
    if not 0 < quantile < 1:
        raise ValueError(f"a quantile lies between 0 and 1, not at {quantile}")
    scores, at = _scores(forecast), NORMAL.inv_cdf(quantile)
    i = int(np.clip(np.searchsorted(scores, at) - 1, 0, len(scores) - 2))
    share = (at - scores[i]) / (scores[i + 1] - scores[i])
    low, high = forecast.kw[i], forecast.kw[i + 1]
    return Series(grid=forecast.grid, values=low + share * (high - low))


def exceedance(forecast: Forecast, limit_kw: float) -> Series:
    """P(load > `limit_kw`) per interval, 0 … 1; NaN where the forecast knows nothing.

    The inverse of `quantile_kw`: between and beyond the quantiles forecast, straight lines over
    the normal score.
    """
    scores = _scores(forecast)
    out = np.full(forecast.grid.count, np.nan)
    for i, kw in enumerate(forecast.kw.T):
        if not np.isnan(kw).any():
            out[i] = 1 - NORMAL.cdf(_score_of(limit_kw, kw, scores))
    return Series(grid=forecast.grid, values=out)


def _scores(forecast: Forecast) -> NDArray[np.float64]:
    if len(forecast.quantiles) < 2:
        raise ValueError("a band needs at least two quantiles")
    return np.array([NORMAL.inv_cdf(q) for q in forecast.quantiles])


def _score_of(limit_kw: float, kw: NDArray[np.float64], scores: NDArray[np.float64]) -> float:
    """Normal score at which the band of one interval passes `limit_kw`."""
    if kw[-1] - kw[0] <= 0:
        return float(np.sign(limit_kw - kw[0])) * 9.0
    i = int(np.clip(np.searchsorted(kw, limit_kw) - 1, 0, len(kw) - 2))
    while i > 0 and kw[i + 1] == kw[i]:
        i -= 1
    while kw[i + 1] == kw[i]:
        i += 1
    share = (limit_kw - kw[i]) / (kw[i + 1] - kw[i])
    return float(np.clip(scores[i] + share * (scores[i + 1] - scores[i]), -9.0, 9.0))


@dataclass(frozen=True, slots=True)
class _Run:
    """Intervals [start, stop)."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        return self.stop - self.start


def shaving_target(forecast: Forecast, shaving: Shaving, ask_cap_kw: float) -> Series | None:
    """The kW to shave per interval of one run around the peak; None where the limit holds.

    Asked is the forecast's `shaving.quantile` less `shaving.limit_kw`, at most `ask_cap_kw`, in
    whole steps of `shaving.round_kw` (up; the cap down). Of the stretches above the limit the
    one with the most energy is taken, small gaps bridged; shorter than `min_duration` it grows
    towards the higher load at one step, longer than `max_duration` it keeps the window with the
    most energy. Raises ValueError where the durations are no multiple of the grid's step.
    """
    step_kw, step = shaving.round_kw, forecast.grid.step
    least, rest_least = divmod(shaving.min_duration, step)
    most, rest_most = divmod(shaving.max_duration, step)
    if rest_least or rest_most or least > most:
        raise ValueError(f"shaving durations must be multiples of {step} and min <= max")
    load = quantile_kw(forecast, shaving.quantile).values
    over = np.nan_to_num(np.maximum(load - shaving.limit_kw, 0.0))
    cap_kw = np.floor(ask_cap_kw / step_kw + 1e-9) * step_kw
    ask = np.minimum(np.ceil(over / step_kw - 1e-9) * step_kw, cap_kw)
    if not ask.any():
        return None
    run = _longest_in_energy(ask, over)
    run = _grown(run, load, least) if run.length < least else _best_window(run, ask, over, most)
    grid = Grid(start=forecast.grid.at(run.start), step=step, count=run.length)
    values = np.maximum(ask[run.start : run.stop], min(step_kw, cap_kw))
    return Series(grid=grid, values=values)


def _longest_in_energy(ask: NDArray[np.float64], over: NDArray[np.float64]) -> _Run:
    """The stretch with the most to shave.

    One interval below the limit does not part two stretches, but a lone one beyond it is dropped.
    """
    rows = np.flatnonzero(ask)
    parts = np.split(rows, np.flatnonzero(np.diff(rows) > 2) + 1)
    best = max(parts, key=lambda part: (ask[part].sum(), over[part].sum()))
    while len(best) > 2 and best[1] - best[0] > 1:
        best = best[1:]
    while len(best) > 2 and best[-1] - best[-2] > 1:
        best = best[:-1]
    return _Run(int(best[0]), int(best[-1]) + 1)


def _grown(run: _Run, load: NDArray[np.float64], least: int) -> _Run:
    """`run` made `least` intervals long, each time on the side where the load is higher."""
    start, stop = run.start, run.stop
    while stop - start < min(least, len(load)):
        before = load[start - 1] if start > 0 else -np.inf
        after = load[stop] if stop < len(load) else -np.inf
        if before > after:
            start -= 1
        else:
            stop += 1
    return _Run(start, stop)


def _best_window(run: _Run, ask: NDArray[np.float64], over: NDArray[np.float64], most: int) -> _Run:
    """The `most` intervals of `run` with the highest ask, then the highest excess."""
    if run.length <= most:
        return run
    starts = range(run.start, run.stop - most + 1)
    best = max(starts, key=lambda s: (ask[s : s + most].sum(), over[s : s + most].sum()))
    return _Run(best, best + most)
