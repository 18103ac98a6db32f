"""Every way to get a configuration wrong has one message that says where, what and what else.

Each row breaks a sound folder in one place: file, what stood there, what stands there now; then
the place (with its file where that is another one), the value and a part of the expectation of the
only fault.
"""

# ruff: noqa: E501 (one mistake, one row)

from pathlib import Path

import pytest

from controller.errors import Fault
from tests.config_folder import CONTRACTS, edit, faults_of, write_folder

C, P, K = "controller.toml", "programs/cut.toml", "contracts/all.toml"
L, S, H = "fleet/links.toml", "fleet/sites.toml", "fleet/homes.csv"
MILL, STORE, HOMES_AC = "contract[mill]", "contract[store]", "contract[homes-ac]"
MILL_SITE = "customer[c-mill].meter[m-mill].resource[mill]"
STORE_SITE = "customer[c-store].meter[m-store].resource[store]"
AC = "planning.cohort[air_conditioner]"

METER_ONLY = """
id = "meter-only"
title = "A meter and no control"
protocol = "modbus"
controls = []
dead_man = "none"
dead_man_text = "Nothing is commanded."
tier = "simulated"

[points.power_kw]
address = "input:0"
type = "float32"
"""

MILL_AGAIN = "[[contract]]" + CONTRACTS.split("[[contract]]")[1].replace(
    'id = "mill"', 'id = "mill-again"'
)

RULE = """[[planning.cohort]]
kind = "{}"
control = "off"
max_run = "1 h"
recovery = "1 h"
rebound_frac = 0
rebound_intervals = 0
availability_frac = 1
cohort_size = 9

[dispatch]"""

