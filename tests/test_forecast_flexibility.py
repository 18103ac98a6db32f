"""What sites, cohorts and appliances can give, as far as their meters tell."""

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.forecast.appliances import appliance_kw
from controller.forecast.features import local_calendar
from controller.forecast.flexibility import cohort_flexibility, site_flexibility
from controller.forecast.operating import operating_forecast
from controller.model.commands import Control
from controller.model.contracts import Contract, ContractKind
from controller.model.ids import (
    CohortId,
    ContractId,
    FeederId,
    LinkId,
    MeterId,
    ProfileId,
    ProgramId,
    ResourceId,
    ZoneId,
)
from controller.model.plans import Cohort
from controller.model.resources import Resource, ResourceKind
from controller.model.settings import CohortRule
from controller.model.time import QUARTER_HOUR, Grid, Series
from tests.forecast_cases import (
    HOLIDAYS,
    HOT_DAY,
    MELBOURNE,
    day_grid,
    evening_before,
    the_area,
    until,
)

DAY = day_grid(HOT_DAY)
HOURS = Grid(start=DAY.at(60), step=QUARTER_HOUR, count=4)


def a_site(name: str = "mill", *, protected: bool = False, floor_kw: float = 100.0) -> Resource:
    return Resource(
        id=ResourceId(name),
        kind=ResourceKind.FACTORY,
        zone=ZoneId("z"),
        feeder=FeederId("f"),
        meter_id=MeterId(name),
        rated_kw=1000.0,
        floor_kw=floor_kw,
        link=LinkId("l"),
        profile=ProfileId("p"),
        address="1",
        protected=protected,
    )


def a_contract(**changes: object) -> Contract:
    fields = {
        "id": ContractId("c"),
        "name": "c",
        "program_id": ProgramId("p"),
        "resource_ids": (ResourceId("mill"),),
        "kind": ContractKind.INTERRUPTIBLE,
        "wired": True,
        "min_kw": 100.0,
        "max_kw": 500.0,
        "availability_frac": 0.9,
    }
    return Contract(**{**fields, **changes})  # type: ignore[arg-type]


def kw(*values: float) -> Series:
    return Series(grid=HOURS, values=np.array(values))


def a_cohort(control: Control, value: float) -> Cohort:
    return Cohort(
        id=CohortId("homes-1"),
        contract_id=ContractId("homes"),
        kind=ResourceKind.AIR_CONDITIONER,
        zone=ZoneId("z"),
        feeder=FeederId("f"),
        members=(0, 1),
        control=control,
        control_value=value,
        max_run=timedelta(hours=2),
        recovery=timedelta(hours=2),
    )


def a_rule(control: Control) -> CohortRule:
    return CohortRule(
        kind=ResourceKind.AIR_CONDITIONER,
        control=control,
        max_run=timedelta(hours=2),
        recovery=timedelta(hours=2),
        rebound_frac=0.3,
        rebound_intervals=4,
        availability_frac=0.9,
        cohort_size=400,
    )


def given_up(control: Control, value: float, load: Series, **known: object) -> list[float]:
    flexibility = cohort_flexibility(
        a_cohort(control, value),
        a_rule(control),
        load,
        3.0,
        **known,  # type: ignore[arg-type]
    )
    return [round(v, 6) for v in flexibility.down_kw.values.tolist()]


def test_a_site_gives_what_is_above_its_floor_up_to_the_contract():
    flexibility = site_flexibility(a_contract(), [a_site()], kw(900, 450, 80, np.nan))
    assert flexibility.of == "c"
    assert flexibility.down_kw.values.tolist() == [500.0, 350.0, 0.0, 0.0]
    assert flexibility.availability_frac == 0.9


def test_a_learnt_availability_replaces_the_written_one():
    flexibility = site_flexibility(
        a_contract(), [a_site()], kw(900, 900, 900, 900), availability_frac=0.6
    )
    assert flexibility.availability_frac == 0.6


