"""What we ask of the outside, as small protocols: Clock, Link, Desk, Store.

Fakes in tests implement these same protocols; `cli/run.py` is the only place that knows the
concrete classes.
"""

from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from controller.model.commands import DeviceState, Outcome, Override, Reading, Receipt, Setpoint
from controller.model.events import DREvent, EventStatus, Notice, Offer
from controller.model.ids import EventId, ResourceId, SetpointId, ZoneId
from controller.model.money import Baseline, Performance, Transfer
from controller.model.plans import Forecast, Plan
from controller.model.time import Interval

T = TypeVar("T")


class Clock(Protocol):
    """Domain time. I/O deadlines use `asyncio.timeout`; only this decides what time it is."""

    def now(self) -> datetime:
        """The current instant, aware UTC."""
        ...

    async def sleep_until(self, at: datetime) -> None:
        """Return once `now() >= at`; at once if it is already."""
        ...

    async def offload(self, future: Future[T]) -> T:
        """Await work done off the loop (a thread or process); virtual time stands still meanwhile.

        Cancellation of the waiter leaves the work running; its result is dropped.
        """
        ...


class Link(Protocol):
    """One way to many devices: a Modbus gateway, an OPC UA session, an MQTT broker.

    Opening and closing is `async with`. A device's trouble is a `Receipt`, so that it never
    cancels a sibling; only trouble of the whole link raises `DeviceError`.
    """

    def apply(self, setpoints: Sequence[Setpoint]) -> AsyncIterator[Sequence[Receipt]]:
        """Write, read back, and yield receipts as they come in; the slow hold back no one.

        Exactly one receipt per setpoint. Deadlines belong to the caller: it may stop iterating.
        """
        ...

    async def release(self, resource_ids: Sequence[ResourceId]) -> Sequence[Receipt]:
        """Give control back now; safe to repeat. One receipt each, `setpoint_id` None."""
        ...

    async def state(self, resource_ids: Sequence[ResourceId]) -> Sequence[DeviceState]:
        """Read back what each device obeys; `Mode.UNKNOWN` where it cannot be read.

        A setpoint that it has taken and that is still to begin counts as HELD.
        """
        ...

    def reports(self) -> AsyncIterator[Sequence[Reading | Override]]:
        """Readings and overrides, polled or pushed, until cancelled. Survives lost connections."""
        ...


class Desk(Protocol):
    """The way to told contracts: notices out, answers in."""

    async def notify(self, notice: Notice) -> None:
        """Deliver a notice; delivering the same id again changes nothing. Raises DeviceError."""
        ...

    def answers(self) -> AsyncIterator[Offer]:
        """Answers as they come in, until cancelled."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A setpoint and how far it got: planned → sending(fence) → done."""

    setpoint: Setpoint
    state: str
    """planned · sending · done"""
    fence: int
    at: datetime
    outcome: Outcome | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLogEntry:
    """One transition in the life of an event."""

    event_id: EventId
    at: datetime
    status: EventStatus
    reason: str
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainReport:
    """Result of verifying a hash chain."""

    entries: int
    broken_at: int | None
    """Sequence number of the first entry whose hash does not follow; None: intact."""
    head: str


class Journal(Protocol):
    """state.db: append-only, one writer, group commit, durable before each method returns."""

    async def save_config(self, config_hash: str, body: bytes, at: datetime) -> None:
        """Store an accepted configuration version whole; known hashes are left alone."""
        ...

    async def configs(self) -> Sequence[tuple[str, datetime, bytes]]: ...

    async def save_forecast(self, zone: ZoneId, forecast: Forecast) -> None: ...

    async def forecasts(self, zone: ZoneId) -> Sequence[Forecast]: ...

    async def save_event(self, event: DREvent) -> bool:
        """Insert (id, revision); False when it is already there (nothing is overwritten)."""
        ...

    async def log_event(
        self, event_id: EventId, at: datetime, status: EventStatus, reason: str, actor: str
    ) -> None: ...

    async def events(self) -> Sequence[DREvent]:
        """The latest revision of every event, `status` folded from the log, oldest first."""
        ...

    async def event_log(self, event_id: EventId) -> Sequence[EventLogEntry]: ...

    async def save_plan(self, plan: Plan) -> None: ...

    async def plans(self) -> Sequence[Plan]:
        """Every plan, oldest first."""
        ...

    async def save_notice(self, notice: Notice) -> None: ...

    async def notices(self) -> Sequence[Notice]: ...

    async def save_offer(self, offer: Offer) -> bool:
        """False when that notice was answered before (the first answer stands)."""
        ...

    async def offers(self) -> Sequence[Offer]: ...

    async def take_fence(self) -> int:
        """Take over command: a number larger than any given before, stored."""
        ...

    async def plan_commands(self, setpoints: Sequence[Setpoint], at: datetime) -> None: ...

    async def begin_sending(
        self, ids: Sequence[SetpointId], fence: int, at: datetime
    ) -> Sequence[SetpointId]:
        """planned → sending under `fence`, durable; returns those that made the step.

        None makes it if a larger fence was taken since.
        """
        ...

    async def end_sending(self, receipts: Sequence[Receipt], fence: int) -> None:
        """sending → done with the outcome; receipts without a setpoint_id are kept as releases."""
        ...

    async def commands(self) -> Sequence[Command]: ...

    async def releases(self) -> Sequence[Receipt]:
        """Every release receipt, oldest first."""
        ...

    async def save_override(self, override: Override) -> None: ...

    async def overrides(self) -> Sequence[Override]: ...

    async def save_settlement(
        self,
        event_id: EventId,
        version: int,
        baselines: Sequence[Baseline],
        performances: Sequence[Performance],
    ) -> None: ...

    async def settlement(
        self, event_id: EventId
    ) -> tuple[Sequence[Baseline], Sequence[Performance]]:
        """The newest version; empty where not settled."""
        ...

    async def post(self, transfers: Sequence[Transfer], at: datetime) -> int:
        """Append to the hash-chained ledger in one transaction; returns how many were new.

        An id already there is skipped. Raises StoreError if it comes with other content.
        """
        ...

    async def transfers(self) -> Sequence[Transfer]: ...

    async def audit(self, at: datetime, actor: str, action: str, subject: str, text: str) -> None:
        """Append to the audit trail (hash-chained)."""
        ...

    async def audit_log(self) -> Sequence[tuple[datetime, str, str, str, str]]: ...

    async def verify_chains(self) -> dict[str, ChainReport]:
        """{'ledger': …, 'audit': …}"""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """Dense telemetry: `values` is (times, width) float32 kW, NaN = missing.

    `quality` is uint8 of the same shape (0 ok, 1 estimated, 2 stale, 3 missing); `times` are
    interval starts, aware UTC.
    """

    times: tuple[datetime, ...]
    values: NDArray[np.float32]
    quality: NDArray[np.uint8]


class Telemetry(Protocol):
    """telemetry.db: frames over a dense index, its own file and writer.

    `kind` is 'minute' (per resource, as telemetered) or 'meter' (per meter, 15-minute means as
    metered). Writing a time again replaces only its non-NaN values.
    """

    async def save_frames(self, kind: str, zone: ZoneId, frames: Frames) -> None: ...

    async def frames(self, kind: str, zone: ZoneId, span: Interval) -> Frames: ...

    async def span(self, kind: str, zone: ZoneId) -> Interval | None:
        """From the first frame's time to the last frame's time; None when empty."""
        ...
