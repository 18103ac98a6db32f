"""What a search for an instance's plan answers."""

from dataclasses import dataclass, field
from enum import StrEnum

from controller.plan.fleet_plan import FleetPlan

MERIT_ORDER = "merit order"


class Ended(StrEnum):
    """What ended the search."""

    GAP = "gap"
    WORK = "work limit"
    CLOCK = "clock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The best plan so far, what it costs, and what no plan can be cheaper than."""

    plan: FleetPlan = field(repr=False)
    objective: float
    bound: float
    """0 is one where nothing better is proven: costs and penalties are never negative."""
    by: str
    """Which part of the search found it."""
    ended: Ended = Ended.CLOCK

    @property
    def gap_frac(self) -> float:
        """(objective - bound) / |objective|."""
        return max(0.0, self.objective - self.bound) / max(abs(self.objective), 1e-9)

    def status(self, gap: float) -> str:
        """Optimal: proven to the asked gap. Fallback: the merit order. Else feasible."""
        if self.gap_frac <= gap:
            return "optimal"
        return "fallback" if self.by == MERIT_ORDER else "feasible"