def test_a_protected_site_gives_nothing():
    flexibility = site_flexibility(a_contract(), [a_site(protected=True)], kw(900, 900, 900, 900))
    assert not flexibility.down_kw.values.any()


def test_beside_a_protected_site_only_the_rest_gives():
    """Two sites behind one forecast: the protected one may need all of its rating."""
    sites = [a_site(), a_site("ward", protected=True)]
    flexibility = site_flexibility(a_contract(), sites, kw(1900, 1500, 1200, 900))
    assert flexibility.down_kw.values.tolist() == [500.0, 400.0, 100.0, 0.0]


@given(st.lists(st.floats(-1e4, 1e4) | st.just(float("nan")), min_size=4, max_size=4))
def test_a_site_never_gives_more_than_it_draws_above_its_floor(load):
    down = site_flexibility(a_contract(), [a_site()], kw(*load)).down_kw.values
    assert (down >= 0).all()
    assert (down <= 500).all()
    assert (down <= np.maximum(np.nan_to_num(np.array(load)) - 100, 0)).all()


def test_a_cap_takes_off_what_is_above_it_member_by_member():
    """One runs at 3 kW, one is off: the cap of 1.5 kW halves the one, and so gives 0.75 each."""
    members = np.array([[3.0] * 4, [0.0] * 4])
    known = {"appliance_kw": members}
    assert given_up(Control.CAP_KW, 1.5, kw(2, 2, 2, 2), **known) == [0.75] * 4
    mean_only = {"appliance_kw": members.mean(axis=0)}
    assert given_up(Control.CAP_KW, 1.5, kw(2, 2, 2, 2), **mean_only) == [0.0] * 4


def test_without_an_estimate_the_household_is_left_out():
    members = np.array([[3.5] * 4, [0.3] * 4])
    assert given_up(Control.OFF, 1, kw(2, 2, 2, 2), member_kw=members) == [1.5] * 4
    assert given_up(Control.OFF, 1, kw(2, 2, 2, 2), member_kw=members, base_kw=1.0) == [1.25] * 4
    assert given_up(Control.OFF, 1, kw(9, 0.2, np.nan, 1.5)) == [3.0, 0.0, 0.0, 1.0]


def test_a_charger_gives_what_it_would_have_charged_beyond_the_cap():
    own = np.array([3.0, 2.0, 1.0, 0.0])
    assert given_up(Control.CHARGE_KW, 1.0, kw(4, 3, 2, 1), appliance_kw=own) == [2, 1, 0, 0]


def test_a_battery_gives_its_discharge_less_what_it_gave_anyway():
    own = np.array([1.0, 0.0, -0.5, -2.0])
    assert given_up(Control.POWER_KW, -2.0, kw(1, 1, 1, 1), appliance_kw=own) == [3, 2, 1.5, 0]
    assert given_up(Control.POWER_KW, -2.0, kw(1, 1, 1, np.nan)) == [2, 2, 2, 0]


def test_a_batterys_discharge_lasts_as_long_as_its_energy():
    """3 kWh over a run of 2 h are 1.5 kW, however much the inverter could do."""
    assert given_up(Control.POWER_KW, -2.0, kw(1, 1, 1, 1), energy_kwh=3.0) == [1.5] * 4


def test_an_offset_gives_a_cautious_part_of_the_cooling():
    assert (
        given_up(Control.OFFSET_C, 2.0, kw(2, 2, 2, 2), appliance_kw=np.full(4, 1.0)) == [0.16] * 4
    )


def test_rebound_is_the_rules_and_the_response_what_was_learnt():
    cohort, rule = a_cohort(Control.OFF, 1), a_rule(Control.OFF)
    written = cohort_flexibility(cohort, rule, kw(1, 1, 1, 1), 3.0)
    learnt = cohort_flexibility(cohort, rule, kw(1, 1, 1, 1), 3.0, response_frac=0.7)
    assert (written.availability_frac, learnt.availability_frac) == (0.9, 0.7)
    assert (written.rebound_frac, written.rebound_intervals) == (0.3, 4)
    assert written.down_kw == learnt.down_kw


