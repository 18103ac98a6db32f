"""What may stand in the tables of a configuration: one class per table, unknown keys refused.

A class here knows one table by itself; what ties tables together is in `check`. Text values
(durations, money, hours) become values on the way in. Durations of the simulated or real day are
text ("15 min"); deadlines of the machine itself are numbers of wall-clock seconds (`…_s`).
"""

from datetime import date, time, timedelta
from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from controller.config import text
from controller.config.text import Money
from controller.model.commands import Control
from controller.model.contracts import Adjustment, BaselineMethod, ContractKind, Pick, TierBasis
from controller.model.resources import ResourceKind

Id: TypeAlias = Annotated[str, BeforeValidator(text.slug)]
Words: TypeAlias = Annotated[str, Field(min_length=1, max_length=300)]
Duration: TypeAlias = Annotated[timedelta, BeforeValidator(text.duration)]
ClockTime: TypeAlias = Annotated[time, BeforeValidator(text.clock_time)]
Timezone: TypeAlias = Annotated[str, BeforeValidator(text.timezone)]
Amount: TypeAlias = Annotated[Money, BeforeValidator(text.money(None))]
PerKwh: TypeAlias = Annotated[Money, BeforeValidator(text.money("kWh"))]
PerKwMonth: TypeAlias = Annotated[Money, BeforeValidator(text.money("kW-month"))]
NotNegative: TypeAlias = Annotated[float, Field(ge=0)]
Positive: TypeAlias = Annotated[float, Field(gt=0)]
Fraction: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Probability: TypeAlias = Annotated[float, Field(gt=0, lt=1)]
Count: TypeAlias = Annotated[int, Field(ge=0)]
CountFrom1: TypeAlias = Annotated[int, Field(ge=1)]
Ratio: TypeAlias = Annotated[float, Field(allow_inf_nan=True), AfterValidator(text.ordered)]
"""A tier's bound: `-inf` and `inf` are numbers here, NaN is not."""


