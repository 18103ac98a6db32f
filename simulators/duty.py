"""Duty desks of told sites: people who read a notice, answer after some minutes, and do it."""

from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.random import Generator

from controller.model.events import Answer, Notice, Offer
from controller.model.settings import Config
from controller.model.time import Series
from simulators.chance import draws
from simulators.population import Population
from simulators.scenario import DeskShape, Scenario


@dataclass(slots=True, kw_only=True)
class _Pending:
    due: datetime
    offer: Offer
    doing: Series


class DutyDesks:
    """All desks of a fleet. The same notice gets the same answer, however often it comes.

    An answer hangs on the seed, the contract and how many notices it had before. Whoever would
    answer after `reply_by` stays silent. What is accepted is switched off at the site.
    """

    def __init__(
        self, config: Config, scenario: Scenario, population: Population, seed: int
    ) -> None:
        self._config = config
        self._scenario = scenario
        self._population = population
        self._seed = seed
        self._seen: dict[str, Notice] = {}
        self._asked: dict[str, int] = {}
        self._pending: list[_Pending] = []

    @property
    def next_due(self) -> datetime | None:
        """When the next answer will be given."""
        return min((p.due for p in self._pending), default=None)

    def take(self, notice: Notice, now: datetime) -> None:
        """A notice arrives; one already known changes nothing."""
        if notice.id in self._seen:
            return
        self._seen[notice.id] = notice
        number = self._asked.get(notice.contract_id, 0)
        self._asked[notice.contract_id] = number + 1
        random = draws(self._seed, f"duty desk {notice.contract_id}", number)
        rules = self._scenario.desk(notice.contract_id)
        answer = _answer(rules, random)
        delay = rules.soonest + float(random.random()) * (rules.latest - rules.soonest)
        due = now + delay
        if answer is Answer.SILENT or due > notice.reply_by:
            return
        share = {Answer.ACCEPT: 1.0, Answer.PART: rules.part_frac, Answer.NO: 0.0}[answer]
        offered = Series(grid=notice.kw.grid, values=notice.kw.values * share)
        done = 1 + rules.follow_frac * (2 * float(random.random()) - 1)
        doing = Series(grid=offered.grid, values=offered.values * done)
        offer = Offer(
            notice_id=notice.id,
            event_id=notice.event_id,
            contract_id=notice.contract_id,
            answer=answer,
            kw=offered,
            answered_at=due,
            by="duty desk",
        )
        self._pending.append(_Pending(due=due, offer=offer, doing=doing))

    def answers(self, now: datetime) -> list[Offer]:
        """The answers given up to `now`, each once, oldest first."""
        ready = sorted((p for p in self._pending if p.due <= now), key=lambda p: p.due)
        self._pending = [p for p in self._pending if p.due > now]
        for p in ready:
            if p.offer.answer is not Answer.NO:
                self._do(p)
        return [replace(p.offer, answered_at=p.due) for p in ready]

    def _do(self, pending: _Pending) -> None:
        """Split what was promised over the contract's resources by their rating."""
        contract = self._config.contracts[pending.offer.contract_id]
        resources = self._config.resources_of(contract)
        rated_kw = np.array([r.rated_kw for r in resources])
        for resource, share in zip(resources, rated_kw / rated_kw.sum(), strict=True):
            kw = Series(grid=pending.doing.grid, values=pending.doing.values * share)
            self._population.curtail(resource.id, kw, pending.due)


def _answer(rules: DeskShape, random: Generator) -> Answer:
    chances = [rules.accept, rules.part, rules.no, rules.silent]
    order = [Answer.ACCEPT, Answer.PART, Answer.NO, Answer.SILENT]
    place = int(np.searchsorted(np.cumsum(chances), float(random.random()), side="right"))
    return order[min(place, len(order) - 1)]
