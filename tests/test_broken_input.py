"""Ways to break a configuration, an event, a table, the command line.

Each gets one clear message with file, place, value and what was expected, exit code 2, and
changes nothing: neither a file nor what the controller has taken.
"""

# ruff: noqa: E501 - a table of cases, one a line

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from controller.cli.files import MOST_BYTES
from tests.cli_cases import (
    Say,
    a_wire_to_come,
    running_fixture,  # noqa: F401 - a fixture
    say_fixture,  # noqa: F401 - a fixture
    small_fixture,  # noqa: F401 - a fixture
)
from tests.config_folder import FILES, edit, write_folder
from tests.test_openadr import a_wire


@dataclass(frozen=True, kw_only=True)
class Table:
    """A desk with everything on it that can be broken: a folder of one's own."""

    here: Path
    config: Path
    running: Path
    """Data directory of a running controller, which knows nothing of `config`."""

    def put(self, name: str, body: str | bytes) -> Path:
        file = self.here / name
        file.write_bytes(body.encode() if isinstance(body, str) else body)
        return file

    def event(self, wire: object) -> list[object]:
        return self.sent(json.dumps(wire))

    def sent(self, body: str | bytes) -> list[object]:
        return ["event", "create", self.put("event.json", body), "--data", self.running]

    def meters(self, body: str | bytes, name: str = "m.csv") -> list[object]:
        return self.imported(self.put(name, body))

    def imported(self, file: Path) -> list[object]:
        data = self.here / "data"
        return ["meter", "import", file, "--config", self.config, "--data", data]

    def run(self, *words: object) -> list[object]:
        return ["run", self.config, "--data", self.here / "data", *words]


Break = Callable[[Table], list[object]]

C, K, P = "controller.toml", "contracts/all.toml", "programs/cut.toml"
S, H, L = "fleet/sites.toml", "fleet/homes.csv", "fleet/links.toml"
MILL = "contract[mill]"
TIERS = FILES[P][FILES[P].index("[[tier]]") :]


def edited(file: str, old: str, new: str) -> Break:
    """`check` after a change in one file."""

    def broken(table: Table) -> list[object]:
        edit(table.config, file, old, new)
        return ["check", table.config]

    return broken


def bytes_in(file: str, body: bytes) -> Break:
    def broken(table: Table) -> list[object]:
        (table.config / file).write_bytes(body)
        return ["check", table.config]

    return broken


def without(file: str) -> Break:
    def broken(table: Table) -> list[object]:
        (table.config / file).unlink()
        return ["check", table.config]

    return broken


def too_long(file: str) -> Break:
    def broken(table: Table) -> list[object]:
        with (table.config / file).open("r+b") as stream:
            stream.truncate(50_000_001)
        return ["check", table.config]

    return broken


def folder_at(file: str) -> Break:
    """A folder where a file should be."""

    def broken(table: Table) -> list[object]:
        (table.config / file).unlink()
        (table.config / file).mkdir()
        return ["check", table.config]

    return broken


def looped(file: str) -> Break:
    """A link that leads to itself."""

    def broken(table: Table) -> list[object]:
        (table.config / file).unlink()
        (table.config / file).symlink_to(table.config / file)
        return ["check", table.config]

    return broken


def profile_without_dead_man(table: Table) -> list[object]:
    edit(table.config.parent, "profiles/plc-load-modbus.toml", '"device_timer"', '"none"')
    return ["check", table.config]


def wired_through_a_meter(table: Table) -> list[object]:
    edit(table.config, S, 'profile = "plc-load-modbus"', 'profile = "meter-only"')
    return ["check", table.config]


def starting(start: str, **changes: Any) -> Break:
    period = {"start": start, "duration": "PT15M"}
    return lambda table: table.event(a_wire_to_come(intervalPeriod=period, **changes))


def asking(value: object) -> Break:
    payloads = [{"type": "DISPATCH_SETPOINT_RELATIVE", "values": [value]}]
    return lambda table: table.event(a_wire_to_come(intervals=[{"id": 0, "payloads": payloads}]))


def meters_broken(body: str | bytes, name: str = "m.csv") -> Break:
    return lambda table: table.meters(body, name)


