"""Small parts that every link needs: receipts, pauses between attempts, polling, doubts."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from controller.errors import LinkSettingsError
from controller.model.commands import Mode, Outcome, Override, OverrideSource, Receipt, Setpoint
from controller.model.ids import ProfileId, ResourceId, SetpointId
from controller.model.resources import Fleet, Resource
from controller.model.settings import LinkSettings, Profile
from controller.ports import Clock

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

OVERRIDDEN = (Outcome.OVERRIDDEN, "the customer has the device")
STILL_HELD = "the device is still held"
TAKEN_BEFORE = (Outcome.LATE, "taken at an earlier attempt, whose answer was lost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What every link is opened with."""

    settings: LinkSettings
    fleet: Fleet
    profiles: Mapping[ProfileId, Profile]
    clock: Clock
    fence: int
    """Of the controller that opens it; a release carries it."""
    run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """A device and how it is spoken to."""

    resource: Resource
    profile: Profile


def receipt(setpoint: Setpoint, at: datetime, outcome: Outcome, detail: str = "") -> Receipt:
    """The outcome of `setpoint`."""
    return Receipt(
        setpoint_id=setpoint.id,
        resource_id=setpoint.resource_id,
        at=at,
        outcome=outcome,
        detail=detail,
    )


def release_receipt(
    resource_id: ResourceId, at: datetime, outcome: Outcome, detail: str = ""
) -> Receipt:
    """The outcome of a release."""
    return Receipt(setpoint_id=None, resource_id=resource_id, at=at, outcome=outcome, detail=detail)


def refusal(setpoint: Setpoint, resource: Resource, now: datetime) -> tuple[Outcome, str] | None:
    """What is never put on the wire: commands to protected loads, and those already over."""
    if resource.protected:
        return Outcome.REFUSED, f"{resource.id} is protected"
    if setpoint.until <= now:
        return Outcome.LATE, "its end has passed"
    return None


def no_answer(error: Exception) -> tuple[Outcome, str]:
    """What silence comes to, whether a link's own error or a deadline ended it."""
    return Outcome.UNREACHABLE, str(error) or "no answer in time"


def deadline_of(settings: LinkSettings) -> float:
    """The loop's time by which a link that is asked now has answered, queueing included."""
    return asyncio.get_running_loop().time() + settings.timeout_s


@contextmanager
def cancellable() -> Iterator[None]:
    """Raise again a cancellation that the library code inside has swallowed.

    `asyncio.wait_for` does so before Python 3.12 when its result comes at the same moment, and
    both pymodbus and asyncua are built on it; a task that should end would poll for ever.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    try:
        yield
    finally:
        if task and task.cancelling() > before:
            raise asyncio.CancelledError


def require_private(settings: LinkSettings, secured: bool) -> None:
    """Raises LinkSettingsError where a link would speak in the clear to another machine.

    `plain_text = true` in its options allows it, for a network that is safe by itself.
    """
    if secured or settings.options.get("plain_text"):
        return
    try:
        here = ip_address(settings.host).is_loopback
    except ValueError:
        here = settings.host == "localhost"
    if not here:
        raise LinkSettingsError(
            f"{settings.id}: {settings.host} would be spoken to in the clear",
            hint="Secure the link, or set plain_text = true on a network that is safe by itself.",
        )


def batches(setpoints: Sequence[Setpoint], most: int) -> list[list[Setpoint]]:
    """In order, each device at most once in a batch: a later setpoint is judged for itself."""
    found: list[dict[ResourceId, Setpoint]] = []
    for setpoint in setpoints:
        if not found or setpoint.resource_id in found[-1] or len(found[-1]) == most:
            found.append({})
        found[-1][setpoint.resource_id] = setpoint
    return [list(batch.values()) for batch in found]


class BackOff:
    """Pauses between attempts to connect, in real seconds: 0.1, 0.2, … up to `most_s`."""

    def __init__(self, *, least_s: float = 0.1, most_s: float = 30.0) -> None:
        self._least_s = least_s
        self._most_s = most_s
        self._pause_s = least_s
        self._next_s = 0.0

    def over(self) -> bool:
        """May we try again now?"""
        return asyncio.get_running_loop().time() >= self._next_s

    def failed(self) -> None:
        self._next_s = asyncio.get_running_loop().time() + self._pause_s
        self._pause_s = min(2 * self._pause_s, self._most_s)

    def worked(self) -> None:
        self._pause_s = self._least_s
        self._next_s = 0.0


class Doubts:
    """Setpoints that got no answer: the device may have taken them. Keeps the newest `most`."""

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._ids: dict[SetpointId, None] = {}

    def __contains__(self, setpoint_id: SetpointId) -> bool:
        return setpoint_id in self._ids

    def remember(self, setpoint_id: SetpointId) -> None:
        self._ids[setpoint_id] = None
        while len(self._ids) > self._most:
            del self._ids[next(iter(self._ids))]

    def forget(self, setpoint_id: SetpointId) -> None:
        self._ids.pop(setpoint_id, None)


class OverrideWatch:
    """Turns the modes seen by polling into one `Override` each time a customer steps in."""

    def __init__(self) -> None:
        self._overridden: set[ResourceId] = set()

    def seen(self, resource_id: ResourceId, mode: Mode, at: datetime) -> list[Override]:
        before = resource_id in self._overridden
        if mode is not Mode.OVERRIDDEN:
            self._overridden.discard(resource_id)
            return []
        self._overridden.add(resource_id)
        if before:
            return []
        return [
            Override(
                resource_id=resource_id,
                at=at,
                source=OverrideSource.DEVICE,
                reason="switched at the device",
            )
        ]


async def poll_times(clock: Clock, every: timedelta) -> AsyncIterator[datetime]:
    """The full multiples of `every` as they come; those missed by a slow reader are skipped."""
    while True:
        count = (clock.now() - _EPOCH) // every + 1
        at = _EPOCH + count * every
        await clock.sleep_until(at)
        yield at
