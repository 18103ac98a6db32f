"""Every page of configs/profiles against its simulator: read, held, read back, released."""

from contextlib import AbstractAsyncContextManager

import pytest

from controller.model.commands import Control, Mode, Outcome, Reading
from controller.model.ids import ProfileId, ResourceId
from tests.adapters.fakes import FREE_KW, HELD_KW, METER_KW, SOC_FRAC, TEMPERATURE_C
from tests.adapters.rigs import PROFILES, RIGS, A, B, Rig, mqtt_rig

COMMANDED = sorted(p.id for p in PROFILES.values() if p.controls)
VALUES = {
    Control.CAP_KW: 7.3,
    Control.POWER_KW: -2.5,
    Control.OFF: 1.0,
    Control.OFFSET_C: 1.5,
    Control.CHARGE_KW: 1.4,
}


@pytest.mark.parametrize("profile_id", COMMANDED)
async def test_a_device_of_every_profile_obeys_reports_and_is_released(profile_id: ProfileId):
    profile = PROFILES[profile_id]
    async with RIGS[profile.protocol](profile_id) as rig:
        for control in profile.controls:
            setpoint = rig.setpoint(A, value=VALUES[control], control=control)
            receipts = await rig.apply(setpoint)
            assert receipts[setpoint.id].outcome is Outcome.APPLIED, receipts[setpoint.id].detail
            state = await rig.state(A)
            assert state.mode is Mode.HELD
            assert state.value == pytest.approx(VALUES[control], abs=0.051)
            executed = rig.devices.executed[-1]
            assert (executed.control, executed.resource_id) == (control, A)
            assert executed.value == pytest.approx(VALUES[control], abs=0.051)
        await readings_are_true(rig)
        [receipt] = await rig.link.release([A])
        assert receipt.outcome is Outcome.APPLIED
        assert (await rig.state(A)).mode is Mode.FREE


async def readings_are_true(rig: Rig) -> None:
    """Of a held and a free device, everything the profile measures."""
    seen: list[Reading] = []
    own: dict[ResourceId, Reading] = {}
    while B not in own or A not in own or own[A].power_kw != pytest.approx(HELD_KW, abs=0.1):
        seen += [i for i in await rig.reports_until(lambda _: True) if isinstance(i, Reading)]
        own = {r.resource_id: r for r in seen if r.resource_id is not None}
    assert own[B].power_kw == pytest.approx(FREE_KW, abs=0.1)
    if "temperature_c" in rig.profile.points:
        assert own[A].temperature_c == pytest.approx(TEMPERATURE_C, abs=0.1)
    if "soc_frac" in rig.profile.points:
        assert own[A].soc_frac == pytest.approx(SOC_FRAC, abs=0.01)
    if "meter_kw" in rig.profile.points:
        nets = [r.power_kw for r in seen if r.resource_id is None]
        assert nets
        assert nets == pytest.approx([METER_KW] * len(nets))


async def test_homes_that_speak_one_by_one_are_understood_too():
    """The second shape of readings: a topic per home instead of a batch of homes."""
    rigs: AbstractAsyncContextManager[Rig] = mqtt_rig(ProfileId("home-battery"), batched=False)
    async with rigs as rig:
        await rig.apply(rig.setpoint(A, value=-2.5))
        await readings_are_true(rig)
