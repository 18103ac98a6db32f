"""A configuration folder becomes one value, or every fault in it at once."""

from dataclasses import fields
from datetime import date, time, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.config import check_config, load_config, load_stored, shapes, text
from controller.errors import ConfigError
from controller.model import contracts, settings
from controller.model.commands import Control
from controller.model.contracts import ContractKind, Window
from controller.model.ids import (
    ContractId,
    CustomerId,
    LinkId,
    MeterId,
    ProgramId,
    ResourceId,
)
from controller.model.resources import APPLIANCE_KINDS, ResourceKind
from tests.config_folder import DEMO, HOMES, edit, faults_of, write_folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_folder(tmp_path)


def test_a_sound_folder_becomes_the_values_of_the_model(root):
    """Text is read once: durations, money, windows and dates arrive as values."""
    config = load_config(root)
    mill = config.contracts[ContractId("mill")]

    assert mill.notice == timedelta(minutes=15)
    assert mill.energy_price_minor_per_kwh == 150
    assert mill.start_cost_minor == 30_000
    assert mill.penalty_minor_per_kwh == 0
    assert mill.windows == (Window(start=time(8), end=time(20), weekdays=(0, 1, 2, 3, 4)),)
    assert mill.steps_kw == (100.0, 200.0)
    assert config.contracts[ContractId("store")].levels_kw == (20.0, 80.0)
    assert config.programs[ProgramId("cut")].holidays == (date(2014, 1, 27).isoformat(),)
    assert config.planning.cohorts[0].recovery == timedelta(hours=1, minutes=30)
    assert config.planning.cohorts[0].control is Control.CAP_KW
    assert config.planning.shortfall_price_minor_per_kwh == 2000
    assert config.links[LinkId("mill-plc")].options == {"retry_most_s": 5}
    assert config.shaving.round_kw == 50.0
    assert config.http.host == "127.0.0.1"


def test_sites_come_first_and_homes_follow_in_the_order_of_their_table(root):
    config = load_config(root)

    assert [r.id for r in config.fleet] == ["mill", "store", "home-1", "home-2", "home-3"]
    assert config.contracts[ContractId("homes-ac")].resource_ids == ("home-1", "home-2", "home-3")
    assert config.contract_of[ResourceId("home-2")] == "homes-ac"
    assert config.customers[CustomerId("c-mill")].name == "Mill Ltd"
    assert config.fleet.meter(MeterId("m-home-3")).customer_id == "c-home-3"


def test_appliances_of_one_home_share_its_meter(root):
    row = "home-4,c-home-3,m-home-3,air_conditioner,harbour,south,2,homes-ac,homes,home-ac,home-4\n"
    edit(root, "fleet/homes.csv", HOMES, HOMES + row)

    assert load_config(root).fleet.meter(MeterId("m-home-3")).resource_ids == ("home-3", "home-4")


def test_a_profile_folder_inside_goes_before_the_one_beside(root):
    """A folder that is passed on alone carries its own profiles, and means the same."""
    beside = load_config(root)
    (root.parent / "profiles").rename(root / "profiles")

    assert load_config(root).hash == beside.hash


def test_the_hash_is_the_same_on_every_machine(root, tmp_path):
    """Line ends, byte-order marks and the order in which files were made change nothing."""
    other = tmp_path / "elsewhere" / "copy"
    for path in sorted(root.rglob("*"), reverse=True):
        if path.is_file():
            target = other / path.relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            body = path.read_bytes().replace(b"\n", b"\r\n")
            target.write_bytes(b"\xef\xbb\xbf" + body)
    (root.parent / "profiles").rename(other.parent / "profiles")

    copied = load_config(other).hash
    (other.parent / "profiles").rename(root.parent / "profiles")
    assert copied == load_config(root).hash


def test_any_change_of_a_file_changes_the_hash(root):
    before = load_config(root).hash
    edit(root, "contracts/all.toml", "1.50 CNY", "1.51 CNY")

    assert load_config(root).hash != before


def test_a_stored_configuration_is_loaded_as_it_was(root):
    """Events are settled with the version they were planned with, whatever the files say now."""
    config = load_config(root)
    stored = load_stored(config.body)

    assert stored.hash == config.hash
    assert stored.contracts == config.contracts
    assert stored.programs == config.programs
    assert stored.fleet.resources == config.fleet.resources
    assert stored.profiles == config.profiles


@pytest.mark.parametrize("body", [b"\xff", b"[1]", b'{"controller.toml": 1}', b"{}"])
def test_a_damaged_stored_configuration_is_refused(body):
    with pytest.raises(ConfigError):
        load_stored(body)


def test_a_folder_that_is_not_there_is_said_so(tmp_path):
    with pytest.raises(ConfigError, match="not a folder"):
        load_config(tmp_path / "nowhere")


