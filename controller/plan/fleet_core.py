"""Whole plans near the bound: a mixed-integer program over a few contracts, the others fixed.

The open contracts choose among schedules; cohorts, cars and batteries are free. Beside them some
fixed contracts may give way where that costs least: ranges in kW, steps by a level. These take up
the last kilowatts, which whole schedules never meet.
"""

from dataclasses import dataclass, field

import numpy as np

from controller.plan.arrays import Floats, Ints
from controller.plan.fleet_dual import Pricing
from controller.plan.fleet_plan import FleetPlan
from controller.plan.fleet_pool import (
    Chains,
    Pool,
    chain_columns,
    fixed_program,
    kw_of,
    schedule_columns,
)
from controller.plan.instance import Instance
from controller.plan.milp import Milp, MilpBuilder
from controller.plan.rows import Base, build_base

GIVE_WAY = 6
"""Ranges, and steps, that may give way in each interval."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Core:
    """The program and where its parts are."""

    milp: Milp = field(repr=False)
    base: Base = field(repr=False)
    kw: Floats = field(repr=False)
    """(n, T) what is fixed; 0 for open contracts."""
    pool: Pool = field(repr=False)
    columns: Ints = field(repr=False)
    chains: Chains = field(repr=False)
    chain_columns: Ints = field(repr=False)
    ranges: Ints = field(repr=False)
    """(r, 2) contract and interval; the column is kW above the least,"""
    range_columns: Ints = field(repr=False)
    swaps: Ints = field(repr=False)
    """(w, 3) contract, interval and level that it may go to,"""
    swap_columns: Ints = field(repr=False)


def build_core(pricing: Pricing, prices: Floats, kw: Floats, pool: Pool, chains: Chains) -> Core:
    """The program over `pool`; contracts outside it do what `kw` says."""
    instance, build = pricing.instance, MilpBuilder()
    k = instance.contracts
    base = build_base(build, instance, pricing.rows, whole_cars=True)
    # Open ranges stand at their least; what they give above is free to move.
    least = k.is_range[pool.owner, None] & (pool.choice > 0)
    pool = Pool(owner=pool.owner, choice=np.where(least, 1, pool.choice).astype(np.int8)).distinct()
    people, of = np.unique(pool.owner, return_inverse=True)
    members = np.concatenate([np.ones(len(people)), instance.cohorts.count])
    convex = build.rows((len(members),), members, members)
    columns = _put(build, schedule_columns(pricing, pool, convex[of]), 1.0)
    chain = _put(build, chain_columns(pricing, chains, convex[len(people) :]), np.inf)
    kw = kw.copy()
    kw[people] = 0.0
    ranges = _loose_ranges(pricing, prices, kw)
    kw[ranges[:, 0], ranges[:, 1]] = k.level_kw[ranges[:, 0], 0]
    t = np.arange(instance.T)
    own = people[k.is_range[people]]
    linked = np.stack(np.meshgrid(own, t, indexing="ij"), axis=-1).reshape(-1, 2)
    both = np.concatenate([ranges, linked]).astype(np.int64)
    range_columns = _range_columns(build, pricing, both)
    _link(build, pool, columns, linked, range_columns[len(ranges) :], instance)
    swaps = _loose_steps(pricing, prices, kw)
    swap_columns = _swap_columns(build, pricing, swaps, kw)
    return Core(
        milp=fixed_program(pricing, build, kw, people),
        base=base,
        kw=kw,
        pool=pool,
        columns=columns,
        chains=chains,
        chain_columns=chain,
        ranges=both,
        range_columns=range_columns,
        swaps=swaps,
        swap_columns=swap_columns,
    )


def plan_of_core(instance: Instance, core: Core, values: Floats) -> FleetPlan:
    """The plan that a solution stands for; a battery's charge is netted against its discharge."""
    k = instance.contracts
    kw = core.kw.copy()
    taken = np.flatnonzero(values[core.columns] > 0.5)
    owner = core.pool.owner[taken]
    kw[owner] = kw_of(k.take(owner), core.pool.choice[taken])
    c, t, level = core.swaps[values[core.swap_columns] > 0.5].T
    kw[c, t] = k.level_kw[c, level]
    c, t = core.ranges.T
    more = kw[c, t] + values[core.range_columns]
    kw[c, t] = np.where(kw[c, t] > 0, np.clip(more, k.level_kw[c, 0], k.level_kw[c].max(axis=1)), 0)
    longest = int(instance.cohorts.longest.max(initial=0))
    starts = np.zeros((len(instance.cohorts), instance.T, longest), dtype=np.int64)
    for (cohort, chain), count in zip(core.chains, values[core.chain_columns], strict=True):
        starts[cohort] += round(float(count)) * chain
    charge, discharge = values[core.base.charge], values[core.base.discharge]
    twice = instance.batteries.efficiency[:, None] ** 2
    both = np.minimum(charge * twice, discharge)
    return FleetPlan(
        kw=kw,
        starts=starts,
        charging=np.round(values[core.base.cars]).astype(np.int64),
        charge=np.maximum(charge - both / twice, 0.0),
        discharge=np.maximum(discharge - both, 0.0),
    )


def _put(build: MilpBuilder, entries: tuple[Floats, Ints, Ints, Floats], high: float) -> Ints:
    cost, row, column, value = entries
    columns = build.columns(cost, high=high, whole=True)
    build.put(row, columns[column], value)
    return columns


