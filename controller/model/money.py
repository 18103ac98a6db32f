"""After the event: baselines, performance, transfers and statements. Integers from here on."""

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from controller.model.ids import ContractId, CustomerId, EventId, MeterId
from controller.model.time import Interval, Series

POINTS = "POINT"
"""Currency code of household points beside the ISO 4217 codes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DroppedDay:
    """A day that a baseline did not use, and why."""

    day: date
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """Customer baseline load (基线负荷) of one meter over an event, in kW, and how it was made."""

    meter_id: MeterId
    series: Series
    """(n,) kW after adjustment; NaN where no valid day knows the interval."""
    unadjusted: Series
    method: str
    days_used: tuple[date, ...]
    days_dropped: tuple[DroppedDay, ...] = ()
    adjustment: float = 0.0
    """Additive: kW added. Ratio: the factor applied. None: 0."""
    notes: tuple[str, ...] = ()
    event_id: EventId | None = None
    """The event it was made for, once it is settled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """What one meter gave in one interval of one event. Whole watt-hours.

    `delivered_wh` = baseline − metered, signed; 0 with `valid` False where either is missing.
    """

    event_id: EventId
    meter_id: MeterId
    contract_id: ContractId
    interval: Interval
    baseline_wh: int
    metered_wh: int
    committed_wh: int
    delivered_wh: int
    valid: bool = True
    starts_run: bool = True
    """Whether the call began with this interval. One that an earlier event began and this one only
    carries on has been paid its start."""


class Phase(StrEnum):
    """Two-phase transfers: reserve, then post or void."""

    PENDING = "pending"
    POST = "post"
    VOID = "void"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """One double entry: `amount_minor` ≥ 0 moves from account `debit` to account `credit`.

    `id` = hash(event, contract, customer, component, version): settling again makes the same
    ids, and the ledger takes each id once.
    """

    id: str
    event_id: EventId
    contract_id: ContractId
    customer_id: CustomerId
    component: str
    """energy · start · penalty · points"""
    debit: str
    credit: str
    amount_minor: int
    currency: str
    phase: Phase = Phase.POST
    version: int = 1
    reason: str = ""
    """The formula with its numbers, so that the customer can redo it by hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementLine:
    """One component of a statement with the arithmetic behind it."""

    event_id: EventId
    contract_id: ContractId
    component: str
    committed_wh: int
    delivered_wh: int
    ratio: str
    """Delivered / committed as an exact fraction in decimal, e.g. '0.9734'."""
    tier: str
    amount_minor: int
    """Signed: > 0 goes to the customer, a penalty is < 0."""
    currency: str
    formula: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What a customer gets (结算单): everything needed to check it by hand."""

    customer_id: CustomerId
    customer_name: str
    made_at: datetime
    program: str
    lines: tuple[StatementLine, ...]
    baselines: tuple[Baseline, ...] = field(repr=False)
    performances: tuple[Performance, ...] = field(repr=False)
    config_hash: str = ""
    object_until: date | None = None
