"""The embedded broker: its port, its log, its end, and a link that outlives a restart of it."""

import asyncio

import pytest

from adapters.broker import Broker
from controller.errors import BrokerError
from controller.model.commands import Mode
from controller.model.ids import ProfileId
from tests.adapters.rigs import mqtt_rig

AC = ProfileId("home-ac")


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
        with pytest.raises(BrokerError, match="did not start"):
            async with Broker(port=broker.port):
                pass
        _, writer = await asyncio.open_connection(broker.host, broker.port)
        writer.close()


async def test_a_controller_is_ready_again_after_the_broker_came_back():
    """A clean session knows no subscription: they are asked for each time."""
    async with mqtt_rig(AC) as rig:
        for _ in range(2):
            await rig.cut()
            await rig.mend()
            async with asyncio.timeout(8):
                await rig.wait_for(Mode.FREE)
