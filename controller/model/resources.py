"""Resources: meters, controllable devices, and the fleet that holds them as columns."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from controller.model.ids import (
    CustomerId,
    FeederId,
    LinkId,
    MeterId,
    ProfileId,
    ResourceId,
    ZoneId,
)
from controller.model.time import QUARTER_HOUR


class ResourceKind(StrEnum):
    """What a resource is; the simulators have a physics page for each."""

    AIR_CONDITIONER = "air_conditioner"
    WATER_HEATER = "water_heater"
    EV_CHARGER = "ev_charger"
    BATTERY = "battery"
    PV = "pv"
    FURNACE = "furnace"
    FACTORY = "factory"
    COLD_STORE = "cold_store"
    MALL = "mall"
    WATER_WORKS = "water_works"
    HOSPITAL = "hospital"


APPLIANCE_KINDS = frozenset(
    {
        ResourceKind.AIR_CONDITIONER,
        ResourceKind.WATER_HEATER,
        ResourceKind.EV_CHARGER,
        ResourceKind.BATTERY,
        ResourceKind.PV,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """A metering point (户号 / 计量点): what settlement is measured by."""

    id: MeterId
    customer_id: CustomerId
    resource_ids: tuple[ResourceId, ...]
    interval: timedelta = QUARTER_HOUR
    net: bool = True
    """True: the customer's net load; False: sub-metered, the resource alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One controllable load; `floor_kw` (保安负荷) is never cut, a protected one never called."""

    id: ResourceId
    kind: ResourceKind
    zone: ZoneId
    feeder: FeederId
    meter_id: MeterId
    rated_kw: float
    floor_kw: float = 0.0
    ramp_kw_per_min: float = float("inf")
    min_on: timedelta = timedelta(0)
    min_off: timedelta = timedelta(0)
    recovery: timedelta = timedelta(0)
    link: LinkId
    profile: ProfileId
    address: str
    """Where the link finds it: a Modbus unit, an OPC UA object, a topic segment."""
    protected: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Fleet:
    """The resources of a zone in one dense, stable order; frames and assignments speak indexes.

    `resources[i]` is the row, the numpy columns below are the same rows for whole-fleet
    arithmetic. The order is the order of the configuration and never changes within a version.
    """

    resources: tuple[Resource, ...]
    meters: tuple[Meter, ...]
    index_of: Mapping[ResourceId, int] = field(init=False, repr=False)
    meter_index_of: Mapping[MeterId, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        index = {r.id: i for i, r in enumerate(self.resources)}
        meters = {m.id: i for i, m in enumerate(self.meters)}
        if len(index) != len(self.resources) or len(meters) != len(self.meters):
            raise ValueError("ids of resources and of meters must be unique")
        object.__setattr__(self, "index_of", index)
        object.__setattr__(self, "meter_index_of", meters)

    def __len__(self) -> int:
        return len(self.resources)

    def __iter__(self) -> Iterator[Resource]:
        return iter(self.resources)

    def __getitem__(self, resource_id: ResourceId) -> Resource:
        """The resource of that id. Raises KeyError."""
        return self.resources[self.index_of[resource_id]]

    def meter(self, meter_id: MeterId) -> Meter:
        return self.meters[self.meter_index_of[meter_id]]

    def indexes(self, resource_ids: Iterable[ResourceId]) -> NDArray[np.int64]:
        return np.fromiter((self.index_of[r] for r in resource_ids), dtype=np.int64)

    def where(self, **wanted: object) -> Sequence[Resource]:
        """Resources whose fields equal `wanted`, e.g. `where(kind=…, link=…)`."""
        return [r for r in self.resources if all(getattr(r, k) == v for k, v in wanted.items())]

    @cached_property
    def rated_kw(self) -> NDArray[np.float64]:
        return np.array([r.rated_kw for r in self.resources], dtype=np.float64)

    @cached_property
    def floor_kw(self) -> NDArray[np.float64]:
        return np.array([r.floor_kw for r in self.resources], dtype=np.float64)

    @cached_property
    def meter_index(self) -> NDArray[np.int64]:
        """(n,) index into `meters` of the meter each resource lies behind."""
        return np.array([self.meter_index_of[r.meter_id] for r in self.resources], dtype=np.int64)
