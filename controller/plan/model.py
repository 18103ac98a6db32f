"""The compact model (OPTIMISER §1): a choice of runs and levels as one mixed-integer program.

Per contract c and open interval t: on (binary), begin (0/1), a level (one binary per step, or kW
in a range). Per option o of a cohort: how many members start it. Per interval with a target: what
is short (two tiers) and what is over. The reserve is a chance constraint made linear and safe:
√V ≤ σ/2 + V/2σ for every σ, exact where σ = √V, because the root is concave.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from controller.plan.arrays import (
    KW_TOLERANCE,
    ContractTerms,
    Floats,
    Ints,
    Terms,
    moments_of,
)
from controller.plan.draft import Draft, empty_draft, given_cost, margin_factor
from controller.plan.milp import Milp, MilpBuilder
from controller.plan.problem import FIRST_TIER_FRAC, FREE_SURPLUS_FRAC, SECOND_TIER_FACTOR

MARGIN_SLACK = 1.01
"""The skewness moves a little with the plan; without this a few kW of reserve would lack after."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Margin:
    """Where the reserve is made linear: `factor` standard deviations, tangent at `sigma` kW."""

    factor: Floats = field(repr=False)
    sigma: Floats = field(repr=False)

    @classmethod
    def at(cls, terms: Terms, variance: Floats, third: Floats) -> "Margin":
        """The margin at a draft's own spread: a good place for the tangent of the next solve."""
        known = [c.availability for c in terms.contracts] + [k.availability for k in terms.cohorts]
        sure = all(a in (0.0, 1.0) for a in known)
        factor = MARGIN_SLACK * margin_factor(terms.z, variance, third)
        return cls(
            factor=np.zeros_like(factor) if sure else factor,
            sigma=np.sqrt(np.maximum(variance, 1.0)),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """The program and where its variables are: columns of kW (c, s, t) and of options."""

    milp: Milp = field(repr=False)
    free: Ints = field(repr=False)
    """Indexes of the contracts that have a choice."""
    kw_column: Ints = field(repr=False)
    """(c, s, t) over the free contracts."""
    kw_of: Floats = field(repr=False)
    """(c, s, t) kW that a column's unit stands for."""
    option_column: tuple[Ints, ...] = field(repr=False)
    on_column: Ints = field(repr=False)
    """(c, t) over the free contracts."""
    contract_columns: int
    """The first so many columns belong to contracts, the same in every model of the terms."""

    def draft(self, terms: Terms, values: Floats) -> Draft:
        """The draft that a solution stands for; whole variables are rounded first."""
        exact = np.where(self.milp.whole, np.round(values), values)
        kw = empty_draft(terms).kw
        kw[self.free, terms.first :] = (self.kw_of * exact[self.kw_column]).sum(axis=1)
        for on, i in zip(exact[self.on_column], self.free, strict=True):
            if terms.contracts[i].is_range:
                for t in range(terms.first, terms.grid.count):
                    level = terms.contracts[i].level_at(t, float(kw[i, t]))
                    kw[i, t] = level if on[t - terms.first] > 0 else 0.0
        counts = tuple(np.round(exact[o]).astype(np.int64) for o in self.option_column)
        return Draft(kw=kw, counts=counts)

    def spread(self, terms: Terms, values: Floats) -> Floats:
        """(2, t) variance and third moment of a solution, fractions taken as they are."""
        moments = terms.kept_moments.copy()
        for c in terms.contracts:
            moments += moments_of(c.availability, c.given_kw)
        for column, kw, i in zip(self.kw_column, self.kw_of, self.free, strict=True):
            c, x = terms.contracts[i], values[column]
            level = (
                moments_of(c.availability, x) if c.is_range else x * moments_of(c.availability, kw)
            )
            moments[:, terms.first :] += level.sum(axis=1)
        for k, column in zip(terms.cohorts, self.option_column, strict=True):
            moments += np.einsum("o,mot->mt", values[column], moments_of(k.availability, k.kw))
        return moments[1:]


def build_model(terms: Terms, margin: Margin, *, members_whole: bool = True) -> Model:
    """The program whose solutions are plans that keep every term."""
    build = MilpBuilder()
    free = np.array([i for i, c in enumerate(terms.contracts) if c.free], dtype=np.int64)
    contracts = [terms.contracts[i] for i in free]
    block = _contract_block(build, terms, contracts)
    contract_columns = build.column_count
    options = _option_columns(build, terms, members_whole)
    _balance(build, terms, margin, block, options)
    return Model(
        milp=build.milp(given_cost(terms)),
        free=free,
        kw_column=block.column,
        kw_of=block.kw,
        option_column=options,
        on_column=block.on,
        contract_columns=contract_columns,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Levels:
    """(c, s, t) over free contracts: the column, the kW of its unit, its moments per unit."""

    on: Ints
    column: Ints
    kw: Floats
    mean: Floats
    variance: Floats


def _contract_block(build: MilpBuilder, terms: Terms, contracts: list[ContractTerms]) -> _Levels:
    first, count = terms.first, len(contracts)
    horizon = terms.grid.count - first
    can_give = _stack([c.can_give[first:] for c in contracts], horizon)
    can_start = _stack([c.can_start[first:] for c in contracts], horizon)
    must_give = _stack([c.must_give[first:] for c in contracts], horizon)
    start_cost = np.array([c.contract.start_cost_minor for c in contracts], dtype=np.float64)
    on = build.columns(np.zeros((count, horizon)), low=must_give, high=can_give, whole=True)
    begin = build.columns(np.repeat(start_cost[:, None], horizon, 1), high=can_start)
    _run_rows(build, contracts, on, begin)
    return _level_columns(build, terms, contracts, on)


def _run_rows(build: MilpBuilder, contracts: list[ContractTerms], on: Ints, begin: Ints) -> None:
    """Starts, least and longest runs, rests, calls and hours; t = 0 is the first open interval."""
    count, horizon = on.shape
    t = np.arange(horizon)
    ran, least, longest, rest, calls, hours = (
        np.array([getattr(c, name) for c in contracts], dtype=np.int64)[:, None]
        for name in ("ran", "min_run", "max_run", "rest", "calls_left", "intervals_left")
    )
    running = ran > 0
    # A start is where it is on and was not: on_t - on_(t-1) <= begin_t.
    starts = build.rows((count, horizon), -np.inf, np.where(running & (t == 0), 1.0, 0.0))
    build.put(starts, on, 1.0)
    build.put(starts[:, 1:], on[:, :-1], -1.0)
    build.put(starts, begin, -1.0)
    # Begun in the last `least` intervals: still on. On: begun in the last `longest` intervals.
    carried = running & (t < longest - ran)
    hold = build.rows((count, horizon), -np.inf, 0.0)
    stop = build.rows((count, horizon), -np.inf, np.where(carried, 1.0, 0.0))
    build.put(hold, on, -1.0)
    build.put(stop, on, 1.0)
    for lag in range(horizon):
        build.put(hold[:, lag:], begin[:, : horizon - lag], 1.0, lag < least)
        build.put(stop[:, lag:], begin[:, : horizon - lag], -1.0, lag < longest)
    # A run that could not last its least duration does not begin.
    late = build.rows((count,), -np.inf, 0.0)
    build.put(late[:, None], begin, 1.0, t > horizon - least)
    # On at t - rest, or begun since: nothing else begins until t.
    again = calls + running > 1
    pause = build.rows((count, horizon), -np.inf, 1.0)
    build.put(
        pause, on[np.arange(count)[:, None], np.maximum(t - rest, 0)], 1.0, again & (t >= rest)
    )
    for lag in range(horizon):
        build.put(pause[:, lag:], begin[:, : horizon - lag], 1.0, again & (lag < rest))
    # A whole number of calls: solvers prove more by branching on it than on single intervals.
    called = build.columns(np.zeros(count), high=calls[:, 0], whole=True, priority=1)
    sums = build.rows((count,), 0.0, 0.0)
    build.put(sums[:, None], begin, 1.0)
    build.put(sums, called, -1.0)
    build.put(build.rows((count,), -np.inf, hours[:, 0])[:, None], on, 1.0)


def _level_columns(
    build: MilpBuilder, terms: Terms, contracts: list[ContractTerms], on: Ints
) -> _Levels:
    """kW by interval: the on column itself for one step, a choice of steps, or a range."""
    first, (count, horizon) = terms.first, on.shape
    width = max((1 if c.is_range else len(c.levels) for c in contracts), default=1)
    column, kw = (
        np.zeros((count, width, horizon), dtype=np.int64),
        np.zeros((count, width, horizon)),
    )
    variance = np.zeros((count, width, horizon))
    for i, c in enumerate(contracts):
        steps = np.array(c.levels)[:, None]
        spread = c.availability * (1 - c.availability)
        price = c.availability * c.contract.energy_price_minor_per_kwh * terms.grid.step_h
        most = np.maximum(c.most_kw[first:], c.levels[0])
        if c.is_range:
            column[i, 0] = build.columns(np.full(horizon, price), high=most)
            kw[i, 0], variance[i, 0] = 1.0, spread * most
            link = build.rows((2, horizon), -np.inf, 0.0)
            build.put(link[0], column[i, 0], 1.0)
            build.put(link[0], on[i], -most)
            build.put(link[1], column[i, 0], -1.0)
            build.put(link[1], on[i], c.levels[0])
        else:
            usable = steps <= most + KW_TOLERANCE
            size = len(c.levels)
            cost = np.broadcast_to(price * steps, usable.shape)
            choice = build.columns(cost, high=usable, whole=True)
            pick = build.rows((horizon,), 0.0, 0.0)
            build.put(pick, choice, 1.0)
            build.put(pick, on[i], -1.0)
            column[i, :size], kw[i, :size] = choice, steps
            variance[i, :size] = spread * steps**2
    mean = np.array([c.availability for c in contracts])[:, None, None] * kw
    return _Levels(on=on, column=column, kw=kw, mean=mean, variance=variance)


def _option_columns(build: MilpBuilder, terms: Terms, whole: bool) -> tuple[Ints, ...]:
    """How many members start each option; never more at once than are free."""
    columns: list[Ints] = []
    t = np.arange(terms.grid.count)
    for k in terms.cohorts:
        members = len(k.cohort.members)
        count = build.columns(k.cost, high=members, whole=whole)
        columns.append(count)
        if not len(count):
            continue
        held = (k.start[:, None] <= t) & (t < (k.start + k.length + k.recovery)[:, None])
        used = np.unique(k.start)
        room = build.rows((len(used),), -np.inf, np.maximum(members - k.busy[used], 0))
        build.put(room[None, :], count[:, None], 1.0, held[:, used])
        build.put(build.rows((1,), -np.inf, k.starts_left), count, 1.0)
    return tuple(columns)


def _balance(
    build: MilpBuilder, terms: Terms, margin: Margin, levels: _Levels, options: tuple[Ints, ...]
) -> None:
    """Delivery with its reserve against the target; surplus above what is free."""
    moments = terms.kept_moments[:2].copy()
    for c in terms.contracts:
        moments += moments_of(c.availability, c.given_kw)[:2]
    asked = np.flatnonzero(terms.ruled & (terms.target > 0))
    ruled = np.flatnonzero(terms.ruled)
    target, tier = terms.target[asked], FIRST_TIER_FRAC * terms.target[asked]
    half = margin.factor / (2 * margin.sigma)
    need = target + (margin.factor * margin.sigma / 2)[asked]
    given = (moments[0] - half * moments[1])[asked]
    deliver = build.rows((len(asked),), need - given, np.inf)
    surplus = build.rows(
        (len(ruled),), -np.inf, (1 + FREE_SURPLUS_FRAC) * terms.target[ruled] - moments[0][ruled]
    )
    price = np.full(len(asked), terms.short_price)
    build.put(deliver, build.columns(price, high=tier), 1.0)
    build.put(deliver, build.columns(SECOND_TIER_FACTOR * price), 1.0)
    build.put(surplus, build.columns(np.full(len(ruled), terms.over_price)), -1.0)
    late, over = asked - terms.first, ruled - terms.first
    credit = levels.mean - half[terms.first :] * levels.variance
    build.put(deliver, levels.column[..., late], credit[..., late])
    build.put(surplus, levels.column[..., over], levels.mean[..., over])
    for k, column in zip(terms.cohorts, options, strict=True):
        mean, variance, _ = moments_of(k.availability, k.kw)
        build.put(deliver, column[:, None], (mean - half * variance)[:, asked])
        build.put(surplus, column[:, None], mean[:, ruled])


def _stack(rows: list[NDArray[np.bool_]], width: int) -> Floats:
    return np.array(rows, dtype=np.float64).reshape(len(rows), width)
