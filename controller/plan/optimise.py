"""The search: a relaxation proves the bound, alike cohorts pooled find the runs, then members.

1. The model with alike cohorts as one pool in fractions of members: which contracts run when.
   Thirty cohorts of one contract are thirty copies of the same choice, and a tree search drowns
   in their symmetry; pooled, the program is half the size and its plans cost the same. The
   reserve's tangent is laid by the greedy, moved by a relaxation, and moved again by the result.
2. The whole model without whole numbers (GLOP): the proven bound.
3. Contracts kept, the cohorts apart again in whole members (a relaxation, then its rounding).
4. Only if the gap is not proven by then: once more from 1 with the tangent where it is now,
   and at last the whole model from the best plan on.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from controller.model.plans import Cohort
from controller.plan.arrays import CohortTerms, Floats, Terms
from controller.plan.draft import Draft, Worth, worth_of
from controller.plan.greedy import top_up
from controller.plan.milp import Milp
from controller.plan.model import Margin, Model, build_model
from controller.plan.solve import Solution, solve_milp

REPLAN_GAP_FACTOR = 2.0
"""A replan has a second and not five: it settles for a wider gap."""
POOLED_GAP_SHARE = 0.6
"""The pooled search goes on to this share of the asked gap, to leave room for the rounding."""
WHOLE_GAP_SHARE = 0.9
SNAP = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The best draft of the search, its proven bound, and what the search has to say."""

    draft: Draft | None
    bound: float
    seconds: float
    notes: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class _Search:
    """What has been found and spent so far."""

    terms: Terms
    gap: float
    node_limit: int
    left_s: float
    draft: Draft | None = None
    values: Floats | None = None
    """The draft in the whole model's variables, where they are known."""
    cost: float = np.inf
    bound: float = -np.inf
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)

    def solve(self, milp: Milp, gap: float, hint: Floats | None = None) -> Solution:
        solution = solve_milp(
            milp, gap=gap, node_limit=self.node_limit, time_limit_s=max(self.left_s, 0.1), hint=hint
        )
        self.left_s -= solution.seconds
        self.seconds += solution.seconds
        if solution.detail:
            self.notes.append(solution.detail)
        return solution

    def offer(self, draft: Draft, values: Floats) -> None:
        """Keep `draft`, as it is or topped up, if it is the cheapest by its exact worth."""
        for candidate in (draft, top_up(self.terms, draft)):
            cost = worth_of(self.terms, candidate).cost
            if cost < self.cost:
                self.draft, self.cost, self.values = candidate, cost, values

    @property
    def proven(self) -> bool:
        return self.draft is not None and self.cost - self.bound <= self.gap * self.cost


def optimise(terms: Terms, first: Worth) -> Found:
    """Search from a margin at the worth of a `first` draft (the merit order's)."""
    planning = terms.problem.planning
    replan = terms.problem.fixed is not None
    search = _Search(
        terms=terms,
        gap=planning.gap_frac * (REPLAN_GAP_FACTOR if replan else 1.0),
        node_limit=planning.replan_node_limit if replan else planning.node_limit,
        left_s=planning.kill_after_s / 2,
    )
    pools = pooled(terms)
    alike = len(pools.cohorts) < len(terms.cohorts)
    margin = _relaxed_margin(search, pools, Margin.at(terms, first.variance, first.third))
    runs: Floats | None = None
    if alike:
        runs, margin = _search_pools(search, pools, margin)
    model = build_model(terms, margin)
    search.bound = search.solve(_relaxed(model.milp), 0.0).bound
    if runs is not None:
        _search_members(search, model, runs)
    if alike and not search.proven and not replan:
        runs, _ = _search_pools(search, pools, margin)
        if runs is not None:
            _search_members(search, model, runs)
    if not search.proven and not (replan and search.draft):
        _search_whole(search, model)
    return Found(
        draft=search.draft,
        bound=search.bound,
        seconds=search.seconds,
        notes=tuple(dict.fromkeys(search.notes)),
    )