def _loose_ranges(pricing: Pricing, prices: Floats, kw: Floats) -> Ints:
    """(r, 2) ranges and intervals, fixed on, whose last kW is worth almost what it costs."""
    k = pricing.instance.contracts
    who = np.flatnonzero(k.is_range & kw.any(axis=1))
    worth, margin_worth = pricing.worth(prices)
    mean, variance, pay = _per_kw(pricing.instance, who)
    slope = mean[:, None] * worth[k.feeder[who]] - variance[:, None] * margin_worth - pay[:, None]
    return _nearest(who, np.where(kw[who] > 0, np.abs(slope), np.inf))


def _nearest(who: Ints, regret: Floats) -> Ints:
    """(r, 2) of the least regrets in each interval."""
    order = np.argsort(regret, axis=0, kind="stable")[:GIVE_WAY]
    found = [
        (who[i], t) for t in range(regret.shape[1]) for i in order[:, t] if regret[i, t] < np.inf
    ]
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def _per_kw(instance: Instance, who: Ints) -> tuple[Floats, Floats, Floats]:
    """Of ranges: expected kW, variance and pay per kW called."""
    k = instance.contracts
    top = k.level_kw[who].max(axis=1, initial=0.0)
    return (
        k.mean_kw[who].max(axis=1, initial=0.0) / top,
        k.variance[who].max(axis=1, initial=0.0) / top,
        k.pay[who].max(axis=1, initial=0.0) / top,
    )


def _range_columns(build: MilpBuilder, pricing: Pricing, ranges: Ints) -> Ints:
    k, c = pricing.instance.contracts, ranges[:, 0]
    mean, variance, pay = _per_kw(pricing.instance, c)
    columns = build.columns(pay, high=k.level_kw[c].max(axis=1, initial=0.0) - k.level_kw[c, 0])
    _deliver(build, pricing, columns, ranges, mean, variance)
    return columns


def _deliver(
    build: MilpBuilder, pricing: Pricing, columns: Ints, at: Ints, mean: Floats, variance: Floats
) -> None:
    """Columns that each deliver for one contract in one interval."""
    instance, m = pricing.instance, len(columns)
    energy, expected = np.zeros((m, instance.H)), np.zeros((m, instance.H))
    c, t = at.T
    expected[np.arange(m), t] = mean
    energy[np.arange(m), t] = mean - variance * instance.margin[t]
    row, column, value = pricing.rows.entries(energy, expected, instance.contracts.feeder[c])
    build.put(row, columns[column], value)


def _link(
    build: MilpBuilder, pool: Pool, columns: Ints, linked: Ints, above: Ints, instance: Instance
) -> None:
    """An open range gives more than its least only where one of its schedules is on."""
    k, T = instance.contracts, instance.T
    own = np.unique(linked[:, 0])
    row = build.rows((len(own), T), -np.inf, 0.0)
    build.put(row.ravel(), above, 1.0)
    mine = np.flatnonzero(k.is_range[pool.owner])
    owner = pool.owner[mine]
    span = (k.level_kw[owner].max(axis=1, initial=0.0) - k.level_kw[owner, 0])[:, None]
    place = np.searchsorted(own, owner)
    build.put(row[place], columns[mine, None], -span, pool.choice[mine] > 0)


def _loose_steps(pricing: Pricing, prices: Floats, kw: Floats) -> Ints:
    """(w, 3) steps, fixed on, that another level would suit almost as well."""
    k = pricing.instance.contracts
    L = k.level_kw.shape[1]
    who = np.flatnonzero(~k.is_range & kw.any(axis=1) & (k.level_kw[:, min(1, L - 1)] > 0))
    if L == 1 or not len(who):
        return np.zeros((0, 3), dtype=np.int64)
    worth, margin_worth = pricing.worth(prices)
    gain = k.mean_kw[who, :, None] * worth[k.feeder[who], None]
    gain -= k.variance[who, :, None] * margin_worth + k.pay[who, :, None]
    level = k.level_kw[who, :, None]
    now = (level == kw[who, None, :]) & (level > 0)
    current = np.where(now, gain, -np.inf).max(axis=1)
    other = np.where(now | (level <= 0), -np.inf, gain)
    choice = other.argmax(axis=1)
    with np.errstate(invalid="ignore"):
        regret = current - other.max(axis=1)
    at = _nearest(np.arange(len(who)), np.where(kw[who] > 0, regret, np.inf))
    i, t = at.T
    return np.stack([who[i], t, choice[i, t]], axis=1)


def _swap_columns(build: MilpBuilder, pricing: Pricing, swaps: Ints, kw: Floats) -> Ints:
    """Whole columns that put one contract on another level in one interval."""
    k, (c, t, level) = pricing.instance.contracts, swaps.T
    now = (k.level_kw[c] == kw[c, t][:, None]).argmax(axis=1)
    columns = build.columns(k.pay[c, level] - k.pay[c, now], high=1.0, whole=True)
    mean = k.mean_kw[c, level] - k.mean_kw[c, now]
    variance = k.variance[c, level] - k.variance[c, now]
    _deliver(build, pricing, columns, swaps[:, :2], mean, variance)
    return columns