def test_notes_and_editors_leftovers_are_no_part_of_a_configuration(root):
    before = load_config(root).hash
    for name in ("contracts/README.md", "contracts/.all.toml.swp", "contracts/all.toml~"):
        (root / name).write_text("anything", encoding="utf-8")

    assert load_config(root).hash == before


def test_all_faults_come_at_once_in_order_of_their_files(root):
    """One wrong table hides nothing that is wrong in another."""
    edit(root, "controller.toml", 'run_at = "20:00"', 'run_at = "8 pm"')
    edit(root, "contracts/all.toml", 'notice = "15 min"', 'notice = "15"')
    edit(root, "contracts/all.toml", 'program = "cut"\nresources = ["store"]', 'program = "x"')
    edit(root, "fleet/homes.csv", "north,3.2", "west,-3.2")
    edit(root, "fleet/links.toml", 'protocol = "mqtt"', 'protocol = "mqttt"')

    faults = faults_of(root)
    assert [(f.file, f.place) for f in faults] == [
        ("contracts/all.toml", "contract[mill].notice"),
        ("contracts/all.toml", "contract[store].program"),
        ("contracts/all.toml", "contract[store].resources"),
        ("controller.toml", "shaving.run_at"),
        ("fleet/homes.csv", "line 2, rated_kw"),
        ("fleet/links.toml", "link[homes].protocol"),
    ]


def test_the_message_holds_every_fault_with_file_key_value_and_what_was_expected(root):
    edit(root, "contracts/all.toml", 'notice = "15 min"', "notice = 15")
    edit(root, "programs/cut.toml", "days = 5", "days = 0")

    with pytest.raises(ConfigError) as caught:
        load_config(root)
    assert "2 faults" in str(caught.value)
    assert (
        'contracts/all.toml: contract[mill].notice: 15 — expected a duration such as "90 s"'
        in str(caught.value)
    )
    assert "programs/cut.toml: baseline.days: 0 — expected greater than or equal to 1" in str(
        caught.value
    )


def test_a_table_with_faults_causes_no_faults_elsewhere(root):
    """Who refers to a broken program, link or customer is not to blame."""
    edit(root, "programs/cut.toml", "days = 5", "days = 0")
    edit(root, "fleet/links.toml", "port = 1883", "port = 70000")
    edit(root, "fleet/sites.toml", "rated_kw = 500", 'rated_kw = "500"')

    assert [f.place for f in faults_of(root)] == [
        "link[homes].port",
        "customer[c-mill].meter[m-mill].resource[mill].rated_kw",
        "baseline.days",
    ]


def test_a_file_that_cannot_be_read_causes_no_faults_elsewhere(root):
    edit(root, "fleet/sites.toml", 'id = "c-mill"', 'id = "c-mill')

    assert [f.file for f in faults_of(root)] == ["fleet/sites.toml"]


def test_the_same_mistake_in_many_rows_is_one_fault(root):
    rows = HOMES.replace("homes,home-ac", "homs,home-ac").replace("north", "nord")
    (root / "fleet/homes.csv").write_text(rows, encoding="utf-8")

    faults = faults_of(root)
    assert [(f.place, f.value) for f in faults] == [
        ("line 2, feeder", '"nord"'),
        ("lines 2, 3, 4, link", '"homs"'),
    ]
    assert 'did you mean "homes"?' in faults[1].expected


def test_many_rows_are_counted_and_not_listed(root):
    rows = [HOMES.splitlines()[1].replace("home-1", f"home-{i}") for i in range(1, 41)]
    body = "\n".join([HOMES.splitlines()[0], *rows]).replace("home-ac,home", "home-xx,home")
    (root / "fleet/homes.csv").write_text(body, encoding="utf-8")

    (fault,) = faults_of(root)
    assert fault.place == "lines 2, 3, 4 … (40 rows), profile"


def test_the_figures_of_a_folder_are_counted(root):
    figures = check_config(root)

    assert (figures.customers, figures.contracts, figures.wired, figures.told) == (5, 3, 2, 1)
    assert figures.sites_kw == 280.0
    assert figures.homes == 3
    assert figures.homes_kw == pytest.approx(8.2)
    assert figures.hash == load_config(root).hash


