"""A plan for an instance in numbers, and what it is worth; as JSON in the form of the files."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from controller.plan.arrays import Bools, Floats, Ints
from controller.plan.cohort_paths import delivery
from controller.plan.instance import STEP_H, Instance


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FleetPlan:
    """Who gives what: kW of contracts, members that start, cars that charge, battery power."""

    kw: Floats = field(repr=False)
    """(n, T)"""
    starts: Ints = field(repr=False)
    """(K, T, D): members that start at t for d + 1 intervals."""
    charging: Ints = field(repr=False)
    """(V, H)"""
    charge: Floats = field(repr=False)
    """(B, H) kW"""
    discharge: Floats = field(repr=False)


def begins(on: Bools, ran: Ints) -> Ints:
    """(m,) runs that begin in (m, T); one that goes on from before does not begin."""
    first = on[:, :1] & (ran[:, None] == 0)
    fresh: Ints = np.concatenate([first, on[:, 1:] & ~on[:, :-1]], axis=1).sum(axis=1)
    return fresh


def contract_delivery(
    instance: Instance, kw: Floats, rows: Ints | None = None
) -> tuple[Floats, Floats, Floats]:
    """Of (m, T) kW of contracts `rows` (all): with margin (m, T), expected (m, T), cost (m,)."""
    c = instance.contracts if rows is None else instance.contracts.take(rows)
    top, mean = c.level_kw.max(axis=1, initial=1e-9), c.mean_kw.max(axis=1, initial=0.0)
    availability = (mean / top)[:, None]
    rate = (c.pay.max(axis=1, initial=0.0) / top)[:, None]
    expected = availability * kw
    spread = (
        availability * (1 - availability) * kw * np.where(c.is_range[:, None], top[:, None], kw)
    )
    energy = expected - spread * instance.margin[: instance.T]
    cost = (rate * kw).sum(axis=1) + c.start_cost * begins(kw > 0, c.ran)
    return energy, expected, cost


def totals(instance: Instance, plan: FleetPlan) -> tuple[Floats, Floats, float]:
    """Delivery with margin (H,), expected per feeder (F, H), and what is paid."""
    T, H, F = instance.T, instance.H, instance.F
    energy, expected = np.zeros(H), np.zeros((F, H))
    if instance.given is not None:
        energy += instance.given[0]
        expected += instance.given[1:]
    at, mean, cost = contract_delivery(instance, plan.kw)
    energy[:T] += at.sum(axis=0)
    for t in range(T):
        expected[:, t] += np.bincount(instance.contracts.feeder, mean[:, t], minlength=F)
    paid = instance.given_cost + float(cost.sum())
    k, v, b = instance.cohorts, instance.cars, instance.batteries
    if len(k):
        at, mean, cost = delivery(instance, np.arange(len(k)), plan.starts)
        energy += at.sum(axis=0)
        np.add.at(expected, k.feeder, mean)
        paid += float(cost.sum())
    waiting = v.baseline - plan.charging
    saved = v.mean_kw[:, None] * waiting
    net = plan.discharge - plan.charge
    for kw, feeder in ((saved, v.feeder), (net, b.feeder)):
        energy += kw.sum(axis=0)
        np.add.at(expected, feeder, kw)
    paid += float((v.pay[:, None] * np.maximum(waiting, 0)).sum())
    paid += float((b.pay[:, None] * STEP_H * plan.discharge).sum())
    return energy, expected, paid


def penalty(instance: Instance, energy: Floats, expected: Floats) -> float:
    """Shortfall in two tiers, surplus, and what feeders lack of their least."""
    asked = instance.asked
    short = np.where(asked, np.maximum(instance.wanted - energy, 0.0), 0.0)
    first = np.minimum(short, instance.first_tier * instance.target)
    over = np.maximum(expected.sum(axis=0) - instance.over_above * instance.target, 0.0)
    lacking = np.maximum(instance.feeder_least[:, None] - expected, 0.0)
    low, high = instance.short_price
    return STEP_H * float(
        (low * first + high * (short - first)).sum()
        + instance.over_price * over[asked].sum()
        + instance.feeder_price * lacking[:, asked].sum()
    )


def objective(instance: Instance, plan: FleetPlan) -> float:
    """Costs and penalties of the plan."""
    energy, expected, paid = totals(instance, plan)
    return paid + penalty(instance, energy, expected)


def broken_rows(instance: Instance, plan: FleetPlan, tolerance: float = 5e-3) -> list[str]:
    """Hard coupling limits that the plan breaks."""
    energy, expected, _ = totals(instance, plan)
    over = (expected - instance.feeder_most[:, None])[:, instance.asked]
    below = (-instance.headroom - energy)[~instance.asked]
    faults = []
    if over.max(initial=-1.0) > tolerance:
        faults.append(f"a feeder is {over.max():.3f} kW above its most")
    if below.max(initial=-1.0) > tolerance:
        faults.append(f"the rebound is {below.max():.3f} kW above its headroom")
    return faults


def plan_json(instance: Instance, plan: FleetPlan) -> dict[str, Any]:
    """The plan as instance files have it."""
    k, v = instance.cohorts, instance.cars
    cohorts: list[dict[str, Any]] = []
    for i, name in enumerate(k.ids):
        t, d = np.nonzero(plan.starts[i])
        count = plan.starts[i, t, d]
        starts = [[int(a), int(b) + 1, int(c)] for a, b, c in zip(t, d, count, strict=True)]
        cohorts.append({"id": name, "starts": starts})
    cohorts += [
        {"id": name, "charging_count": plan.charging[i].tolist()} for i, name in enumerate(v.ids)
    ]
    is_called = np.asarray(np.any(plan.kw > 0, axis=1), dtype=bool)
    called = {
        name: kw
        for name, kw, any_kw in zip(
            instance.contracts.ids, plan.kw.tolist(), is_called, strict=True
        )
        if any_kw
    }
    return {
        "contract_kw": called,
        "cohorts": sorted(cohorts, key=lambda q: str(q["id"])),
        "batteries": [
            {"charge": up.tolist(), "discharge": down.tolist()}
            for up, down in zip(plan.charge, plan.discharge, strict=True)
        ],
    }
