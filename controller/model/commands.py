"""Commands and what comes back: setpoints, receipts, device states, overrides, readings."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from controller.model.ids import EventId, MeterId, ResourceId, SetpointId
from controller.model.time import Interval


class Control(StrEnum):
    """What a setpoint sets.

    cap_kw: draw at most this much. power_kw: draw exactly this (negative: feed in).
    off: stay off (value 1). offset_c: shift the thermostat. charge_kw: charge at most this much.
    """

    CAP_KW = "cap_kw"
    POWER_KW = "power_kw"
    OFF = "off"
    OFFSET_C = "offset_c"
    CHARGE_KW = "charge_kw"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setpoint:
    """An absolute, idempotent command that ends by itself.

    The device frees itself at the earlier of `until` on its own clock and `hold_s` seconds
    after it took the command, whoever is dead by then.
    """

    id: SetpointId
    event_id: EventId
    resource_id: ResourceId
    control: Control
    value: float
    start: datetime
    until: datetime
    hold_s: float
    revision: int
    fence: int
    """Grows with every controller that takes over; a device that can check refuses an older one."""

    @property
    def span(self) -> Interval:
        return Interval(start=self.start, end=self.until)


class Outcome(StrEnum):
    """What became of a setpoint."""

    APPLIED = "applied"
    REFUSED = "refused"
    OVERRIDDEN = "overridden"
    UNREACHABLE = "unreachable"
    LATE = "late"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The outcome of one setpoint (or of a release, then `setpoint_id` is None)."""

    setpoint_id: SetpointId | None
    resource_id: ResourceId
    at: datetime
    outcome: Outcome
    detail: str = ""


class Mode(StrEnum):
    """Who has the device."""

    FREE = "free"
    HELD = "held"
    OVERRIDDEN = "overridden"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceState:
    """What a device says it obeys now: the truth about control."""

    resource_id: ResourceId
    at: datetime
    mode: Mode
    value: float | None = None
    until: datetime | None = None
    setpoint_id: SetpointId | None = None


class OverrideSource(StrEnum):
    """Through which door an opt-out came."""

    DEVICE = "device"
    CUSTOMER = "customer"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """A device or customer took control back; the flexibility of `resource_id` is 0 from then."""

    resource_id: ResourceId
    at: datetime
    source: OverrideSource
    until: datetime | None = None
    """None: for good."""
    reason: str = ""


class Quality(StrEnum):
    """How far a reading can be trusted."""

    OK = "ok"
    ESTIMATED = "estimated"
    STALE = "stale"
    MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One measured value: the mean power of the meter since its last reading, or an instant."""

    meter_id: MeterId
    resource_id: ResourceId | None = None
    at: datetime
    power_kw: float
    quality: Quality = Quality.OK
    soc_frac: float | None = None
    temperature_c: float | None = None
