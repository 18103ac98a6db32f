"""Link and desk without sockets, on virtual time."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

import numpy as np

from controller.model.commands import Mode, Outcome, Override, Reading
from controller.model.events import Answer, Notice, Offer
from controller.model.ids import ContractId, EventId, ResourceId
from controller.model.time import Grid, Interval, Series
from controller.ports import Desk, Link
from simulators.clock import JumpClock, JumpLoop
from simulators.duty import DutyDesks
from simulators.faults import DayFaults
from simulators.inprocess import InProcessDesk, InProcessLink
from simulators.scenario import read_scenario
from tests.simulator_cases import DEMO, MELBOURNE, a_config, a_population, a_setpoint, local

T = TypeVar("T")
START = local(28, 14)
FURNACE, MALL = ResourceId("furnace-1"), ResourceId("mall-1")
HOME = ResourceId("air_conditioner-1")
MINUTE = timedelta(minutes=1)


def virtual(day: Coroutine[None, None, T]) -> T:
    with asyncio.Runner(loop_factory=JumpLoop) as runner:
        return runner.run(day)


def a_link(faults: DayFaults | None = None) -> tuple[InProcessLink, JumpClock]:
    clock = JumpClock(START)
    population = a_population(a_config(homes=2), START, faults=faults or DayFaults())
    link = InProcessLink(population, [FURNACE, MALL, HOME], clock, 5 * MINUTE)
    _: Link = link
    return link, clock


def test_one_receipt_for_each_setpoint_and_the_state_to_read_back():
    async def day() -> None:
        link, clock = a_link()
        until = START + 2 * 60 * MINUTE
        asked = [a_setpoint(r, START, until, 300.0) for r in (FURNACE, MALL)]
        async with link:
            batches = [batch async for batch in link.apply(asked)]
            receipts = [receipt for batch in batches for receipt in batch]
            assert [r.setpoint_id for r in receipts] == [s.id for s in asked]
            assert {r.outcome for r in receipts} == {Outcome.APPLIED}
            await clock.sleep_until(START + 30 * MINUTE)
            assert {s.mode for s in await link.state([FURNACE, MALL])} == {Mode.HELD}
            await link.release([FURNACE])
            modes = [s.mode for s in await link.state([FURNACE, MALL])]
            assert modes == [Mode.FREE, Mode.HELD]

    virtual(day())


def test_a_cut_link_is_unreachable_unknown_and_silent_until_restored():
    async def day() -> None:
        link, clock = a_link()
        link.cut([FURNACE])
        setpoint = a_setpoint(FURNACE, START, START + 60 * MINUTE, 300.0)
        (batch,) = [b async for b in link.apply([setpoint])]
        assert batch[0].outcome is Outcome.UNREACHABLE
        assert (await link.release([FURNACE]))[0].outcome is Outcome.UNREACHABLE
        assert (await link.state([FURNACE]))[0].mode is Mode.UNKNOWN
        reports = link.reports()
        assert FURNACE not in {r.resource_id for r in await anext(reports)}
        link.restore()
        assert FURNACE in {r.resource_id for r in await anext(reports)}
        assert clock.now() == START + 10 * MINUTE

    virtual(day())


def test_a_cut_of_the_days_faults_begins_and_ends_by_itself():
    async def day() -> None:
        span = Interval(start=START + 30 * MINUTE, end=START + 60 * MINUTE)
        link, clock = a_link(DayFaults(cuts={FURNACE: span}))
        found = []
        for minutes in (0, 30, 59, 60):
            await clock.sleep_until(START + minutes * MINUTE)
            found.append((await link.state([FURNACE]))[0].mode)
        assert found == [Mode.FREE, Mode.UNKNOWN, Mode.UNKNOWN, Mode.FREE]

    virtual(day())


def test_reports_come_at_whole_multiples_with_opt_outs_among_them():
    async def day() -> list[tuple[datetime, Reading | Override]]:
        link, clock = a_link(DayFaults(opt_out_frac=1.0))
        home = a_setpoint(HOME, START, START + 60 * MINUTE, 0.5)
        _ = [b async for b in link.apply([home])]
        seen: list[tuple[datetime, Reading | Override]] = []
        async for batch in link.reports():
            seen += [(clock.now(), item) for item in batch]
            if clock.now() >= START + 60 * MINUTE:
                return seen
        return seen

    seen = virtual(day())
    assert {at.minute % 5 for at, _ in seen} == {0}
    readings = [r for _, r in seen if isinstance(r, Reading)]
    assert len([r for r in readings if r.resource_id == FURNACE]) == 12
    assert len([r for r in readings if r.resource_id is None]) == 12
    (gone,) = [o for _, o in seen if isinstance(o, Override)]
    assert gone.resource_id == HOME


async def _first(offers: AsyncIterator[Offer]) -> Offer:
    return await anext(offers)


def test_the_same_day_twice_is_the_same_day():
    async def day() -> np.ndarray:
        link, clock = a_link()
        setpoint = a_setpoint(FURNACE, START, START + 60 * MINUTE, 300.0)
        _ = [b async for b in link.apply([setpoint])]
        await clock.sleep_until(START + 180 * MINUTE)
        await link.state([FURNACE])
        return link._population.truth().controlled_kw

    np.testing.assert_array_equal(virtual(day()), virtual(day()))


def test_the_desk_answers_a_notice_some_minutes_later(tmp_path: Path):
    async def day() -> None:
        clock = JumpClock(START)
        text = (DEMO / "scenarios" / "day.toml").read_text()
        for old, new in (("0.80", "1.0"), ("0.10", "0.0"), ("0.06", "0.0"), ("0.04\n", "0.0\n")):
            text = text.replace(f"= {old}", f"= {new}")
        (tmp_path / "day.toml").write_text(text.replace("../area", str(DEMO / "area")))
        scenario = read_scenario(tmp_path / "day.toml", MELBOURNE)
        config = a_config(homes=1, told=frozenset({FURNACE}))
        duty = DutyDesks(config, scenario, a_population(config, START), 1)
        desk = InProcessDesk(duty, clock)
        _: Desk = desk
        grid = Grid(start=START + 60 * MINUTE, step=15 * MINUTE, count=2)
        notice = Notice(
            id="n",
            event_id=EventId("e"),
            contract_id=ContractId(FURNACE),
            kw=Series.full(grid, 100.0),
            sent_at=START,
            reply_by=START + 30 * MINUTE,
        )
        answers = desk.answers()
        async with asyncio.TaskGroup() as tasks:
            first = tasks.create_task(_first(answers))
            await clock.sleep_until(START + 5 * MINUTE)
            await desk.notify(notice)
        offer = first.result()
        assert offer.answer is Answer.ACCEPT
        assert START + 7 * MINUTE <= offer.answered_at <= START + 17 * MINUTE
        assert timedelta(0) <= clock.now() - offer.answered_at <= MINUTE

    virtual(day())
