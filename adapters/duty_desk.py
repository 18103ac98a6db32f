"""Told contracts over HTTP: notices out, answers in, and the customers' meters by the quarter hour.

Nothing is commanded here: people at a duty desk act. The desk keeps its answers and meter values
under growing numbers and instants, so that nothing is lost while the line is down.

    POST /notices                        a notice; the same id again changes nothing
    GET  /answers?after=N&wait_s=S       answers numbered above N, waiting up to S seconds for one
    GET  /readings?after=T               means of quarter hours that ended after T (Unix seconds)
"""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import httpx
import msgspec
import numpy as np

from adapters.parts import (
    Opening,
    cancellable,
    poll_times,
    receipt,
    release_receipt,
    require_private,
)
from adapters.points import readings_of
from controller.errors import DeviceError
from controller.model.commands import (
    DeviceState,
    Mode,
    Outcome,
    Override,
    Reading,
    Receipt,
    Setpoint,
)
from controller.model.events import Answer, Notice, Offer
from controller.model.ids import ContractId, EventId, ResourceId
from controller.model.time import Grid, Series

_MOST_BYTES = 1024 * 1024
_WAIT_S = 10.0
"""Real seconds for which the desk may hold a question for answers open."""

_PAUSE_S = 0.5
"""Real seconds before the next attempt after a failure."""

Seconds = Annotated[float, msgspec.Meta(ge=0, le=4_102_444_800)]


@asynccontextmanager
async def open_duty_desk(opening: Opening) -> AsyncIterator["DutyDeskLink"]:
    """The link to one desk; a `Link` and a `Desk`. It opens even while the desk is down.

    Options: `tls` (true for https), `token_env` (the environment variable that holds a bearer
    token), `plain_text` (true) to speak plain http to another machine.
    """
    settings = opening.settings
    secured = bool(settings.options.get("tls"))
    require_private(settings, secured=secured)
    headers = {}
    if variable := settings.options.get("token_env"):
        headers["Authorization"] = f"Bearer {os.environ.get(str(variable), '')}"
    url = f"{'https' if secured else 'http'}://{settings.host}:{settings.port}"
    async with httpx.AsyncClient(
        base_url=url, headers=headers, timeout=settings.timeout_s, trust_env=False
    ) as client:
        yield DutyDeskLink(opening, client)


class _WireOffer(msgspec.Struct, frozen=True):
    """An answer as the desk writes it: kW from `start` on, one per `step_s` seconds."""

    number: int
    notice_id: Annotated[str, msgspec.Meta(max_length=100)]
    event_id: Annotated[str, msgspec.Meta(max_length=100)]
    contract_id: Annotated[str, msgspec.Meta(max_length=100)]
    answer: Literal["accept", "part", "no"]
    start: Seconds
    step_s: Annotated[float, msgspec.Meta(gt=0, le=86_400)]
    kw: Annotated[list[float], msgspec.Meta(max_length=1000)]
    answered_at: Seconds
    by: Annotated[str, msgspec.Meta(max_length=100)]


class _WireOffers(msgspec.Struct, frozen=True):
    answers: Annotated[list[_WireOffer], msgspec.Meta(max_length=10_000)]


class _WireReading(msgspec.Struct, frozen=True):
    """Mean values of the quarter hour that ended `at`, by the addresses of the points."""

    address: Annotated[str, msgspec.Meta(max_length=100)]
    at: Seconds
    values: dict[str, float | None]


class _WireReadings(msgspec.Struct, frozen=True):
    readings: Annotated[list[_WireReading], msgspec.Meta(max_length=100_000)]


