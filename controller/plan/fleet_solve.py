"""A plan for an instance with a proven bound, by the way that its size and shape ask for.

Small ones are one mixed-integer program (`fleet_compact`). All others are bounded by prices
(`fleet_dual`) and planned near that bound (`fleet_core`), in a core that grows until the gap is
proven or the work is spent. The merit order (`fleet_floor`) is there from the first moment.
"""

from collections.abc import Callable
from time import monotonic

import numpy as np

from controller.errors import PlanError
from controller.plan.arrays import Floats
from controller.plan.fleet_answer import MERIT_ORDER, Answer, Ended
from controller.plan.fleet_compact import build_compact, plan_of_compact
from controller.plan.fleet_dual import FLAT_PRICES, Dual, Master, Priced, Pricing
from controller.plan.fleet_floor import floor_plan
from controller.plan.fleet_near import FIRST_KEEP, Neighbourhoods
from controller.plan.fleet_plan import FleetPlan, broken_rows, objective
from controller.plan.fleet_pool import relax
from controller.plan.instance import STEP_H, Instance
from controller.plan.solve import Solver, solve_milp

COMPACT_CELLS = 1000
"""Contracts × intervals up to which the whole instance is one program."""
COMPACT_INTERVALS = 32
EXACT_CONTRACTS = 30
"""Up to here it is searched to a tenth of the asked gap: that costs a second or two."""
ROUNDS = 80
COMPACT_NODES = 3000
FIRST_NODES = 30
LATER = 14
LATER_SMALL = 5
"""Further neighbourhoods, where the gap is not proven,"""
LATER_SIZE = 16
LATER_NODES = 20
"""and the contracts and nodes of each."""


Report = Callable[[Answer], None]


class Search:
    """The best so far against the clock; every improvement is reported at once."""

    def __init__(self, instance: Instance, gap: float, seed: int, until: float, report: Report):
        self.instance, self.gap, self.seed = instance, gap, seed
        self._until, self._report = until, report
        self.bound = 0.0
        self.best: Answer | None = None
        self.prices: Floats | None = None

    @property
    def left_s(self) -> float:
        return self._until - monotonic()

    @property
    def proven(self) -> bool:
        return self.best is not None and self.best.gap_frac <= self.gap

    def offer(self, plan: FleetPlan, by: str) -> None:
        """Keep the plan if it is whole and the cheapest."""
        if broken_rows(self.instance, plan):
            return
        cost = objective(self.instance, plan)
        if self.best is None or cost < self.best.objective:
            self._tell(Answer(plan=plan, objective=cost, bound=min(self.bound, cost), by=by))

    def prove(self, bound: float) -> None:
        """No plan is cheaper than `bound`."""
        if bound > self.bound:
            self.bound = bound
            if self.best is not None:
                b = self.best
                bound = min(bound, b.objective)
                self._tell(Answer(plan=b.plan, objective=b.objective, bound=bound, by=b.by))

    def prove_at(self, priced: Priced) -> None:
        """The bound that prices prove; the best prices are kept."""
        if priced.bound > self.bound:
            self.prices = priced.prices
            self.prove(priced.bound)

    def end(self, ended: Ended) -> Answer:
        if self.best is None:
            raise PlanError("no plan keeps the hard limits of the instance")
        b = self.best
        if self.proven:
            ended = Ended.GAP
        return Answer(plan=b.plan, objective=b.objective, bound=b.bound, by=b.by, ended=ended)

    def _tell(self, answer: Answer) -> None:
        self.best = answer
        self._report(answer)


def solve_fleet(
    instance: Instance,
    *,
    gap: float = 1e-4,
    seed: int = 0,
    time_limit_s: float = 30.0,
    report: Report | None = None,
) -> Answer:
    """The cheapest plan found and its proven bound; `report` hears every improvement.

    Ends by the gap or by its work limit, and only then by the clock.
    """
    search = Search(instance, gap, seed, monotonic() + time_limit_s, report or _quiet)
    search.offer(floor_plan(instance), MERIT_ORDER)
    pricing = Pricing(instance)
    cells = len(instance.contracts) * instance.T
    small = cells <= COMPACT_CELLS and instance.T <= COMPACT_INTERVALS
    ended = _near_bound(search, pricing, LATER_SMALL if small else LATER)
    return search.end(_compact(search) if small and ended is not Ended.CLOCK else ended)