class Shape(BaseModel):
    """Strict types, no unknown keys, finite numbers."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class AreaShape(Shape):
    """`[area]` of controller.toml."""

    id: Id
    name: Words
    timezone: Timezone
    feeders: Annotated[list[Id], Field(min_length=1)]
    disclaimer: str = ""


class ShavingShape(Shape):
    """`[shaving]` of controller.toml."""

    program: Id
    run_at: ClockTime
    limit_kw: Positive
    quantile: Probability
    ask_frac: Fraction
    min_duration: Duration
    max_duration: Duration
    round_kw: Positive = 50.0


class CohortShape(Shape):
    """`[[planning.cohort]]` of controller.toml: how appliances of one kind are called."""

    kind: Annotated[ResourceKind, BeforeValidator(text.word(ResourceKind))]
    control: Annotated[Control, BeforeValidator(text.word(Control))]
    value_frac: Annotated[float, Field(ge=-1, le=1)] | None = None
    value: float = 0.0
    max_run: Duration
    recovery: Duration
    rebound_frac: NotNegative
    rebound_intervals: Count
    availability_frac: Fraction
    cohort_size: CountFrom1


class PlanningShape(Shape):
    """`[planning]` of controller.toml."""

    confidence: Probability
    gap_frac: Fraction
    node_limit: CountFrom1
    replan_node_limit: CountFrom1
    kill_after_s: Positive
    shortfall_price: PerKwh
    over_delivery_price: PerKwh
    cohort: list[CohortShape] = []


class DispatchShape(Shape):
    """`[dispatch]` of controller.toml."""

    lead: Duration
    ack_deadline_s: Positive
    retries: Count
    backoff_s: NotNegative
    release_stagger: Duration
    max_kw_per_min: Positive


class TelemetryShape(Shape):
    """`[telemetry]` of controller.toml."""

    site_every: Duration
    home_every: Duration
    stale_after: Duration


class VerifyShape(Shape):
    """`[verify]` of controller.toml."""

    every: Duration
    aim_frac: Annotated[float, Field(ge=0, le=0.2)] = 0.0
    shortfall_frac: Fraction
    surplus_frac: NotNegative
    failed_below_frac: Fraction
    settle_time: Duration


class HttpShape(Shape):
    """`[http]` of controller.toml; port 0 lets the system choose."""

    host: Words = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 0


class ControllerShape(Shape):
    """controller.toml: its tables, each of which is judged alone."""

    area: dict[str, Any]
    shaving: dict[str, Any]
    planning: dict[str, Any]
    dispatch: dict[str, Any]
    telemetry: dict[str, Any]
    verify: dict[str, Any]
    http: dict[str, Any] = {}


class BaselineShape(Shape):
    """`[baseline]` of a program."""

    method: Annotated[BaselineMethod, BeforeValidator(text.word(BaselineMethod))]
    days: CountFrom1 = 5
    days_non_working: CountFrom1 | None = None
    pick_days: CountFrom1 = 4
    pick_days_non_working: CountFrom1 | None = None
    pick: Annotated[Pick, BeforeValidator(text.word(Pick))] = Pick.HIGH
    lookback_days: CountFrom1 = 30
    min_days: CountFrom1 = 1
    low_usage_frac: NotNegative = 0.25
    high_usage_frac: Positive = 2.0
    adjustment: Annotated[Adjustment, BeforeValidator(text.word(Adjustment))] = Adjustment.NONE
    adjustment_hours: Positive = 3.0
    adjustment_gap_h: NotNegative = 1.0
    adjustment_cap_frac: NotNegative | None = 0.2


class TierShape(Shape):
    """`[[tier]]` of a program; the table goes from `-inf` to `inf`."""

    from_ratio: Ratio
    to_ratio: Ratio
    pay_frac: NotNegative
    cap_ratio: NotNegative
    penalty_frac: NotNegative = 0.0
    penalty_ratio: NotNegative = 1.0


class ProgramShape(Shape):
    """programs/*.toml: one program per file."""

    id: Id
    name: Words
    currency: Annotated[str, BeforeValidator(text.currency)]
    timezone: Timezone
    baseline: BaselineShape
    tier: Annotated[list[TierShape], Field(min_length=1)]
    tier_basis: Annotated[TierBasis, BeforeValidator(text.word(TierBasis))] = TierBasis.EVENT
    interval: Duration = timedelta(minutes=15)
    holidays: list[date] = []
    points_cap_frac: Positive = 1.5
    points_min_frac: NotNegative = 0.05
    valid_frac: Fraction = 0.9
    start_paid: bool = False
    automatic: bool = False
    settle_from_telemetry: bool = False
    objection_days: Count = 5
    sources: list[Words] = []


class WindowShape(Shape):
    """One entry of a contract's `windows`: local hours in which it may be called."""

    start: ClockTime
    end: ClockTime
    weekdays: Annotated[tuple[int, ...], BeforeValidator(text.weekdays)] = (0, 1, 2, 3, 4, 5, 6)


class ContractShape(Shape):
    """`[[contract]]` of contracts/*.toml."""

    id: Id
    name: Words
    program: Id
    resources: list[Id] = []
    kind: Annotated[ContractKind, BeforeValidator(text.word(ContractKind))]
    wired: bool
    steps_kw: Annotated[list[Positive], Field(min_length=1)] | None = None
    min_kw: NotNegative | None = None
    max_kw: Positive | None = None
    notice: Duration
    reply_within: Duration | None = None
    min_duration: Duration
    max_duration: Duration
    max_calls_per_day: Count = 1
    max_calls_per_season: Count = 1000
    max_hours_per_year: NotNegative = 8760.0
    rest: Duration = timedelta(0)
    windows: list[WindowShape] = []
    energy_price: PerKwh
    capacity_price: PerKwMonth | None = None
    start_cost: Amount | None = None
    penalty: PerKwh | None = None
    points_per_kwh: Count = 0
    availability_frac: Annotated[float, Field(gt=0, le=1)] = 1.0


class LinkShape(Shape):
    """`[[link]]` of fleet/*.toml; port 0 is filled in when the link's server is known."""

    id: Id
    protocol: Words
    host: Words = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)]
    timeout_s: Positive
    poll_every: Duration
    options: Annotated[dict[str, Any], BeforeValidator(text.options)] = {}


class SiteShape(Shape):
    """`[[customer.meter.resource]]` of fleet/*.toml."""

    id: Id
    kind: Annotated[ResourceKind, BeforeValidator(text.word(ResourceKind))]
    zone: Id
    feeder: Id
    rated_kw: Positive
    floor_kw: NotNegative = 0.0
    ramp_kw_per_min: Positive | None = None
    min_on: Duration = timedelta(0)
    min_off: Duration = timedelta(0)
    recovery: Duration = timedelta(0)
    link: Id
    profile: Id
    address: Words
    protected: bool = False


class MeterShape(Shape):
    """`[[customer.meter]]` of fleet/*.toml."""

    id: Id
    interval: Duration = timedelta(minutes=15)
    net: bool = True
    resource: list[SiteShape] = []


class CustomerShape(Shape):
    """`[[customer]]` of fleet/*.toml."""

    id: Id
    name: Words
    meter: Annotated[list[MeterShape], Field(min_length=1)]


class HomeShape(Shape):
    """One row of fleet/*.csv: an appliance, its home's customer and net meter, its contract."""

    id: Id
    customer_id: Id
    meter_id: Id
    kind: Annotated[ResourceKind, BeforeValidator(text.word(ResourceKind))]
    zone: Id
    feeder: Id
    rated_kw: Annotated[float, Field(gt=0, strict=False)]
    contract_id: Id
    link: Id
    profile: Id
    address: Words
