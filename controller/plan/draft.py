"""A draft: a plan in numbers, and what it is worth. The model and the greedy both make drafts."""

from dataclasses import dataclass, field

import numpy as np

from controller.plan.arrays import KW_TOLERANCE, ContractTerms, Floats, Ints, Terms, moments_of
from controller.plan.problem import FIRST_TIER_FRAC, FREE_SURPLUS_FRAC, SECOND_TIER_FACTOR


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Draft:
    """Who gives what: kW per contract, members per option of each cohort."""

    kw: Floats = field(repr=False)
    """(c, t) kW called, the past and the locked included."""
    counts: tuple[Ints, ...] = field(repr=False)
    """Per cohort (o,): members that start that option."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Worth:
    """What a draft delivers on average, what it keeps in reserve, what is short, what it costs."""

    mean: Floats = field(repr=False)
    variance: Floats = field(repr=False)
    third: Floats = field(repr=False)
    reserve: Floats = field(repr=False)
    """(t,) 0 where nothing is asked or all is past."""
    short: Floats = field(repr=False)
    over: Floats = field(repr=False)
    """(t,) surplus above what is free."""
    rebate: float
    """Expected rebates and start costs, minor units."""
    penalty: float
    """Priced shortfall and surplus, minor units."""

    @property
    def cost(self) -> float:
        return self.rebate + self.penalty


def empty_draft(terms: Terms) -> Draft:
    """Only what is given already: the past, what is locked, runs that must go on."""
    kw = np.array([_least_kw(c) for c in terms.contracts]).reshape(-1, terms.grid.count)
    return Draft(kw=kw, counts=tuple(np.zeros(len(k.start), dtype=np.int64) for k in terms.cohorts))


def given_cost(terms: Terms) -> float:
    """Minor units that every plan pays: the past, what is locked, what runs."""
    return terms.kept_cost + sum(contract_cost(terms, c, c.given_kw) for c in terms.contracts)


def worth_of(terms: Terms, draft: Draft) -> Worth:
    """The draft's moments, reserve, shortfall and cost, exactly (nothing linearised)."""
    moments, rebate = terms.kept_moments.copy(), terms.kept_cost
    for c, kw in zip(terms.contracts, draft.kw, strict=True):
        moments += moments_of(c.availability, kw)
        rebate += contract_cost(terms, c, kw)
    for k, counts in zip(terms.cohorts, draft.counts, strict=True):
        used = np.flatnonzero(counts)
        moments += np.einsum("o,mot->mt", counts[used], moments_of(k.availability, k.kw[used]))
        rebate += float(counts @ k.cost)
    mean, variance, third = moments
    reserve = reserve_kw(terms, variance, third)
    asked = terms.ruled & (terms.target > 0)
    short = np.where(asked, np.maximum(terms.target + reserve - mean, 0.0), 0.0)
    short[short < KW_TOLERANCE] = 0.0
    free = (1 + FREE_SURPLUS_FRAC) * terms.target
    over = np.where(terms.ruled, np.maximum(mean - free, 0.0), 0.0)
    return Worth(
        mean=mean,
        variance=variance,
        third=third,
        reserve=reserve,
        short=short,
        over=over,
        rebate=rebate,
        penalty=short_cost(terms, short) + float(over.sum()) * terms.over_price,
    )


def reserve_kw(terms: Terms, variance: Floats, third: Floats) -> Floats:
    """(t,) margin that keeps the confidence where something is still asked; 0 elsewhere."""
    asked = terms.ruled & (terms.target > 0)
    return np.where(asked, margin_factor(terms.z, variance, third) * np.sqrt(variance), 0.0)


def margin_factor(z: float, variance: Floats, third: Floats) -> Floats:
    """Standard deviations to hold back, never less than z.

    The normal quantile alone keeps 0.91–0.94 of an asked 0.95, because a few big contracts fail
    rarely and wholly; the first Cornish–Fisher term (z² − 1) / 6 × skewness corrects for that
    (Cornish & Fisher, 1937).
    """
    deviation = np.sqrt(np.maximum(variance, 1e-12))
    skewness = np.where(variance > 1e-12, third / deviation**3, 0.0)
    return np.maximum(z, z + (z * z - 1) / 6 * skewness)


def short_cost(terms: Terms, short: Floats) -> float:
    """Two tiers: up to a fraction of the target at the price, the rest at a multiple of it."""
    beyond = np.maximum(short - FIRST_TIER_FRAC * terms.target, 0.0)
    return float((short + (SECOND_TIER_FACTOR - 1) * beyond).sum()) * terms.short_price


def contract_cost(terms: Terms, contract: ContractTerms, kw: Floats) -> float:
    """Expected rebate and start costs of (t,) kW called, minor units."""
    kwh = float(kw.sum()) * terms.grid.step_h
    paid = contract.contract.energy_price_minor_per_kwh * contract.availability * kwh
    return paid + contract.contract.start_cost_minor * starts_of(contract, kw)


def starts_of(contract: ContractTerms, kw: Floats) -> int:
    """Runs that begin in (t,) kW; one that came over from before the grid does not begin."""
    on = kw > KW_TOLERANCE
    before = np.concatenate([[contract.began_before_grid], on[:-1]])
    return int((on & ~before).sum())


def _least_kw(contract: ContractTerms) -> Floats:
    least = contract.levels[0]
    return contract.given_kw + np.where(contract.must_give, least, 0.0)