# fmt: off
BREAKS = {
    # words, numbers and keys of one table
    "a key with a slip": (K, "notice =", "notise =", f"{MILL}.notise", "unknown key", 'the key "notice"?'),
    "a key nobody knows": (C, "gap_frac", "colour = 1\ngap_frac", "planning.colour", "unknown key", "one of the keys confidence, gap_frac"),
    "a key that is given already": (K, 'name = "Mill"', 'name = "Mill"\nresource = 1', f"{MILL}.resource", "unknown key", 'the key "resources"?'),
    "a key left out": (K, 'energy_price = "1.50 CNY/kWh"\n', "", f"{MILL}.energy_price", "missing", '"2.40 CNY/kWh"'),
    "a table left out": (P, '[baseline]\nmethod = "x_of_y"\ndays = 5\npick_days = 4\n', "", "baseline", "missing", "a table"),
    "a section with a slip": (C, "[verify]", "[verfy]", "verfy", "unknown key", 'the key "verify"?'),
    "a list with a slip": (K, "[[contract]]", "[[contracts]]", "contracts", "unknown key", "[[contract]]"),
    "one bracket for two": (P, "[[tier]]\nfrom_ratio = -inf", "[tier]\nfrom_ratio = -inf", "line 20, column 7", "Cannot overwrite", "TOML 1.0"),
    "a table where a number belongs": (C, "limit_kw = 900", "limit_kw = {}", "shaving.limit_kw", "{}", "a number, without quotes"),
    "a number in quotes": (S, "rated_kw = 500", 'rated_kw = "500"', f"{MILL_SITE}.rated_kw", '"500"', "a number, without quotes"),
    "a yes for a true": (K, "wired = true", 'wired = "yes"', f"{MILL}.wired", '"yes"', "true or false"),
    "a fraction of a count": (C, "retries = 1", "retries = 1.5", "dispatch.retries", "1.5", "a whole number"),
    "a fraction above one": (C, "ask_frac = 0.6", "ask_frac = 60", "shaving.ask_frac", "60", "less than or equal to 1"),
    "not a number": (S, "floor_kw = 150", "floor_kw = nan", f"{MILL_SITE}.floor_kw", "nan", "a finite number"),
    "a boundless power": (C, "limit_kw = 900", "limit_kw = inf", "shaving.limit_kw", "inf", "a finite number"),
    "a negative rating": (S, "rated_kw = 200", "rated_kw = -200", f"{STORE_SITE}.rated_kw", "-200", "greater than 0"),
    "an empty name": (K, 'name = "Mill"', 'name = ""', f"{MILL}.name", '""', "a text that is not empty"),
    "an id with a space": (L, 'id = "mill-plc"', 'id = "mill plc"', "link[mill plc].id", '"mill plc"', "an id of letters, digits"),
    "a port out of range": (L, "port = 1883", "port = 70000", "link[homes].port", "70000", "65535"),
    "options that are a list": (L, "options = { retry_most_s = 5 }", "options = { a = [1] }", "link[mill-plc].options", '{"a": [1]}', "a table whose values"),
    # durations, money, hours, dates, zones
    "a duration without unit": (K, 'notice = "15 min"', 'notice = "15"', f"{MILL}.notice", '"15"', '"15 min"'),
    "a duration as a number": (C, 'lead = "2 min"', "lead = 2", "dispatch.lead", "2", "a duration such as"),
    "a price without currency": (K, '"1.50 CNY/kWh"', '"1.50"', f"{MILL}.energy_price", '"1.50"', '"2.40 CNY/kWh"'),
    "a price for another unit": (K, '"1.50 CNY/kWh"', '"1.50 CNY/MWh"', f"{MILL}.energy_price", '"1.50 CNY/MWh"', '"2.40 CNY/kWh"'),
    "a price below the fen": (K, '"1.50 CNY/kWh"', '"1.505 CNY/kWh"', f"{MILL}.energy_price", '"1.505 CNY/kWh"', "at most 2 decimals"),
    "a currency nobody knows": (P, 'currency = "CNY"', 'currency = "RMB"', "currency", '"RMB"', "AUD, CNY"),
    "an hour out of the day": (K, 'start = "08:00"', 'start = "24:00"', f"{MILL}.windows[0].start", '"24:00"', '"18:30"'),
    "weekdays in no order": (K, '"Mon-Fri"', '"Fri-Mon"', f"{MILL}.windows[0].weekdays", '"Fri-Mon"', "in order from Monday"),
    "a weekday nobody knows": (K, '"Mon-Fri"', '"Mo-Fr"', f"{MILL}.windows[0].weekdays", '"Mo-Fr"', '"Mon-Fri"'),
    "a holiday in quotes": (P, "[2014-01-27]", '["2014-01-27"]', "holidays[0]", '"2014-01-27"', "without quotes"),
    "a time zone that is none": (C, '"Asia/Shanghai"', '"Asia/Shangai"', "area.timezone", '"Asia/Shangai"', 'did you mean "Asia/Shanghai"?'),
    # words out of a list
    "a kind with a slip": (S, '"cold_store"', '"coldstore"', f"{STORE_SITE}.kind", '"coldstore"', 'did you mean "cold_store"?'),
    "a control nobody has": (C, '"cap_kw"', '"dim"', f"{AC}.control", '"dim"', "one of cap_kw, power_kw, off"),
    "a baseline nobody makes": (P, '"x_of_y"', '"xofy"', "baseline.method", '"xofy"', 'did you mean "x_of_y"?'),
    "a protocol nobody speaks": (L, '"modbus"', '"modbuss"', "link[mill-plc].protocol", '"modbuss"', 'did you mean "modbus"?'),
    # who refers to whom
    "a program that is not there": (K, 'program = "cut"', 'program = "cutt"', f"{MILL}.program", '"cutt"', 'did you mean "cut"?'),
    "no program to shave under": (C, 'program = "cut"', 'program = "fill"', "shaving.program", '"fill"', "a program in programs"),
    "a resource that is not there": (K, 'resources = ["mill"]', 'resources = ["mill", "mil"]', f"{MILL}.resources", '"mil"', 'did you mean "mill"?'),
    "a feeder that is not there": (S, '"south"', '"soth"', f"{STORE_SITE}.feeder", '"soth"', "one of the feeders north, south"),
    "another zone": (S, '"harbour"', '"harbor"', f"{MILL_SITE}.zone", '"harbor"', 'did you mean "harbour"?'),
    "a link that is not there": (S, '"mill-plc"', '"mil-plc"', f"{MILL_SITE}.link", '"mil-plc"', 'did you mean "mill-plc"?'),
    "a profile that is not there": (S, '"told-meter"', '"told-metre"', f"{STORE_SITE}.profile", '"told-metre"', 'did you mean "told-meter"?'),
    "a contract that is not there": (H, "homes-ac,homes,home-ac,home-2", "homes-acc,homes,home-ac,home-2", "line 3, contract_id", '"homes-acc"', 'did you mean "homes-ac"?'),
    "a profile of another protocol": (S, '"plc-load-modbus"', '"plant-opcua"', f"{MILL_SITE}.profile", '"plant-opcua (opcua)"', "a profile for modbus"),
    # once, and once only
    "a contract's id twice": (K, 'id = "store"', 'id = "mill"', f"{MILL}.id", '"mill"', "no other contract has"),
    "a resource's id twice": (H, "home-2,c-home-2", "home-1,c-home-2", "line 3, id", '"home-1"', "no other resource has"),
    "a meter's id twice": (S, 'id = "m-store"', 'id = "m-mill"', "customer[c-store].meter[m-mill].id", '"m-mill"', "no other meter has"),
    "a resource in two contracts": (K, CONTRACTS, CONTRACTS + MILL_AGAIN, "contract[mill-again].resources", '"mill"', "mill has it"),
    "a resource twice in a contract": (K, 'resources = ["mill"]', 'resources = ["mill", "mill"]', f"{MILL}.resources", '"mill"', "once; mill has it"),
    "a home in the list and in the table": (K, 'kind = "points"', 'resources = ["home-2"]\nkind = "points"', f"{H}: line 3, contract_id", '"home-2"', "once; homes-ac has it"),
    "two customers behind one meter": (H, "c-home-3,m-home-3", "c-home-3,m-home-2", "line 4, customer_id", '"c-home-3"', "c-home-2, as for meter m-home-2"),
    "a contract without resources": (K, 'resources = ["mill"]\n', "", f"{MILL}.resources", "[]", "at least one"),
    "two rules for one kind": (C, "[dispatch]", RULE.format("air_conditioner"), AC, '"air_conditioner"', "one [[planning.cohort]] for each kind"),
    # contracts
    "more than the floor leaves": (K, "steps_kw = [100, 200]", "steps_kw = [100, 400]", f"{MILL}.steps_kw", "400", "at most 350 kW"),
    "a range beyond the rating": (K, "max_kw = 80", "max_kw = 280", f"{STORE}.max_kw", "280", "at most 200 kW"),
    "steps that fall": (K, "[100, 200]", "[200, 100]", f"{MILL}.steps_kw", "[200, 100]", "rising order"),
    "no level at all": (K, "steps_kw = [100, 200]\n", "", f"{MILL}.steps_kw", "missing", "either steps_kw, or min_kw and max_kw"),
    "steps and a range": (K, "steps_kw = [100, 200]", "steps_kw = [100, 200]\nmax_kw = 150", f"{MILL}.steps_kw", "[100, 200]", "either steps_kw, or"),
    "steps and a least": (K, "steps_kw = [100, 200]", "steps_kw = [100, 200]\nmin_kw = 50", f"{MILL}.steps_kw", "[100, 200]", "either steps_kw, or"),
    "a range upside down": (K, "min_kw = 20", "min_kw = 90", f"{STORE}.min_kw", "90", "at most max_kw = 80"),
    "steps for homes": (K, "points_per_kwh = 20", "points_per_kwh = 20\nsteps_kw = [1]", f"{HOMES_AC}.steps_kw", '"given"', "[[planning.cohort]] says"),
    "the shortest longer than the longest": (K, 'min_duration = "30 min"', 'min_duration = "3 h"', f"{MILL}.min_duration", '"3 h"', "at most max_duration = 2 h"),
    "a duration off the grid": (K, 'min_duration = "30 min"', 'min_duration = "20 min"', f"{MILL}.min_duration", '"20 min"', "whole number of intervals of 15 min"),
    "no time to answer": (K, 'reply_within = "30 min"\n', "", f"{STORE}.reply_within", "missing", "shorter than notice = 2 h"),
    "an answer after the notice": (K, 'reply_within = "30 min"', 'reply_within = "2 h"', f"{STORE}.reply_within", '"2 h"', "shorter than notice = 2 h"),
    "a wire that is asked": (K, 'notice = "15 min"', 'notice = "15 min"\nreply_within = "5 min"', f"{MILL}.reply_within", '"5 min"', "a wired contract is not asked"),
    "a window over midnight": (K, 'end = "20:00"', 'end = "06:00"', f"{MILL}.windows[0]", '"08:00-06:00"', "start before end"),
    "a window too short": (K, 'end = "20:00"', 'end = "08:15"', f"{MILL}.windows[0]", '"08:00-08:15"', "at least min_duration = 30 min"),
    "another currency": (K, '"300 CNY"', '"300 USD"', f"{MILL}.start_cost", '"USD"', "CNY, the currency of program cut"),
    "points that earn none": (K, "points_per_kwh = 20\n", "", f"{HOMES_AC}.points_per_kwh", "0", "at least 1"),
    "homes that are told": (K, 'kind = "points"\nwired = true', 'kind = "points"\nwired = false', f"{HOMES_AC}.wired", "false", "true: points is done by us"),
    "a wired site at the desk": (K, 'wired = false\nmin_kw = 20\nmax_kw = 80\nnotice = "2 h"\nreply_within = "30 min"', 'wired = true\nmin_kw = 20\nmax_kw = 80\nnotice = "2 h"', f"{S}: {STORE_SITE}.link", '"desk (duty_desk)"', "a link that is no duty desk"),
    "a protected site that may be called": (S, "floor_kw = 150", "floor_kw = 150\nprotected = true", f"{K}: {MILL}.max_calls_per_day", "1", "0, since mill is protected"),
    "a floor above the rating": (S, "rated_kw = 200", "rated_kw = 200\nfloor_kw = 210", f"{STORE_SITE}.floor_kw", "210", "at most rated_kw = 200"),
    # wires
    "a commanded profile without dead-man": ("../profiles/plc-load-modbus.toml", 'dead_man = "device_timer"', 'dead_man = "none"', "dead_man", "none", "a dead-man"),
    "a wired site that is only metered": (S, 'profile = "plc-load-modbus"', 'profile = "meter-only"', f"{MILL_SITE}.profile", '"meter-only (dead_man = none)"', "a profile with a dead-man, since mill is wired"),
    "a control that the device lacks": (C, 'control = "cap_kw"\nvalue_frac = 0.5', 'control = "off"', f"{H}: lines 2, 3, 4, profile", '"home-ac"', "the control off"),
    "a kind without a rule": (H, "home-3,air_conditioner", "home-3,pv", "line 4, kind", '"pv"', "a kind with a [[planning.cohort]]"),
    # programs
    "a gap between tiers": (P, "from_ratio = 0.8", "from_ratio = 0.9", "tier[1].from_ratio", "0.9", "0.8, where the tier before ends"),
    "tiers that begin at nought": (P, "from_ratio = -inf", "from_ratio = 0", "tier[0].from_ratio", "0", "-inf in the first tier"),
    "tiers that end": (P, "to_ratio = inf", "to_ratio = 2.0", "tier[1].to_ratio", "2", "inf in the last tier"),
    "a tier upside down": (P, "to_ratio = 0.8", "to_ratio = -inf", "tier[0].to_ratio", "-inf", "more than from_ratio = -inf"),
    "a tier that is not a number": (P, "to_ratio = inf", "to_ratio = nan", "tier[1].to_ratio", "nan", "a number, or inf or -inf"),
    "no tier": (P, "[[tier]]\nfrom_ratio = -inf\nto_ratio = 0.8\npay_frac = 0\ncap_ratio = 0\npenalty_frac = 1\n\n[[tier]]\nfrom_ratio = 0.8\nto_ratio = inf\npay_frac = 1\ncap_ratio = 1.2\n", "", "tier", "missing", "a list in [ ]"),
    "more days than there are": (P, "pick_days = 4", "pick_days = 6", "baseline.pick_days", "6", "at most days = 5"),
    "more days asked than looked at": (P, "days = 5", "days = 5\nmin_days = 6", "baseline.min_days", "6", "at most days = 5"),
    "a look back too short": (P, "days = 5", "days = 5\nlookback_days = 4", "baseline.lookback_days", "4", "at least days = 5"),
    "a usage test upside down": (P, "days = 5", "days = 5\nlow_usage_frac = 3", "baseline.low_usage_frac", "3", "less than high_usage_frac = 2"),
    "an interval that does not fit the hour": (P, 'currency = "CNY"', 'currency = "CNY"\ninterval = "25 min"', "interval", '"25 min"', "divides the hour"),
    # settings
    "a shortest event longer than the longest": (C, 'max_duration = "4 h"', 'max_duration = "30 min"', "shaving.min_duration", '"1 h"', "at most max_duration = 30 min"),
    "a feeder twice": (C, '["north", "south"]', '["north", "south", "north"]', "area.feeders", '"north"', "each feeder once"),
    "a rule for a factory": (C, "[dispatch]", RULE.format("factory"), "planning.cohort[factory].kind", '"factory"', "a kind out of air_conditioner"),
    "a hold of no length": (C, 'max_run = "2 h"', 'max_run = "0 h"', f"{AC}.max_run", '"0 s"', "longer than 0"),
    "a cap without value": (C, "value_frac = 0.5\n", "", f"{AC}.value_frac", "missing", "a fraction of rated power, for the control cap_kw"),
    "a cap below nothing": (C, "value_frac = 0.5", "value_frac = -0.5", f"{AC}.value_frac", "-0.5", "at least 0"),
    "a cap with an offset": (C, "value_frac = 0.5", "value_frac = 0.5\nvalue = 2.0", f"{AC}.value", "2", "none, for the control cap_kw"),
    "a reading without pause": (C, 'site_every = "60 s"', 'site_every = "0 s"', "telemetry.site_every", '"0 s"', "longer than 0"),
    "stale before it was due": (C, 'stale_after = "12 min"', 'stale_after = "5 min"', "telemetry.stale_after", '"5 min"', "longer than 5 min"),
    "a check once an hour": (C, 'every = "5 min"\nshortfall', 'every = "1 h"\nshortfall', "verify.every", '"1 h"', "at most 15 min"),
    "prices in another currency": (C, '"20 CNY/kWh"', '"20 USD/kWh"', "planning.shortfall_price", '"USD"', "CNY, the currency of program cut"),
    # tables
    "a meter of another interval": (S, 'id = "m-mill"', 'id = "m-mill"\ninterval = "30 min"', "customer[c-mill].meter[m-mill].interval", '"30 min"', "15 min, as program cut settles"),
    "a column with a slip": (H, "rated_kw", "rated_kW", "line 1", "'rated_kW'", "the column rated_kw?"),
    "a column left out": (H, "id,customer_id", "customer_id", "line 1", "missing", "a column id"),
    "a cell too few": (H, ",home-ac,home-2", ",home-2", "line 3", "10 cells", "11, as in the header"),
    "a decimal comma": (H, "3.2", "3,2", "line 2", "12 cells", "11, as in the header"),
    "a cell with a word": (H, "3.2", "much", "line 2, rated_kw", '"much"', "a number"),
    "a quote that never ends": (H, "home-2,c-home-2", '"home-2,c-home-2', "line 4", "", "a CSV table"),
}
# fmt: on


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = write_folder(tmp_path)
    (root.parent / "profiles" / "meter-only.toml").write_text(METER_ONLY, encoding="utf-8")
    return root


