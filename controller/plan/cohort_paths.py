"""The best chain of starts of one member of every cohort at given prices.

Members are called by themselves and are alike, and windows with their recovery are intervals:
so many members can each follow a chain of its own exactly where the counts fit. The best use of
a cohort at fixed prices is therefore its count times the best chain of one member.
"""

import numpy as np

from controller.plan.arrays import Floats, Ints
from controller.plan.instance import Instance


def option_worth(instance: Instance, energy: Floats, expected: Floats) -> Floats:
    """(K, T, D) worth of one member that starts at t for d + 1 intervals, costs taken off.

    `energy` is (H,), per kW with its margin; `expected` is (F, H), per expected kW. NaN-free:
    what a cohort may not do is worth minus infinity.
    """
    k, T, H = instance.cohorts, instance.T, instance.H
    per_kw = k.mean_kw[:, None] * (energy + expected[k.feeder])
    saved = _sums(per_kw - k.variance[:, None] * (energy * instance.margin))
    back = _sums(per_kw)
    D = int(k.longest.max(initial=0))
    worth = np.full((len(k), T, D), -np.inf)
    for d in range(1, min(D, T) + 1):
        t = np.arange(T - d + 1)
        ends = np.minimum(t + d + k.rebound_run[:, None], H)
        rebound = np.take_along_axis(back, ends, axis=1) - back[:, t + d]
        at = saved[:, t + d] - saved[:, t]
        at -= (k.rebound * d / k.rebound_run)[:, None] * rebound
        at -= (k.pay * d + k.start_cost)[:, None]
        can = (d <= k.longest[:, None]) & (t >= k.earliest[:, None])
        worth[:, : T - d + 1, d - 1] = np.where(can, at, -np.inf)
    return worth


def best_chains(instance: Instance, worth: Floats) -> tuple[Floats, Ints]:
    """Value (K,) of one member's best chain, and which (K, T, D) starts are in it (0 or 1)."""
    k, (K, T, D) = instance.cohorts, worth.shape
    reach = T + int(k.recover.max(initial=0)) + D + 1
    value = np.zeros((K, reach))
    choice = np.zeros((K, T), dtype=np.int64)
    rows = np.arange(K)
    after = k.recover[:, None] + np.arange(1, D + 1)
    for t in range(T - 1, -1, -1):
        options = worth[:, t] + value[rows[:, None], t + after] if D else np.full((K, 1), -1.0)
        at = options.argmax(axis=1)
        best = options[rows, at]
        better = best > value[:, t + 1]
        value[:, t] = np.where(better, best, value[:, t + 1])
        choice[:, t] = np.where(better, at + 1, 0)
    starts = np.zeros(worth.shape, dtype=np.int64)
    free = np.zeros(K, dtype=np.int64)
    for t in range(T):
        begins = np.flatnonzero((free <= t) & (choice[:, t] > 0))
        d = choice[begins, t]
        starts[begins, t, d - 1] = 1
        free[begins] = t + d + k.recover[begins]
    return value[:, 0], starts


def delivery(instance: Instance, rows: Ints, starts: Ints) -> tuple[Floats, Floats, Floats]:
    """What (m, T, D) starts in cohorts `rows` bring: with margin (m, H), expected (m, H), cost."""
    k, H = instance.cohorts, instance.H
    m, T, D = starts.shape
    pad = D + int(k.rebound_run.max(initial=1)) + 1
    active, back = np.zeros((m, H + pad)), np.zeros((m, H + pad))
    length = np.arange(1, D + 1)
    for d in range(1, D + 1):
        begun = starts[:, :, d - 1]
        if not begun.any():
            continue
        for j in range(d):
            active[:, j : j + T] += begun
        share = (k.rebound[rows] * d / k.rebound_run[rows])[:, None] * begun
        for j in range(int(k.rebound_run[rows].max())):
            back[:, d + j : d + j + T] += np.where(j < k.rebound_run[rows, None], share, 0.0)
    expected = k.mean_kw[rows, None] * (active - back)[:, :H]
    energy = expected - k.variance[rows, None] * active[:, :H] * instance.margin
    cost = k.pay[rows] * (starts * length).sum(axis=(1, 2)) + k.start_cost[rows] * starts.sum(
        axis=(1, 2)
    )
    return energy, expected, cost


def _sums(values: Floats) -> Floats:
    """Running sums with a zero in front."""
    sums = np.zeros((values.shape[0], values.shape[1] + 1))
    np.cumsum(values, axis=1, out=sums[:, 1:])
    return sums
