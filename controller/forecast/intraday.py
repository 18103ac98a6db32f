"""The rest of a day, corrected with every new reading.

Errors of a day hang together: a morning that runs high is followed by an afternoon that runs high,
less and less. How much so is learnt from past days forecast the same way: readings and forecast are
compared as normal scores of the forecast's own quantiles, so that a wide band forgives more, and
the scores of the intervals to come are regressed on those seen (the conditional normal
distribution). The covariance is shrunk, in the manner of Ledoit and Wolf (2004), towards one that
depends on the distance in time alone, and that towards an exponential decay, because some weeks of
days say little about single pairs of intervals. The bands narrow as the day becomes known.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PAIR_DAYS: Final = 60.0
"""Days at which a pair of intervals counts as much as all pairs as far apart."""
DECAY_DAYS: Final = 8.0
"""Days at which these count as much as the assumed decay, and the errors' mean as much as none."""
DECAY_H: Final = 8.0
"""The assumed decay: errors so many hours apart correlate by 1/e of `PERSISTS` …"""
PERSISTS: Final = 0.95
"""… and neighbouring intervals by no more than this."""
MOST_SCORE: Final = 4.0
"""No reading counts for more standard deviations than that: it may be wrong."""
LEAST_DAYS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ErrorModel:
    """How the errors of a day's intervals hang together, as normal scores."""

    mean: Floats = field(repr=False)
    """(n,) what the scores of past days averaged."""
    covariance: Floats = field(repr=False)
    """(n, n)."""
    days: int


def learn(
    past_kw: Floats, actual_kw: Floats, quantiles: Sequence[float], step_h: float
) -> ErrorModel:
    """From (days, quantiles, n) forecasts of past days and their (days, n) loads, NaN is missing.

    Without five past days there is only the assumed decay.
    """
    scores = np.array(
        [_scores(a, kw, quantiles) for a, kw in zip(actual_kw, past_kw, strict=True)]
    ).reshape(len(past_kw), actual_kw.shape[-1])
    scores = scores[~np.isnan(scores).all(axis=1)]
    n, days = scores.shape[1], len(scores)
    apart_h = np.abs(np.arange(n)[:, None] - np.arange(n)) * step_h
    prior = PERSISTS * np.exp(-apart_h / DECAY_H)
    np.fill_diagonal(prior, 1.0)
    if days < LEAST_DAYS:
        return ErrorModel(mean=np.zeros(n), covariance=prior, days=days)
    known = ~np.isnan(scores)
    count = known.sum(axis=0)
    mean = np.where(known, scores, 0.0).sum(axis=0) / (count + DECAY_DAYS)
    centred = np.where(known, scores - mean, 0.0)
    both = known.T.astype(np.float64) @ known
    own = centred.T @ centred / np.maximum(both, 1.0)
    smooth = _by_distance(own, both, prior, days / (days + DECAY_DAYS))
    share = both / (both + PAIR_DAYS)
    covariance = share * own + (1 - share) * smooth
    return ErrorModel(mean=mean, covariance=_positive(covariance), days=days)


def _by_distance(own: Floats, both: Floats, prior: Floats, share: float) -> Floats:
    """(n, n) the mean correlation of intervals as far apart, at each interval's own variance."""
    n = len(own)
    variance = np.where(np.diag(both) > 0, np.diag(own), 1.0)
    variance = np.maximum(share * variance + (1 - share), 0.05)
    spread = np.sqrt(variance)
    related = np.where(both > 0, own / np.outer(spread, spread), 0.0)
    by_lag = np.array([np.average(np.diag(related, k), weights=np.diag(both, k) + 1e-9)
                       for k in range(n)])  # fmt: skip
    by_lag = share * np.clip(by_lag, -0.99, 0.99) + (1 - share) * prior[0]
    by_lag[0] = 1.0
    apart = np.abs(np.arange(n)[:, None] - np.arange(n))
    smooth: Floats = by_lag[apart] * np.outer(spread, spread)
    return smooth


