"""What is peculiar to one protocol or shared by all links below the contract."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from msgspec.json import decode
from paho.mqtt.client import MQTTMessage

from adapters.broker import Broker
from adapters.mqtt import PahoLine
from adapters.mqtt_link import MqttLink
from adapters.mqtt_messages import MOST_BYTES, Answer, encode
from adapters.parts import BackOff, Doubts, Opening, OverrideWatch, batches, cancellable
from adapters.registry import desk_of, open_link
from controller.errors import DeviceError
from controller.model.commands import (
    Control,
    Mode,
    Outcome,
    Override,
    Quality,
    Reading,
    Setpoint,
)
from controller.model.ids import EventId, LinkId, ProfileId, ResourceId, SetpointId
from controller.ports import Link
from simulators.clock import JumpClock, JumpLoop
from simulators.servers.mqtt import Home, Order
from tests.adapters.fakes import FakeDevices
from tests.adapters.rigs import (
    EPOCH,
    FENCE,
    PROFILES,
    A,
    B,
    C,
    fleet_of,
    modbus_rig,
    mqtt_rig,
    opcua_rig,
    running_clock,
    settings_of,
)

PLC = ProfileId("plc-load-modbus")
AC = ProfileId("home-ac")


# --- Shared parts ---


async def test_a_cancellation_that_a_library_swallows_still_ends_the_task():
    """As `asyncio.wait_for` may before Python 3.12: without this a poll would go on for ever."""

    async def swallows() -> None:
        try:
            await asyncio.sleep(10)
        except asyncio.CancelledError:
            return

    async def polls() -> None:
        while True:
            with cancellable():
                await swallows()

    async with asyncio.timeout(1), asyncio.TaskGroup() as tasks:
        task = tasks.create_task(polls())
        await asyncio.sleep(0)
        task.cancel()
    assert task.cancelled()


async def test_a_deadline_inside_is_no_cancellation():
    with cancellable(), pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await asyncio.sleep(1)


def test_pauses_between_attempts_grow_and_are_forgotten_after_success():
    async def story() -> list[float]:
        pause, loop, waits = BackOff(most_s=0.4), asyncio.get_running_loop(), []
        for _ in range(4):
            pause.failed()
            began = loop.time()
            while not pause.over():
                await asyncio.sleep(0.05)
            waits.append(round(loop.time() - began, 2))
        pause.failed()
        pause.worked()
        assert pause.over()
        return waits

    with asyncio.Runner(loop_factory=JumpLoop) as runner:
        assert runner.run(story()) == pytest.approx([0.1, 0.2, 0.4, 0.4], abs=0.051)


def test_doubts_are_bounded():
    doubts = Doubts(most=2)
    for name in "abc":
        doubts.remember(SetpointId(name))
    assert [SetpointId(name) in doubts for name in "abc"] == [False, True, True]


def test_an_override_is_told_once_each_time_a_customer_steps_in():
    watch = OverrideWatch()
    modes = [Mode.FREE, Mode.OVERRIDDEN, Mode.OVERRIDDEN, Mode.FREE, Mode.OVERRIDDEN]
    told = [len(watch.seen(A, mode, EPOCH)) for mode in modes]
    assert told == [0, 1, 0, 0, 1]


async def test_no_device_stands_twice_in_one_batch():
    async with modbus_rig(PLC) as rig:
        a1, b, a2, c = (rig.setpoint(r) for r in (A, B, A, C))
        assert batches([a1, b, a2, c], 50) == [[a1, b], [a2, c]]
        assert batches([a1, b, c], 2) == [[a1, b], [c]]
        assert batches([], 2) == []


# --- Opening ---


async def test_an_unknown_protocol_is_named():
    settings = settings_of("morse", 1, timeout_s=1.0)
    with pytest.raises(DeviceError, match="morse"):
        open_link(settings, fleet_of(PROFILES[PLC], LinkId("x"), {}), PROFILES, running_clock(),
                  fence=1, run_id="t")  # fmt: skip


@pytest.mark.parametrize("protocol", ["mqtt", "opcua", "duty_desk"])
async def test_no_link_speaks_in_the_clear_to_another_machine_unless_told_to(protocol: str):
    settings = replace(settings_of(protocol, 1, timeout_s=0.1), host="192.0.2.1")
    fleet = fleet_of(PROFILES[AC], LinkId("x"), {})
    with pytest.raises(DeviceError, match="in the clear"):
        async with open_link(settings, fleet, PROFILES, running_clock(), fence=1, run_id="t"):
            pass


async def test_a_modbus_address_is_a_unit():
    settings = settings_of("modbus", 1, timeout_s=1.0)
    fleet = fleet_of(PROFILES[PLC], LinkId("link"), {A: "first floor"})
    with pytest.raises(DeviceError, match="Modbus unit"):
        async with open_link(settings, fleet, PROFILES, running_clock(), fence=1, run_id="t"):
            pass


async def test_a_wired_link_is_no_desk():
    async with modbus_rig(PLC) as rig:
        assert desk_of(rig.link) is None


async def test_a_protected_load_is_never_commanded():
    async with modbus_rig(PLC) as rig:
        link = rig.link
        unit = link.units[A]  # type: ignore[attr-defined]
        shielded = replace(unit, resource=replace(unit.resource, protected=True))
        link.units[A] = shielded  # type: ignore[attr-defined]
        setpoint = rig.setpoint(A)
        receipts = await rig.apply(setpoint)
        assert receipts[setpoint.id].outcome is Outcome.REFUSED
        assert rig.devices.executed == []


# --- Modbus ---


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
    server.close()
    await server.wait_closed()
    await asyncio.sleep(0.01)


@pytest.mark.parametrize("request_timeout_s", [0.1, 5.0])
async def test_a_frozen_gateway_is_unreachable_within_the_deadline(request_timeout_s: float):
    """It accepts the connection and never says a word; the deadline covers the whole queue."""

    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with link_to(silence, request_timeout_s=request_timeout_s) as link:
        setpoints = [order(link, r) for r in (A, B, C)]
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
        assert await outcomes(link, order(link, A)) == [Outcome.UNREACHABLE]


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


async def test_reports_end_when_cancelled():
    for opened in (modbus_rig(PLC), opcua_rig(ProfileId("plant-opcua")), mqtt_rig(AC)):
        async with opened as rig:

            async def read(rig=rig) -> None:
                async for _ in rig.link.reports():
                    pass

            async with asyncio.timeout(1), asyncio.TaskGroup() as tasks:
                task = tasks.create_task(read())
                await asyncio.sleep(0.12)
                task.cancel()


# --- OPC UA ---


async def test_a_site_named_twice_in_a_batch_gets_a_receipt_for_each():
    async with opcua_rig(ProfileId("plant-opcua")) as rig:
        first, second = rig.setpoint(A, value=9.0), rig.setpoint(A, value=8.0)
        receipts = await rig.apply(first, second)
        assert {receipts[s.id].outcome for s in (first, second)} == {Outcome.APPLIED}
        assert (await rig.state(A)).value == pytest.approx(8.0)


async def test_a_lost_session_leaves_nothing_on_the_terminal(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        async with opcua_rig(ProfileId("plant-opcua")) as rig:
            await rig.state(A)
            await rig.cut()
            await rig.state(A)
            await rig.mend()
            await rig.wait_for(Mode.FREE)
    assert [r for r in caplog.records if r.name.startswith("asyncua") and r.levelno < 50] == []


# --- MQTT, without a broker ---


class FakeLine:
    """A line on which the test is the other end."""

    def __init__(self) -> None:
        self.ready = True
        self.sent: list[tuple[str, bytes]] = []

    def publish(self, topic: str, payload: bytes) -> None:
        self.sent.append((topic, payload))


@pytest.fixture(name="homes")
async def homes_without_a_broker() -> tuple[MqttLink, FakeLine]:
    fleet = fleet_of(PROFILES[AC], LinkId("link"), {A: "home-a", B: "home-b"})
    line = FakeLine()
    opening = Opening(
        settings=settings_of("mqtt", 1, timeout_s=0.1),
        fleet=fleet,
        profiles=PROFILES,
        clock=JumpClock(EPOCH),
        fence=FENCE,
        run_id="t",
    )
    return MqttLink(opening, line), line


def order(link: Link, resource_id: ResourceId = A) -> Setpoint:
    now = link._clock.now()  # type: ignore[attr-defined]
    return Setpoint(
        id=SetpointId(f"id-{resource_id}"),
        event_id=EventId("event"),
        resource_id=resource_id,
        control=Control.CAP_KW,
        value=1.0,
        start=now,
        until=now + timedelta(hours=1),
        hold_s=3600.0,
        revision=1,
        fence=FENCE,
    )


def taken(setpoint: Setpoint, cap_w: float = 1000.0) -> bytes:
    return encode(
        Answer(
            id=setpoint.id,
            outcome="applied",
            mode="held",
            set={"cap_w": cap_w},
            until=setpoint.until.timestamp(),
            setpoint_id=setpoint.id,
        )
    )


async def outcomes(link: Link, *setpoints: Setpoint) -> list[Outcome]:
    return [r.outcome async for batch in link.apply(setpoints) for r in batch]


async def test_an_answer_after_the_deadline_makes_the_next_attempt_late(homes):
    link, line = homes
    setpoint = order(link)
    assert await outcomes(link, setpoint) == [Outcome.UNREACHABLE]
    link.deliver("ps/a/home-a", taken(setpoint))
    assert await outcomes(link, setpoint) == [Outcome.LATE]
    assert len(line.sent) == 1


async def test_a_command_that_expired_on_the_way_was_not_taken(homes):
    """The home throws it away unread; dispatch may try again."""
    link, _ = homes
    setpoint = order(link)
    late = encode(Answer(id=setpoint.id, outcome="late", mode="free"))
    asyncio.get_running_loop().call_later(0.01, link.deliver, "ps/a/home-a", late)
    assert await outcomes(link, setpoint) == [Outcome.UNREACHABLE]


async def test_a_home_cannot_answer_for_another(homes):
    link, _ = homes
    setpoint = order(link)
    asyncio.get_running_loop().call_later(0.01, link.deliver, "ps/a/home-b", taken(setpoint))
    assert await outcomes(link, setpoint) == [Outcome.UNREACHABLE]


async def test_an_acknowledgement_of_something_else_is_a_refusal(homes):
    link, _ = homes
    setpoint = order(link)
    other = taken(setpoint, cap_w=900.0)
    asyncio.get_running_loop().call_later(0.01, link.deliver, "ps/a/home-a", other)
    assert await outcomes(link, setpoint) == [Outcome.REFUSED]


async def test_what_cannot_be_understood_is_counted_and_dropped(homes):
    link, _ = homes
    for kind in ("a", "o", "t", "tb"):
        for body in (b"", b"{", b"\xff\xfe", b'{"at":1e300}', b"[1]"):
            link.deliver(f"ps/{kind}/home-a", body)
    link.deliver("ps/tb/0", b'{"at":1,"homes":["home-a"],"values":{"w":[1,2]}}')
    link.deliver("ps/t/stranger", b'{"at":1,"values":{"w":1}}')
    assert link.faults["malformed"] == 22
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await anext(link.reports())


async def test_a_message_that_is_too_long_is_not_even_looked_at():
    line = PahoLine(settings_of("mqtt", 1, timeout_s=1.0), "test", [])
    message = MQTTMessage(topic=b"ps/t/home-a")
    message.payload = b"x" * (MOST_BYTES + 1)
    line._on_message(line._client, None, message)
    assert not line._waiting


async def test_a_home_whose_clock_is_plainly_wrong_is_stamped_with_ours(homes):
    link, _ = homes
    for hours in (0, 5):
        at = (EPOCH + timedelta(hours=hours)).timestamp()
        link.deliver("ps/t/home-a", encode({"at": at, "values": {"w": 500.0}}))
    [right, wrong] = [r for r in await anext(link.reports()) if isinstance(r, Reading)]
    assert (right.at, right.quality) == (EPOCH, Quality.OK)
    assert wrong.quality is Quality.ESTIMATED
    assert abs(wrong.at - link._clock.now()) < timedelta(hours=1)


async def test_an_opt_out_says_until_when_and_why(homes):
    link, _ = homes
    until = EPOCH + timedelta(hours=3)
    body = {
        "at": EPOCH.timestamp(),
        "source": "customer",
        "until": until.timestamp(),
        "reason": "guests",
    }
    link.deliver("ps/o/home-a", encode(body))
    [override] = await anext(link.reports())
    assert isinstance(override, Override)
    assert (override.resource_id, override.until, override.reason) == (A, until, "guests")


async def test_a_command_says_when_it_is_too_old_and_which_is_newer(homes):
    """Fifteen minutes after its start, or at its end: what a broker kept back is thrown away."""
    link, line = homes
    now = link._clock.now()
    long, short = order(link, A), replace(order(link, B), until=now + timedelta(minutes=5))
    await outcomes(link, long, short)
    first, second = (decode(body) for _, body in line.sent)
    assert first["expires"] == pytest.approx((now + timedelta(minutes=15)).timestamp(), abs=1)
    assert second["expires"] == short.until.timestamp()
    assert second["seq"] > first["seq"]
    assert (first["fence"], first["hold_s"]) == (FENCE, 3600.0)


def a_home() -> tuple[Home, FakeDevices]:
    devices = FakeDevices()
    fleet = fleet_of(PROFILES[AC], LinkId("link"), {A: "home-a"})
    return Home(fleet[A], PROFILES[AC], devices, JumpClock(EPOCH)), devices


def told(name: str, **fields: Any) -> Order:
    until = (EPOCH + timedelta(days=999)).timestamp()
    usual: dict[str, Any] = {
        "op": "hold",
        "seq": 5,
        "fence": 1,
        "expires": until,
        "start": EPOCH.timestamp(),
        "until": until,
        "hold_s": 60.0,
        "set": {"cap_w": 800.0},
    }
    return Order(id=name, **usual | fields)


async def test_a_home_takes_no_command_that_is_older_than_the_last():
    """A broker that replays after a reconnect, or a controller that was replaced."""
    home, devices = a_home()
    assert home.answer(told("newest"))["outcome"] == "applied"
    for older in ({"seq": 4}, {"seq": 9, "fence": 0}):
        assert home.answer(told(f"older {older}", **older))["outcome"] == "refused"
        assert home.answer(told(f"let go {older}", op="release", **older))["outcome"] == "refused"
    assert [s.id for s in devices.executed] == ["newest"]
    assert home.answer(told("now", op="state", seq=0))["mode"] == "held"


async def test_a_home_takes_no_command_that_has_expired():
    home, devices = a_home()
    assert home.answer(told("old", expires=EPOCH.timestamp() - 1))["outcome"] == "late"
    assert devices.executed == []


# --- The broker ---


async def test_a_broker_picks_its_port_logs_to_a_file_and_goes_away(tmp_path):
    log = tmp_path / "broker.log"
    async with Broker(log=log) as broker:
        _, writer = await asyncio.open_connection(broker.host, broker.port)
        writer.close()
    assert "Listening for MQTT clients" in log.read_text()
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncio.open_connection(broker.host, broker.port)


async def test_a_taken_port_is_said_and_nothing_is_left():
    async with Broker() as broker:
        with pytest.raises(DeviceError, match="did not start"):
            async with Broker(port=broker.port):
                pass
        _, writer = await asyncio.open_connection(broker.host, broker.port)
        writer.close()


@pytest.mark.parametrize("times", [2])
async def test_a_controller_is_ready_again_after_the_broker_came_back(times: int):
    """A clean session knows no subscription: they are asked for each time."""
    async with mqtt_rig(AC) as rig:
        for _ in range(times):
            await rig.cut()
            await rig.mend()
            async with asyncio.timeout(8):
                await rig.wait_for(Mode.FREE)
