"""Ridge regressions that learn as the days go by: one per interval of the day, solved together."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def rolling_ridge(
    X: Array,
    Y: Array,
    *,
    penalty: Array | float,
    half_life_days: float,
    lead_days: int,
    refit_days: int = 7,
    first_day: int = 60,
) -> Array:
    """(days, slots, m) predictions, each from the days up to `lead_days` before it and no later.

    `X` is (days, slots, p) and `Y` (days, slots, m); a row with a NaN teaches nothing. Older
    days count half as much every `half_life_days` (recursive least squares with exponential
    forgetting; Ljung, System Identification, ch. 11, solved in blocks of `refit_days`). NaN
    before `first_day` and where X is NaN.
    """
    model = RecursiveRidge(X.shape[1], X.shape[2], Y.shape[2], penalty, half_life_days)
    out = np.full(Y.shape, np.nan)
    known = 0
    for day in range(first_day, len(X), refit_days):
        end = max(known, day - lead_days + 1)
        model.learn(X[known:end], Y[known:end])
        known = end
        coming = slice(day, min(len(X), day + refit_days))
        out[coming] = predict(X[coming], model.coefficients())
    return out


def predict(X: Array, coefficients: Array) -> Array:
    """(days, slots, m) from X (days, slots, p) and coefficients (slots, p, m)."""
    return np.ascontiguousarray((X.transpose(1, 0, 2) @ coefficients).transpose(1, 0, 2))


class RecursiveRidge:
    """Normal equations of every slot, faded and added to day by day."""

    def __init__(
        self, slots: int, p: int, m: int, penalty: Array | float, half_life_days: float
    ) -> None:
        self._penalty = np.diag(np.broadcast_to(np.asarray(penalty, dtype=float), (p,)))
        self._keep = 0.5 ** (1 / half_life_days)
        self._gram = np.zeros((slots, p, p))
        self._moment = np.zeros((slots, p, m))

    def learn(self, X: Array, Y: Array) -> None:
        """Add days (k, slots, …), oldest first; all earlier ones fade by k days."""
        count = len(X)
        if not count:
            return
        known = np.asarray(np.isfinite(X).all(axis=2) & np.isfinite(Y).all(axis=2))
        weight = self._keep ** np.arange(count - 1, -1, -1.0)
        rows = np.where(known[..., None], X, 0.0).transpose(1, 0, 2)
        aims = np.where(known[..., None], Y, 0.0).transpose(1, 0, 2)
        weighted = (rows * weight[None, :, None]).transpose(0, 2, 1)
        self._gram *= self._keep**count
        self._moment *= self._keep**count
        self._gram += weighted @ rows
        self._moment += weighted @ aims

    def coefficients(self) -> Array:
        """(slots, p, m)."""
        solved: Array = np.linalg.solve(self._gram + self._penalty, self._moment).astype(float)
        return solved
