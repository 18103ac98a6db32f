"""Commands that speak to the running controller, and to its store when it is down."""

import asyncio
import json
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from controller.cli.client import RUN_FILE, TOKEN_FILE, _as_error
from controller.clock import Segment, StartLine, SystemClock
from controller.errors import (
    AnswerError,
    EventError,
    InputError,
    PeakshareError,
    StoreError,
    TokenError,
    UnknownNameError,
)
from controller.model.events import EventStatus
from controller.store import open_store
from tests.cli_cases import (
    Say,
    peakshare,
    running_fixture,  # noqa: F401 - a fixture
    say_fixture,  # noqa: F401 - a fixture
    small_fixture,  # noqa: F401 - a fixture
)
from tests.store_nouns import NOON, a_plan, an_event
from tests.test_openadr import a_wire


def test_an_event_that_is_not_openadr_is_refused_with_every_fault(
    say: Say, running: Path, tmp_path: Path
):
    file = tmp_path / "event.json"
    file.write_text(json.dumps(a_wire(priority="high", intervals=[])))

    code, _, err = say("event", "create", file, "--data", running)

    assert code == 2
    assert err.startswith("error PS-120")
    assert "priority" in err
    assert "intervals" in err
    assert say("event", "list", "--data", running) == (0, "no events\n", "")


def test_the_status_of_a_running_controller_is_data_on_request(say: Say, running: Path):
    code, out, err = say("status", "--data", running, "--json")

    assert (code, err) == (0, "")
    assert json.loads(out)["area"] == "Harbour"


def test_an_emergency_stop_holds_until_it_is_lifted(say: Say, running: Path):
    stop = ["stop", "--all", "--reason", "fire", "--data", running]
    assert say(*stop) == (0, "0 devices released\n", "")
    assert json.loads(say("status", "--data", running, "--json")[1])["stopped"] == "fire"

    assert say("resume", "--reason", "out", "--data", running)[0] == 0
    assert json.loads(say("status", "--data", running, "--json")[1])["stopped"] is None
    code, _, err = say("resume", "--reason", "out", "--data", running)
    assert code == 2
    assert "no emergency stop" in err


def test_a_second_controller_on_the_same_data_directory_is_refused(small: Path, running: Path):
    with peakshare("run", small, "--data", running) as second:
        out, err = second.communicate(timeout=30)

    assert (second.returncode, out) == (1, "")
    assert err.startswith(f"error PS-301: data directory {running} is in use by process")
    assert "Traceback" not in err


def test_a_controller_started_again_ends_with_its_supervisor_too(small: Path, tmp_path: Path):
    """It has its start line from a file; its standard input is the lifeline all the same."""
    epoch = datetime(2014, 1, 27, 9, tzinfo=UTC)
    line = StartLine(mono0_s=time.monotonic(), segments=(Segment(start=epoch, speed=60.0),))
    (tmp_path / "start.json").write_text(line.to_json())
    again = ["--epoch", epoch.isoformat(), "--start-line", tmp_path / "start.json"]

    with peakshare(
        "run", small, "--data", tmp_path / "data", *again, stdin=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["ready"]
        process.communicate(timeout=5)  # closes its standard input

    assert process.returncode == 0


@pytest.mark.parametrize("name", ["x", "a b", "é", "a/b", "?", "%", "../status"])
def test_a_name_that_nobody_has_is_wrong_input(name: str, say: Say, running: Path):
    for words in (["event", "show", name], ["event", "approve", name], ["statement", name]):
        code, out, err = say(*words, "--data", running)
        assert (code, out) == (2, "")
        assert err.startswith("error PS-10")


def test_a_reason_that_says_nothing_is_refused(say: Say, running: Path):
    code, out, err = say("stop", "--all", "--reason", "", "--data", running)

    assert (code, out) == (2, "")
    assert "request: reason: '' — expected" in err
    assert json.loads(say("status", "--data", running, "--json")[1])["stopped"] is None


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        (422, b'{"detail": "too late", "hint": "h", "code": "PS-120"}', EventError, "too late"),
        (422, b'{"detail": [{"msg": "too short"}]}', InputError, "cannot take this"),
        (409, b'{"detail": "locked", "code": "PS-300"}', StoreError, "locked"),
        (409, b'{"message": "m", "detail": "m and more", "code": "PS-9"}', AnswerError, "m"),
        (401, b'{"detail": "a bearer token is needed"}', TokenError, "a bearer token is needed"),
        (500, b"Internal Server Error", AnswerError, "500: Internal Server Error"),
        (502, b"[]", AnswerError, "502"),
    ],
)
def test_what_the_controller_refuses_is_the_same_error_here(
    status: int, body: bytes, kind: type[PeakshareError], said: str
):
    error = _as_error(status, body)

    assert type(error) is kind
    assert said in error.message
    assert error.hint


