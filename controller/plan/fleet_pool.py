"""Schedules to choose from: who is fixed, who is open, and what the open ones might do.

Contracts on whose schedule all answers in use agree are fixed. The others get rows of their own
in a linear program over the schedules they had: few come out fractional.
"""

from dataclasses import dataclass, field

import numpy as np

from controller.plan.arrays import Bools, Floats, Ints
from controller.plan.cohort_paths import delivery
from controller.plan.columns import best_levels
from controller.plan.fleet_dual import Codes, Dual, Pricing, schedule_delivery
from controller.plan.fleet_plan import contract_delivery
from controller.plan.instance import Contracts, Instance
from controller.plan.milp import Milp, MilpBuilder
from controller.plan.rows import base_cost, build_base
from controller.plan.solve import GrowingProgram

Chains = tuple[tuple[int, Ints], ...]
"""Cohort, and (T, D) starts of one member."""
Entries = tuple[Floats, Ints, Ints, Floats]
"""Cost of new columns; row, column among them, and value of their entries."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pool:
    """Columns: each a contract and its schedule."""

    owner: Ints = field(repr=False)
    """(m,)"""
    choice: Codes = field(repr=False)
    """(m, T)"""

    def where(self, keep: Bools) -> "Pool":
        return Pool(owner=self.owner[keep], choice=self.choice[keep])

    def distinct(self) -> "Pool":
        """Without columns that say the same, in order of their contracts."""
        rows = np.concatenate([self.owner[:, None], self.choice.astype(np.int64)], axis=1)
        _, keep = np.unique(rows, axis=0, return_index=True)
        return Pool(owner=self.owner[keep], choice=self.choice[keep])


def joined(parts: list[tuple[Ints, Codes]]) -> Pool:
    """One pool of several (contracts, schedules)."""
    owners, choices = zip(*parts, strict=True)
    return Pool(owner=np.concatenate(owners), choice=np.concatenate(choices)).distinct()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Relaxed:
    """The linear program over a pool, solved."""

    pool: Pool
    kw: Floats = field(repr=False)
    """(n, T): of those in the pool their schedule with the most weight."""
    fractional: Ints = field(repr=False)
    """Contracts that do not do one thing only."""
    regret: Floats = field(repr=False)
    """(n,) what the second best schedule costs more; inf outside the pool."""
    value: float
    prices: Floats = field(repr=False)
    chains: Chains = field(repr=False)


def kw_of(contracts: Contracts, codes: Codes) -> Floats:
    """(n, T) kW of codes."""
    level = np.maximum(codes, 1).astype(np.int64) - 1
    kw: Floats = np.where(codes > 0, np.take_along_axis(contracts.level_kw, level, axis=1), 0.0)
    return kw


def ambiguous(dual: Dual) -> tuple[Codes, Pool]:
    """What everybody does mostly, and the pool of those whose answers in use differ."""
    n, T = dual.best.codes.shape
    key = np.random.default_rng(0).integers(1, 2**62, size=T)
    least, most = np.full(n, np.iinfo(np.int64).max), np.full(n, np.iinfo(np.int64).min)
    weight, codes = np.zeros(n), dual.best.codes.copy()
    used = [r for r in range(len(dual.rounds)) if dual.used[r].any()]
    for r in used:
        share, seen = dual.used[r][dual.groups], dual.rounds[r]
        says = seen.astype(np.int64) @ key
        np.minimum(least, says, out=least, where=share > 0)
        np.maximum(most, says, out=most, where=share > 0)
        heavier = share > weight
        codes[heavier], weight[heavier] = seen[heavier], share[heavier]
    differ = np.flatnonzero(least != most)
    parts = [(differ, dual.best.codes[differ])]
    for r in used:
        mine = differ[dual.used[r][dual.groups[differ]] > 0]
        parts.append((mine, dual.rounds[r][mine]))
    return codes, joined(parts)


def relax(pricing: Pricing, dual: Dual, time_limit_s: float) -> Relaxed | None:
    """The linear program over the ambiguous; None where it was not solved in time."""
    instance, (codes, pool) = pricing.instance, ambiguous(dual)
    pool = joined(
        [(pool.owner, pool.choice), idle(instance.contracts, np.unique(pool.owner), codes)]
    )
    kw, chains = kw_of(instance.contracts, codes), known_chains(dual)
    build = MilpBuilder()
    build_base(build, instance, pricing.rows)
    people, of = np.unique(pool.owner, return_inverse=True)
    members = np.concatenate([np.ones(len(people)), instance.cohorts.count])
    convex = build.rows((len(members),), members, members)
    first, m = build.column_count, len(pool.owner)
    program = GrowingProgram(fixed_program(pricing, build, kw, people))
    program.add(*schedule_columns(pricing, pool, convex[of]))
    program.add(*chain_columns(pricing, chains, convex[len(people) :]))
    found = program.solve(time_limit_s)
    if found is None:
        return None
    value, x, prices = found
    prices, share = prices[: len(pricing.program.row_low)], x[first : first + m]
    heavy = np.lexsort((-share, pool.owner))
    people, at = np.unique(pool.owner[heavy], return_index=True)
    top = heavy[at]
    codes[people] = pool.choice[top]
    return Relaxed(
        pool=pool,
        kw=kw_of(instance.contracts, codes),
        fractional=people[share[top] < 1 - 1e-6],
        regret=_regret(pricing, pool, prices),
        value=value,
        prices=prices,
        chains=chains,
    )


def idle(contracts: Contracts, people: Ints, codes: Codes) -> tuple[Ints, Codes]:
    """Doing nothing, for those that may: a run that goes on may have to last."""
    may = people[
        (contracts.ran[people] == 0) | (contracts.ran[people] >= contracts.least_run[people])
    ]
    return may, np.zeros((len(may), codes.shape[1]), dtype=np.int8)


def known_chains(dual: Dual) -> Chains:
    """Chains that the master uses and those best at the best prices."""
    K, T, D = dual.best.chains.shape
    parts = [(k, c) for k, c, _ in dual.chains] + list(enumerate(dual.best.chains))
    parts += [(k, np.zeros((T, D), dtype=np.int64)) for k in range(K)]
    return tuple({(k, c.tobytes()): (k, c) for k, c in parts}.values())


def fixed_program(pricing: Pricing, build: MilpBuilder, kw: Floats, without: Ints) -> Milp:
    """The program built so far, with what all contracts but `without` bring taken off its rows."""
    instance, rows = pricing.instance, pricing.rows
    rest = np.asarray(np.any(kw > 0, axis=1), dtype=bool)
    rest[without] = False
    some = np.flatnonzero(rest)
    at, mean, cost = contract_delivery(instance, kw[some], some)
    energy, expected = np.zeros(instance.H), np.zeros((instance.F, instance.H))
    energy[: instance.T] = at.sum(axis=0)
    for t in range(instance.T):
        expected[:, t] = np.bincount(
            instance.contracts.feeder[some], mean[:, t], minlength=instance.F
        )
    program = build.milp(base_cost(instance) + float(cost.sum()))
    numbers, _, value = rows.entries(np.zeros_like(expected), expected, np.arange(instance.F))
    np.subtract.at(program.row_low, numbers, value)
    program.row_low[rows.energy] -= energy
    return program


def schedule_columns(pricing: Pricing, pool: Pool, convex: Ints) -> Entries:
    """One column per schedule, in the coupling rows and in row `convex` (m,) of its contract."""
    instance, (m, T) = pricing.instance, pool.choice.shape
    energy, expected = np.zeros((m, instance.H)), np.zeros((m, instance.H))
    energy[:, :T], expected[:, :T], cost = schedule_delivery(
        instance.contracts, instance.margin, pool.choice, pool.owner
    )
    feeder = instance.contracts.feeder[pool.owner]
    row, column, value = pricing.rows.entries(energy, expected, feeder)
    return (
        cost,
        np.concatenate([row, convex]),
        np.concatenate([column, np.arange(m)]),
        np.concatenate([value, np.ones(m)]),
    )


def chain_columns(pricing: Pricing, chains: Chains, convex: Ints) -> Entries:
    """One column per chain, in the coupling rows and in row `convex` (K,) of its cohort."""
    instance, m = pricing.instance, len(chains)
    which = np.array([k for k, _ in chains], dtype=np.int64)
    starts = np.stack([c for _, c in chains]) if m else np.zeros((0, instance.T, 0), dtype=np.int64)
    energy, expected, cost = delivery(instance, which, starts)
    row, column, value = pricing.rows.entries(energy, expected, instance.cohorts.feeder[which])
    return (
        cost,
        np.concatenate([row, convex[which]]),
        np.concatenate([column, np.arange(m)]),
        np.concatenate([value, np.ones(m)]),
    )


def windows(
    instance: Instance, c: int, gain: Floats, level: Ints, keep: int
) -> tuple[Floats, Codes]:
    """The best single runs of contract c at (T,) gains: worth (w,), schedules (w, T)."""
    k, T = instance.contracts, instance.T
    sums = np.concatenate([[0.0], np.cumsum(gain)])
    s, d = np.meshgrid(np.arange(T), np.arange(1, T + 1), indexing="ij")
    longest = min(int(k.longest_run[c]), int(k.budget[c]))
    fits = (s + d <= T) & (d >= k.least_run[c]) & (d <= longest) & (s >= k.earliest[c])
    s, d = s[fits], d[fits]
    worth = sums[s + d] - sums[s] - k.start_cost[c]
    best = np.argsort(-worth, kind="stable")[:keep]
    t = np.arange(T)
    on = (t >= s[best, None]) & (t < (s + d)[best, None])
    return worth[best], np.where(on, level + 1, 0).astype(np.int8)


def near_windows(
    pricing: Pricing, people: Ints, prices: Floats, keep: int
) -> list[tuple[Ints, Codes]]:
    """The best `keep` windows of each of `people` that may start a run."""
    instance = pricing.instance
    gain, level = best_levels(instance.contracts, people, *pricing.worth(prices))
    parts = []
    for i, c in enumerate(people):
        if instance.contracts.ran[c] == 0 and instance.contracts.calls[c] > 0:
            _, choice = windows(instance, int(c), gain[i], level[i], keep)
            parts.append((np.full(len(choice), c), choice))
    return parts


def _regret(pricing: Pricing, pool: Pool, prices: Floats) -> Floats:
    """(n,) what the second cheapest column of a contract costs more than its cheapest."""
    instance, T = pricing.instance, pricing.instance.T
    energy, expected = pricing.rows.worth(prices[: len(pricing.rows.low)])
    at, mean, cost = schedule_delivery(instance.contracts, instance.margin, pool.choice, pool.owner)
    feeder = instance.contracts.feeder[pool.owner]
    reduced = cost - at @ energy[:T] - (mean * expected[feeder][:, :T]).sum(axis=1)
    order = np.lexsort((reduced, pool.owner))
    people, first, count = np.unique(pool.owner[order], return_index=True, return_counts=True)
    two = count > 1
    regret = np.full(len(instance.contracts), np.inf)
    regret[people[two]] = reduced[order[first[two] + 1]] - reduced[order[first[two]]]
    return regret