def test_members_on_another_grid_are_refused():
    with pytest.raises(ValueError, match="shape"):
        given_up(Control.OFF, 1, kw(1, 1, 1, 1), member_kw=np.ones((2, 5)))


@pytest.fixture(scope="module")
def street() -> dict[str, np.ndarray]:
    """40 homes of each kind, net meters and true appliance power over January, (m, n)."""
    area, made_at = the_area(), evening_before(HOT_DAY)
    past = until(area.load, made_at).grid
    whole = Grid(start=past.start, step=QUARTER_HOUR, count=(DAY.end - past.start) // QUARTER_HOUR)
    calendar, random = local_calendar(whole, MELBOURNE, HOLIDAYS), np.random.default_rng(4)
    hour, temp_c = calendar.frac * 24, area.temperature.on(whole).values
    shape = (40, whole.count)
    cooling = 2.5 * np.clip((temp_c - 24) / 12, 0, 1) * (random.random(shape) < 0.95)
    heating = 3.0 * (random.random(shape) < np.where(hour > 17, 0.25, 0.12))
    home_at = random.uniform(15, 19, (40, 1)) + random.normal(0, 0.7, (40, calendar.days))[
        :, calendar.day
    ]  # fmt: skip
    charging = 6.0 * ((hour > home_at) & (hour < home_at + 2))
    storing = np.where((hour > 18) & (hour < 22), -1.0, np.where((hour > 10) & (hour < 13), 1.5, 0))
    own = np.concatenate([cooling, heating, charging, np.broadcast_to(storing, shape)])
    household = 0.35 + 0.25 * np.sin((hour - 13) / 24 * 2 * np.pi) ** 2
    base = household * random.uniform(0.6, 1.4, (160, 1)) * random.exponential(1, own.shape) ** 0.3
    return {"own": own, "meter": own + base, "known": np.array([past.count])}


def test_each_kind_of_appliance_gives_itself_away(street):
    """Mean of 40 each, 15:00 to 19:00 of one day, from net meters: within 20 % or 0.12 kW."""
    area, known = the_area(), int(street["known"][0])
    past = Grid(start=area.load.grid.start, step=QUARTER_HOUR, count=known)
    kinds = [k for k in KINDS for _ in range(40)]
    history, weather = street["meter"][:, :known], area.temperature.on(DAY)
    measured, rated = area.temperature.on(past), np.repeat([2.5, 3.0, 6.0, 4.0], 40)
    ahead = operating_forecast(
        history, past, measured, weather, DAY, timezone=MELBOURNE, holidays=HOLIDAYS
    )
    found = appliance_kw(
        history, past, ahead, measured, weather, DAY,
        kinds=kinds, rated_kw=rated, timezone=MELBOURNE, holidays=HOLIDAYS,
    )  # fmt: skip
    true = street["own"][:, -DAY.count :]
    for i in range(4):
        rows, afternoon = slice(40 * i, 40 * i + 40), slice(60, 76)
        mean = found[rows, afternoon].mean()
        assert mean == pytest.approx(true[rows, afternoon].mean(), rel=0.2, abs=0.12), KINDS[i]
    assert (np.abs(found) <= rated[:, None]).all()
    assert found[120:, 74:84].mean() < -0.5  # the batteries' evening


def test_a_lone_battery_is_taken_to_rest(street):
    area, known = the_area(), int(street["known"][0])
    past = Grid(start=area.load.grid.start, step=QUARTER_HOUR, count=known)
    found = appliance_kw(
        street["meter"][120:, :known], past, np.ones((40, DAY.count)), area.temperature.on(past),
        area.temperature.on(DAY), DAY, kinds=[ResourceKind.BATTERY] * 40,
        rated_kw=np.full(40, 4.0), timezone=MELBOURNE, holidays=HOLIDAYS,
    )  # fmt: skip
    assert not found.any()


KINDS = (
    ResourceKind.AIR_CONDITIONER,
    ResourceKind.WATER_HEATER,
    ResourceKind.EV_CHARGER,
    ResourceKind.BATTERY,
)
