"""Ridge regression as Bayes sees it: weighted, one penalty per column, with its own doubt.

Minimises Σ weight × error² + Σ penalty × coefficient². Read as a prior, penalty = noise variance
÷ prior variance of the coefficient; the inverse of the normal matrix is then the posterior
covariance in units of the noise variance (Hoerl & Kennard 1970; Bishop, PRML, 3.3). Solved
here and not by a library because the rolling backtest reuses one growing normal matrix for
all its origins, and the band needs the covariance.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fit:
    """Coefficients (columns, targets) and their covariance (columns, columns) ÷ noise variance."""

    coefficients: NDArray[np.float64]
    covariance: NDArray[np.float64]

    def predict(self, columns: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, targets) best estimates for rows of `columns`."""
        estimate: NDArray[np.float64] = columns @ self.coefficients
        return estimate

    def doubt(self, columns: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n,) standard deviation of the estimate in units of the noise: large where unseen."""
        variance: NDArray[np.float64] = ((columns @ self.covariance) * columns).sum(axis=1)
        return np.sqrt(variance)


class Normal:
    """The normal equations of a ridge, grown block by block; older rows fade."""

    def __init__(self, penalty: NDArray[np.float64], targets: int) -> None:
        self.penalty = penalty
        self.gram = np.zeros((len(penalty), len(penalty)))
        self.moment = np.zeros((len(penalty), targets))

    def fade(self, factor: float) -> None:
        self.gram *= factor
        self.moment *= factor

    def add(
        self,
        columns: NDArray[np.float64],
        targets: NDArray[np.float64],
        weight: NDArray[np.float64],
    ) -> None:
        """Add rows; those with a NaN target must come with weight 0."""
        weighted = columns * weight[:, None]
        self.gram += weighted.T @ columns
        self.moment += weighted.T @ np.where(np.isnan(targets), 0.0, targets)

    def fit(self) -> Fit:
        normal = self.gram + np.diag(self.penalty)
        covariance = np.linalg.inv(normal).astype(np.float64, copy=False)
        return Fit(coefficients=covariance @ self.moment, covariance=covariance)
