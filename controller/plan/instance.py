"""A dispatch instance as arrays: contracts, cohorts, cars, batteries, and what is asked of them.

The form without names, clocks or currencies in which any fleet is planned at scale: one row per
contract, intervals of a quarter of an hour, kW, and whole or fractional minor units of money.
Letters: n contracts, L levels, K cohorts, V car parks, B batteries, F feeders; T event intervals,
H >= T with the tail in which appliances rebound.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from controller.plan.arrays import Bools, Floats, Ints

STEP_H = 0.25
"""Hours per interval."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contracts:
    """One row per contract; levels in rising order, of a range its two ends."""

    ids: tuple[str, ...] = field(repr=False)
    level_kw: Floats = field(repr=False)
    """(n, L); 0 where a contract has fewer levels."""
    mean_kw: Floats = field(repr=False)
    """(n, L) expected reduction."""
    variance: Floats = field(repr=False)
    """(n, L) kW²; of a range its safe linear bound a(1-a)·p·pmax."""
    pay: Floats = field(repr=False)
    """(n, L) rebate and fatigue per interval."""
    start_cost: Floats = field(repr=False)
    earliest: Ints = field(repr=False)
    least_run: Ints = field(repr=False)
    longest_run: Ints = field(repr=False)
    calls: Ints = field(repr=False)
    rest: Ints = field(repr=False)
    budget: Ints = field(repr=False)
    feeder: Ints = field(repr=False)
    is_range: Bools = field(repr=False)
    ran: Ints = field(repr=False)
    """Intervals of the run that is on when interval 0 begins; 0: none is."""

    def __len__(self) -> int:
        return len(self.feeder)

    def take(self, rows: Ints) -> "Contracts":
        """These contracts only."""
        columns = {
            name: getattr(self, name)[rows] for name in self.__dataclass_fields__ if name != "ids"
        }
        return Contracts(ids=tuple(self.ids[i] for i in rows), **columns)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cohorts:
    """One row per cohort of like appliances; `count` members, each called by itself."""

    ids: tuple[int, ...] = field(repr=False)
    count: Ints = field(repr=False)
    mean_kw: Floats = field(repr=False)
    """(K,) expected reduction of one member."""
    variance: Floats = field(repr=False)
    pay: Floats = field(repr=False)
    """(K,) per member and interval."""
    start_cost: Floats = field(repr=False)
    longest: Ints = field(repr=False)
    recover: Ints = field(repr=False)
    rebound: Floats = field(repr=False)
    """(K,) share of what was saved that comes back,"""
    rebound_run: Ints = field(repr=False)
    """(K,) evenly over so many intervals."""
    feeder: Ints = field(repr=False)
    earliest: Ints = field(repr=False)
    """(K,) first interval in which these members may start."""

    def __len__(self) -> int:
        return len(self.feeder)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CarParks:
    """Cohorts of like cars: so many car-intervals of charging before the deadline."""

    ids: tuple[int, ...] = field(repr=False)
    count: Ints = field(repr=False)
    need: Ints = field(repr=False)
    """(V,) car-intervals in all."""
    mean_kw: Floats = field(repr=False)
    pay: Floats = field(repr=False)
    """(V,) per car not charging in an interval in which it would."""
    baseline: Ints = field(repr=False)
    """(V, H) cars that charge without an event."""
    most: Ints = field(repr=False)
    """(V, H) cars that can charge."""
    feeder: Ints = field(repr=False)

    def __len__(self) -> int:
        return len(self.feeder)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batteries:
    """kWh and kW; `soc_end` is the least at the end of the horizon."""

    cap: Floats = field(repr=False)
    kw: Floats = field(repr=False)
    soc_start: Floats = field(repr=False)
    soc_min: Floats = field(repr=False)
    soc_end: Floats = field(repr=False)
    efficiency: Floats = field(repr=False)
    pay: Floats = field(repr=False)
    """(B,) per kWh discharged."""
    feeder: Ints = field(repr=False)

    def __len__(self) -> int:
        return len(self.feeder)


@dataclass(frozen=True, kw_only=True, eq=False)
class Instance:
    """Everything that a plan at scale depends on; (H,) arrays unless said otherwise."""

    name: str
    T: int
    H: int
    F: int
    z: float
    target: Floats = field(repr=False)
    sigma: Floats = field(repr=False)
    """kW at which the root of the variance is made linear."""
    headroom: Floats = field(repr=False)
    short_price: tuple[float, float]
    """Per kWh short, first tier and beyond."""
    first_tier: float
    """Share of the target that the first tier is."""
    over_price: float
    over_above: float
    """Delivery above so many times the target is paid for."""
    feeder_most: Floats = field(repr=False)
    """(F,) inf: none."""
    feeder_least: Floats = field(repr=False)
    """(F,) -inf: none."""
    feeder_price: float
    contracts: Contracts
    cohorts: Cohorts
    cars: CarParks
    batteries: Batteries
    given: Floats | None = field(default=None, repr=False)
    """(1 + F, H) what comes whatever is planned: with its margin, and expected per feeder."""
    given_cost: float = 0.0

    @cached_property
    def asked(self) -> Bools:
        """(H,) something is asked: limits of feeders and prices hold there."""
        return self.target > 0

    @cached_property
    def margin(self) -> Floats:
        """(H,) kW held back per kW² of variance."""
        return np.where(self.asked, self.z / (2 * np.maximum(self.sigma, 1e-6)), 0.0)

    @cached_property
    def wanted(self) -> Floats:
        """(H,) least reduction with its margin: the target, or minus the headroom."""
        wanted: Floats = np.where(self.asked, self.target + self.z * self.sigma / 2, -self.headroom)
        return wanted
