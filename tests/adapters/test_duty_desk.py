"""Told contracts: notices out and answers in over HTTP, meters by the quarter hour."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

import numpy as np
import pytest

from adapters.duty_desk import DutyDeskLink
from adapters.registry import desk_of, open_link
from controller.clock import DemoClock
from controller.errors import DeviceError
from controller.model.commands import Mode, Outcome, Reading
from controller.model.events import Answer, Notice, Offer
from controller.model.ids import ContractId, EventId, LinkId, ProfileId, ResourceId
from controller.model.time import QUARTER_HOUR, Grid, Series
from simulators.population import TruthPart
from simulators.servers.duty_desk import DeskServer
from tests.adapters.rigs import (
    EPOCH,
    PROFILES,
    SPEED,
    A,
    B,
    a_setpoint,
    fleet_of,
    noise_server,
    running,
    running_clock,
    settings_of,
)

T = TypeVar("T")
TOLD = ProfileId("told-meter")
GRID = Grid(start=EPOCH + timedelta(hours=1), step=QUARTER_HOUR, count=3)


@dataclass
class PromptDesk:
    """Accepts each notice in part, a simulated minute after it came; and its meters' means."""

    taken: list[Notice] = field(default_factory=list)
    waiting: list[Offer] = field(default_factory=list)
    quarters: int = 0

    @property
    def next_due(self) -> datetime | None:
        return min((offer.answered_at for offer in self.waiting), default=None)

    def take(self, notice: Notice, now: datetime) -> None:
        if any(notice.id == known.id for known in self.taken):
            return
        self.taken.append(notice)
        kw = Series(grid=notice.kw.grid, values=notice.kw.values * 0.7)
        self.waiting.append(
            Offer(
                notice_id=notice.id,
                event_id=notice.event_id,
                contract_id=notice.contract_id,
                answer=Answer.PART,
                kw=kw,
                answered_at=(now + timedelta(minutes=0.3)).replace(microsecond=0),
                by="night shift",
            )
        )

    def answers(self, now: datetime) -> list[Offer]:
        ready = [offer for offer in self.waiting if offer.answered_at <= now]
        self.waiting = [offer for offer in self.waiting if offer.answered_at > now]
        return ready

    def advance(self, to: datetime) -> None:
        self.quarters = max(self.quarters, (to - (EPOCH - timedelta(hours=1))) // QUARTER_HOUR)

    def truth(self) -> TruthPart:
        grid = Grid(start=EPOCH - timedelta(hours=1), step=QUARTER_HOUR, count=self.quarters)
        kw = 100.0 + np.arange(self.quarters, dtype=np.float64)
        both = np.stack([kw, kw + 1000], axis=1)
        return TruthPart(
            grid=grid, resource_ids=(A, B), controlled_kw=both, uncontrolled_kw=both + 1e6
        )


@dataclass
class Told:
    """A link to a duty desk, and the desk."""

    link: DutyDeskLink
    people: PromptDesk
    clock: DemoClock
    port: int
    server: AsyncExitStack

    async def down(self) -> None:
        await self.server.aclose()

    async def up(self) -> None:
        desk = DeskServer(self.people, self.people, ADDRESSES, self.clock)
        desk.open(port=self.port)
        await self.server.enter_async_context(running(desk.run()))


ADDRESSES = {A: "site-a", B: "site-b"}


@asynccontextmanager
async def opened(speed: float = SPEED) -> AsyncIterator[Told]:
    clock, people = running_clock(speed), PromptDesk()
    desk = DeskServer(people, people, ADDRESSES, clock)
    port = desk.open()
    fleet = fleet_of(PROFILES[TOLD], LinkId("link"), ADDRESSES)
    settings = settings_of("duty_desk", port, timeout_s=1.0)
    async with AsyncExitStack() as server:
        await server.enter_async_context(running(desk.run()))
        async with open_link(settings, fleet, PROFILES, clock, fence=1, run_id="t") as link:
            assert isinstance(link, DutyDeskLink)
            yield Told(link=link, people=people, clock=clock, port=port, server=server)


@pytest.fixture
async def told() -> AsyncIterator[Told]:
    async with opened() as told:
        yield told


async def first_of(items: AsyncIterator[T]) -> T:
    return await anext(items)


def notice(name: str = "notice-1") -> Notice:
    return Notice(
        id=name,
        event_id=EventId("event-1"),
        contract_id=ContractId("steel"),
        kw=Series(grid=GRID, values=np.array([300.0, 400.0, 500.0])),
        sent_at=EPOCH,
        reply_by=EPOCH + timedelta(minutes=30),
    )


async def test_a_notice_is_answered_as_an_offer(told: Told):
    sent = notice()
    await told.link.notify(sent)
    [taken] = told.people.taken
    assert taken == sent
    async with asyncio.timeout(2):
        offer = await anext(told.link.answers())
    assert (offer.notice_id, offer.event_id, offer.contract_id) == ("notice-1", "event-1", "steel")
    assert (offer.answer, offer.by) == (Answer.PART, "night shift")
    assert offer.kw.grid == GRID
    assert offer.kw.values == pytest.approx([210.0, 280.0, 350.0])
    assert offer.answered_at <= told.clock.now()


async def test_the_same_notice_twice_is_one_notice(told: Told):
    for _ in range(2):
        await told.link.notify(notice())
    assert len(told.people.taken) == 1


async def test_answers_come_when_they_are_given_and_once(told: Told):
    """The question is held open: the answer is there well before the next one would be asked."""
    answers = told.link.answers()
    await told.link.notify(notice("first"))
    async with asyncio.timeout(1):
        assert (await anext(answers)).notice_id == "first"
    await told.link.notify(notice("second"))
    async with asyncio.timeout(1):
        assert (await anext(answers)).notice_id == "second"


async def test_a_desk_that_is_down_takes_no_notice_and_is_heard_again_later(told: Told):
    await told.down()
    with pytest.raises(DeviceError, match="not delivered"):
        await told.link.notify(notice())
    answers = told.link.answers()
    async with asyncio.timeout(4), asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(first_of(answers))
        await asyncio.sleep(0.1)
        await told.up()
        await told.link.notify(notice())
    assert waiting.result().notice_id == "notice-1"


async def test_meters_come_by_the_quarter_hour_each_once():
    """At the end of the quarter hour that they are the mean of, without gap or repetition."""
    seen: list[Reading] = []
    async with opened(speed=3600) as told, asyncio.timeout(5):
        reports = told.link.reports()
        while len(seen) < 14:
            seen += [r for r in await anext(reports) if isinstance(r, Reading)]
    assert all(r.resource_id is None for r in seen)
    mine = [r for r in seen if r.meter_id == f"meter-{A}"]
    assert [r.at for r in mine] == [mine[0].at + QUARTER_HOUR * i for i in range(len(mine))]
    first = (mine[0].at - (EPOCH - timedelta(hours=1))) // QUARTER_HOUR - 1
    assert [r.power_kw for r in mine] == [100.0 + first + i for i in range(len(mine))]


async def test_a_told_contract_is_never_commanded(told: Told):
    batches = [batch async for batch in told.link.apply([a_setpoint(A), a_setpoint(B)])]
    assert [(r.outcome, r.detail) for batch in batches for r in batch] == [
        (Outcome.REFUSED, "told contract")
    ] * 2
    ids: list[ResourceId] = [A, B]
    assert [r.outcome for r in await told.link.release(ids)] == [Outcome.APPLIED] * 2
    assert [s.mode for s in await told.link.state(ids)] == [Mode.FREE] * 2


async def test_a_desk_that_talks_nonsense_is_counted_and_outlived(told: Told):
    await told.down()
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        async with noise_server(told.port):
            waiting = tasks.create_task(first_of(told.link.reports()))
            while not told.link.faults:
                await asyncio.sleep(0.02)
        await told.up()
    assert waiting.result()


async def test_a_body_that_is_no_notice_is_refused(told: Told):
    for body in (b"", b"{", b"[]", b'{"id": 1}'):
        answer = await told.link._client.post("/notices", content=body)
        assert answer.status_code == 422
    assert told.people.taken == []


async def test_the_same_connection_is_a_link_and_a_desk(told: Told):
    assert desk_of(told.link) is told.link