def forecast_of(table: Table, at: str, area: str = "") -> list[object]:
    """A forecast from a feed of two hours, or from a broken one."""
    feed = table.here / "feed"
    feed.mkdir()
    rows = "2014-01-27T00:00Z,1,2\n2014-01-27T01:00Z,1,2\n"
    (feed / "area_load.csv").write_text(area or f"time_utc,load_kw,temp_c\n{rows}")
    (feed / "weather_forecast.csv").write_text(f"time_utc,temp_forecast_c,mae_c\n{rows}")
    return ["forecast", table.config, "--feed", feed, "--issued-at", at]


def linked(body: str) -> Break:
    return lambda table: table.run("--links", table.put("links.json", body))


HEAD = "meter_id,time_utc,kw\n"
GOOD = "m-mill,2014-01-27T00:00Z,410\n"

CONFIG: dict[str, tuple[Break, str, str, str, str]] = {
    # what is broken: how, file, place, value, expected
    "TOML that is none": (edited(C, "[area]", "[area"), C, "line 2", "Expected ']'", "TOML 1.0"),
    "a key that nobody reads": (edited(C, "quantile", "quantlie"), C, "shaving.quantlie", "unknown key", '"quantile"?'),
    "a text for a number": (edited(C, "limit_kw = 900", 'limit_kw = "900"'), C, "shaving.limit_kw", '"900"', "number"),
    "a duration without unit": (edited(K, '"15 min"', '"15"'), K, f"{MILL}.notice", '"15"', '"15 min"'),
    "a negative power": (edited(S, "rated_kw = 500", "rated_kw = -500"), S, "customer[c-mill].meter[m-mill].resource[mill].rated_kw", "-500", "greater than 0"),
    "an id twice": (edited(K, 'id = "store"', 'id = "mill"'), K, f"{MILL}.id", '"mill"', "no other contract has"),
    "a resource that is not there": (edited(K, '["mill"]', '["mil"]'), K, f"{MILL}.resources", '"mil"', 'did you mean "mill"?'),
    "a window that ends before it starts": (edited(K, 'end = "20:00"', 'end = "06:00"'), K, f"{MILL}.windows[0]", '"08:00-06:00"', "start before end"),
    "a time zone that is none": (edited(C, "Asia/Shanghai", "Asia/Shangai"), C, "area.timezone", '"Asia/Shangai"', '"Asia/Shanghai"?'),
    "a program without tiers": (edited(P, TIERS, ""), P, "tier", "missing", "a list"),
    "a profile without dead-man": (profile_without_dead_man, "profiles/plc-load-modbus.toml", "dead_man", "none", "a dead-man"),
    "a commanded site that is only metered": (wired_through_a_meter, S, "profile", '"meter-only"', "a profile"),
    "a table without one column": (edited(H, "rated_kw,", ""), H, "line 1", "missing", "a column rated_kw"),
    "a bad number in a table": (edited(H, "2.5,homes-ac,homes,home-ac,home-2", "much,homes-ac,homes,home-ac,home-2"), H, "line 3, rated_kw", '"much"', "number"),
    "a row with a cell too many": (edited(H, "home-ac,home-2", "home-ac,home-2,x"), H, "line 3", "12 cells", "11, as in the header"),
    "a page that is not UTF-8": (bytes_in(K, b"# caf\xe9\n"), K, "byte", "0xe9", "UTF-8"),
    "a file that is missing": (without(C), C, "file", "missing", "the settings"),
    "a folder in place of a file": (folder_at(C), C, "file", "a folder", "a file"),
    "a link that leads to itself": (looped(K), K, "file", "a link that leads to no file", "a file"),
    "a page that is too long": (too_long(K), K, "file", "50000001 bytes", "at most 50000000"),
    "a folder that is a file": (lambda t: ["check", t.put("folder", "x")], "folder", "folder", "a file", "a folder with TOML"),
}  # fmt: skip