@pytest.mark.parametrize("name", BREAKS)
def test_one_mistake_is_one_clear_message(root, name):
    file, old, new, place, value, expected = BREAKS[name]
    edit(root, file, old, new)

    (fault,) = faults_of(root)
    where = f"{fault.file}: {fault.place}"
    assert where == (place if ": " in place else f"{file.removeprefix('../')}: {place}")
    assert value in fault.value
    assert expected in fault.expected


def test_the_folder_of_these_tests_is_sound_before_it_is_broken(root):
    assert faults_of(root) == []


def test_a_file_in_another_encoding_is_named_with_line_and_column(root):
    """Editors on Chinese Windows save GBK unless they are told otherwise."""
    text = (root / K).read_text(encoding="utf-8").replace('"Cold store"', '"北辰冷库"')
    (root / K).write_bytes(text.encode("gbk"))

    (fault,) = faults_of(root)
    assert fault == Fault(
        file=K,
        place="line 19, column 9",
        value="byte 0xb1",
        expected="UTF-8 text (saved in another encoding, such as GBK?)",
    )


def test_a_file_with_a_wrong_ending_is_not_passed_over(root):
    (root / K).rename(root / "contracts/all.tolm")

    faults = faults_of(root)
    assert [(f.file, f.expected) for f in faults] == [("contracts/all.tolm", "*.toml")]


