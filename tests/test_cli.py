"""The command line: exit codes, errors a person can use, and a help that comes at once."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer

from controller import cli
from controller.cli.client import RUN_FILE, TOKEN_FILE, _as_error
from controller.clock import Segment, StartLine, SystemClock
from controller.errors import EventError, InputError, PeakshareError
from controller.model.events import EventStatus
from controller.store import open_store
from tests.config_folder import edit, write_folder
from tests.store_nouns import NOON, a_plan, an_event
from tests.test_openadr import a_wire

HEAVY = {
    "asyncua", "fastapi", "matplotlib", "numpy", "ortools", "pandas", "pyarrow", "pymodbus", "rich",
    "sklearn", "uvicorn",
}  # fmt: skip

Say = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _no_debug(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli._Options, "debug", False)


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """Say words to `peakshare`: exit code, standard output, standard error."""

    def spoken(*words: object) -> tuple[int, str, str]:
        code = cli._guarded(lambda **how: cli.app([str(w) for w in words], **how))
        heard = capsys.readouterr()
        return code, heard.out, heard.err

    return spoken


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small sound configuration."""
    return write_folder(tmp_path_factory.mktemp("configs"))


@pytest.fixture(scope="module")
def running(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data directory of a controller that runs, its devices out of reach."""
    data = tmp_path_factory.mktemp("running")
    with peakshare("run", small, "--data", data) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["ready"]
        yield data
        process.terminate()
        _, said = process.communicate(timeout=20)
        assert process.returncode == 0, said


@contextmanager
def peakshare(*words: object, stdin: int = subprocess.DEVNULL) -> Iterator[subprocess.Popen[str]]:
    """The real thing, as a process; it does not outlive its test."""
    with subprocess.Popen(
        [sys.executable, "-m", "controller", *map(str, words)],
        stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def commands(group: Any, path: str = "peakshare") -> Iterator[tuple[str, Any]]:
    """Every command with its whole name."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


# Exit codes and messages


def test_a_sound_configuration_is_valid(say: Say, small: Path):
    assert say("check", small)[0] == 0
    code, out, _ = say("check", small, "--json")
    assert code == 0
    assert json.loads(out)


WRONG_USAGE = {
    "nothing": ([], "Usage: peakshare"),
    "a group without a command": (["event"], "Usage: peakshare event"),
    "an unknown command": (["frobnicate"], "peakshare --help"),
    "an unknown option": (["status", "--wrong"], "peakshare status --help"),
    "a missing argument": (["check"], "peakshare check --help"),
    "a stop without a reason": (["stop", "--all"], "--reason"),
    "a seed that is no number": (["demo", "--seed", "many"], "--seed"),
    "an epoch that is no instant": (["run", "{small}", "--epoch", "nonsense"], "ISO instant"),
    "an epoch without an offset": (["run", "{small}", "--epoch", "2014-01-27T20:00"], "an offset"),
    "a start line of no clock": (["run", "{small}", "--start-line", "{nowhere}"], "--epoch"),
    "a start line that is not there": (
        ["run", "{small}", "--epoch", "2014-01-27T20:00+11:00", "--start-line", "{nowhere}"],
        "nowhere",
    ),
    "addresses that are not there": (["run", "{small}", "--links", "{nowhere}"], "link id"),
    "a folder that is not there": (["check", "{nowhere}"], "nowhere"),
    "a report of nothing": (["report", "{nowhere}"], "peakshare demo"),
    "a forecast from no feed": (
        ["forecast", "{small}", "--feed", "{nowhere}", "--issued-at", "2014-01-27T20:00+11:00"],
        "area_load",
    ),
}


@pytest.mark.parametrize("case", WRONG_USAGE)
def test_wrong_usage_exits_with_2_and_says_what_is_right(
    case: str, say: Say, small: Path, tmp_path: Path
):
    words, helpful = WRONG_USAGE[case]
    places = {"small": str(small), "nowhere": str(tmp_path / "nowhere")}

    code, out, err = say(*(w.format(**places) for w in words))

    assert (code, out) == (2, "")
    assert helpful in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        ["status"],
        ["settle"],
        ["stop", "--reason", "done"],
        ["stop", "--all", "--reason", "fire"],
        ["resume", "--reason", "over"],
        ["statement", "c-1"],
        ["event", "cancel", "e-1", "--reason", "over"],
        ["event", "approve", "e-1"],
    ],
)
def test_a_command_for_a_controller_that_does_not_run_fails_with_a_hint(
    words: list[str], say: Say, tmp_path: Path
):
    code, out, err = say(*words, "--data", tmp_path / "nowhere")

    assert (code, out) == (1, "")
    assert err.startswith("error PS-400")
    assert "peakshare run DIR" in err
    assert not (tmp_path / "nowhere").exists()