EVENTS: dict[str, tuple[Break, str, str, str]] = {
    # what is broken: how, place, value, expected; the file is always the event's
    "JSON that breaks off": (lambda t: t.sent('{"programID": "cut",'), "line 1, column 21", "", "valid JSON"),
    "text that is not UTF-8": (lambda t: t.sent(b'{"programID": "\xff"}'), "byte 15", "0xff", "UTF-8"),
    "a list": (lambda t: t.event([a_wire()]), "document", "[{", "an object"),
    "a file without end": (lambda t: t.sent(b" " * (MOST_BYTES + 1)), "file", "more than", "at most"),
    "a folder": (lambda t: ["event", "create", t.config, "--data", t.running], "file", "Is a directory", "a readable file"),
    "a naive time": (starting("2034-01-28T16:45:00"), "intervalPeriod.start", "2034-01-28T16:45:00", "an instant with time zone"),
    "an event of the past": (starting("2014-01-28T16:45:00+11:00"), "start", "2014-01-28T05:45:00", "later than now"),
    "a start beside the quarter hour": (starting("2034-01-28T16:50:00Z"), "intervalPeriod", "16:50", "whole quarter hours"),
    "nothing asked for": (asking(0), "target", "[0.0]", "more than 0 kW"),
    "less than nothing": (asking(-5), "intervals.0.payloads.0", "-5", ">= 0"),
    "a word for a power": (asking("much"), "intervals.0.payloads.0", "much", "one number"),
    "a program that is not there": (lambda t: t.event(a_wire_to_come("fill")), "programID", "'fill'", "one of cut"),
    "kilos": (lambda t: t.event(a_wire_to_come(payloadDescriptors=[{"payloadType": "DISPATCH_SETPOINT_RELATIVE", "units": "KG"}])), "payloadDescriptors.units", "KG", "KW or MW"),
    "no interval": (lambda t: t.event(a_wire_to_come(intervals=[])), "intervals", "[]", "at least one entry"),
}  # fmt: skip

TABLES: dict[str, tuple[Break, str, str, str]] = {
    # what is broken: how, place, value, expected; the file is always the table
    "a column missing": (meters_broken("meter_id,time_utc\nm-mill,2014-01-27T00:00Z\n"), "column kw", "missing", "meter_id, time_utc, kw"),
    "a number that is none": (meters_broken(f"{HEAD}{GOOD}m-mill,2014-01-27T00:15Z,4l0\n"), "row 2", "4l0", "a number of kW"),
    "two values for one time": (meters_broken(f"{HEAD}{GOOD}m-mill,2014-01-27T00:00Z,411\n"), "m-mill at 2014-01-27T00:00Z", "410 kW", "411 kW, as another row says"),
    "a time beside the grid": (meters_broken(f"{HEAD}m-mill,2014-01-27T00:05Z,410\n"), "row 1", "00:05", "a quarter hour"),
    "a time without zone": (meters_broken(f"{HEAD}m-mill,2014-01-27T00:00,410\n"), "row 1", "2014-01-27T00:00", "with time zone"),
    "a meter of nobody": (meters_broken(f"{HEAD}m-nobody,2014-01-27T00:00Z,410\n"), "meter_id", "m-nobody (1 rows)", "a meter of the fleet"),
    "bytes that are no text": (meters_broken(b"meter_id,time_utc,kw\nm-\xff\xfe,2014-01-27T00:00Z,1\n"), "file", "utf", "a readable Parquet or CSV file"),
    "Parquet that is none": (meters_broken("not parquet at all", "m.parquet"), "file", "Parquet", "a readable Parquet or CSV file"),
    "another kind of file": (meters_broken("x", "m.xlsx"), "file", "a .xlsx file", "a .parquet or .csv file"),
    "an empty file": (meters_broken(""), "file", "empty", "meter_id, time_utc, kw"),
    "no file": (lambda t: t.imported(t.here / "nowhere.csv"), "file", "No such file", "a readable Parquet or CSV file"),
    "a forecast from before the feed": (lambda t: forecast_of(t, "2010-01-01T00:00Z"), "area_load", "from 2014-01-27", "7 days or more up to 2010"),
    "a feed without temperatures": (lambda t: forecast_of(t, "2014-01-27T02:00Z", "time_utc,load_kw\n2014-01-27T00:00Z,1\n"), "columns", "time_utc, load_kw", "also temp_c"),
    "a feed with a word for a number": (lambda t: forecast_of(t, "2014-01-27T02:00Z", "time_utc,load_kw,temp_c\n2014-01-27T00:00Z,much,2\n"), "values", "much", "instants and numbers"),
    "addresses that are no JSON": (linked('{"homes": '), "line 1, column 11", "", "valid JSON"),
    "addresses that are a list": (linked("[1]"), "document", "[1]", "an address by link id"),
    "a port that is a text": (linked('{"homes": {"host": "h", "port": "1883"}}'), "homes", '"1883"', "an address by link id"),
    "a port beyond the last": (linked('{"homes": {"host": "h", "port": 70000}}'), "homes", "70000", "an address by link id"),
    "a link that is not configured": (linked('{"hoems": {"host": "h", "port": 1}}'), "hoems", "unknown link", "homes"),
}  # fmt: skip

