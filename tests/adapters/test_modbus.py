"""What is peculiar to Modbus: silence, wrong answers, registers, devices without a clock."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from adapters.modbus_link import ExceptionAnswerError, ModbusLink
from adapters.parts import Opening
from adapters.registry import open_link
from controller.model.commands import Mode, Outcome
from controller.model.ids import LinkId, ProfileId
from controller.model.resources import Fleet
from controller.ports import Link
from simulators.clock import JumpClock
from tests.adapters.rigs import (
    EPOCH,
    FENCE,
    PROFILES,
    A,
    B,
    C,
    a_setpoint,
    fleet_of,
    modbus_rig,
    outcomes,
    running_clock,
    settings_of,
)

PLC = ProfileId("plc-load-modbus")
Answering = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def link_to(answering: Answering, **options: float) -> AsyncIterator[Link]:
    """A Modbus link to a gateway of the test's own making, with a deadline of 0.4 s."""
    server = await asyncio.start_server(answering, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = settings_of("modbus", port, timeout_s=0.4, **options)
    fleet = fleet_of(PROFILES[PLC], LinkId("link"), {A: "1", B: "2", C: "3"})
    clock = running_clock()
    async with open_link(settings, fleet, PROFILES, clock, fence=FENCE, run_id="t") as link:
        yield link
    await asyncio.sleep(0.01)  # the far ends see that we hung up: only then close the door
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("request_timeout_s", [0.1, 5.0])
async def test_a_frozen_gateway_is_unreachable_within_the_deadline(request_timeout_s: float):
    """It accepts the connection and never says a word; the deadline covers the whole queue."""

    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with link_to(silence, request_timeout_s=request_timeout_s) as link:
        setpoints = [a_setpoint(r) for r in (A, B, C)]
        async with asyncio.timeout(0.6):
            assert await outcomes(link, *setpoints) == [Outcome.UNREACHABLE] * 3
        async with asyncio.timeout(0.6):
            assert [s.mode for s in await link.state([A, B, C])] == [Mode.UNKNOWN] * 3


async def test_an_answer_with_too_few_registers_is_no_answer():
    """Seen at a real server: a read out of range came back as a good answer without registers."""

    async def empty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await reader.read(300):
            writer.write(request[:4] + b"\x00\x03" + request[6:8] + b"\x00")
        writer.close()

    async with link_to(empty) as link:
        assert [s.mode for s in await link.state([A])] == [Mode.UNKNOWN]
        assert await outcomes(link, a_setpoint()) == [Outcome.UNREACHABLE]


async def test_a_lost_answer_is_found_late_and_not_sent_again():
    """The first attempt was taken and its answer lost; the second says so."""
    async with modbus_rig(PLC) as rig:
        setpoint = rig.setpoint()
        await rig.apply(setpoint)
        rig.link._doubts.remember(setpoint.id)  # type: ignore[attr-defined]
        receipts = await rig.apply(setpoint)
        assert receipts[setpoint.id].outcome is Outcome.LATE
        assert len(rig.devices.executed) == 1


async def test_a_device_without_a_clock_is_held_no_longer_than_until():
    """chiller-modbus has a timer only: the shorter of hold_s and the time left goes into it."""
    async with modbus_rig(ProfileId("chiller-modbus")) as rig:
        setpoint = rig.setpoint(minutes=10, hold_minutes=200)
        receipts = await rig.apply(setpoint)
        assert receipts[setpoint.id].outcome is Outcome.APPLIED
        [executed] = rig.devices.executed
        assert 590 <= executed.hold_s <= 602


class BusyGateway:
    """Takes every write and is busy whenever it is read."""

    def __init__(self) -> None:
        self.written: list[int] = []

    async def read(self, unit: int, table: str, address: int, count: int) -> list[int]:
        raise ExceptionAnswerError("device busy")

    async def write(self, unit: int, address: int, registers: list[int]) -> None:
        self.written.append(unit)


def an_opening(*, protected: bool = False) -> Opening:
    fleet = fleet_of(PROFILES[PLC], LinkId("link"), {A: "1", B: "2"})
    resources = tuple(replace(r, protected=protected) for r in fleet)
    return Opening(
        settings=settings_of("modbus", 1, timeout_s=1.0),
        fleet=Fleet(resources=resources, meters=fleet.meters),
        profiles=PROFILES,
        clock=JumpClock(EPOCH),
        fence=FENCE,
        run_id="t",
    )


async def test_a_device_too_busy_to_be_read_back_is_in_doubt_and_breaks_no_batch():
    """It may have taken the command: its neighbour's turn comes, and dispatch will ask again."""
    gateway = BusyGateway()
    link = ModbusLink(an_opening(), gateway)
    found = await outcomes(link, a_setpoint(A), a_setpoint(B))
    assert found == [Outcome.UNREACHABLE] * 2
    assert set(gateway.written) == {1, 2}
    assert [s.mode for s in await link.state([A])] == [Mode.UNKNOWN]


async def test_a_protected_load_is_never_commanded():
    """Whatever came before: nothing of it reaches the wire."""
    gateway = BusyGateway()
    link = ModbusLink(an_opening(protected=True), gateway)
    assert await outcomes(link, a_setpoint(A)) == [Outcome.REFUSED]
    assert gateway.written == []
