"""Which units are called now and what their meters show: the input of `verify`."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from controller.app.operating import Operating
from controller.app.situation import Situation
from controller.model.ids import CohortId
from controller.model.plans import Assignment, Plan
from controller.model.resources import APPLIANCE_KINDS, ResourceKind
from controller.model.settings import Config
from controller.model.time import QUARTER_HOUR, Interval
from controller.telemetry import Readings
from controller.verify import Called, Health, Verification, peers_ratio

SITE_WINDOW = timedelta(minutes=3)
HOME_WINDOW = timedelta(minutes=10)
METER_DELAY = timedelta(minutes=3)
"""A told contract's quarter hour is known this long after its end."""


@dataclass(kw_only=True)
class Watch:
    """Reads the called units of the plan in force off the live readings."""

    config: Config
    situation: Situation
    operating: Operating
    readings: Readings
    first_look: datetime | None = None
    """After a restart, who has not had the time to report since then is not silent yet."""

    def called(self, plan: Plan, now: datetime) -> list[Called]:
        """Every unit called now: sites, told contracts, cohorts, and what rebounds.

        Judged is the interval in which the measured minutes lie, not the one just begun.
        """
        i = plan.grid.index(now - SITE_WINDOW)
        self.first_look = self.first_look or now
        if not 0 <= i < plan.grid.count:
            return []
        return [*self._sites(plan, i, now), *self._homes(plan, i, now)]

    def learn_peers(self, plan: Plan | None, now: datetime) -> None:
        """Correct each class of homes by the homes of that class that nobody called."""
        window = Interval(start=now - HOME_WINDOW, end=now)
        measured = self.readings.mean_kw(window)
        called = {m for a in (plan.assignments if plan else ()) for m in a.members}
        fleet = self.config.fleet
        by_kind: dict[ResourceKind, list[int]] = defaultdict(list)
        for i, resource in enumerate(fleet.resources):
            if resource.kind in APPLIANCE_KINDS:
                by_kind[resource.kind].append(i)
        for kind, members in by_kind.items():
            t = self.operating.grid.index(now - HOME_WINDOW / 2)
            if 0 <= t < self.operating.grid.count:
                was = np.array([m in called for m in members])
                forecast = self.operating.kw[members, t]
                ratio = peers_ratio(measured[members], forecast, was)
                if ratio is not None:
                    before = self.operating.ratio.get(kind, ratio)
                    self.operating.ratio[kind] = 0.6 * before + 0.4 * ratio

    def _sites(self, plan: Plan, i: int, now: datetime) -> Iterator[Called]:
        for commitment in plan.commitments:
            contract = self.config.contracts[commitment.contract_id]
            kw = commitment.kw.values
            if kw[i] <= 0 or contract.id in self.situation.given_up:
                continue
            window = Interval(start=now - SITE_WINDOW, end=now)
            committed, since = float(kw[i]), plan.grid.at(_level_start(kw, i))
            heard = self._heard(now, SITE_WINDOW)
            if not contract.wired:
                last = plan.grid.index(now - METER_DELAY) - 1
                since = since + QUARTER_HOUR + METER_DELAY
                if last < 0 or kw[last] <= 0:
                    last = i
                window, committed = plan.grid.interval(last), float(kw[last])
                heard = self._heard(now, QUARTER_HOUR + METER_DELAY)
            members = [int(m) for m in self.config.fleet.indexes(commitment.resource_ids)]
            yield Called(
                of=contract.id,
                contract_id=contract.id,
                since=max(since, heard),
                committed_kw=committed,
                operating_kw=float(self.operating.at(members, window.start).sum()),
                measured_kw=float(self.readings.mean_kw(window)[members].sum()),
                single=True,
            )

    def _homes(self, plan: Plan, i: int, now: datetime) -> Iterator[Called]:
        window = Interval(start=now - HOME_WINDOW, end=now)
        measured = self.readings.mean_kw(window)
        barred = self.situation.barred(now)
        for assignment in plan.assignments:
            if i < assignment.start:
                continue
            over = i >= assignment.start + assignment.length
            members = [
                m for m in assignment.members
                if self.config.fleet.resources[m].id not in barred
            ]  # fmt: skip
            if not members:
                continue
            operating = self.operating.at(members, now - HOME_WINDOW / 2)
            yield Called(
                of=CohortId(f"{assignment.cohort_id}~rebound" if over else assignment.cohort_id),
                contract_id=assignment.contract_id,
                since=max(_since(plan, assignment, over), self._heard(now, HOME_WINDOW)),
                committed_kw=float(assignment.kw_each.values[i]) * len(assignment.members),
                operating_kw=float(np.nansum(operating)),
                measured_kw=_total(measured[members]),
                single=False,
            )

    def _heard(self, now: datetime, window: timedelta) -> datetime:
        """When whoever reports within `window` must have been heard."""
        return (self.first_look or now) + window


def response(verification: Verification, kind_of: dict[CohortId, ResourceKind]) -> dict[
    ResourceKind, float
]:  # fmt: skip
    """What the called homes of each kind deliver of what was planned: learnt flexibility."""
    committed: dict[ResourceKind, float] = defaultdict(float)
    delivered: dict[ResourceKind, float] = defaultdict(float)
    for verdict in verification.verdicts:
        kind = kind_of.get(CohortId(verdict.of))
        known = verdict.health is Health.DELIVERING and np.isfinite(verdict.delivered_kw)
        if kind is not None and known and verdict.committed_kw > 0:
            committed[kind] += verdict.committed_kw
            delivered[kind] += verdict.delivered_kw
    return {k: float(np.clip(delivered[k] / kw, 0.3, 1.0)) for k, kw in committed.items()}


def _level_start(kw: np.ndarray, i: int) -> int:
    """Since when a site has been called for about this much: a raised call ramps anew."""
    while i > 0 and kw[i - 1] > 0.95 * kw[i]:
        i -= 1
    return i


def _since(plan: Plan, assignment: Assignment, over: bool) -> datetime:
    """Homes report every few minutes: a window must lie wholly inside the call."""
    start = assignment.start + (assignment.length if over else 0)
    return plan.grid.at(start) + HOME_WINDOW - timedelta(minutes=4)


def _total(measured: np.ndarray) -> float:
    """Sum over members, the silent ones taken like the others; NaN if all are silent."""
    known = measured[np.isfinite(measured)]
    return float(known.mean() * measured.size) if known.size else float("nan")