WORDS: dict[str, tuple[list[str], str]] = {
    "a command nobody has": (["frobnicate"], "No such command 'frobnicate'"),
    "an option nobody has": (["status", "--wrong"], "No such option: --wrong"),
    "a seed that is no number": (["demo", "--seed", "many"], "'--seed': Input should be a valid integer"),
    "an epoch that is no instant": (["run", "{config}", "--epoch", "x"], "--epoch 'x' is not an ISO instant"),
    "no reason": (["stop", "--all"], "Missing option '--reason'"),
    "a word too many": (["check", "{config}", "again"], "unexpected extra argument"),
}  # fmt: skip


@pytest.fixture
def table(running: Path, tmp_path: Path) -> Table:
    return Table(here=tmp_path, config=write_folder(tmp_path), running=running)


def state_of(folder: Path) -> dict[str, str]:
    """Every file below with a hash of what is in it, links and folders as such."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else "no file"
        for path in folder.rglob("*")
    }


def refused(say: Say, table: Table, words: list[object]) -> str:
    """What is said of input that changes nothing."""
    before = state_of(table.here)
    events = say("event", "list", "--data", table.running, "--json")[1]

    code, out, err = say(*words)

    assert (code, out) == (2, ""), err
    assert "Traceback" not in err
    assert "errors.pydantic.dev" not in err
    assert state_of(table.here) == before
    assert say("event", "list", "--data", table.running, "--json")[1] == events
    return err


def fault_line(err: str, file: str) -> str:
    """The one line that speaks of the file."""
    lines = [line for line in err.splitlines() if " — expected " in line and file in line]
    assert len(lines) == 1, err
    return lines[0]


@pytest.mark.parametrize("case", CONFIG)
def test_a_broken_configuration_is_refused_in_one_clear_line(case: str, say: Say, table: Table):
    broken, file, place, value, expected = CONFIG[case]

    err = refused(say, table, broken(table))

    assert err.startswith("error PS-110: ")
    line = fault_line(err, file)
    before, after = line.split(" — expected ")
    assert place in before
    assert value in before
    assert expected in after


@pytest.mark.parametrize("case", EVENTS)
def test_a_broken_event_is_refused_in_one_clear_line(case: str, say: Say, table: Table):
    broken, place, value, expected = EVENTS[case]
    words = broken(table)

    err = refused(say, table, words)

    assert err.startswith("error PS-120: ")
    before, after = fault_line(err, str(words[2])).split(" — expected ")
    assert place in before
    assert value in before
    assert expected in after


@pytest.mark.parametrize("case", TABLES)
def test_a_broken_table_is_refused_in_one_clear_line(case: str, say: Say, table: Table):
    broken, place, value, expected = TABLES[case]

    err = refused(say, table, broken(table))

    assert err.startswith(("error PS-130: ", "error PS-112: ", "error PS-140: "))
    before, after = fault_line(err, str(table.here)).split(" — expected ")
    assert place in before
    assert value in before
    assert expected in after
    assert not (table.here / "data").exists()


@pytest.mark.parametrize("case", WORDS)
def test_a_broken_command_line_is_refused_with_the_help_to_look_at(
    case: str, say: Say, table: Table
):
    words, said = WORDS[case]

    err = refused(say, table, [w.format(config=table.config) for w in words])

    assert err.startswith("error PS-101: ")
    assert said in err
    assert "--help`." in err