class DutyDeskLink:
    """`controller.ports.Link` and `controller.ports.Desk` over one desk's HTTP service."""

    def __init__(self, opening: Opening, client: httpx.AsyncClient) -> None:
        self._client = client
        self._clock = opening.clock
        self._settings = opening.settings
        self._by_address = {
            r.address: (r, opening.profiles[r.profile])
            for r in opening.fleet.where(link=opening.settings.id)
        }
        self.faults: Counter[str] = Counter()

    async def notify(self, notice: Notice) -> None:
        grid = notice.kw.grid
        body = {
            "id": notice.id,
            "event_id": notice.event_id,
            "contract_id": notice.contract_id,
            "start": grid.start.timestamp(),
            "step_s": grid.step.total_seconds(),
            "kw": notice.kw.values.tolist(),
            "sent_at": notice.sent_at.timestamp(),
            "reply_by": notice.reply_by.timestamp(),
        }
        try:
            with cancellable():
                async with asyncio.timeout(self._settings.timeout_s):
                    answer = await self._client.post("/notices", json=body)
        except (httpx.HTTPError, TimeoutError) as error:
            raise DeviceError(f"{self._settings.id}: the notice was not delivered") from error
        if answer.status_code >= 300:
            raise DeviceError(f"{self._settings.id}: the desk says {answer.status_code}")

    async def answers(self) -> AsyncIterator[Offer]:
        after = 0
        while True:
            query = {"after": after, "wait_s": _WAIT_S}
            found = await self._get("/answers", query, _WireOffers, _WAIT_S)
            if found is None:
                await asyncio.sleep(_PAUSE_S)
                continue
            for wire in sorted(found.answers, key=lambda w: w.number):
                after = wire.number
                yield _offer(wire)

    async def apply(self, setpoints: Sequence[Setpoint]) -> AsyncIterator[Sequence[Receipt]]:
        now = self._clock.now()
        if setpoints:
            yield [receipt(s, now, Outcome.REFUSED, "told contract") for s in setpoints]

    async def release(self, resource_ids: Sequence[ResourceId]) -> Sequence[Receipt]:
        """Nothing was taken, so nothing is held."""
        now = self._clock.now()
        return [release_receipt(r, now, Outcome.APPLIED, "told contract") for r in resource_ids]

    async def state(self, resource_ids: Sequence[ResourceId]) -> Sequence[DeviceState]:
        """What people do is not known; that we hold nothing is."""
        now = self._clock.now()
        return [DeviceState(resource_id=r, at=now, mode=Mode.FREE) for r in resource_ids]

    async def reports(self) -> AsyncIterator[Sequence[Reading | Override]]:
        after = (self._clock.now() - timedelta(hours=1)).timestamp()
        async for _ in poll_times(self._clock, self._settings.poll_every):
            found = await self._get("/readings", {"after": after}, _WireReadings, 0.0)
            if found is None or not found.readings:
                continue
            after = max(r.at for r in found.readings)
            readings: list[Reading | Override] = []
            for wire in sorted(found.readings, key=lambda r: r.at):
                readings += self._readings(wire)
            if readings:
                yield readings

    async def _get(
        self, path: str, query: dict[str, Any], kind: type[msgspec.Struct], wait_s: float
    ) -> Any:
        """The decoded answer; None, counted, where there was none that could be read."""
        limit_s = wait_s + self._settings.timeout_s
        try:
            with cancellable():
                async with asyncio.timeout(limit_s):
                    answer = await self._client.get(path, params=query, timeout=limit_s)
            if answer.status_code == 200 and len(answer.content) <= _MOST_BYTES:
                return msgspec.json.decode(answer.content, type=kind)
            self.faults[f"status {answer.status_code}"] += 1
        except (httpx.HTTPError, TimeoutError):
            self.faults["no answer"] += 1
        except (msgspec.MsgspecError, UnicodeDecodeError):
            self.faults["malformed"] += 1
        return None

    def _readings(self, wire: _WireReading) -> list[Reading]:
        if wire.address not in self._by_address:
            self.faults["unknown site"] += 1
            return []
        resource, profile = self._by_address[wire.address]
        points = profile.points.values()
        raw = {p.name: v for p in points if (v := wire.values.get(p.address)) is not None}
        return readings_of(profile, resource, raw, datetime.fromtimestamp(wire.at, UTC))


def _offer(wire: _WireOffer) -> Offer:
    start = datetime.fromtimestamp(wire.start, UTC)
    grid = Grid(start=start, step=timedelta(seconds=wire.step_s), count=len(wire.kw))
    return Offer(
        notice_id=wire.notice_id,
        event_id=EventId(wire.event_id),
        contract_id=ContractId(wire.contract_id),
        answer=Answer(wire.answer),
        kw=Series(grid=grid, values=np.array(wire.kw, dtype=np.float64)),
        answered_at=datetime.fromtimestamp(wire.answered_at, UTC),
        by=wire.by,
    )
