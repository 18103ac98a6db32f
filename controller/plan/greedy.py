"""Merit order by total cost under the same terms, margin and limits: reference and fallback.

The cheapest per expected kWh (rebate and amortised start cost) is called first, where it helps
most and at the level that is still lacking, until the target and its margin are met or nobody is
left who costs less than the shortfall. `top_up` does the same for a draft that lacks a little.
"""

from collections.abc import Iterable

import numpy as np

from controller.plan.arrays import KW_TOLERANCE, CohortTerms, ContractTerms, Floats, Terms
from controller.plan.draft import Draft, contract_cost, empty_draft, given_cost, worth_of
from controller.plan.stack import Stack, future_runs, runs_allowed

ROUNDS = 4
"""Passes through the order: later gifts rebound or add variance, so that a little lacks again."""


def merit_order(terms: Terms) -> Draft:
    """The plan of a careful dispatcher with a price list; always within every term."""
    return _trimmed(terms, top_up(terms, empty_draft(terms)))


def top_up(terms: Terms, draft: Draft) -> Draft:
    """`draft` with more called, in merit order, where that costs less than the shortfall."""
    stack, order = Stack(terms, draft), _order(terms)
    for _ in range(ROUNDS):
        changed = False
        for _, kind, i in order:
            if not stack.lacks():
                return stack.draft()
            changed |= stack.call(i) if kind == 0 else stack.start(i)
        if not changed:
            break
    return stack.draft()


def total_price(terms: Terms, contract: ContractTerms) -> float:
    """Minor units per expected kWh of its best run at its highest level, start cost included.

    A run that is on has paid its start. Infinite where no run is possible.
    """
    best = np.inf
    for start, end in runs_allowed(terms, contract):
        kw = np.zeros(terms.grid.count)
        kw[start:end] = [contract.level_at(t, np.inf) for t in range(start, end)]
        kwh = contract.availability * float(kw.sum()) * terms.grid.step_h
        carries = contract.ran > 0 and start == terms.first
        paid = contract.contract.start_cost_minor if carries else 0
        if kwh > 0:
            best = min(best, (contract_cost(terms, contract, kw) - paid) / kwh)
    return best


def cohort_price(terms: Terms, cohort: CohortTerms) -> float:
    """Minor units per expected kWh of its best option while an event rules, rebound there netted.

    What comes back after the event costs the grid nothing that this plan is asked to save.
    """
    kw = cohort.kw[:, terms.ruled]
    kwh = cohort.availability * kw.sum(axis=1) * terms.grid.step_h
    useful = kwh > 0
    return float((cohort.cost[useful] / kwh[useful]).min()) if useful.any() else np.inf


def cheap_bound(terms: Terms) -> float:
    """A proven lower bound of any plan's cost without a solver, in minor units.

    Per interval the target alone is filled with the cheapest energy there, start costs, durations
    and the reserve forgotten; every plan pays at least that, beside what is given already.
    """
    open_mean = terms.kept_moments[0] + sum(
        (c.availability * c.given_kw for c in terms.contracts), np.zeros(terms.grid.count)
    )
    total = given_cost(terms)
    for t in np.flatnonzero(terms.ruled & (terms.target > open_mean)):
        lacking = float(terms.target[t] - open_mean[t])
        for price, kw in sorted(_offers(terms, int(t))):
            if price >= terms.problem.planning.shortfall_price_minor_per_kwh:
                break
            total += price * min(kw, lacking) * terms.grid.step_h
            lacking -= min(kw, lacking)
        total += lacking * terms.short_price
    return total


def _offers(terms: Terms, t: int) -> Iterable[tuple[float, float]]:
    """(price per expected kWh, expected kW) of everybody who might give in interval t."""
    for c in terms.contracts:
        if c.can_give[t]:
            most = c.level_at(t, np.inf)
            yield float(c.contract.energy_price_minor_per_kwh), c.availability * most
    for k in terms.cohorts:
        held = (k.start <= t) & (t < k.start + k.length)
        if held.any():
            kwh = k.availability * k.kw[held].clip(min=0).sum(axis=1) * terms.grid.step_h
            free = len(k.cohort.members) - int(k.busy[t])
            price = float((k.cost[held] / kwh).min())
            yield price, free * k.availability * float(k.kw[held, t].max())


def _order(terms: Terms) -> list[tuple[float, int, int]]:
    """(total price, 0 contract or 1 cohort, index), cheapest first."""
    singles = [(total_price(terms, c), 0, i) for i, c in enumerate(terms.contracts) if c.free]
    pooled = [(cohort_price(terms, k), 1, i) for i, k in enumerate(terms.cohorts)]
    return sorted(x for x in (*singles, *pooled) if np.isfinite(x[0]))


def _trimmed(terms: Terms, draft: Draft) -> Draft:
    """Dearest first: runs that later ones made needless go, levels sink to what is needed."""
    for _, kind, i in reversed(_order(terms)):
        if kind == 0:
            draft = _without_needless_runs(terms, draft, i)
            draft = _lowered(terms, draft, i)
    return draft


def _without_needless_runs(terms: Terms, draft: Draft, i: int) -> Draft:
    contract = terms.contracts[i]
    for start, end in future_runs(terms, draft.kw[i]):
        if contract.must_give[start:end].any():
            continue
        kw = draft.kw.copy()
        kw[i, start:end] = 0.0
        without = Draft(kw=kw, counts=draft.counts)
        if worth_of(terms, without).cost < worth_of(terms, draft).cost:
            draft = without
    return draft


def _lowered(terms: Terms, draft: Draft, i: int) -> Draft:
    """Fewer kW lower the mean by availability × kW and never raise the reserve."""
    contract, worth = terms.contracts[i], worth_of(terms, draft)
    spare: Floats = worth.mean - terms.target - worth.reserve
    kw = draft.kw.copy()
    for start, end in future_runs(terms, kw[i]):
        for t in range(start, end):
            if terms.ruled[t] and spare[t] > KW_TOLERANCE and contract.availability > 0:
                least = contract.level_at(t, kw[i, t] - spare[t] / contract.availability)
                kw[i, t] = min(kw[i, t], least)
    return Draft(kw=kw, counts=draft.counts)
