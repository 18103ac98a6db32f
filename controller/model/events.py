"""DR events (需求响应事件): what the grid asks, the answers to invitations, who rules when."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from controller.model.ids import ContractId, EventId, FeederId, ProgramId, ZoneId
from controller.model.time import Grid, Interval, Series


class Signal(StrEnum):
    """How an event states its ask."""

    REDUCE_KW = "reduce_kw"
    LIMIT_KW = "limit_kw"
    LEVEL = "level"
    PRICE = "price"
    CHARGE = "charge"


class Direction(StrEnum):
    """Peak shaving (削峰) or valley filling (填谷)."""

    DOWN = "down"
    UP = "up"


class EventSource(StrEnum):
    """Who asked."""

    SCHEDULER = "scheduler"
    OPERATOR = "operator"
    OPENADR = "openadr"


class EventStatus(StrEnum):
    """Where in its life an event is; `controller.events` holds the one transition table."""

    DRAFT = "draft"
    APPROVED = "approved"
    INVITED = "invited"
    BID = "bid"
    CLEARED = "cleared"
    DISPATCHED = "dispatched"
    ACTIVE = "active"
    ENDED = "ended"
    PROVISIONAL = "provisional"
    SETTLED = "settled"
    DISPUTED = "disputed"
    FINAL = "final"
    AMENDED = "amended"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class DREvent:
    """One ask of the grid: `target` is kW per interval (or kW limit, level, price by `signal`).

    Lower `priority` wins, as in OpenADR 3; among equals the newer rules.
    """

    id: EventId
    source: EventSource
    source_id: str
    program_id: ProgramId
    zone: ZoneId
    feeder: FeederId | None = None
    signal: Signal = Signal.REDUCE_KW
    direction: Direction = Direction.DOWN
    target: Series
    notified_at: datetime
    reply_by: datetime | None = None
    priority: int = 100
    revision: int = 0
    emergency: bool = False
    test: bool = False
    status: EventStatus = EventStatus.DRAFT
    config_hash: str = ""
    """The configuration version in force when it was taken or approved: it is settled under it."""

    @property
    def span(self) -> Interval:
        return self.target.grid.span


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Which event rules each interval of `grid`, and its target there in kW (0 where none)."""

    grid: Grid
    ruling: tuple[EventId | None, ...]
    target: Series


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What a told contract is asked to do: kW per interval, answer wanted by `reply_by`."""

    id: str
    event_id: EventId
    contract_id: ContractId
    kw: Series
    sent_at: datetime
    reply_by: datetime


class Answer(StrEnum):
    """What a duty desk says to a notice; no answer in time is SILENT."""

    ACCEPT = "accept"
    PART = "part"
    NO = "no"
    SILENT = "silent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """The answer to a notice: kW per interval that the customer will give."""

    notice_id: str
    event_id: EventId
    contract_id: ContractId
    answer: Answer
    kw: Series
    price_minor_per_kwh: int | None = None
    answered_at: datetime
    by: str
