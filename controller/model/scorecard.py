"""The scorecard of an event (评分卡): what was asked, promised and delivered, at what cost."""

from dataclasses import dataclass, field

from controller.model.events import EventSource, EventStatus
from controller.model.ids import EventId
from controller.model.time import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreInterval:
    """One interval of an event in mean kW; all are 0 where the event asks but another rules."""

    interval: Interval
    rules: bool
    """The event rules here; what was delivered elsewhere is another event's."""
    target_kw: float
    committed_kw: float
    delivered_kw: float | None
    """Baseline less meter, of every called meter; None where a meter is missing."""
    delivered_frac: float | None
    """Delivered / target; None where the target is 0."""
    true_kw: float | None = None
    """What the reduction really was, where somebody else knows it (a simulation's twin); it goes
    to the event that rules, so it is 0 where another does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorecard:
    """How one event went. None is "not known" or "does not apply", never 0."""

    event_id: EventId
    source: EventSource
    status: EventStatus
    replans: int
    intervals: tuple[ScoreInterval, ...] = field(repr=False)
    target_kwh: float
    committed_kwh: float
    delivered_kwh: float | None
    true_kwh: float | None
    delivered_frac: float | None
    """Delivered / target over the intervals with a target."""
    worst_frac: float | None
    """The smallest interval's delivered / target."""
    cost_minor: int | None
    """Money to customers less penalties; points apart. None before it is settled."""
    points: int | None
    cost_per_kwh_minor: float | None
    gap_frac: float | None
    """Of its first plan."""
    unreachable: int
    refused: int
    overridden: int
    """Devices (not receipts) that could not be reached, refused, or were taken back."""
