"""The whole question of one planning run as one picklable value.

A worker process gets a `Problem` and nothing else, so the same problem gives the same plan.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from controller.errors import PlanError
from controller.model.contracts import Contract, ContractUse
from controller.model.events import Timeline
from controller.model.ids import CohortId, ContractId, EventId, PlanId
from controller.model.plans import Assignment, Cohort, Flexibility, Plan
from controller.model.settings import Planning
from controller.model.time import Grid, Series, require_utc

FREE_SURPLUS_FRAC = 0.08
"""Expected delivery up to this fraction above the target costs nothing extra."""
FIRST_TIER_FRAC = 0.2
SECOND_TIER_FACTOR = 10.0
"""A shortfall beyond the first tier of the target costs this many times its price."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """What an earlier plan already made true: the past, what runs now, and what was announced."""

    until: datetime
    """Start of the first interval that can still be changed."""
    grid: Grid
    """The earlier plan's grid: `Assignment.start` counts on it."""
    commitments: Mapping[ContractId, Series]
    """kW called. Before `until`: what was commanded, and it stands. After: what was announced; a
    contract may be called again without a new notice where it was announced."""
    assignments: tuple[Assignment, ...] = ()
    """Those that start before `until` run to their end; later ones are decided anew."""
    cohorts: tuple[Cohort, ...] = ()

    @classmethod
    def of(cls, plan: Plan, now: datetime) -> "Fixed":
        """What `plan` has fixed at `now`; the interval that holds `now` is past already."""
        return cls(
            until=plan.grid.at(intervals_up(now, plan.grid)),
            grid=plan.grid,
            commitments={c.contract_id: c.kw for c in plan.commitments},
            assignments=plan.assignments,
            cohorts=plan.cohorts,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Everything that a plan depends on; plain frozen values, picklable.

    The plan's grid is `timeline.grid` and `tail_intervals` more, in which appliances rebound.
    `use` and `calls` are what was spent before this event; calls in `fixed` are counted here.
    Raises PlanError when the values contradict each other.
    """

    plan_id: PlanId
    event_id: EventId
    revision: int
    now: datetime
    timeline: Timeline
    """Ruling event and target kW per interval; nobody is called where no event rules."""
    timezone: str
    """Local time of the contracts' windows."""
    contracts: tuple[Contract, ...]
    use: Mapping[ContractId, ContractUse]
    cohorts: tuple[Cohort, ...]
    flexibility: Mapping[ContractId | CohortId, Flexibility]
    """Of a contract: kW in all. Of a cohort: kW per member. Not listed: nothing to give."""
    planning: Planning
    tail_intervals: int = 0
    calls: Mapping[int, int] = field(default_factory=dict)
    """Fleet index → times called this season: the least called come first."""
    excluded: Mapping[ContractId, str] = field(default_factory=dict)
    """Never called from now on, with the reason: protected, refused, opted out, failed."""
    fixed: Fixed | None = None
    """None for a first plan."""
    locked: Mapping[ContractId, Series] = field(default_factory=dict)
    """Accepted offers, and notices still unanswered: kW per interval, no choice any more."""
    currency: str = "CNY"
    """For the sentences only."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "now", require_utc(self.now, "now"))
        faults = list(_contradictions(self))
        if faults:
            raise PlanError("the planning problem contradicts itself: " + "; ".join(faults))

    @property
    def grid(self) -> Grid:
        """The timeline's grid with the tail."""
        grid = self.timeline.grid
        return Grid(start=grid.start, step=grid.step, count=grid.count + self.tail_intervals)

    @property
    def frozen_until(self) -> int:
        """Index of the first interval that can still be changed, 0 … grid.count."""
        if self.fixed is None:
            return 0
        return min(max(intervals_up(self.fixed.until, self.grid), 0), self.grid.count)


def intervals_up(at: datetime, grid: Grid) -> int:
    """Index of the first interval of `grid` that starts at or after `at`."""
    return -((grid.start - at) // grid.step)


def _contradictions(problem: Problem) -> list[str]:
    timeline, faults = problem.timeline, []
    if len(timeline.ruling) != timeline.grid.count or timeline.target.grid != timeline.grid:
        faults.append("ruling, target and grid of the timeline differ in length")
    if not np.all(np.isfinite(timeline.target.values)) or np.any(timeline.target.values < 0):
        faults.append("a target is negative or missing")
    ids = [c.id for c in problem.contracts]
    cohort_ids = [k.id for k in problem.cohorts]
    if len(set(ids)) != len(ids) or len(set(cohort_ids)) != len(cohort_ids):
        faults.append("ids of contracts and of cohorts must be unique")
    strangers = sorted({k.contract_id for k in problem.cohorts} - set(ids))
    if strangers:
        faults.append(f"cohorts belong to unknown contracts {', '.join(strangers)}")
    if problem.tail_intervals < 0:
        faults.append("the tail is shorter than nothing")
    members = [m for k in problem.cohorts for m in k.members]
    if len(set(members)) != len(members):
        faults.append("a device is a member of two cohorts")
    if not 0.5 <= problem.planning.confidence < 1:
        faults.append(f"confidence {problem.planning.confidence} is outside 0.5 … 1")
    return faults