def rest_of_day(
    kw: Floats, quantiles: Sequence[float], readings_kw: Floats, model: ErrorModel
) -> Floats:
    """(quantiles, n) of the day, given its (quantiles, n) forecast and the (n,) readings so far.

    NaN in `readings_kw` is not read yet, or missing. Intervals that were read come back as read.
    Raises ValueError on shapes that do not fit.
    """
    if kw.shape != (len(quantiles), len(readings_kw)) or len(model.mean) != kw.shape[1]:
        raise ValueError(f"{kw.shape} forecast, {readings_kw.shape} readings, {model.mean.shape}")
    seen = ~np.isnan(readings_kw) & ~np.isnan(kw).any(axis=0)
    if not seen.any():
        return kw.copy()
    rest = ~seen
    score = _scores(readings_kw, kw, quantiles)[seen]
    within = model.covariance[np.ix_(seen, seen)]
    across = model.covariance[np.ix_(rest, seen)]
    gain = np.linalg.solve(within, across.T).T
    prior_sd = np.sqrt(np.diag(model.covariance)[rest])
    moved = gain @ (score - model.mean[seen])
    left = np.diag(model.covariance)[rest] - np.einsum("ij,ij->i", gain, across)
    narrower = np.sqrt(np.clip(left, 1e-6, None)) / prior_sd
    out = np.repeat(readings_kw[None], len(quantiles), axis=0)
    out[:, rest] = _at_scores(kw[:, rest], quantiles, moved, narrower)
    return out


def _scores(actual_kw: Floats, kw: Floats, quantiles: Sequence[float]) -> Floats:
    """(n,) the normal score at which each load lies in its (quantiles, n) forecast."""
    z = _normal(quantiles)
    out = np.full(len(actual_kw), np.nan)
    for i, load in enumerate(actual_kw):
        curve = kw[:, i]
        if np.isnan(load) or np.isnan(curve).any() or curve[-1] <= curve[0]:
            continue
        out[i] = np.clip(_inverse(load, curve, z), -MOST_SCORE, MOST_SCORE)
    return out


def _inverse(load: float, curve: Floats, z: Floats) -> float:
    """Straight lines between the quantiles, and beyond them with the slope of the whole side."""
    if load <= curve[0]:
        slope = (curve[len(z) // 2] - curve[0]) / (z[len(z) // 2] - z[0])
        return float(z[0] + (load - curve[0]) / max(slope, 1e-12 * (1 + abs(load))))
    if load >= curve[-1]:
        slope = (curve[-1] - curve[len(z) // 2]) / (z[-1] - z[len(z) // 2])
        return float(z[-1] + (load - curve[-1]) / max(slope, 1e-12 * (1 + abs(load))))
    return float(np.interp(load, curve, z))


def _at_scores(kw: Floats, quantiles: Sequence[float], moved: Floats, narrower: Floats) -> Floats:
    """(quantiles, rest): the forecast read off at scores that moved and drew together."""
    z, middle = _normal(quantiles), len(quantiles) // 2
    out = np.empty_like(kw)
    for i, curve in enumerate(kw.T):
        at = moved[i] + narrower[i] * z
        low = (curve[middle] - curve[0]) / (z[middle] - z[0])
        high = (curve[-1] - curve[middle]) / (z[-1] - z[middle])
        read = np.interp(at, z, curve)
        read = np.where(at < z[0], curve[0] + (at - z[0]) * low, read)
        out[:, i] = np.where(at > z[-1], curve[-1] + (at - z[-1]) * high, read)
    return np.maximum.accumulate(out, axis=0)


def _normal(quantiles: Sequence[float]) -> Floats:
    normal = NormalDist()
    return np.array([normal.inv_cdf(q) for q in quantiles])


def _positive(covariance: Floats) -> Floats:
    """The covariance with its negative eigenvalues, which gaps can cause, raised to a hundredth."""
    values, vectors = np.linalg.eigh(covariance)
    floor = 0.01 * float(np.mean(np.diag(covariance)))
    raised: Floats = (vectors * np.maximum(values, floor)) @ vectors.T
    return raised
