"""The catalogue: each error brought about for real, its text read, its page kept up to date."""

import asyncio
import json
import re
import socket
import sqlite3
import sysconfig
from collections.abc import Callable, Coroutine
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from adapters.broker import Broker
from adapters.registry import desk_of, open_link
from controller import cli
from controller.cli.client import RUN_FILE, TOKEN_FILE, _as_error, find
from controller.cli.files import write_text
from controller.cli.processes import start_child
from controller.cli.run import _bind
from controller.clock import SystemClock
from controller.errors import DiskFullError, PeakshareError, by_code, every_error
from controller.model.ids import LinkId, ProfileId
from controller.model.settings import HttpSettings
from controller.store import open_store
from controller.store.schema import STATE, open_for_writing
from controller.store.writer import Writer
from simulators.truth import read_parts
from tests.adapters.rigs import PROFILES, fleet_of, running_clock, settings_of
from tests.cli_cases import (
    Say,
    a_wire_to_come,
    running_fixture,  # noqa: F401 - a fixture
    say_fixture,  # noqa: F401 - a fixture
    small_fixture,  # noqa: F401 - a fixture
)
from tests.config_folder import edit, write_folder
from tests.errors_page import PAGE, page
from tests.plan_cases import a_problem, a_site
from tests.store_nouns import NOON, a_notice, a_series, a_transfer, an_event


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where an error is brought about."""

    tmp: Path
    small: Path
    running: Path
    """Data directory of a running controller."""

    @property
    def nowhere(self) -> Path:
        return self.tmp / "nowhere"

    def written(self, name: str, text: str) -> Path:
        file = self.tmp / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file


def a_bug(_: Place) -> None:
    raise KeyError("mill-3")


def no_truth(_: Place) -> None:
    read_parts([], None)  # type: ignore[arg-type]


def unknown_event(place: Place) -> list[object]:
    async def keep() -> None:
        async with open_store(place.tmp, SystemClock()) as store:
            await store.journal.save_event(an_event("day-ahead"))

    asyncio.run(keep())
    return ["event", "show", "x", "--data", place.tmp]


def broken_configuration(place: Place) -> list[object]:
    folder = write_folder(place.tmp)
    edit(folder, "contracts/all.toml", 'notice = "15 min"', 'notice = "15"')
    return ["check", folder]


def not_openadr(place: Place) -> list[object]:
    file = place.written("event.json", json.dumps({"programID": 1}))
    return ["event", "create", file, "--data", place.running]


def approved_twice(place: Place) -> list[object]:
    file = place.written("event.json", json.dumps(a_wire_to_come()))
    event = find(place.running).post("/openadr3/3.1.0/events", json.loads(file.read_text()))
    find(place.running).post(f"/events/{event['id']}/approve", {})
    return ["event", "approve", event["id"], "--data", place.running]


def no_meter_file(place: Place) -> list[object]:
    file = place.written("m.csv", "meter_id,time_utc,kw\nm-nobody,2014-01-27T00:00Z,1\n")
    return ["meter", "import", file, "--config", place.small, "--data", place.tmp / "data"]


def not_writable(place: Place) -> None:
    write_text(place.tmp, "page")


async def open_link_of(protocol: str, **changes: Any) -> None:
    """Open a link and tell its duty desk something; nobody is there."""
    settings = replace(settings_of(protocol, 9, timeout_s=0.5), **changes)
    fleet = fleet_of(PROFILES[ProfileId("home-ac")], LinkId("link"), {})
    async with open_link(settings, fleet, PROFILES, running_clock(), fence=1, run_id="t") as link:
        desk = desk_of(link)
        assert desk is not None
        await desk.notify(a_notice(kw=a_series(100.0, 100.0, 100.0, 100.0)))


async def silent_desk(_: Place) -> None:
    await open_link_of("duty_desk")


async def in_the_clear(_: Place) -> None:
    await open_link_of("duty_desk", host="192.0.2.1")


async def no_broker(place: Place) -> None:
    """Its wheel is not installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sysconfig, "get_path", lambda _: str(place.nowhere))
        async with Broker():
            pass