DRIFT = [
    (contracts.BaselineRule, shapes.BaselineShape, {}),
    (contracts.Tier, shapes.TierShape, {}),
    (contracts.Window, shapes.WindowShape, {}),
    (contracts.Program, shapes.ProgramShape, {"tiers": "tier"}),
    (
        contracts.Contract,
        shapes.ContractShape,
        {
            "program_id": "program",
            "resource_ids": "resources",
            "energy_price_minor_per_kwh": "energy_price",
            "capacity_price_minor_per_kw_month": "capacity_price",
            "start_cost_minor": "start_cost",
            "penalty_minor_per_kwh": "penalty",
        },
    ),
    (settings.Shaving, shapes.ShavingShape, {"program_id": "program"}),
    (settings.CohortRule, shapes.CohortShape, {}),
    (
        settings.Planning,
        shapes.PlanningShape,
        {
            "cohorts": "cohort",
            "shortfall_price_minor_per_kwh": "shortfall_price",
            "over_delivery_price_minor_per_kwh": "over_delivery_price",
        },
    ),
    (settings.DispatchRules, shapes.DispatchShape, {}),
    (settings.TelemetryRules, shapes.TelemetryShape, {}),
    (settings.VerifyRules, shapes.VerifyShape, {}),
    (settings.HttpSettings, shapes.HttpShape, {}),
    (settings.LinkSettings, shapes.LinkShape, {}),
    (settings.Area, shapes.AreaShape, {}),
]


@pytest.mark.parametrize(
    ("model", "shape", "names"), DRIFT, ids=lambda x: getattr(x, "__name__", "")
)
def test_every_field_of_the_model_can_be_configured(model, shape, names):
    """A setting that is added to the model and forgotten here would never leave its default."""
    assert {names.get(f.name, f.name) for f in fields(model)} == set(shape.model_fields)


@pytest.mark.parametrize(
    ("model", "shape", "names"), DRIFT, ids=lambda x: getattr(x, "__name__", "")
)
def test_what_is_left_out_is_what_the_model_says(model, shape, names):
    """Defaults stand in the model; the shapes repeat them and must not differ."""
    for f in fields(model):
        known = shape.model_fields[names.get(f.name, f.name)]
        plain = isinstance(f.default, int | float | str | timedelta)
        if plain and not known.is_required() and known.default is not None:
            assert known.default == f.default, f.name


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=3)))
def test_a_duration_is_read_as_it_is_written(value):
    whole = timedelta(seconds=round(value.total_seconds()))

    assert text.duration(text.duration_text(whole)) == whole


@given(st.integers(0, 10**9))
def test_money_is_read_to_the_fen(fen):
    written = f"{fen // 100}.{fen % 100:02d} CNY/kWh"

    assert text.money("kWh")(written) == text.Money(minor=fen, currency="CNY")


def test_a_currency_without_a_small_coin_takes_no_decimals():
    assert text.money(None)("500 JPY") == text.Money(minor=500, currency="JPY")
    with pytest.raises(ValueError, match="at most 0 decimals"):
        text.money(None)("500.5 JPY")


# --- the demonstration ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def demo():
    return load_config(DEMO)


def test_the_demo_has_sites_of_every_door_and_two_thousand_homes(demo):
    """Ten Modbus sites, seven OPC UA sites, nine told ones: a third is not wired."""
    protocols = [demo.links[r.link].protocol for r in demo.fleet if r.kind not in APPLIANCE_KINDS]
    homes = [r for r in demo.fleet if r.kind in APPLIANCE_KINDS]

    assert {p: protocols.count(p) for p in set(protocols)} == {
        "modbus": 10,
        "opcua": 7,
        "duty_desk": 9,
    }
    assert len(homes) >= 2000
    called = [c for c in demo.contracts.values() if c.kind is ContractKind.INTERRUPTIBLE]
    assert len(called) >= 24
    assert len(demo.area.disclaimer.splitlines()) == 1


def test_the_demo_never_calls_its_hospital(demo):
    """It has an agreement, so that a plan can say why it was left; it allows no call."""
    (hospital,) = demo.fleet.where(kind=ResourceKind.HOSPITAL)

    assert hospital.protected
    assert demo.contracts[demo.contract_of[hospital.id]].max_calls_per_day == 0


def test_the_demo_asks_sites_for_what_they_usually_draw(demo):
    """The most a contract may ask, on top of the floor, is within 75 % of the rating."""
    for contract in demo.contracts.values():
        if contract.kind is ContractKind.INTERRUPTIBLE and contract.max_calls_per_day:
            (site,) = demo.resources_of(contract)
            assert 120 <= contract.most_kw <= 600
            assert contract.most_kw + site.floor_kw <= 0.75 * site.rated_kw, contract.id


def test_the_demo_can_replace_what_fails_at_short_notice(demo):
    """A third of the sites' kW is wired, called within half an hour and for two hours or more."""
    sites = [
        c
        for c in demo.contracts.values()
        if c.kind is ContractKind.INTERRUPTIBLE and c.max_calls_per_day
    ]
    quick = [c for c in sites if c.wired and c.notice <= timedelta(minutes=15)]

    assert sum(c.most_kw for c in quick) >= sum(c.most_kw for c in sites) / 3
    assert sum(c.most_kw for c in sites) >= 5_300
