"""A plan in a moment: contracts in merit order, each at the window where it helps most.

It keeps every term and hard limit of an instance, needs no solver, and is what stands when
nothing better was found in time.
"""

import numpy as np

from controller.plan.arrays import Floats
from controller.plan.columns import best_schedules
from controller.plan.fleet_dual import codes_of, schedule_delivery
from controller.plan.fleet_plan import FleetPlan
from controller.plan.instance import STEP_H, Instance

BLOCKS = 4000
"""At most so many steps: of a large fleet neighbours in the order are taken together."""


def floor_plan(instance: Instance) -> FleetPlan:
    """The merit order by total cost; cars charge as without an event, batteries wait."""
    k, T = instance.contracts, instance.T
    codes = np.zeros((len(k), T), dtype=np.int8)
    price = STEP_H * instance.short_price[0]
    energy = np.where(instance.asked, price, 0.0)
    limited = np.tile(energy[:T], (instance.F, 1))
    offer = codes_of(best_schedules(k, limited, (energy * instance.margin)[:T]))
    rows = np.flatnonzero(offer.any(axis=1) | (k.ran > 0))
    at, mean, cost = schedule_delivery(k, instance.margin, offer[rows], rows)
    unit = cost / np.maximum((at * instance.asked[:T]).sum(axis=1), 1e-9)
    order = np.argsort(np.where(k.ran[rows] > 0, -np.inf, unit), kind="stable")
    taken = _stack(instance, rows[order], at[order], mean[order], cost[order])
    codes[rows[order][taken]] = offer[rows[order][taken]]
    level = np.maximum(codes, 1).astype(np.int64) - 1
    kw = np.where(codes > 0, np.take_along_axis(k.level_kw, level, axis=1), 0.0)
    charge, discharge = _idle(instance)
    longest = int(instance.cohorts.longest.max(initial=0))
    return FleetPlan(
        kw=kw,
        starts=np.zeros((len(instance.cohorts), T, longest), dtype=np.int64),
        charging=_charging(instance),
        charge=charge,
        discharge=discharge,
    )


def _stack(
    instance: Instance, rows: np.ndarray, at: Floats, mean: Floats, cost: Floats
) -> np.ndarray:
    """Which of the offers, in order, pay by what is still lacking and fit their feeder."""
    T, k = instance.T, instance.contracts
    given = instance.given if instance.given is not None else np.zeros((1 + instance.F, instance.H))
    lacking = np.where(instance.asked, instance.wanted - given[0], 0.0)[:T]
    # What cars and batteries do without a call is small; room is kept for it.
    room = np.where(instance.asked, instance.feeder_most[:, None], np.inf)[:, :T] - given[1:, :T]
    taken = np.zeros(len(rows), dtype=bool)
    low, high = instance.short_price
    size = max(1, len(rows) // BLOCKS)
    tier = instance.first_tier * instance.target[:T]
    for first in range(0, len(rows), size):
        block = slice(first, min(first + size, len(rows)))
        fits = (mean[block] <= room[k.feeder[rows[block]]]).all(axis=1)
        useful = np.minimum(at[block], np.maximum(lacking, 0.0))
        beyond = np.minimum(at[block], np.maximum(lacking - tier, 0.0))
        gain = STEP_H * (low * useful + (high - low) * beyond).sum(axis=1)
        chosen = np.flatnonzero((fits & (gain > cost[block])) | (k.ran[rows[block]] > 0)) + first
        if size > 1 and len(chosen):
            total = np.zeros((instance.F, T))
            np.add.at(total, k.feeder[rows[chosen]], mean[chosen])
            if (total > room).any():
                continue
        taken[chosen] = True
        lacking = lacking - at[chosen].sum(axis=0)
        np.subtract.at(room, k.feeder[rows[chosen]], mean[chosen])
        if lacking.max(initial=0.0) <= 0:
            taken |= False
            break
    must = k.ran[rows] > 0
    return np.flatnonzero(taken | must)


def _charging(instance: Instance) -> np.ndarray:
    """Cars at their baseline; where that is not what they still need, as early as they can."""
    cars = instance.cars
    out = np.minimum(cars.baseline, cars.most)
    for v in range(len(cars)):
        left = int(cars.need[v] - out[v].sum())
        if left < 0:
            out[v] = 0
            left = int(cars.need[v])
        for t in range(instance.H):
            more = min(left, int(cars.most[v, t] - out[v, t]))
            out[v, t] += more
            left -= more
    return out


def _idle(instance: Instance) -> tuple[Floats, Floats]:
    """Batteries wait; those that must be fuller at the end charge evenly."""
    b, H = instance.batteries, instance.H
    lacking = np.maximum(np.maximum(b.soc_end, b.soc_min) - b.soc_start, 0.0)
    kw = lacking / (b.efficiency * STEP_H * max(H, 1))
    return np.repeat(kw[:, None], H, axis=1), np.zeros((len(b), H))
