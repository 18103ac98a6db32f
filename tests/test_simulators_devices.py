"""Physics: what a device may and may not do, whatever it is told."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.model.resources import ResourceKind
from simulators.chance import draws
from simulators.devices.air_conditioner import COP, AirConditioners
from simulators.devices.battery import ONE_WAY_EFFICIENCY, Batteries
from simulators.devices.ev_charger import EvChargers
from simulators.devices.furnace import Furnaces
from simulators.devices.lanes import Command, Device, Lanes, Nameplate, Surroundings
from simulators.devices.water_heater import WaterHeaters
from simulators.plant import PAGES

N = 6
RAMP_KW_PER_MIN = 40.0
SITES = [k for k in PAGES if k in {"furnace", "factory", "cold_store", "mall", "water_works"}]


def a_page(page: type[Device], rated_kw: float) -> Device:
    plate = Nameplate(
        rated_kw=np.full(N, rated_kw),
        floor_kw=np.full(N, 0.3 * rated_kw),
        ramp_kw_per_min=np.full(N, RAMP_KW_PER_MIN),
    )
    return page.draw(plate, draws(1, "test"))


def run(
    device: Device,
    hours: tuple[float, float],
    cap: dict[tuple[float, float], float] | None = None,
    *,
    power: dict[tuple[float, float], float] | None = None,
    outdoor_c: float = 38.0,
    dt_s: float = 60.0,
    state: Lanes | None = None,
) -> tuple[Lanes, Lanes]:
    """Final state and (steps, N) mean power over `hours` of a working day, one row."""
    draws_ = device.plan_day(draws(2, "day").random((device.uniforms_per_day, N)), True)
    begin = Surroundings(outdoor_c=outdoor_c, hour=hours[0], working=True)
    state = device.initial(begin, 1) if state is None else state
    out = []
    for k in range(round((hours[1] - hours[0]) * 3600 / dt_s)):
        hour = hours[0] + k * dt_s / 3600
        command = Command.free(1, N)
        for (start, end), kw in (cap or {}).items():
            if start <= hour < end:
                command.cap_kw[:] = kw
        for (start, end), kw in (power or {}).items():
            if start <= hour < end:
                command.power_kw[:] = kw
        around = Surroundings(outdoor_c=outdoor_c, hour=hour % 24, working=True)
        state, kw_now = device.step(state, draws_, around, command, dt_s)
        out.append(kw_now[0])
    return state, np.array(out)


@given(cap_kw=st.floats(0, 4), outdoor_c=st.floats(-5, 46))
@settings(max_examples=15, deadline=None)
def test_a_capped_air_conditioner_never_draws_more(cap_kw, outdoor_c):
    _, power_kw = run(
        a_page(AirConditioners, 2.5), (12, 14), {(12, 14): cap_kw}, outdoor_c=outdoor_c
    )
    assert power_kw.max() <= min(cap_kw, 2.5) + 1e-12
    assert power_kw.min() >= 0


def test_a_capped_room_warms_by_one_to_three_degrees_and_the_unit_works_harder_after():
    device = a_page(AirConditioners, 2.5)
    held, _ = run(device, (8, 17), {(15, 17): 0.6}, outdoor_c=34)
    plain, _ = run(device, (8, 17), outdoor_c=34)
    assert 0.5 < (held[0] - plain[0]).mean() < 3
    _, free_kw = run(device, (8, 22), outdoor_c=34)
    _, after_kw = run(device, (8, 22), {(15, 17): 0.6}, outdoor_c=34)
    assert after_kw[9 * 60 :].sum() > free_kw[9 * 60 :].sum() * 1.02


def test_a_room_follows_its_equation_exactly_while_power_is_constant():
    """Closed form: with the compressor off one long step equals many short ones."""
    device = a_page(AirConditioners, 2.5)
    one, _ = run(device, (1, 2), {(0, 24): 0.0}, dt_s=3600, outdoor_c=20)
    # Gains depend on the hour, so compare at night, when the sun's share is nought.
    many, _ = run(device, (1, 2), {(0, 24): 0.0}, dt_s=60, outdoor_c=20)
    np.testing.assert_allclose(one, many, atol=0.02)
    assert COP > 1


def test_a_water_heater_that_is_off_draws_nothing_and_makes_up_for_it():
    device = a_page(WaterHeaters, 3.0)
    free_state, free_kw = run(device, (0, 24))
    state, kw = run(device, (0, 24), {(15, 18): 0.0})
    assert kw[15 * 60 : 18 * 60].max() == 0
    withheld = free_kw[15 * 60 : 18 * 60].sum()
    made_up = kw[18 * 60 :].sum() - free_kw[18 * 60 :].sum()
    assert withheld > 0
    assert made_up == pytest.approx(withheld, rel=0.5)
    assert free_state.shape == state.shape


def test_long_and_short_steps_heat_the_same_water():
    device = a_page(WaterHeaters, 3.0)
    _, fine = run(device, (0, 24), dt_s=60)
    _, coarse = run(device, (0, 24), dt_s=300)
    assert coarse.sum() * 5 == pytest.approx(fine.sum(), rel=0.03)


def test_a_capped_car_gets_the_same_energy_later():
    device = a_page(EvChargers, 7.0)
    free, free_kw = run(device, (8, 30))
    held, held_kw = run(device, (8, 30), {(15, 19): 1.0})
    assert held_kw[7 * 60 : 11 * 60].max() <= 1.0
    assert held_kw.sum() == pytest.approx(free_kw.sum(), rel=1e-9)
    np.testing.assert_allclose(free, held, atol=1e-9)


@given(kw=st.floats(-10, 10))
@settings(max_examples=20, deadline=None)
def test_a_battery_stays_within_rating_and_capacity(kw):
    device = a_page(Batteries, 4.0)
    assert isinstance(device, Batteries)
    state, power_kw = run(device, (8, 20), power={(10, 16): kw})
    assert np.abs(power_kw).max() <= 4.0 + 1e-9
    assert (state[0] >= -1e-9).all()
    assert (state[0] <= device.capacity_kwh + 1e-9).all()


def test_a_battery_gives_back_less_than_it_took():
    device = a_page(Batteries, 4.0)
    empty = np.full((1, 1, N), 1.0)
    full, into_kw = run(device, (0, 2), power={(0, 2): 2.0}, state=empty)
    back, out_kw = run(device, (0, 4), power={(0, 2): -2.0}, state=full)
    assert out_kw.min() == -2.0
    lost = into_kw.sum() + out_kw.sum() - (back[0] - 1.0).sum() * 60
    expected = into_kw.sum() * (1 - ONE_WAY_EFFICIENCY) - out_kw.sum() * (
        1 / ONE_WAY_EFFICIENCY - 1
    )
    assert lost == pytest.approx(expected, rel=1e-6)
    assert lost > 0


@pytest.mark.parametrize("kind", SITES)
@given(cap_kw=st.floats(0, 1200))
@settings(max_examples=8, deadline=None)
def test_a_site_obeys_its_cap_by_its_ramp_and_never_goes_below_its_floor(kind, cap_kw):
    device = a_page(PAGES[kind], 900.0)
    state, power_kw = run(device, (13, 17), {(15, 17): cap_kw}, outdoor_c=36)
    _, free_kw = run(device, (13, 17), outdoor_c=36)
    held = power_kw[150:]
    assert held.max() <= max(cap_kw, 0.3 * 900) + 1.0
    assert (power_kw >= np.minimum(0.3 * 900, free_kw) - 45).all()
    assert np.abs(np.diff(power_kw, axis=0)).max() <= RAMP_KW_PER_MIN + 1e-6
    assert np.isfinite(state).all()


def test_a_furnace_puts_back_part_of_the_heat_it_missed():
    device = a_page(Furnaces, 1000.0)
    _, free_kw = run(device, (8, 22.9))
    _, kw = run(device, (8, 22.9), {(15, 17): 500.0})
    withheld = (free_kw - kw)[7 * 60 : 9 * 60].sum()
    back = (kw - free_kw)[10 * 60 :].sum()
    assert 0.1 * withheld < back < 0.6 * withheld


@pytest.mark.parametrize("kind", list(ResourceKind))
def test_every_kind_of_resource_has_a_page(kind):
    device = a_page(PAGES[kind], 500.0)
    state, power_kw = run(device, (0, 24), outdoor_c=30)
    assert len(state) == len(device.state_fields)
    assert np.isfinite(power_kw).all()
    assert np.abs(power_kw).max() <= 500.0 * 1.15
