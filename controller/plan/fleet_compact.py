"""A small instance as one mixed-integer program: nothing is left out, so its bound is proven.

Per contract and interval: on, begin, a choice of levels or kW in a range (the rows of `model`);
per cohort how many members start when for how long; the base columns of `rows` with batteries
that never do both.
"""

from dataclasses import dataclass, field

import numpy as np

from controller.plan.arrays import Bools, Floats, Ints
from controller.plan.cohort_paths import delivery
from controller.plan.fleet_plan import FleetPlan
from controller.plan.instance import Contracts, Instance
from controller.plan.milp import Milp, MilpBuilder
from controller.plan.rows import Base, Rows, base_cost, build_base


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Compact:
    """The program and where its parts are."""

    milp: Milp = field(repr=False)
    base: Base = field(repr=False)
    kw: Ints = field(repr=False)
    """(n, L, T) columns of levels; of a range the first is kW and the rest are -1."""
    on: Ints = field(repr=False)
    """(n, T)"""
    begin: Ints = field(repr=False)
    option: Ints = field(repr=False)
    """(o, 3) cohort, start, length of an option,"""
    option_column: Ints = field(repr=False)


def build_compact(instance: Instance) -> Compact:
    """The program whose solutions are all plans of the instance."""
    build, rows = MilpBuilder(), Rows.of(instance)
    base = build_base(build, instance, rows, whole_cars=True)
    _one_way(build, instance, base)
    on, begin = _runs(build, instance)
    kw = _levels(build, instance, rows, on)
    option, column = _options(build, instance, rows)
    return Compact(
        milp=build.milp(base_cost(instance)),
        base=base,
        kw=kw,
        on=on,
        begin=begin,
        option=option,
        option_column=column,
    )


def plan_of_compact(instance: Instance, program: Compact, values: Floats) -> FleetPlan:
    """The plan that a solution stands for."""
    k = instance.contracts
    on = values[program.on] > 0.5
    step = program.kw >= 0
    chosen = np.where(step, values[program.kw], 0.0)
    level = np.take_along_axis(
        k.level_kw, chosen.argmax(axis=1).reshape(len(k), instance.T), axis=1
    )
    top = k.level_kw.max(axis=1, initial=0.0)[:, None]
    ranged = np.clip(chosen[:, 0], k.level_kw[:, :1], top)
    kw = np.where(on, np.where(k.is_range[:, None], ranged, level), 0.0)
    longest = int(instance.cohorts.longest.max(initial=0))
    starts = np.zeros((len(instance.cohorts), instance.T, longest), dtype=np.int64)
    at = program.option
    starts[at[:, 0], at[:, 1], at[:, 2] - 1] = np.round(values[program.option_column])
    return FleetPlan(
        kw=kw,
        starts=starts,
        charging=np.round(values[program.base.cars]).astype(np.int64),
        charge=values[program.base.charge],
        discharge=values[program.base.discharge],
    )


def _one_way(build: MilpBuilder, instance: Instance, base: Base) -> None:
    """A battery charges or discharges, never both."""
    most = instance.batteries.kw[:, None]
    charging = build.columns(np.zeros(base.charge.shape), high=1.0, whole=True)
    up = build.rows(base.charge.shape, -np.inf, 0.0)
    build.put(up, base.charge, 1.0)
    build.put(up, charging, -most)
    down = build.rows(base.charge.shape, -np.inf, most)
    build.put(down, base.discharge, 1.0)
    build.put(down, charging, most)


def _runs(build: MilpBuilder, instance: Instance) -> tuple[Ints, Ints]:
    """On and begin with starts, least and longest runs, rests, calls and budgets."""
    k, T = instance.contracts, instance.T
    n, t = len(k), np.arange(T)
    ran, least, longest, rest, calls, earliest = (
        x[:, None] for x in (k.ran, k.least_run, k.longest_run, k.rest, k.calls, k.earliest)
    )
    running = ran > 0
    can_start = (t >= earliest) & (t + least <= T) & (calls > 0)
    can_go_on = running & (t < longest - ran)
    must = running & (t < least - ran)
    single = _one_level(k)
    pay = np.where(single, k.pay.max(axis=1, initial=0.0), 0.0)
    on = build.columns(
        np.repeat(pay[:, None], T, axis=1),
        low=must,
        high=(can_start.cumsum(axis=1) > 0) | can_go_on,
        whole=True,
    )
    begin = build.columns(np.repeat(k.start_cost[:, None], T, axis=1), high=can_start)
    first = running & (t == 0)
    starts = build.rows((n, T), -np.inf, np.where(first, 1.0, 0.0))
    build.put(starts, on, 1.0)
    build.put(starts[:, 1:], on[:, :-1], -1.0)
    build.put(starts, begin, -1.0)
    # Only where they can bind: runs of one interval, of any length, single calls need none.
    lasting, ending = np.flatnonzero(k.least_run > 1), np.flatnonzero(k.longest_run < T)
    again = np.flatnonzero(k.calls + running[:, 0] > 1)
    hold = build.rows((len(lasting), T), -np.inf, 0.0)
    stop = build.rows((len(ending), T), -np.inf, np.where(can_go_on, 1.0, 0.0)[ending])
    pause = build.rows((len(again), T), -np.inf, 1.0)
    build.put(hold, on[lasting], -1.0)
    build.put(stop, on[ending], 1.0)
    earlier = np.maximum(t - rest[again], 0)
    build.put(pause, on[again[:, None], earlier], 1.0, t >= rest[again])
    for lag in range(T):
        since = begin[:, : T - lag]
        build.put(hold[:, lag:], since[lasting], 1.0, lag < least[lasting])
        build.put(stop[:, lag:], since[ending], -1.0, lag < longest[ending])
        build.put(pause[:, lag:], since[again], 1.0, lag < rest[again])
    called = build.columns(np.zeros(n), high=k.calls, whole=True, priority=1)
    sums = build.rows((n,), 0.0, 0.0)
    build.put(sums[:, None], begin, 1.0)
    build.put(sums, called, -1.0)
    build.put(build.rows((n,), -np.inf, k.budget)[:, None], on, 1.0)
    return on, begin


