"""Bands: what the errors of earlier days, made the same way, say about tomorrow's.

Each past error is divided by the doubt the model had about it (`Fit.doubt`), so that a day
unlike all others gets a wider band; the spread of those ratios by time of day, as a Student t
for their small number, scales today's doubt. The weather forecast's own error, carried through
the model, is added in quadrature, because past days were tested with measured weather.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

QUANTILES = (0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95)
PRIOR_RATIO, PRIOR_DAYS = 0.09, 4.0
"""Error ÷ doubt seen on Victoria 2012–2013, worth so many days until there are own errors."""
HOUR_PRIOR_DAYS = 10.0
"""Days of errors at which a time of day counts as much as the day's mean."""
HOUR_WINDOW = 6
"""Intervals on either side that share their errors."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Backtest:
    """Past days forecast as today: (days, horizon, targets) and (days, horizon) doubt.

    Target 0 is the relative load, target 1, if there, its logarithm; NaN where not yet known.
    """

    actual: NDArray[np.float64]
    predicted: NDArray[np.float64]
    doubt: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        actual: Sequence[NDArray[np.float64]],
        predicted: Sequence[NDArray[np.float64]],
        doubt: Sequence[NDArray[np.float64]],
        horizon: int,
        targets: int,
    ) -> "Backtest":
        shape = (len(actual), horizon, targets)
        return cls(
            actual=np.array(actual).reshape(shape),
            predicted=np.array(predicted).reshape(shape),
            doubt=np.array(doubt).reshape(shape[:2]),
        )

    @property
    def days(self) -> int:
        return int(np.count_nonzero(~np.isnan(self.actual[:, :, 0]).all(axis=1)))

    @property
    def positive(self) -> bool:
        """True: errors are ratios (logarithms), False: differences."""
        return bool(self.actual.shape[2] > 1)

    def loads(self) -> NDArray[np.float64]:
        """(days, horizon, targets) the predictions as relative loads."""
        loads = self.predicted.copy()
        loads[:, :, 1:] = np.exp(loads[:, :, 1:])
        return loads

    def weights(self) -> NDArray[np.float64]:
        """(targets,) by the inverse of their squared errors; equal where nothing is known."""
        targets = self.actual.shape[2]
        error = self.loads() - self.actual[:, :, :1]
        if not np.isfinite(error).any():
            return np.full(targets, 1 / targets)
        inverse = 1 / np.maximum(np.nanmean(error**2, axis=(0, 1)), 1e-12)
        weights: NDArray[np.float64] = inverse / inverse.sum()
        return weights

    def ratios(self) -> NDArray[np.float64]:
        """(days, horizon) error ÷ doubt of the weighted prediction; NaN where unknown."""
        mixed, actual = self.loads() @ self.weights(), self.actual[:, :, 0]
        error = np.log(actual) - np.log(mixed) if self.positive else actual - mixed
        ratios: NDArray[np.float64] = error / self.doubt
        return ratios


def band_kw(
    middle: NDArray[np.float64],
    past: Backtest,
    doubt: NDArray[np.float64],
    weather: NDArray[np.float64],
    quantiles: tuple[float, ...],
) -> NDArray[np.float64]:
    """(quantiles, n) around `middle` (n,), in its unit; never crossing.

    `doubt` is the model's for the horizon, `weather` the change of `middle` under one standard
    error of the weather forecast.
    """
    own = _spread(past.ratios()) * doubt
    freedom = past.days + PRIOR_DAYS - 1
    z = np.array([student_t(q, freedom) for q in quantiles])[:, None]
    if past.positive:
        band: NDArray[np.float64] = middle * np.exp(z * np.hypot(own, weather / middle))
    else:
        band = middle + z * np.hypot(own, weather)
    return band


def _spread(ratios: NDArray[np.float64]) -> NDArray[np.float64]:
    """(horizon,) root mean square ratio by time, drawn towards the day's and the prior's."""
    days = np.count_nonzero(~np.isnan(ratios), axis=0).astype(np.float64)
    square = np.where(np.isnan(ratios), 0.0, ratios**2).sum(axis=0)
    width = 2 * HOUR_WINDOW + 1
    near_square = np.convolve(np.pad(square, HOUR_WINDOW, "edge"), np.ones(width), "valid") / width
    near_days = np.convolve(np.pad(days, HOUR_WINDOW, "edge"), np.ones(width), "valid") / width
    mean_days = float(days.mean()) if days.size else 0.0
    mean_square = float(square.mean()) if square.size else 0.0
    whole = (mean_square + PRIOR_DAYS * PRIOR_RATIO**2) / (mean_days + PRIOR_DAYS)
    spread: NDArray[np.float64] = np.sqrt(
        (near_square + HOUR_PRIOR_DAYS * whole) / (near_days + HOUR_PRIOR_DAYS)
    )
    return spread


def noise_scale(mean_absolute_error: float) -> float:
    """Standard deviation of a normal error with that mean absolute value."""
    return mean_absolute_error * float(np.sqrt(np.pi / 2))


def student_t(q: float, freedom: float) -> float:
    """Quantile of Student's t by the Cornish–Fisher expansion (Abramowitz & Stegun 26.7.5).

    Within 1 % of the exact value for 4 or more degrees of freedom and q in [0.05, 0.95].
    """
    z = NormalDist().inv_cdf(q)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3
