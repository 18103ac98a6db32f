"""The command line: exit codes, and errors that a person or a program can use."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from controller import cli
from controller.errors import InputError
from tests.cli_cases import ALL, Say, say_fixture, small_fixture  # noqa: F401 - fixtures
from tests.config_folder import edit, write_folder
from tests.test_openadr import a_wire


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
    "addresses that are not there": (["run", "{small}", "--links", "{nowhere}"], "links.json"),
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


def obeyed(error: Exception, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """What is said of an error that comes out of a command."""

    def call(*_: Any, **__: Any) -> None:
        raise error

    return cli.obey(words, call), capsys.readouterr().err


def test_a_bug_is_reported_as_one(capsys: pytest.CaptureFixture[str]):
    code, err = obeyed(RuntimeError("a bug"), capsys)

    assert code == 1
    assert err.startswith("error PS-000: RuntimeError: a bug")
    assert "--debug" in err


def test_our_error_is_found_inside_task_groups(capsys: pytest.CaptureFixture[str]):
    inner = ExceptionGroup("tasks", [ValueError("beside"), InputError("the feed is too old")])

    code, err = obeyed(ExceptionGroup("tasks", [inner]), capsys)

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
