"""Contracts and programs: what was agreed with whom, and a market's rules as data."""

from dataclasses import dataclass, field
from datetime import time, timedelta
from enum import StrEnum

from controller.model.ids import ContractId, CustomerId, ProgramId, ResourceId
from controller.model.time import QUARTER_HOUR


class ContractKind(StrEnum):
    """Interruptible: the customer cuts (可中断负荷); direct control: we do; points: homes."""

    INTERRUPTIBLE = "interruptible"
    DIRECT_CONTROL = "direct_control"
    POINTS = "points"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Local wall-clock hours in which a contract may be called; weekdays 0 = Monday."""

    start: time
    end: time
    weekdays: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What a customer (or a class of homes) agreed to give, under which terms, at what price.

    Curtailment per resource is either one of `steps_kw` or any value in [min_kw, max_kw].
    Money is in minor units (fen) of the program's currency.
    """

    id: ContractId
    name: str
    program_id: ProgramId
    resource_ids: tuple[ResourceId, ...]
    kind: ContractKind
    wired: bool
    """True: we command the device. False: told; a duty desk answers a notice."""
    steps_kw: tuple[float, ...] = ()
    min_kw: float = 0.0
    max_kw: float = 0.0
    notice: timedelta = timedelta(0)
    reply_within: timedelta = timedelta(0)
    """Told contracts: an answer later than this after the notice counts as silence."""
    min_duration: timedelta = QUARTER_HOUR
    max_duration: timedelta = timedelta(hours=24)
    max_calls_per_day: int = 1
    max_calls_per_season: int = 1000
    max_hours_per_year: float = 8760.0
    rest: timedelta = timedelta(0)
    """Least time between the end of a call and the start of the next."""
    windows: tuple[Window, ...] = ()
    """Empty: any time."""
    energy_price_minor_per_kwh: int = 0
    capacity_price_minor_per_kw_month: int = 0
    start_cost_minor: int = 0
    penalty_minor_per_kwh: int = 0
    points_per_kwh: int = 0
    availability_frac: float = 1.0
    """Probability that a call is followed; learnt values replace it (see Flexibility)."""

    @property
    def levels_kw(self) -> tuple[float, ...]:
        """The steps, or the ends of the range."""
        return self.steps_kw or (self.min_kw, self.max_kw)

    @property
    def most_kw(self) -> float:
        return max(self.levels_kw)


class BaselineMethod(StrEnum):
    """Families of customer baseline load; parameters are in `BaselineRule`."""

    RECENT_N = "recent_n"
    X_OF_Y = "x_of_y"


class Adjustment(StrEnum):
    """Same-day adjustment of a baseline (METHODS: additive shift or capped ratio)."""

    NONE = "none"
    ADDITIVE = "additive"
    RATIO = "ratio"


class Pick(StrEnum):
    """Which X of the Y eligible days an x-of-y baseline averages."""

    HIGH = "high"
    MID = "mid"
    LOW = "low"


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineRule:
    """A baseline method with its parameters: program data, never an `if` in code."""

    method: BaselineMethod
    days: int = 5
    """recent_n: N. x_of_y: Y, the eligible days looked at."""
    days_non_working: int | None = None
    """The same for an event on a weekend or holiday (China 3, GB 4). None: as `days`."""
    pick_days: int = 4
    """x_of_y: X, the days averaged."""
    pick_days_non_working: int | None = None
    pick: Pick = Pick.HIGH
    lookback_days: int = 30
    min_days: int = 1
    low_usage_frac: float = 0.25
    high_usage_frac: float = 2.0
    """A day whose event-hour mean is outside [low, high] × the mean of the days is dropped and
    replaced, to a fixed point. x_of_y tests the low side only: high days are what it looks for."""
    adjustment: Adjustment = Adjustment.NONE
    adjustment_hours: float = 3.0
    adjustment_gap_h: float = 1.0
    """The window ends this long before the start, or at the notice, whichever is earlier."""
    adjustment_cap_frac: float | None = 0.2
    """Ratio is clipped to 1 ± cap; additive to ± cap × mean baseline. None: no cap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """One row of a performance table: ratio = delivered / committed in [from_ratio, to_ratio).

    Pays `pay_frac` of the price for the energy up to `cap_ratio` × committed; charges
    `penalty_frac` of the penalty price for what is missing up to `penalty_ratio` × committed.
    """

    from_ratio: float
    to_ratio: float
    pay_frac: float
    cap_ratio: float
    penalty_frac: float = 0.0
    penalty_ratio: float = 1.0


class TierBasis(StrEnum):
    """Over what the ratio of a tier is formed."""

    INTERVAL = "interval"
    EVENT = "event"


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A demand response program (项目 / 细则): a market's rules as data."""

    id: ProgramId
    name: str
    currency: str
    """ISO 4217 code of the minor units, e.g. CNY (fen)."""
    timezone: str
    baseline: BaselineRule
    tiers: tuple[Tier, ...]
    tier_basis: TierBasis = TierBasis.EVENT
    interval: timedelta = QUARTER_HOUR
    holidays: tuple[str, ...] = ()
    """ISO dates that are not working days, besides weekends."""
    points_cap_frac: float = 1.5
    """Points are earned on at most this multiple of the committed energy."""
    points_min_frac: float = 0.05
    """Below this fraction of the baseline's energy no points are earned."""
    valid_frac: float = 0.9
    """With fewer than this of the committed intervals metered, a line is on hold: 0 for now."""
    start_paid: bool = False
    """True: a called contract whose tier pays gets its start cost once per event."""
    automatic: bool = False
    """True: scheduled runs dispatch without an operator's approval."""
    settle_from_telemetry: bool = False
    objection_days: int = 5
    sources: tuple[str, ...] = field(default=())
    """Where the rules were read; shown on the statement as 'implements … with these parameters'."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractUse:
    """What of a contract's budget is already spent: a fold over the journal."""

    contract_id: ContractId
    calls_today: int = 0
    calls_season: int = 0
    hours_year: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """Who gets the statement."""

    id: CustomerId
    name: str
