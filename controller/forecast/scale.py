"""The scale on which a load is forecast: its logarithm, or itself where it may touch zero."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scale:
    """Loads as logarithms of their ratio to a typical one, or as that ratio itself."""

    unit: float
    logarithmic: bool

    @classmethod
    def of(cls, load: Array, until: int) -> "Scale":
        known = load[:until][np.isfinite(load[:until])]
        unit = float(np.abs(known).mean()) if known.size else 1.0
        lows = float(np.quantile(known, 0.002)) if known.size else 0.0
        return cls(unit=unit or 1.0, logarithmic=lows > 0.1 * unit)

    def score(self, load: Array) -> Array:
        ratio = load / self.unit
        return np.log(np.maximum(ratio, 0.02)) if self.logarithmic else ratio

    def load(self, score: Array) -> Array:
        return self.unit * (np.exp(score) if self.logarithmic else score)
