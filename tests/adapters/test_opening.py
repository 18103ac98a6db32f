"""What is refused when a link is opened, before a byte is on the wire."""

from dataclasses import replace

import pytest

from adapters.profile import PROTOCOLS as PAGE_PROTOCOLS
from adapters.registry import PROTOCOLS, desk_of, open_link
from controller.errors import LinkSettingsError
from controller.model.ids import LinkId, ProfileId
from tests.adapters.rigs import (
    PROFILES,
    A,
    fleet_of,
    modbus_rig,
    running_clock,
    settings_of,
)

PLC = ProfileId("plc-load-modbus")
AC = ProfileId("home-ac")


def test_a_page_may_name_exactly_the_protocols_that_can_be_opened():
    assert set(PAGE_PROTOCOLS) == set(PROTOCOLS)


async def test_an_unknown_protocol_is_named():
    settings = settings_of("morse", 1, timeout_s=1.0)
    with pytest.raises(LinkSettingsError, match="morse"):
        open_link(settings, fleet_of(PROFILES[PLC], LinkId("x"), {}), PROFILES, running_clock(),
                  fence=1, run_id="t")  # fmt: skip


@pytest.mark.parametrize("protocol", ["mqtt", "opcua", "duty_desk"])
async def test_no_link_speaks_in_the_clear_to_another_machine_unless_told_to(protocol: str):
    settings = replace(settings_of(protocol, 1, timeout_s=0.1), host="192.0.2.1")
    fleet = fleet_of(PROFILES[AC], LinkId("x"), {})
    with pytest.raises(LinkSettingsError, match="in the clear"):
        async with open_link(settings, fleet, PROFILES, running_clock(), fence=1, run_id="t"):
            pass


async def test_a_modbus_address_is_a_unit():
    settings = settings_of("modbus", 1, timeout_s=1.0)
    fleet = fleet_of(PROFILES[PLC], LinkId("link"), {A: "first floor"})
    with pytest.raises(LinkSettingsError, match="Modbus unit"):
        async with open_link(settings, fleet, PROFILES, running_clock(), fence=1, run_id="t"):
            pass


async def test_a_wired_link_is_no_desk():
    async with modbus_rig(PLC) as rig:
        assert desk_of(rig.link) is None