# Without a controller


async def keep(data: Path) -> None:
    async with open_store(data, SystemClock()) as store:
        event = an_event("day-ahead")
        await store.journal.save_event(event)
        await store.journal.log_event(event.id, NOON, EventStatus.APPROVED, "fine", "operator")
        await store.journal.save_plan(a_plan("plan-1"))
        await store.journal.save_plan(a_plan("plan-2", revision=2))


def test_events_and_plan_are_read_from_the_store_when_the_controller_is_down(
    say: Say, tmp_path: Path
):
    """Killed with -9 it leaves run.json behind: nobody answers there."""
    asyncio.run(keep(tmp_path))
    (tmp_path / RUN_FILE).write_text('{"host": "127.0.0.1", "port": 1, "pid": 1}')
    (tmp_path / TOKEN_FILE).write_text("secret")

    code, out, err = say("event", "list", "--data", tmp_path, "--json")
    assert code == 0
    assert [(e["id"], e["status"]) for e in json.loads(out)] == [("day-ahead", "approved")]
    assert "read from its store" in err

    _, out, _ = say("event", "show", "day-ahead", "--data", tmp_path, "--json")
    assert [row[1:] for row in json.loads(out)["log"]] == [["approved", "fine", "operator"]]
    assert say("event", "show", "x", "--data", tmp_path)[0] == UnknownNameError.exit_code == 2

    _, out, _ = say("plan", "--data", tmp_path, "--json")
    assert json.loads(out)["plan"]["id"] == "plan-2"
    assert say("status", "--data", tmp_path)[0] == 1


def test_where_nothing_is_stored_nothing_is_read_or_made(say: Say, tmp_path: Path):
    code, out, err = say("event", "list", "--data", tmp_path / "nowhere")

    assert (code, out) == (1, "")
    assert "there is no data" in err
    assert list(tmp_path.iterdir()) == []


def test_a_broken_meter_file_is_refused_and_nothing_is_stored(
    say: Say, small: Path, tmp_path: Path
):
    """A good file beside a broken one is not half an import."""
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text("meter_id,time_utc,kw\nm-mill,2014-01-27T00:00Z,410\n")
    bad.write_text("meter_id,time_utc,kw\nm-mill,yesterday,410\nm-nobody,2014-01-27T00:00Z,1\n")

    code, out, err = say(
        "meter", "import", good, bad, "--config", small, "--data", tmp_path / "data"
    )

    assert (code, out) == (2, "")
    assert err.startswith("error PS-130")
    assert "bad.csv" in err
    assert not (tmp_path / "data").exists()

    code, out, _ = say("meter", "import", good, "--config", small, "--data", tmp_path / "data")
    assert code == 0
    assert "1 rows of 1 files" in out


def test_the_running_controller_refuses_a_broken_meter_file_too(
    say: Say, small: Path, running: Path, tmp_path: Path
):
    bad = tmp_path / "bad.csv"
    bad.write_text("meter_id,time_utc,kw\nm-nobody,2014-01-27T00:00Z,1\n")

    code, _, err = say("meter", "import", bad, "--config", small, "--data", running)

    assert code == 2
    assert err.startswith("error PS-130")