@pytest.mark.parametrize("file", [C, P, K])
def test_a_missing_file_is_a_fault_and_not_an_empty_one(root, file):
    (root / file).unlink()

    folder = file.rpartition("/")[0]
    faults = faults_of(root)
    assert [(f.file, f.value) for f in faults] == [
        (f"{folder}/*.toml" if folder else file, "missing")
    ]


def test_one_meter_behind_two_contracts_cannot_say_who_gave_what(root):
    """Each kWh is counted once."""
    second = """
[[customer.meter.resource]]
id = "mill-2"
kind = "factory"
zone = "harbour"
feeder = "north"
rated_kw = 90
link = "desk"
profile = "told-meter"
address = "mill-2"

[[customer]]
id = "c-store\""""
    edit(root, S, '\n[[customer]]\nid = "c-store"', second)
    edit(root, K, 'resources = ["store"]', 'resources = ["store", "mill-2"]')

    (fault,) = faults_of(root)
    assert fault.place == "customer[c-mill].meter[m-mill].resource"
    assert fault.value == '"mill, store"'
    assert fault.expected == "one contract behind one meter"


def test_two_currencies_cannot_be_added_up(root):
    text = (root / P).read_text(encoding="utf-8")
    other = text.replace('id = "cut"', 'id = "fill"').replace('"CNY"', '"AUD"')
    (root / "programs/fill.toml").write_text(other, encoding="utf-8")

    (fault,) = faults_of(root)
    assert (fault.file, fault.place) == ("programs/fill.toml", "currency")
    assert fault.expected.startswith("CNY, as in programs/cut.toml")