def _levels(build: MilpBuilder, instance: Instance, rows: Rows, on: Ints) -> Ints:
    """One binary per level and interval, or kW between the two ends of a range."""
    k, T = instance.contracts, instance.T
    n, L = k.level_kw.shape
    kw = np.full((n, L, T), -1, dtype=np.int64)
    _range_columns(build, instance, rows, on, np.flatnonzero(k.is_range), kw)
    single = _one_level(k)
    several = np.flatnonzero(~k.is_range & ~single)
    kw[single, 0] = on[single]
    for level in range(L):
        who = several[k.level_kw[several, level] > 0]
        cost = np.repeat(k.pay[who, level, None], T, axis=1)
        kw[who, level] = build.columns(cost, high=1.0, whole=True)
    pick = build.rows((len(several), T), 0.0, 0.0)
    build.put(pick, on[several], -1.0)
    for level in range(L):
        build.put(pick, kw[several, level], 1.0, kw[several, level] >= 0)
        who = np.flatnonzero(~k.is_range & (k.level_kw[:, level] > 0))
        _deliver(
            build, instance, rows, who, kw[who, level], k.mean_kw[who, level],
            k.variance[who, level],
        )  # fmt: skip
    return kw


def _one_level(contracts: Contracts) -> Bools:
    """(n,) steps with a single level: on is that level."""
    single: Bools = ~contracts.is_range & ((contracts.level_kw > 0).sum(axis=1) == 1)
    return single


def _range_columns(
    build: MilpBuilder, instance: Instance, rows: Rows, on: Ints, who: Ints, kw: Ints
) -> None:
    k, T = instance.contracts, instance.T
    top = k.level_kw[who].max(axis=1, initial=1.0)
    cost = np.repeat((k.pay[who].max(axis=1, initial=0.0) / top)[:, None], T, axis=1)
    kw[who, 0] = build.columns(cost, high=top[:, None])
    mean = k.mean_kw[who].max(axis=1, initial=0.0) / top
    variance = k.variance[who].max(axis=1, initial=0.0) / top
    _deliver(build, instance, rows, who, kw[who, 0], mean, variance)
    link = build.rows((2, len(who), T), -np.inf, 0.0)
    build.put(link[0], kw[who, 0], 1.0)
    build.put(link[0], on[who], -top[:, None])
    build.put(link[1], kw[who, 0], -1.0)
    build.put(link[1], on[who], k.level_kw[who, :1])


def _deliver(
    build: MilpBuilder, instance: Instance, rows: Rows, who: Ints, columns: Ints, mean: Floats,
    variance: Floats,
) -> None:  # fmt: skip
    """(m, T) columns, each delivering in its own interval."""
    T, feeder = instance.T, instance.contracts.feeder[who]
    expected = mean[:, None]
    energy = expected - variance[:, None] * instance.margin[:T]
    shape = columns.shape
    for row, value in (
        (np.broadcast_to(rows.energy[:T], shape), energy),
        (np.broadcast_to(rows.over[:T], shape), -expected),
        (rows.most[feeder][:, :T], -expected),
        (rows.least[feeder][:, :T], expected),
    ):
        build.put(row, columns, value, row >= 0)


def _options(build: MilpBuilder, instance: Instance, rows: Rows) -> tuple[Ints, Ints]:
    """How many members start each option; never more held or resting than there are."""
    k, T, H = instance.cohorts, instance.T, instance.H
    longest = int(k.longest.max(initial=0))
    c, t, d = np.meshgrid(np.arange(len(k)), np.arange(T), np.arange(1, longest + 1), indexing="ij")
    fits = (d <= k.longest[c]) & (t + d <= T) & (t >= k.earliest[c])
    c, t, d = c[fits], t[fits], d[fits]
    one = np.zeros((len(c), T, longest), dtype=np.int64)
    one[np.arange(len(c)), t, d - 1] = 1
    energy, expected, cost = delivery(instance, c, one) if len(c) else (np.zeros((0, H)),) * 3
    column = build.columns(np.asarray(cost).reshape(-1), high=k.count[c], whole=True)
    row, which, value = rows.entries(energy, expected, k.feeder[c])
    build.put(row, column[which], value)
    room = build.rows((len(k), T), -np.inf, k.count[:, None])
    for s in range(T):
        held = (t <= s) & (s < t + d + k.recover[c])
        build.put(room[c[held], s], column[held], 1.0)
    return np.stack([c, t, d], axis=1), column
