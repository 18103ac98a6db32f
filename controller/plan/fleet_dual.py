"""The proven bound of an instance: prices for the coupling rows at which nobody can be cheaper.

Contracts are put in groups at random within their feeder; a column is what a whole group does at
one set of prices, so the master program stays small however many contracts there are (OPTIMISER:
a grouped Lagrangian dual). In-out smoothing: columns are priced half way between the master's
prices and those of the best bound (Wentges, 1997).
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from controller.plan.arrays import Floats, Ints
from controller.plan.cohort_paths import best_chains, delivery, option_worth
from controller.plan.columns import Schedules, best_schedules
from controller.plan.fleet_plan import begins
from controller.plan.instance import Contracts, Instance
from controller.plan.milp import Milp, MilpBuilder
from controller.plan.rows import Rows, base_cost, build_base
from controller.plan.solve import GrowingProgram

FLAT_PRICES = (0.0, 30.0, 40.0, 50.0, 65.0, 90.0)
"""Per kWh: what the first columns are priced at."""
SMOOTHING = 0.5
GROUPS = 40

Codes = NDArray[np.int8]
"""(n, T) 0: off, l + 1: on at level l."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Priced:
    """Everybody's best answer to prices, and the bound that these prove."""

    prices: Floats = field(repr=False)
    bound: float
    codes: Codes = field(repr=False)
    value: Floats = field(repr=False)
    chains: Ints = field(repr=False)
    """(K, T, D)"""
    chain_value: Floats = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dual:
    """Where the master program ended: its prices, its bound, and the answers still in use."""

    best: Priced
    prices: Floats = field(repr=False)
    """Of the master's last solution."""
    value: float
    """Of the master: no plan of the columns seen is cheaper, fractions included."""
    rounds: tuple[Codes, ...] = field(repr=False)
    """Answers of the contracts, one by round,"""
    used: Floats = field(repr=False)
    """(rounds, G) and how much of each group's the master took."""
    groups: Ints = field(repr=False)
    chains: tuple[tuple[int, Ints, float], ...] = field(repr=False)
    """Cohort, its (T, D) chain, and how many members the master gave it."""


class Pricing:
    """Answers to prices, and the bound that follows from them."""

    def __init__(self, instance: Instance) -> None:
        self.instance, self.rows = instance, Rows.of(instance)
        build = MilpBuilder()
        self.base = build_base(build, instance, self.rows)
        self.program = build.milp(base_cost(instance))

    def worth(self, prices: Floats) -> tuple[Floats, Floats]:
        """(F, T) worth of an expected kW of a contract, (T,) loss per kW² of variance."""
        energy, expected = self.rows.worth(prices[: len(self.rows.low)])
        T = self.instance.T
        return (energy + expected)[:, :T], (energy * self.instance.margin)[:T]

    def at(self, prices: Floats) -> Priced:
        """`prices` are the duals of the base program's rows, coupling rows first."""
        instance, program = self.instance, self.program
        energy, expected = self.rows.worth(prices[: len(self.rows.low)])
        best = best_schedules(instance.contracts, *self.worth(prices))
        worth = option_worth(instance, energy, expected)
        chain_value, chains = best_chains(instance, worth)
        bound = _box_bound(program, prices) - float(best.value.sum())
        bound -= float((instance.cohorts.count * chain_value).sum())
        return Priced(
            prices=prices, bound=bound, codes=codes_of(best), value=best.value,
            chains=chains, chain_value=chain_value,
        )  # fmt: skip


def codes_of(best: Schedules) -> Codes:
    """(n, T) codes of schedules."""
    codes: Codes = np.where(best.on, best.level + 1, 0).astype(np.int8)
    return codes


def _box_bound(program: Milp, prices: Floats) -> float:
    """Least of cost·x - prices·(A x - b) over the columns' bounds."""
    low = np.where(np.isfinite(program.row_low), program.row_low, 0.0)
    reduced = program.cost - np.bincount(
        program.column, program.value * prices[program.row], minlength=len(program.cost)
    )
    reduced = np.where(np.isinf(program.high) & (np.abs(reduced) < 1e-7), 0.0, reduced)
    if (np.isinf(program.high) & (reduced < 0)).any():
        return -np.inf
    high = np.where(np.isinf(program.high), 0.0, program.high)
    return (
        program.offset
        + float(low @ prices)
        + float(np.where(reduced > 0, reduced * program.low, reduced * high).sum())
    )