def _quiet(answer: Answer) -> None:
    """Nobody listens."""


def _compact(search: Search) -> Ended:
    """The whole instance as one program: is there a plan cheaper by the gap than the best one?"""
    if search.best is None or search.left_s <= 0.2:
        return Ended.CLOCK
    exact = len(search.instance.contracts) <= EXACT_CONTRACTS
    aim = search.best.objective - (1e-6 if exact else 0.98 * search.gap) * abs(
        search.best.objective
    )
    program = build_compact(search.instance)
    found = solve_milp(
        program.milp,
        gap=1e-6 if exact else search.gap,
        node_limit=COMPACT_NODES,
        time_limit_s=max(search.left_s, 0.1),
        solver=Solver.HIGHS,
        cutoff=aim,
    )
    if len(found.values):
        search.offer(plan_of_compact(search.instance, program, found.values), "compact program")
    # Ended by proof, a plan below the aim would have been found.
    search.prove(min(found.bound, aim))
    return Ended.CLOCK if search.left_s <= 0.2 else Ended.WORK


def _near_bound(search: Search, pricing: Pricing, later: int) -> Ended:
    dual = bound_by_prices(search, pricing)
    relaxed = relax(pricing, dual, max(search.left_s, 0.1)) if dual is not None else None
    if dual is None or relaxed is None:
        return Ended.CLOCK
    for prices in (relaxed.prices, (relaxed.prices + dual.best.prices) / 2):
        search.prove_at(pricing.at(prices))
    near = Neighbourhoods.of(pricing, relaxed)
    open_, kw = near.first(), relaxed.kw
    generator = np.random.default_rng(search.seed)
    for turn in range(1 + later):
        if search.left_s <= 0.2:
            return Ended.CLOCK
        # The core's own bound is no lower than the relaxation's: what is left of the gap is free.
        room = (search.bound / (1 - 0.95 * search.gap) - relaxed.value) / abs(relaxed.value)
        plan = near.plan(
            open_,
            kw,
            keep=FIRST_KEEP,
            gap=max(search.gap / 5, room),
            nodes=LATER_NODES if turn else FIRST_NODES,
            time_limit_s=max(search.left_s, 0.1),
        )
        if plan is not None:
            search.offer(plan, f"core {turn}")
        if search.proven or search.best is None:
            break
        kw = search.best.plan.kw if search.best.by != MERIT_ORDER else relaxed.kw
        among = LATER_SIZE * (2 + turn)
        open_ = near.draw(generator, LATER_SIZE, among)
    return Ended.CLOCK if search.left_s <= 0.2 else Ended.WORK


def bound_by_prices(search: Search, pricing: Pricing) -> Dual | None:
    """Rounds of pricing until master and bound agree to a fraction of the gap."""
    master, instance = Master(pricing, search.seed), search.instance
    size = len(pricing.program.row_low)
    best: Priced | None = None
    for price in FLAT_PRICES:
        flat = np.zeros(size)
        flat[pricing.rows.energy[instance.asked]] = price * STEP_H
        answer = pricing.at(flat)
        master.add(answer, None)
        search.prove_at(answer)
    ended: Dual | None = None
    for _ in range(ROUNDS):
        found = master.solve(max(search.left_s, 0.1))
        if found is None or search.left_s <= 0.1:
            return ended
        value, values, prices = found
        prices = prices[:size]
        mix = prices if best is None else 0.5 * best.prices + 0.5 * prices
        answer = pricing.at(mix)
        if best is None or answer.bound > best.bound:
            best = answer
            search.prove_at(best)
        if value - best.bound < max(0.35 * search.gap, 1e-6) * abs(value):
            break
        master.add(answer, found[2])
    ended = master.dual(best, value, values, prices) if best is not None else None
    return ended
