"""What is peculiar to OPC UA: batches by device, and a session that breaks quietly."""

import logging

import pytest

from controller.model.commands import Mode, Outcome
from controller.model.ids import ProfileId
from tests.adapters.rigs import A, opcua_rig


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