def schedule_delivery(
    contracts: Contracts, margin: Floats, codes: Codes, rows: Ints
) -> tuple[Floats, Floats, Floats]:
    """Of (m, T) codes of contracts `rows`: with margin (m, T), expected (m, T), cost (m,)."""
    level = np.maximum(codes, 1).astype(np.int64) - 1
    on, place = codes > 0, rows[:, None]
    expected = np.where(on, contracts.mean_kw[place, level], 0.0)
    energy = (
        expected - np.where(on, contracts.variance[place, level], 0.0) * margin[: codes.shape[1]]
    )
    cost = np.where(on, contracts.pay[place, level], 0.0).sum(axis=1)
    runs = begins(on, contracts.ran[rows])
    return energy, expected, cost + contracts.start_cost[rows] * runs


class Master:
    """The grouped master program."""

    def __init__(self, pricing: Pricing, seed: int, groups: int = GROUPS) -> None:
        self.pricing, instance = pricing, pricing.instance
        self._groups, self._feeder = _grouping(instance, seed, groups)
        self.rounds: list[Codes] = []
        self._chains: list[tuple[int, Ints]] = []
        self._places: list[tuple[int, int]] = []
        """Per column: (round, group), or (-1, chain)."""
        build = MilpBuilder()
        build_base(build, instance, pricing.rows)
        G = len(self._feeder)
        members = np.concatenate([np.ones(G), instance.cohorts.count])
        self._convex = build.rows((len(members),), members, members)
        self._first = build.column_count
        self._program = GrowingProgram(build.milp(base_cost(instance)))

    def add(self, priced: Priced, prices: Floats | None) -> None:
        """Every group's answer, and the chains that are better than what the master has."""
        instance, rows, G = self.pricing.instance, self.pricing.rows, len(self._feeder)
        energy, expected, cost = self._group_delivery(priced.codes)
        which = np.arange(len(instance.cohorts))
        if prices is not None:
            worth = option_worth(instance, *rows.worth(prices[: len(rows.low)]))
            dual = prices[self._convex[G:]]
            value = np.where(priced.chains > 0, worth, 0.0).sum(axis=(1, 2))
            which = np.flatnonzero(value + dual > 1e-7 * np.abs(dual) + 1e-9)
        parts = delivery(instance, which, priced.chains[which])
        row, column, entry = rows.entries(
            np.concatenate([energy, parts[0]]),
            np.concatenate([expected, parts[1]]),
            np.concatenate([self._feeder, instance.cohorts.feeder[which]]),
        )
        m = G + len(which)
        own = self._convex[np.concatenate([np.arange(G), G + which])]
        self._program.add(
            np.concatenate([cost, parts[2]]), np.concatenate([row, own]),
            np.concatenate([column, np.arange(m)]), np.concatenate([entry, np.ones(m)]),
        )  # fmt: skip
        self._places += [(len(self.rounds), g) for g in range(G)]
        self._places += [(-1, len(self._chains) + i) for i in range(len(which))]
        self._chains += [(int(k), priced.chains[k]) for k in which]
        self.rounds.append(priced.codes)

    def solve(self, time_limit_s: float) -> tuple[float, Floats, Floats] | None:
        return self._program.solve(time_limit_s)

    def dual(self, best: Priced, value: float, values: Floats, prices: Floats) -> Dual:
        used = np.zeros((len(self.rounds), len(self._feeder)))
        chains = []
        for (kind, place), x in zip(self._places, values[self._first :], strict=True):
            if x > 1e-7 and kind >= 0:
                used[kind, place] = x
            elif x > 1e-7:
                chains.append((*self._chains[place], float(x)))
        return Dual(
            best=best, prices=prices, value=value, rounds=tuple(self.rounds), used=used,
            groups=self._groups, chains=tuple(chains),
        )  # fmt: skip

    def _group_delivery(self, codes: Codes) -> tuple[Floats, Floats, Floats]:
        instance, G, T = self.pricing.instance, len(self._feeder), codes.shape[1]
        energy = np.zeros((2, G, instance.H))
        rows = np.flatnonzero(codes.any(axis=1))
        at, mean, paid = schedule_delivery(instance.contracts, instance.margin, codes[rows], rows)
        group = self._groups[rows]
        cost = np.bincount(group, paid, minlength=G).astype(np.float64)
        for t in range(T):
            energy[0, :, t] = np.bincount(group, at[:, t], minlength=G)
            energy[1, :, t] = np.bincount(group, mean[:, t], minlength=G)
        return energy[0], energy[1], cost


def _grouping(instance: Instance, seed: int, groups: int) -> tuple[Ints, Ints]:
    """Group of each contract (n,), feeder of each group (G,)."""
    feeder = instance.contracts.feeder
    order = np.random.default_rng(seed).permutation(len(feeder))
    group = np.zeros(len(feeder), dtype=np.int64)
    of: list[int] = []
    per = max(1, groups // max(1, instance.F))
    for f in range(instance.F):
        mine = order[feeder[order] == f]
        count = min(per, len(mine))
        if count:
            group[mine] = len(of) + np.arange(len(mine)) % count
            of += [f] * count
    return group, np.array(of, dtype=np.int64)