def test_a_fault_of_a_profile_is_named_with_its_page(root):
    edit(root, "../profiles/home-ac.toml", "scale = 0.001", "scale = 0")

    faults = faults_of(root)
    assert {f.file for f in faults} == {"profiles/home-ac.toml"}


def test_one_bracket_for_a_list_of_one_is_said_so(root):
    (root / "contracts/more.toml").write_text('[contract]\nid = "x"\n', encoding="utf-8")

    (fault,) = faults_of(root)
    assert (fault.place, fault.value, fault.expected) == (
        "contract",
        "[contract]",
        "[[contract]]",
    )


def test_a_wired_site_must_be_able_to_take_a_cap(root):
    """Sites are capped at their operating forecast less the reduction; a relay cannot do that."""
    relay = METER_ONLY.replace("meter-only", "relay").replace("controls = []", 'controls = ["off"]')
    relay = relay.replace('dead_man = "none"', 'dead_man = "device_timer"')
    for i, point in enumerate(("off", "hold_s", "enable", "mode")):
        table = f'\n[points.{point}]\naddress = "holding:{i}"\ntype = "uint16"\nwritable = true\n'
        relay += table
    (root.parent / "profiles" / "relay.toml").write_text(relay, encoding="utf-8")
    edit(root, S, 'profile = "plc-load-modbus"', 'profile = "relay"')

    (fault,) = faults_of(root)
    assert fault.place == f"{MILL_SITE}.profile"
    assert fault.expected == "a profile with the control cap_kw, since mill is wired"
