"""The scorecard of an event (评分卡): what was asked, promised and delivered, at what cost."""

from dataclasses import dataclass, field

from controller.model.events import EventSource, EventStatus
from controller.model.ids import EventId
from controller.model.time import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreInterval:
    """One interval of an event in mean kW; `target_kw` is 0 where another event rules."""

    interval: Interval
    target_kw: float
    committed_kw: float
    delivered_kw: float
    """By contractual baseline, from settlement's whole Wh."""
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
    delivered_kwh: float
    true_kwh: float | None
    delivered_frac: float | None
    """Delivered / target over the intervals with a target."""
    worst_frac: float | None
    """The smallest interval's delivered / target."""
    peak_error_frac: float | None
    """(forecast − actual) / actual of the day's highest interval."""
    peak_time_error_min: float | None
    cost_minor: int
    """Money to customers less penalties; points apart."""
    points: int
    cost_per_kwh_minor: float | None
    gap_frac: float | None
    unreachable: int
    refused: int
    overridden: int
    """Devices (not receipts) that could not be reached, refused, or were taken back."""
    comfort_violations: int
    first_command_s: float | None
    """Wall seconds from the event's coming in to the first command."""
    all_acked_s: float | None
