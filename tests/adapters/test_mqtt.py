"""What is peculiar to MQTT, both ends of the wire, with the test for a broker."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from msgspec.json import decode
from paho.mqtt.client import MQTTMessage

from adapters.mqtt import PahoLine
from adapters.mqtt_link import MqttLink
from adapters.mqtt_messages import MOST_BYTES, Answer, encode
from adapters.parts import Opening
from controller.model.commands import Outcome, Override, Quality, Reading, Setpoint
from controller.model.ids import LinkId, ProfileId
from simulators.clock import JumpClock
from simulators.servers.mqtt import Command, Home
from tests.adapters.fakes import FakeDevices
from tests.adapters.rigs import (
    EPOCH,
    FENCE,
    PROFILES,
    A,
    B,
    a_setpoint,
    fleet_of,
    outcomes,
    settings_of,
)

AC = ProfileId("home-ac")


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


async def test_an_answer_after_the_deadline_makes_the_next_attempt_late(homes):
    link, line = homes
    setpoint = a_setpoint()
    assert await outcomes(link, setpoint) == [Outcome.UNREACHABLE]
    link.deliver("ps/a/home-a", taken(setpoint))
    assert await outcomes(link, setpoint) == [Outcome.LATE]
    assert len(line.sent) == 1


async def test_a_command_that_expired_on_the_way_was_not_taken(homes):
    """The home throws it away unread; dispatch may try again."""
    link, _ = homes
    setpoint = a_setpoint()
    late = encode(Answer(id=setpoint.id, outcome="late", mode="free"))
    asyncio.get_running_loop().call_later(0.01, link.deliver, "ps/a/home-a", late)
    assert await outcomes(link, setpoint) == [Outcome.UNREACHABLE]


async def test_a_home_cannot_answer_for_another(homes):
    link, _ = homes
    setpoint = a_setpoint()
    asyncio.get_running_loop().call_later(0.01, link.deliver, "ps/a/home-b", taken(setpoint))
    assert await outcomes(link, setpoint) == [Outcome.UNREACHABLE]


async def test_an_acknowledgement_of_something_else_is_a_refusal(homes):
    link, _ = homes
    setpoint = a_setpoint()
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
    assert abs(wrong.at - EPOCH) < timedelta(hours=1)


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
    long, short = a_setpoint(A), replace(a_setpoint(B), until=EPOCH + timedelta(minutes=5))
    await outcomes(link, long, short)
    first, second = (decode(body) for _, body in line.sent)
    assert first["expires"] == pytest.approx((EPOCH + timedelta(minutes=15)).timestamp(), abs=1)
    assert second["expires"] == short.until.timestamp()
    assert second["seq"] > first["seq"]
    assert (first["fence"], first["hold_s"]) == (FENCE, 3600.0)


def a_home() -> tuple[Home, FakeDevices]:
    devices = FakeDevices()
    fleet = fleet_of(PROFILES[AC], LinkId("link"), {A: "home-a"})
    return Home(fleet[A], PROFILES[AC], devices, JumpClock(EPOCH)), devices


def told(name: str, **fields: Any) -> Command:
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
    return Command(id=name, **usual | fields)


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
