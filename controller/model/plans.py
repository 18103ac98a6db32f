"""Forecasts, flexibility, cohorts and plans: what will be, what can be, what shall be."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from controller.model.commands import Control
from controller.model.ids import CohortId, ContractId, EventId, FeederId, PlanId, ResourceId, ZoneId
from controller.model.resources import ResourceKind
from controller.model.time import Grid, Series


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Forecast:
    """Load quantiles issued at `made_at`: `kw` is (len(quantiles), grid.count), non-crossing."""

    made_at: datetime
    model: str
    grid: Grid
    quantiles: tuple[float, ...]
    kw: NDArray[np.float64] = field(repr=False)
    history_days: int = 0
    notes: tuple[str, ...] = ()
    """What the reader must know: short history, data not trusted, assumed weather error."""

    def at_quantile(self, q: float) -> Series:
        """The series of quantile `q`. Raises ValueError where it was not forecast."""
        return Series(grid=self.grid, values=self.kw[self.quantiles.index(q)])

    @property
    def median(self) -> Series:
        return self.at_quantile(0.5)

    @property
    def peak(self) -> tuple[datetime, float]:
        """Start of the interval with the highest median, and that median in kW."""
        i = int(np.nanargmax(self.median.values))
        return self.grid.at(i), float(self.median.values[i])


@dataclass(frozen=True, slots=True, kw_only=True)
class Flexibility:
    """How much a contract or cohort can shed per interval (down) or take (up), and how surely.

    For a cohort the kW are per member device; `rebound_frac` of the shed energy comes back
    over `rebound_intervals` after release.
    """

    of: ContractId | CohortId
    down_kw: Series
    up_kw: Series | None = None
    availability_frac: float = 1.0
    rebound_frac: float = 0.0
    rebound_intervals: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """Like appliances that are planned as one: `members` are indexes into the fleet."""

    id: CohortId
    contract_id: ContractId
    kind: ResourceKind
    zone: ZoneId
    feeder: FeederId
    members: tuple[int, ...]
    control: Control
    control_value: float
    """What a called member is set to (kW cap, °C offset, …); its sign as in `Setpoint`."""
    max_run: timedelta
    """Comfort limit: a member is held at most this long at a time."""
    recovery: timedelta
    """Least time between two calls of one member."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Commitment:
    """What a contract shall give: kW per interval of the plan's grid (0 = not called)."""

    contract_id: ContractId
    resource_ids: tuple[ResourceId, ...]
    kw: Series
    cost_minor: int
    """Expected rebate and start cost of this run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """Members of a cohort that are held together over [start, start + length) intervals."""

    cohort_id: CohortId
    contract_id: ContractId
    start: int
    """Index into the plan's grid."""
    length: int
    members: tuple[int, ...]
    """Indexes into the fleet, least called first."""
    kw_each: Series
    """Expected reduction of one member per interval of the plan's grid, rebound negative."""


class PlanStatus(StrEnum):
    """Optimal: gap proven. Feasible: ended by a limit. Fallback: the greedy plan."""

    OPTIMAL = "optimal"
    FEASIBLE = "feasible"
    FALLBACK = "fallback"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a contract or cohort was chosen or left: a code and one sentence for the operator."""

    of: ContractId | CohortId
    chosen: bool
    code: str
    """called · price · notice · window · duration · load · budget · rest · protected · refused ·
    unneeded"""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Who gives how much when, for the timeline of one zone; all kW series are on `grid`."""

    id: PlanId
    event_id: EventId
    """The event that triggered this plan; who rules each interval stands in `ruling`."""
    revision: int
    made_at: datetime
    grid: Grid
    ruling: tuple[EventId | None, ...]
    target_kw: Series
    expected_kw: Series
    """What the plan should deliver on average: availability and rebound included."""
    reserve_kw: Series
    """Margin held against non-delivery: expected >= target + reserve without a shortfall."""
    shortfall_kw: Series
    commitments: tuple[Commitment, ...]
    cohorts: tuple[Cohort, ...]
    assignments: tuple[Assignment, ...]
    cost_minor: int
    """Expected rebates, start costs and priced shortfall."""
    bound_minor: int
    """Proven lower bound of `cost_minor`."""
    gap_frac: float
    status: PlanStatus
    merit_order_cost_minor: int | None = None
    """What a merit order by total cost would have cost under the same terms and margin."""
    reasons: tuple[Reason, ...] = ()
    solve_s: float = 0.0
    notes: tuple[str, ...] = ()
    config_hash: str = ""
    """The configuration version whose fleet its indexes speak of."""

    def cohort(self, cohort_id: CohortId) -> Cohort:
        return next(c for c in self.cohorts if c.id == cohort_id)

    def committed_kw(self) -> Mapping[ContractId, Series]:
        """kW per interval by contract, appliances included (rebound left out)."""
        out: dict[ContractId, NDArray[np.float64]] = {}
        for c in self.commitments:
            out.setdefault(c.contract_id, np.zeros(self.grid.count))
            out[c.contract_id] += c.kw.values
        for a in self.assignments:
            run = np.zeros(self.grid.count)
            held = slice(a.start, a.start + a.length)
            run[held] = a.kw_each.values[held] * len(a.members)
            out.setdefault(a.contract_id, np.zeros(self.grid.count))
            out[a.contract_id] += run
        return {k: Series(grid=self.grid, values=v) for k, v in out.items()}
