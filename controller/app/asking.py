"""The question put to the planner: who could give how much in each interval, on what terms."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

import numpy as np

from controller.app.operating import Operating
from controller.app.situation import Situation, is_stand_down
from controller.forecast.flexibility import cohort_flexibility, site_flexibility
from controller.model.contracts import Contract
from controller.model.events import Timeline
from controller.model.ids import CohortId, ContractId, EventId, PlanId, new_uuid7
from controller.model.plans import Cohort, Flexibility
from controller.model.resources import APPLIANCE_KINDS, ResourceKind
from controller.model.settings import CohortRule, Config
from controller.model.time import Grid, Interval, Series
from controller.plan.cohorts import form_cohorts
from controller.plan.problem import Fixed, Problem

TAIL_INTERVALS = 8
"""Two hours after the end, in which appliances rebound."""


@dataclass(kw_only=True)
class Asker:
    """Builds planning problems from the situation and the operating forecasts."""

    config: Config
    situation: Situation
    operating: Operating
    random: Random
    response_frac: dict[ResourceKind, float] = field(default_factory=dict)
    """Learnt in the event: what called homes deliver of what was planned."""

    def problem(
        self, line: Timeline, now: datetime, *, event_id: EventId, lead: timedelta
    ) -> Problem:
        """The planning problem for the timeline as things stand at `now`."""
        plan = self.situation.plan
        fixed = Fixed.of(plan, now + lead) if plan is not None else None
        cohorts, flexibility = self.flexibility(self._grid(line), now)
        return Problem(
            plan_id=PlanId(new_uuid7(now, self.random)),
            event_id=event_id,
            revision=len(self.situation.plans) + 1,
            now=now,
            timeline=line,
            timezone=self.config.area.timezone,
            contracts=tuple(self.config.contracts.values()),
            use=self.situation.use(),
            cohorts=cohorts,
            flexibility=flexibility,
            planning=self.config.planning,
            tail_intervals=TAIL_INTERVALS,
            calls=dict(self.situation.calls),
            excluded=self.situation.excluded(now),
            fixed=fixed,
            locked=self._locked(now),
            currency=self.config.programs[self.config.shaving.program_id].currency,
        )

    def flexibility(
        self, grid: Grid, now: datetime
    ) -> tuple[tuple[Cohort, ...], Mapping[ContractId | CohortId, Flexibility]]:
        """Cohorts of the homes that may still be called, and everyone's kW per interval."""
        barred = self.situation.barred(now)
        excluded = {self.config.fleet.index_of[r] for r in barred}
        cohorts = form_cohorts(
            self.config.fleet,
            tuple(self.config.contracts.values()),
            self.config.planning.cohorts,
            excluded=excluded,
            calls=self.situation.calls,
        )
        out: dict[ContractId | CohortId, Flexibility] = {}
        for contract in self.config.contracts.values():
            if contract.id not in self._home_contracts():
                out[contract.id] = self._of_site(contract, grid)
        for cohort in cohorts:
            out[cohort.id] = self._of_cohort(cohort, grid)
        return cohorts, out

    def sustained_kw(self, span: Interval, now: datetime) -> Series:
        """What the whole fleet could give through `span`, kW per interval.

        A home that may be held for 2 h and must then recover for 2 h gives half its kW
        through a long event.
        """
        grid = Grid.over(span)
        cohorts, flexibility = self.flexibility(grid, now)
        total = np.zeros(grid.count)
        excluded = self.situation.excluded(now)
        for contract_id, flex in flexibility.items():
            if contract_id not in excluded:
                total += np.nan_to_num(flex.down_kw.values) * self._weight(
                    contract_id, cohorts, span
                )
        return Series(grid=grid, values=total)

    def _weight(
        self, of: ContractId | CohortId, cohorts: tuple[Cohort, ...], span: Interval
    ) -> float:
        for cohort in cohorts:
            if cohort.id == of:
                held = cohort.max_run / (cohort.max_run + cohort.recovery)
                return len(cohort.members) * max(held, min(1.0, cohort.max_run / span.duration))
        longest = self.config.contracts[ContractId(of)].max_duration
        return min(1.0, longest / span.duration)

    def _of_site(self, contract: Contract, grid: Grid) -> Flexibility:
        resources = self.config.resources_of(contract)
        load = sum(self.operating.site(r.id).on(grid).values for r in resources)
        return site_flexibility(contract, resources, Series(grid=grid, values=np.asarray(load)))

    def _of_cohort(self, cohort: Cohort, grid: Grid) -> Flexibility:
        rule = self._rule(cohort.kind)
        fleet = self.config.fleet
        members = list(cohort.members)
        loads = self.operating.homes(members, grid)
        return cohort_flexibility(
            cohort,
            rule,
            Series(grid=grid, values=loads.mean(axis=0)),
            float(fleet.rated_kw[members].mean()),
            member_kw=loads,
            appliance_kw=self.operating.appliances(members, grid),
            response_frac=self.response_frac.get(cohort.kind),
        )

    def _rule(self, kind: ResourceKind) -> CohortRule:
        return next(r for r in self.config.planning.cohorts if r.kind is kind)

    def _home_contracts(self) -> frozenset[ContractId]:
        fleet = self.config.fleet
        return frozenset(
            c.id
            for c in self.config.contracts.values()
            if any(fleet[r].kind in APPLIANCE_KINDS for r in c.resource_ids)
        )

    def _locked(self, now: datetime) -> Mapping[ContractId, Series]:
        """Promises, and notices still waiting for their answer."""
        asked = {
            n.contract_id: n.kw
            for n in self.situation.notices.values()
            if n.id not in self.situation.offers and n.reply_by > now and not is_stand_down(n)
        }
        locked = {**asked, **self.situation.locked()}
        return {c: kw for c, kw in locked.items() if c not in self.situation.given_up}

    @staticmethod
    def _grid(line: Timeline) -> Grid:
        grid = line.grid
        return Grid(start=grid.start, step=grid.step, count=grid.count + TAIL_INTERVALS)
