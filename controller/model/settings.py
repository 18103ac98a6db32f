"""The configuration as values: what `controller.config` makes of a folder of TOML and CSV."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time, timedelta
from pathlib import Path

from controller.model.commands import Control
from controller.model.contracts import Contract, Customer, Program
from controller.model.ids import (
    ContractId,
    CustomerId,
    FeederId,
    LinkId,
    ProfileId,
    ProgramId,
    ResourceId,
    ZoneId,
)
from controller.model.resources import Fleet, Resource, ResourceKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """The service area: one zone whose peak is to be shaved."""

    id: ZoneId
    name: str
    timezone: str
    feeders: tuple[FeederId, ...]
    disclaimer: str = ""
    """First line of every report, e.g. that a demonstration area is fictional."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shaving:
    """The scheduled peak-shaving run: when it looks, from which load on, how much it may ask."""

    program_id: ProgramId
    run_at: time
    """Local time of the evening run."""
    limit_kw: float
    """Load of the area that shall not be exceeded."""
    quantile: float
    """The forecast quantile that must stay under the limit (0.9: nine days in ten)."""
    ask_frac: float
    """At most this fraction of the fleet's day-ahead flexibility is asked; the rest is for
    emergencies and replacement."""
    min_duration: timedelta
    max_duration: timedelta
    round_kw: float = 50.0
    """Targets are rounded to multiples of this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortRule:
    """How appliances of one kind are called: the control, its value, comfort and rebound."""

    kind: ResourceKind
    control: Control
    value_frac: float | None = None
    """The setpoint as a fraction of rated power (cap_kw, charge_kw, power_kw)."""
    value: float = 0.0
    """The setpoint itself where no fraction is given (offset_c)."""
    max_run: timedelta
    recovery: timedelta
    rebound_frac: float
    rebound_intervals: int
    availability_frac: float
    cohort_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Planning:
    """How plans are made."""

    confidence: float
    """Asked probability that each interval's target is met."""
    gap_frac: float
    node_limit: int
    replan_node_limit: int
    kill_after_s: float
    """Real seconds after which the solver process is killed and the greedy plan stands."""
    shortfall_price_minor_per_kwh: int
    over_delivery_price_minor_per_kwh: int
    cohorts: tuple[CohortRule, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DispatchRules:
    """How commands go out."""

    lead: timedelta
    """Setpoints leave this long before their start."""
    ack_deadline_s: float
    """Real seconds for a batch's receipts."""
    retries: int
    backoff_s: float
    release_stagger: timedelta
    """Homes are released over this stretch after the end, against rebound."""
    max_kw_per_min: float
    """Last gate before the wire: no more reduction than this is started per minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetryRules:
    """How often the devices are read, and when a silence is a fault."""

    site_every: timedelta
    home_every: timedelta
    stale_after: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyRules:
    """When a shortfall is replanned, and when a resource counts as failed."""

    every: timedelta
    aim_frac: float = 0.0
    """Steer for (1 + this) × target: the contractual baseline may say less than the meters do."""
    shortfall_frac: float
    """Replan when delivered < (1 − this) × what is aimed at."""
    surplus_frac: float
    """Replan when delivered > (1 + this) × what is aimed at."""
    failed_below_frac: float
    """A called resource that delivers less than this of its commitment is given up."""
    settle_time: timedelta
    """How long after its start a resource may take to respond."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """Where the controller's own API listens: loopback unless said otherwise."""

    host: str = "127.0.0.1"
    port: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSettings:
    """One link: its protocol and address; `options` are the protocol's own, checked by it."""

    id: LinkId
    protocol: str
    host: str
    port: int
    timeout_s: float
    poll_every: timedelta
    options: Mapping[str, str | int | float | bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One measured or set value of a device model: where it is and how to read the number.

    engineering value = sign × (raw × scale + offset)
    """

    name: str
    """power_kw · cap_kw · power_kw_set · off · offset_c · charge_kw · soc_frac · temperature_c ·
    hold_s · until · mode · heartbeat …"""
    address: str
    """Modbus 'holding:100' / 'input:30'; OPC UA browse path; MQTT payload key."""
    type: str
    """int16 · uint16 · int32 · uint32 · float32 · float64 · bool · string"""
    scale: float = 1.0
    offset: float = 0.0
    sign: int = 1
    low: float | None = None
    high: float | None = None
    unit: str = ""
    writable: bool = False
    word_order: str = "big"
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A device model (点表): its points, controls and dead-man, one TOML page each."""

    id: ProfileId
    title: str
    protocol: str
    controls: tuple[Control, ...]
    dead_man: str
    """device_timer · heartbeat · edge_agent · none. None is refused for dispatch."""
    dead_man_text: str
    tier: str
    """simulated · recorded · seen"""
    points: Mapping[str, Point]
    deadband_kw: float = 0.0
    """A cap is rewritten only when it moved by more than this."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Config:
    """One accepted configuration, whole. `hash` is SHA-256 over `body`, its canonical files."""

    hash: str
    body: bytes = field(repr=False)
    root: Path
    area: Area
    fleet: Fleet
    customers: Mapping[CustomerId, Customer]
    contracts: Mapping[ContractId, Contract]
    programs: Mapping[ProgramId, Program]
    profiles: Mapping[ProfileId, Profile]
    links: Mapping[LinkId, LinkSettings]
    shaving: Shaving
    planning: Planning
    dispatch: DispatchRules
    telemetry: TelemetryRules
    verify: VerifyRules
    http: HttpSettings
    contract_of: Mapping[ResourceId, ContractId] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        of = {r: c.id for c in self.contracts.values() for r in c.resource_ids}
        object.__setattr__(self, "contract_of", of)

    def resources_of(self, contract: Contract) -> tuple[Resource, ...]:
        return tuple(self.fleet[r] for r in contract.resource_ids)