def test_debug_shows_the_traceback_and_keeps_the_exit_code(say: Say, tmp_path: Path):
    for words, code in ((["status", "--data", tmp_path], 1), (["check", tmp_path / "no"], 2)):
        assert "Traceback" not in say(*words)[2]
        again, _, err = say("--debug", *words)
        assert again == code
        assert "Traceback" in err
        assert err.count("error PS-") == 1


def test_a_job_that_failed_is_not_a_success(say: Say, monkeypatch: pytest.MonkeyPatch):
    """Typer returns the code of an `Exit`: a demo that is not whole once exited with 0."""
    monkeypatch.setattr(import_module("controller.cli.demo"), "play", lambda *a, **k: 1)

    assert say("demo")[0] == 1


def test_an_interrupted_job_says_so(say: Say, monkeypatch: pytest.MonkeyPatch):
    def interrupted(*_: Any, **__: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(import_module("controller.cli.demo"), "play", interrupted)

    assert say("demo") == (1, "", "interrupted\n")


def guarded(error: Exception, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    def call(**_: Any) -> None:
        raise error

    return cli._guarded(call), capsys.readouterr().err


def test_a_bug_is_reported_as_one(capsys: pytest.CaptureFixture[str]):
    code, err = guarded(RuntimeError("a bug"), capsys)

    assert code == 1
    assert err.startswith("error PS-000: RuntimeError: a bug")
    assert "--debug" in err


def test_our_error_is_found_inside_task_groups(capsys: pytest.CaptureFixture[str]):
    inner = ExceptionGroup("tasks", [ValueError("beside"), InputError("the feed is too old")])

    code, err = guarded(ExceptionGroup("tasks", [inner]), capsys)

    assert code == 2
    assert err.startswith("error PS-100: the feed is too old")


def test_check_shows_every_fault_at_once(say: Say, tmp_path: Path):
    folder = write_folder(tmp_path)
    edit(folder, "controller.toml", "ask_frac = 0.6", "ask_frac = 60")
    edit(folder, "contracts/all.toml", 'notice = "15 min"', 'notice = "15"')
    edit(folder, "fleet/links.toml", "port = 1883", "port = 70000")

    code, out, err = say("check", folder)

    assert (code, out) == (2, "")
    for fault in ("shaving.ask_frac: 60", 'notice: "15"', "port: 70000"):
        assert fault in err


# Events


BAD_EVENTS = {
    "not there": None,
    "not JSON": b"{'programID': 1}",
    "not text": b"\xff\xfe\x00",
    "too deep": b"[" * 100_000,
}


@pytest.mark.parametrize("case", BAD_EVENTS)
def test_an_event_file_that_cannot_be_read_is_refused(case: str, say: Say, tmp_path: Path):
    file, body = tmp_path / "event.json", BAD_EVENTS[case]
    if body is not None:
        file.write_bytes(body)

    code, out, err = say("event", "create", file, "--data", tmp_path)

    assert (code, out) == (2, "")
    assert str(file) in err


def test_an_event_for_nobody_is_no_success(say: Say, tmp_path: Path):
    file = tmp_path / "event.json"
    file.write_text(json.dumps(a_wire()))

    assert say("event", "create", file, "--data", tmp_path)[0] == 1


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


# The running controller


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
    assert err.startswith(f"error PS-300: data directory {running} is in use by process")
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


def test_a_name_that_nobody_has_is_wrong_input(say: Say, running: Path):
    assert say("event", "show", "x", "--data", running)[0] == 2
    assert say("statement", "c-x", "--data", running)[0] == 2


@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (422, b'{"detail": "too late", "hint": "h", "code": "PS-120"}', InputError, "PS-120"),
        (409, b'{"detail": "locked", "code": "PS-300"}', PeakshareError, "PS-300"),
        (401, b'{"detail": "a bearer token is needed"}', PeakshareError, "PS-000"),
        (500, b"Internal Server Error", PeakshareError, "PS-000"),
        (502, b"[]", PeakshareError, "PS-000"),
    ],
)
def test_what_the_controller_refuses_keeps_its_code(
    status: int, body: bytes, kind: type[PeakshareError], code: str
):
    error = _as_error(status, body)

    assert type(error) is kind
    assert error.code == code
    assert error.message


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
    assert say("event", "show", "x", "--data", tmp_path)[0] == EventError.exit_code == 2

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


# Help


def test_help_loads_nothing_heavy():
    with subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "controller", "--help"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        out, times = process.communicate(timeout=30)
    loaded = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in times.splitlines()}

    assert process.returncode == 0
    assert "Demand response" in out
    assert "typer" in loaded
    assert loaded & HEAVY == set()


ALL = dict(commands(typer.main.get_command(cli.app)))


@pytest.mark.parametrize("name", ALL)
def test_every_command_shows_an_example_of_itself(name: str, say: Say):
    code, out, _ = say(*name.split()[1:], "--help")

    assert code == 0
    assert f"Example: {name}" in out
