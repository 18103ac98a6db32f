"""The best schedule of every contract at given prices: dynamic programming over intervals.

A contract's schedule is a few runs with rests between them. Given what each interval is worth,
the best first k runs within b intervals that end by t are a table; the last run is then sought
over all its lengths. Everything is vectorised over the contracts, in blocks that fit the cache.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from controller.plan.arrays import Bools, Floats, Ints
from controller.plan.instance import Contracts

BLOCK = 8192
NEVER = 1e15
"""More than any schedule is worth."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Schedules:
    """One schedule per contract: when it is on, at which level, and what that is worth."""

    value: Floats = field(repr=False)
    """(n,) worth less start costs; 0 where doing nothing is best."""
    on: Bools = field(repr=False)
    """(n, T)"""
    level: NDArray[np.int8] = field(repr=False)
    """(n, T) index of the best level, of intervals that are off too."""


def best_schedules(contracts: Contracts, worth: Floats, margin_worth: Floats) -> Schedules:
    """The schedule of most worth for each contract.

    `worth` is (F, T), per expected kW; `margin_worth` is (T,), the loss per kW² of variance.
    """
    n, T = len(contracts), worth.shape[1]
    value, on = np.zeros(n), np.zeros((n, T), dtype=bool)
    level = np.zeros((n, T), dtype=np.int8)
    for start in range(0, n, BLOCK):
        block = slice(start, min(start + BLOCK, n))
        gain, level[block] = best_levels(contracts, block, worth, margin_worth)
        value[block], on[block] = best_runs(contracts, block, gain)
    return Schedules(value=value, on=on, level=level)


def best_levels(
    contracts: Contracts, rows: slice | Ints, worth: Floats, margin_worth: Floats
) -> tuple[Floats, NDArray[np.int8]]:
    """(m, T) what an interval on is worth at its best level, and that level."""
    per_kw = worth[contracts.feeder[rows]]
    gain = np.full(per_kw.shape, -NEVER)
    level = np.zeros(per_kw.shape, dtype=np.int8)
    for i in range(contracts.level_kw.shape[1]):
        mean = contracts.mean_kw[rows, i, None]
        there = contracts.level_kw[rows, i, None] > 0
        at = mean * per_kw
        at -= contracts.variance[rows, i, None] * margin_worth
        at -= contracts.pay[rows, i, None]
        better = there & (at > gain)
        np.copyto(gain, at, where=better)
        level[better] = i
    return gain, level


def best_runs(contracts: Contracts, rows: slice | Ints, gain: Floats) -> tuple[Floats, Bools]:
    """The runs of most worth under every term of the contract: value (m,), on (m, T)."""
    terms = _Terms.of(contracts, rows)
    value, on = np.zeros(len(gain)), np.zeros(gain.shape, dtype=bool)
    hopeful = np.maximum(gain, 0.0).sum(axis=1) > terms.start_cost
    fresh = terms.ran == 0
    for calls in np.unique(terms.calls[hopeful & fresh]):
        some = np.flatnonzero(hopeful & fresh & (terms.calls == calls))
        if calls > 0:
            value[some], on[some] = _fresh_runs(terms.take(some), gain[some], int(calls))
    some = np.flatnonzero(~fresh)
    if len(some):
        value[some], on[some] = _carried_runs(terms.take(some), gain[some])
    return value, on


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Terms:
    """The terms of some contracts that pricing needs, (m,) each."""

    start_cost: Floats
    earliest: Ints
    least_run: Ints
    longest_run: Ints
    calls: Ints
    rest: Ints
    budget: Ints
    ran: Ints

    @classmethod
    def of(cls, contracts: Contracts, rows: slice | Ints) -> "_Terms":
        return cls(**{name: getattr(contracts, name)[rows] for name in cls.__slots__})

    def take(self, rows: Ints) -> "_Terms":
        return _Terms(**{name: getattr(self, name)[rows] for name in self.__slots__})


def _fresh_runs(terms: _Terms, gain: Floats, calls: int) -> tuple[Floats, Bools]:
    """Up to `calls` runs of contracts of which none is on before the first interval."""
    m, T = gain.shape
    end_worth = np.zeros((m, T + 1))
    np.cumsum(gain, axis=1, out=end_worth[:, 1:])
    early = np.arange(T + 1) < terms.earliest[:, None]
    start_worth = end_worth + terms.start_cost[:, None] + NEVER * early
    tables = _tables(terms, end_worth, start_worth, calls)
    budget, limit = terms.budget.copy(), np.full(m, T)
    value, on = np.zeros(m), np.zeros((m, T + 1), dtype=np.int8)
    live = np.arange(m)
    for k in range(calls, 0, -1):
        best, length, start = _last_run(
            terms.take(live), end_worth[live], start_worth[live], tables[k - 1], live,
            budget[live], limit[live],
        )  # fmt: skip
        if k == calls:
            value[:] = best
        has = length > 0
        live, length, start = live[has], length[has], start[has]
        on[live, start] += 1
        on[live, start + length] -= 1
        budget[live] -= length
        limit[live] = start - terms.rest[live]
        alive = limit[live] > 0
        live = live[alive]
        if not len(live):
            break
    return value, np.cumsum(on[:, :T], axis=1, dtype=np.int8).astype(bool)