async def posted_otherwise(place: Place) -> None:
    async with open_store(place.tmp, SystemClock()) as store:
        await store.journal.post([a_transfer()], NOON)
        await store.journal.post([a_transfer(amount_minor=1)], NOON)


def second_controller(place: Place) -> list[object]:
    return ["run", place.small, "--data", place.running]


def no_folder(place: Place) -> list[object]:
    return ["run", place.small, "--data", place.written("file", "")]


def newer_store(place: Place) -> list[object]:
    open_for_writing(place.tmp / STATE.file, STATE).close()
    with closing(sqlite3.connect(place.tmp / STATE.file)) as db:
        db.execute("PRAGMA user_version = 9")
    return ["plan", "--data", place.tmp]


def damaged_store(place: Place) -> list[object]:
    place.written(STATE.file, "not a database " * 100)
    return ["event", "list", "--data", place.tmp]


def full_disk(place: Place) -> None:
    """SQLite says the same of a file that may not grow."""
    db = open_for_writing(place.tmp / STATE.file, STATE)
    pages = db.execute("PRAGMA page_count").fetchone()[0]
    db.execute(f"PRAGMA max_page_count = {pages}")
    with closing(Writer(db, "state")) as writer:
        insert = "INSERT INTO forecast (zone, body) VALUES ('z', ?)"
        writer.submit(lambda db: db.execute(insert, ["x" * 10**6])).result()


def killed_controller(place: Place) -> list[object]:
    place.written(RUN_FILE, '{"host": "127.0.0.1", "port": 1, "pid": 1}')
    place.written(TOKEN_FILE, "secret")
    return ["status", "--data", place.tmp]


def wrong_token(place: Place) -> list[object]:
    place.written(RUN_FILE, (place.running / RUN_FILE).read_text())
    place.written(TOKEN_FILE, "secret")
    return ["status", "--data", place.tmp]


def failed_over_there(_: Place) -> None:
    raise _as_error(500, b"Internal Server Error")


