"""The rows that couple a fleet, and what is free to move between them: the base of the program.

Rows (all `>=`): the wanted reduction with its margin per interval; what is over; each feeder's
most and least. Base columns: shortfall in two tiers, surplus, feeder shortfall, battery power and
charge, cars that charge. Everybody else is a column with a delivery.
"""

from dataclasses import dataclass, field

import numpy as np

from controller.plan.arrays import Floats, Ints
from controller.plan.instance import STEP_H, Instance
from controller.plan.milp import MilpBuilder


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """Numbers of the coupling rows; -1 where there is none."""

    energy: Ints = field(repr=False)
    """(H,)"""
    over: Ints = field(repr=False)
    """(H,)"""
    most: Ints = field(repr=False)
    """(F, H)"""
    least: Ints = field(repr=False)
    """(F, H)"""
    low: Floats = field(repr=False)
    """(R,) right-hand sides."""

    @classmethod
    def of(cls, instance: Instance) -> "Rows":
        H, F, asked = instance.H, instance.F, instance.asked
        given = instance.given if instance.given is not None else np.zeros((1 + F, H))
        limited = np.isfinite(instance.feeder_most)[:, None] & asked
        floored = np.isfinite(instance.feeder_least)[:, None] & asked
        there = (np.ones(H, dtype=bool), asked, limited, floored)
        low = (
            instance.wanted - given[0],
            given[1:].sum(axis=0) - instance.over_above * instance.target,
            given[1:] - instance.feeder_most[:, None],
            instance.feeder_least[:, None] - given[1:],
        )
        numbers, sides, count = [], [], 0
        for mask, side in zip(there, low, strict=True):
            number = np.full(mask.shape, -1, dtype=np.int64)
            number[mask] = count + np.arange(int(mask.sum()))
            count += int(mask.sum())
            numbers.append(number)
            sides.append(side[mask])
        return cls(
            energy=numbers[0],
            over=numbers[1],
            most=numbers[2],
            least=numbers[3],
            low=np.concatenate(sides),
        )

    def worth(self, prices: Floats) -> tuple[Floats, Floats]:
        """(H,) worth of a kW with its margin, (F, H) of an expected kW at (R,) prices."""
        padded = np.append(prices, 0.0)
        expected = padded[self.least] - padded[self.most] - padded[self.over]
        return padded[self.energy], expected

    def entries(self, energy: Floats, expected: Floats, feeder: Ints) -> tuple[Ints, Ints, Floats]:
        """(row, column, value) of (m, H) deliveries on feeders (m,)."""
        m = len(feeder)
        column = np.broadcast_to(np.arange(m)[:, None], energy.shape)
        parts = (
            (np.broadcast_to(self.energy, energy.shape), energy),
            (np.broadcast_to(self.over, energy.shape), -expected),
            (self.most[feeder], -expected),
            (self.least[feeder], expected),
        )
        row = np.concatenate([r.ravel() for r, _ in parts])
        value = np.concatenate([v.ravel() for _, v in parts])
        columns = np.concatenate([column.ravel()] * 4)
        keep = (row >= 0) & (np.abs(value) > 1e-9)
        return row[keep], columns[keep], value[keep]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Base:
    """The columns of the base program, where they are."""

    short: Ints = field(repr=False)
    """(2, H) both tiers, -1 where nothing is asked"""
    charge: Ints = field(repr=False)
    """(B, H)"""
    discharge: Ints = field(repr=False)
    cars: Ints = field(repr=False)
    """(V, H)"""