def _relaxed_margin(search: _Search, pools: Terms, margin: Margin) -> Margin:
    """The tangent moved from a first guess to the spread of the relaxed solution."""
    model = build_model(pools, margin, members_whole=False)
    relaxed = search.solve(_relaxed(model.milp), 0.0)
    return Margin.at(pools, *model.spread(pools, relaxed.values)) if len(relaxed.values) else margin


def _search_pools(search: _Search, pools: Terms, margin: Margin) -> tuple[Floats | None, Margin]:
    """Values of the contracts' columns, and the tangent moved to that plan's own spread."""
    model = build_model(pools, margin, members_whole=False)
    found = search.solve(model.milp, POOLED_GAP_SHARE * search.gap)
    if not len(found.values):
        return None, margin
    return found.values, Margin.at(pools, *model.spread(pools, found.values))


def _search_members(search: _Search, model: Model, runs: Floats) -> None:
    """The runs kept, cohorts apart in fractions, then in the whole members next to those."""
    kept = _with_runs(model, runs)
    apart = search.solve(_relaxed(kept), 0.0)
    if not len(apart.values):
        return
    whole = search.solve(_near(kept, model, apart.values), search.gap / 100)
    if len(whole.values):
        search.offer(model.draft(search.terms, whole.values), whole.values)


def _search_whole(search: _Search, model: Model) -> None:
    """The whole model; raises the bound too."""
    solution = search.solve(model.milp, WHOLE_GAP_SHARE * search.gap, search.values)
    search.bound = max(search.bound, solution.bound)
    if len(solution.values):
        search.offer(model.draft(search.terms, solution.values), solution.values)


def _relaxed(milp: Milp) -> Milp:
    return replace(milp, whole=np.zeros_like(milp.whole))


def _with_runs(model: Model, values: Floats) -> Milp:
    """The model with the whole variables of its contracts fixed to those of `values`.

    Pooled or not, models begin with the same columns.
    """
    milp, mine = model.milp, np.arange(len(model.milp.cost)) < model.contract_columns
    fixed = np.flatnonzero(mine & milp.whole)
    low, high = milp.low.copy(), milp.high.copy()
    low[fixed] = high[fixed] = np.round(values[fixed])
    return replace(milp, low=low, high=high)


def _near(milp: Milp, model: Model, values: Floats) -> Milp:
    """Only the whole numbers next to `values` are left to the options."""
    low, high = milp.low.copy(), milp.high.copy()
    for columns in model.option_column:
        low[columns] = np.floor(values[columns] + SNAP).clip(min=0)
        high[columns] = np.ceil(values[columns] - SNAP).clip(min=0)
    return replace(milp, low=low, high=high)


def pooled(terms: Terms) -> Terms:
    """Cohorts with the same contract, options and availability become one of mean members."""
    pools: dict[tuple[object, ...], list[CohortTerms]] = {}
    for k in terms.cohorts:
        runs = (k.start.tobytes(), k.length.tobytes())
        key = (k.cohort.contract_id, k.recovery, k.availability, *runs)
        pools.setdefault(key, []).append(k)
    return replace(terms, cohorts=tuple(_pool(group) for group in pools.values()))


def _pool(group: list[CohortTerms]) -> CohortTerms:
    if len(group) == 1:
        return group[0]
    weight = np.array([max(1, len(k.cohort.members)) for k in group], dtype=np.float64)
    members = tuple(m for k in group for m in k.cohort.members)
    cohort: Cohort = replace(group[0].cohort, members=members)
    return replace(
        group[0],
        cohort=cohort,
        busy=np.sum([k.busy for k in group], axis=0),
        starts_left=sum(k.starts_left for k in group),
        kw=np.average([k.kw for k in group], axis=0, weights=weight),
        cost=np.average([k.cost for k in group], axis=0, weights=weight),
    )