def port_in_use(_: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        _bind(HttpSettings(port=taken.getsockname()[1]))


async def never_ready(place: Place) -> None:
    await start_child("controller", "controller.nowhere", [], place.tmp)


def contradictory_problem(_: Place) -> None:
    a_problem([1], [a_site("mill"), a_site("mill")])


BROUGHT_ABOUT: dict[str, Callable[[Place], object]] = {
    "PS-000": a_bug,
    "PS-100": no_truth,
    "PS-101": lambda _: ["status", "--wrong"],
    "PS-102": unknown_event,
    "PS-103": lambda place: ["resume", "--reason", "over", "--data", place.running],
    "PS-110": broken_configuration,
    "PS-111": lambda place: ["simulate", place.small, "--out", place.nowhere],
    "PS-112": lambda place: ["run", place.small, "--links", place.nowhere],
    "PS-120": not_openadr,
    "PS-121": approved_twice,
    "PS-130": no_meter_file,
    "PS-140": lambda place: [
        "forecast", place.small, "--feed", place.nowhere, "--issued-at", "2014-01-27T20:00Z",
    ],
    "PS-150": lambda place: ["report", place.nowhere],
    "PS-160": not_writable,
    "PS-200": silent_desk,
    "PS-201": in_the_clear,
    "PS-210": no_broker,
    "PS-300": posted_otherwise,
    "PS-301": second_controller,
    "PS-302": lambda place: ["event", "list", "--data", place.nowhere],
    "PS-303": no_folder,
    "PS-304": newer_store,
    "PS-305": damaged_store,
    "PS-310": full_disk,
    "PS-400": lambda place: ["status", "--data", place.nowhere],
    "PS-401": killed_controller,
    "PS-410": wrong_token,
    "PS-420": failed_over_there,
    "PS-430": port_in_use,
    "PS-440": never_ready,
    "PS-500": contradictory_problem,
}  # fmt: skip
"""How each error comes about: words for `peakshare`, or the call inside it that fails."""


@pytest.fixture
def place(tmp_path: Path, small: Path, running: Path) -> Place:
    return Place(tmp=tmp_path, small=small, running=running)


@pytest.mark.parametrize("code", BROUGHT_ABOUT)
def test_each_error_says_what_happened_and_what_to_do(
    code: str, place: Place, capsys: pytest.CaptureFixture[str]
):
    """Its message is like the example of the catalogue: most of its words are the same."""
    kind = by_code()[code]

    exit_code, err = ended(BROUGHT_ABOUT[code], place, capsys)

    first, *_, hint = err.rstrip("\n").split("\n")
    assert first.startswith(f"error {code}: ")
    assert len(hint.strip()) > 10
    assert exit_code == kind.exit_code
    assert "Traceback" not in err
    assert alike(first.removeprefix(f"error {code}: "), kind.example) > 0.5, first


def ended(
    bring_about: Callable[[Place], object], place: Place, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str]:
    """The exit code and standard error of the command line, or of a command that fails so."""

    def command(*_: object, **__: object) -> object:
        done = bring_about(place)
        if isinstance(done, list):
            return cli.app([str(w) for w in done], standalone_mode=False, prog_name="peakshare")
        return asyncio.run(done) if isinstance(done, Coroutine) else done

    code = cli.obey([], command)
    return code, capsys.readouterr().err


def alike(said: str, example: str) -> float:
    """The share of the example's words that were said too."""
    words = set(re.findall(r"[A-Za-z]{2,}", example))
    return len(words & set(re.findall(r"[A-Za-z]{2,}", said))) / len(words)


def test_every_error_is_brought_about_here():
    codes = [kind.code for kind in every_error()]

    assert sorted(codes) == sorted(BROUGHT_ABOUT)
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize("kind", list(every_error()), ids=lambda kind: kind.code)
def test_every_error_has_a_cause_and_a_remedy_of_its_own(kind: type[PeakshareError]):
    for own in ("code", "cause", "hint", "example"):
        assert own in vars(kind)
    assert re.fullmatch(r"PS-\d{3}", kind.code)
    assert re.fullmatch(r"[A-Zrsp][^\n]{20,}\.", kind.cause)
    assert kind.hint.endswith(".")
    assert kind.exit_code == (2 if kind.code.startswith("PS-1") else 1)


def test_a_page_for_which_there_is_no_room_is_a_full_disk_and_no_wrong_input():
    """/dev/full says what a full disk says."""
    with pytest.raises(DiskFullError, match="No space left"):
        write_text(Path("/dev/full"), "page")


def test_an_error_is_data_on_request(say: Say, place: Place):
    words = broken_configuration(place)

    code, out, err = say(*words, "--json")

    assert (code, out) == (2, "")
    error = json.loads(err)["error"]
    assert (error["code"], error["message"][:7]) == ("PS-110", "1 fault")
    assert error["hint"] == by_code()["PS-110"].hint
    assert error["faults"] == [{
        "file": "contracts/all.toml", "place": "contract[mill].notice", "value": '"15"',
        "expected": 'a duration such as "90 s", "15 min", "2 h" or "1 h 30 min"',
    }]  # fmt: skip


def test_a_refusal_of_the_running_controller_is_data_with_its_faults(say: Say, place: Place):
    code, _, err = say(*not_openadr(place), "--json")

    faults = json.loads(err)["error"]["faults"]
    assert code == 2
    assert {fault["place"] for fault in faults} >= {"programID", "intervals"}
    assert {fault["file"] for fault in faults} == {str(place.tmp / "event.json")}


def test_a_wrong_command_line_and_a_bug_are_data_too(
    say: Say, place: Place, capsys: pytest.CaptureFixture[str]
):
    assert json.loads(say("status", "--wrong", "--json")[2])["error"]["code"] == "PS-101"
    cli.obey(["--json"], lambda *_, **__: a_bug(place))
    assert json.loads(capsys.readouterr().err)["error"]["code"] == "PS-000"


def test_debug_puts_the_traceback_into_the_data(say: Say, tmp_path: Path):
    err = json.loads(say("--debug", "check", tmp_path / "no", "--json")[2])

    assert "Traceback" in err["error"]["traceback"]


def test_the_page_of_errors_is_what_the_tree_says():
    """Stale? `python -m tests.errors_page` writes it again."""
    assert PAGE.read_text(encoding="utf-8") == page()