def build_base(
    build: MilpBuilder, instance: Instance, rows: Rows, *, whole_cars: bool = False
) -> Base:
    """The coupling rows first (their numbers are those of `rows`), then the base columns."""
    low = rows.low.copy()
    cars = instance.cars
    _shift(low, rows, cars.mean_kw[:, None] * cars.baseline, cars.feeder)
    build.rows((len(low),), low, np.inf)
    asked = np.flatnonzero(instance.asked)
    short = np.full((2, instance.H), -1, dtype=np.int64)
    tier = instance.first_tier * instance.target[asked]
    for i, high in enumerate((tier, np.full(len(asked), np.inf))):
        price = STEP_H * instance.short_price[i]
        short[i, asked] = build.columns(np.full(len(asked), price), high=high)
        build.put(rows.energy[asked], short[i, asked], 1.0)
    over = build.columns(np.full(len(asked), STEP_H * instance.over_price))
    build.put(rows.over[asked], over, 1.0)
    f, t = np.nonzero(rows.least >= 0)
    missing = build.columns(np.full(len(f), STEP_H * instance.feeder_price))
    build.put(rows.least[f, t], missing, 1.0)
    charge, discharge = _battery_columns(build, instance, rows)
    return Base(
        short=short,
        charge=charge,
        discharge=discharge,
        cars=_car_columns(build, instance, rows, whole_cars),
    )


def base_cost(instance: Instance) -> float:
    """What is paid whatever is planned: what is given, and cars as if none charged."""
    cars = instance.cars
    return instance.given_cost + float((cars.pay[:, None] * cars.baseline).sum())


def _shift(low: Floats, rows: Rows, delivery: Floats, feeder: Ints) -> None:
    """Takes a delivery that always comes off the right-hand sides."""
    row, _, value = rows.entries(delivery, delivery, feeder)
    np.subtract.at(low, row, value)


def _put_delivery(build: MilpBuilder, rows: Rows, columns: Ints, kw: Floats, feeder: Ints) -> None:
    """(m, H) columns whose unit delivers `kw` (m, 1) in their interval."""
    m, H = columns.shape
    for row, sign in (
        (np.broadcast_to(rows.energy, (m, H)), 1.0),
        (np.broadcast_to(rows.over, (m, H)), -1.0),
        (rows.most[feeder], -1.0),
        (rows.least[feeder], 1.0),
    ):
        build.put(row, columns, sign * kw, row >= 0)


def _battery_columns(build: MilpBuilder, instance: Instance, rows: Rows) -> tuple[Ints, Ints]:
    b, H = instance.batteries, instance.H
    shape = (len(b), H)
    charge = build.columns(np.zeros(shape), high=b.kw[:, None])
    discharge = build.columns(
        np.broadcast_to((b.pay * STEP_H)[:, None], shape).copy(), high=b.kw[:, None]
    )
    least = np.repeat(b.soc_min[:, None], H, axis=1)
    least[:, -1:] = np.maximum(least[:, -1:], b.soc_end[:, None])
    soc = build.columns(np.zeros(shape), low=least, high=b.cap[:, None])
    _put_delivery(build, rows, discharge, np.ones((len(b), 1)), b.feeder)
    _put_delivery(build, rows, charge, -np.ones((len(b), 1)), b.feeder)
    start = np.zeros(shape)
    start[:, :1] = b.soc_start[:, None]
    balance = build.rows(shape, start, start)
    build.put(balance, soc, 1.0)
    build.put(balance[:, 1:], soc[:, :-1], -1.0)
    build.put(balance, charge, -STEP_H * b.efficiency[:, None])
    build.put(balance, discharge, STEP_H / b.efficiency[:, None])
    return charge, discharge


def _car_columns(build: MilpBuilder, instance: Instance, rows: Rows, whole: bool) -> Ints:
    """How many charge: each takes its kW from the reduction, and saves the pay for waiting."""
    cars = instance.cars
    saves = np.where(cars.baseline > 0, -cars.pay[:, None], 0.0)
    charging = build.columns(saves, high=cars.most, whole=whole)
    _put_delivery(build, rows, charging, -cars.mean_kw[:, None], cars.feeder)
    all_in = build.rows((len(cars),), cars.need, cars.need)
    build.put(all_in[:, None], charging, 1.0)
    return charging