def _tables(
    terms: _Terms, end_worth: Floats, start_worth: Floats, calls: int
) -> list[Floats | None]:
    """For k = 0 … calls - 1: (m, B + 1, T + 1) worth of the best k runs by budget and end.

    None stands for all zeros. Where no budget binds there is one row for all budgets, B = 0.
    """
    tables: list[Floats | None] = [None]
    binding = bool((terms.budget < calls * terms.longest_run).any())
    m, ends = end_worth.shape
    longest = int(min(terms.longest_run.max(), ends - 1))
    everyone = np.arange(m)
    for k in range(1, calls):
        B = min(k * longest, ends - 1) if binding else 0
        table = np.zeros((m, B + 1, ends))
        for d in range(1, longest + 1):
            lasts = ((terms.least_run <= d) & (d <= terms.longest_run))[:, None]
            run = end_worth[:, d:] - start_worth[:, :-d]
            for used in range(d, (d if k == 1 else B) + 1) if binding else (0,):
                limit = np.arange(ends - d) - terms.rest[:, None]
                before = _before(tables[k - 1], everyone, np.full(m, used - d), limit)
                at = table[:, used, d:]
                np.maximum(at, run + before, out=at, where=lasts)
        np.maximum.accumulate(table, axis=2, out=table)
        np.maximum.accumulate(table, axis=1, out=table)
        tables.append(table)
    return tables


def _before(table: Floats | None, rows: Ints, budget: Ints, limit: Ints) -> Floats | float:
    """(m, …) worth of the earlier runs that end by `limit` within `budget` intervals."""
    if table is None:
        return 0.0
    _, width, ends = table.shape
    place = (rows * width + np.minimum(budget, width - 1)) * ends
    found: Floats = table.ravel()[place[:, None] + np.maximum(limit, 0)]
    return found


def _last_run(
    terms: _Terms,
    end_worth: Floats,
    start_worth: Floats,
    table: Floats | None,
    rows: Ints,
    budget: Ints,
    limit: Ints,
) -> tuple[Floats, Ints, Ints]:
    """The best last run that ends by `limit`: worth with what comes before, length, start.

    Length 0: doing nothing is best.
    """
    m, ends = end_worth.shape
    best, length, start = np.zeros(m), np.zeros(m, dtype=np.int64), np.zeros(m, dtype=np.int64)
    if (limit < ends - 1).any():
        end_worth = np.where(np.arange(ends) > limit[:, None], -NEVER, end_worth)
    longest = np.minimum(terms.longest_run, budget)
    everyone = np.arange(m)
    for d in range(1, min(int(longest.max(initial=0)), ends - 1) + 1):
        run = end_worth[:, d:] - start_worth[:, :-d]
        if table is not None:
            run += _before(
                table, rows, np.maximum(budget - d, 0), np.arange(ends - d) - terms.rest[:, None]
            )
        at = run.argmax(axis=1)
        worth = run[everyone, at]
        better = (worth > best) & (terms.least_run <= d) & (d <= longest)
        best[better], length[better], start[better] = worth[better], d, at[better]
    return best, length, start


def _carried_runs(terms: _Terms, gain: Floats) -> tuple[Floats, Bools]:
    """Contracts whose run goes on: every length that it may still have, then fresh runs."""
    m, T = gain.shape
    best, on = np.full(m, -np.inf), np.zeros((m, T), dtype=bool)
    longest = np.minimum(terms.longest_run - terms.ran, terms.budget)
    least = np.maximum(terms.least_run - terms.ran, 0)
    again = np.flatnonzero(terms.calls > 0)
    for d in range(min(int(longest.max(initial=0)), T) + 1):
        worth, then = gain[:, :d].sum(axis=1), np.zeros((m, T), dtype=bool)
        if len(again):
            rest = terms.take(again)
            begin = np.maximum(rest.earliest, d + rest.rest)
            later = replace(rest, earliest=begin, budget=np.maximum(rest.budget - d, 0))
            for calls in np.unique(rest.calls):
                some = np.flatnonzero(rest.calls == calls)
                more, runs = _fresh_runs(later.take(some), gain[again[some]], int(calls))
                worth[again[some]] += more
                then[again[some]] = runs
        then[:, :d] = True
        better = (worth > best) & (least <= d) & (d <= np.maximum(longest, least))
        best[better], on[better] = worth[better], then[better]
    return best, on
