"""Shell completion: the scripts, and what the shells get when they ask."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli_cases import (
    Say,
    a_wire_to_come,
    running_fixture,  # noqa: F401 - a fixture
    say_fixture,  # noqa: F401 - a fixture
    small_fixture,  # noqa: F401 - a fixture
)


def offered(words: str, shell: str = "bash") -> list[str]:
    """What the completion script gets for a line that ends where the cursor is."""
    typed = shlex.split(words)
    last = len(typed) - (0 if words.endswith(" ") else 1)
    ask = {
        "_PEAKSHARE_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": words,
        "COMP_CWORD": str(last),
        "_TYPER_COMPLETE_ARGS": words,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    done = subprocess.run(
        [sys.executable, "-c", "from controller.cli import main; main()"],
        env={**os.environ, **ask}, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout.split("\n")[:-1] if done.stdout.strip() else []


@pytest.mark.parametrize(
    ("shell", "sign"),
    [
        ("bash", "complete -o default -F _peakshare_completion peakshare"),
        ("zsh", "#compdef peakshare"),
        ("fish", "complete --command peakshare"),
    ],
)
def test_the_script_of_each_shell_is_printed(shell: str, sign: str):
    done = subprocess.run(
        [sys.executable, "-c", "from controller.cli import main; main()"],
        env={**os.environ, "_PEAKSHARE_COMPLETE": f"source_{shell}"},
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, "")
    assert sign in done.stdout
    assert f"complete_{shell}" in done.stdout


def test_the_shell_in_use_is_found_and_its_script_installed(tmp_path: Path):
    """Typed in bash: the script is printed, or put into a home of one's own."""

    def typed(option: str) -> subprocess.CompletedProcess[str]:
        line = f"{shlex.quote(sys.executable)} -m controller {option}; true"
        return subprocess.run(
            ["bash", "--norc", "-c", line],
            env={**os.environ, "HOME": str(tmp_path)},
            capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip

    assert "_peakshare_completion" in typed("--show-completion").stdout
    assert list(tmp_path.iterdir()) == []

    assert "bash completion installed" in typed("--install-completion").stdout
    script = tmp_path / ".bash_completions" / "peakshare.sh"
    assert "complete_bash" in script.read_text()
    assert str(script) in (tmp_path / ".bashrc").read_text()


def test_bash_itself_completes_a_command_with_the_script(tmp_path: Path):
    """The script is sourced and its function called as bash would when Tab is pressed."""
    (tmp_path / "peakshare").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m controller "$@"\n')
    (tmp_path / "peakshare").chmod(0o755)
    line = (
        'eval "$(_PEAKSHARE_COMPLETE=source_bash peakshare)"; COMP_WORDS=(peakshare event ap); '
        'COMP_CWORD=2; _peakshare_completion peakshare; echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", line],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip

    assert done.stdout.split() == ["approve"]


def test_commands_and_options_are_offered():
    assert offered("peakshare st") == ["status", "stop", "statement"]
    assert offered("peakshare event ") == ["create", "list", "show", "approve", "cancel"]
    assert offered("peakshare run --s") == ["--start-line", "--seed"]
    assert offered("peakshare meter import --j") == ["--json"]


def test_paths_are_left_to_the_shell():
    """No word of ours: the scripts then fall back to files and folders."""
    for words in ("check ", "event create ", "run configs --data ", "report "):
        assert offered(f"peakshare {words}") == []
    assert offered("peakshare check ", "zsh") == ["_files"]


def test_events_of_the_running_controller_are_offered(say: Say, running: Path, tmp_path: Path):
    assert offered(f"peakshare event show --data {running} ") == []
    file = tmp_path / "event.json"
    file.write_text(json.dumps(a_wire_to_come()))
    code, out, _ = say("event", "create", file, "--data", running, "--json")
    assert code == 0
    event_id = json.loads(out)["id"]

    assert offered(f"peakshare event show --data {running} {event_id[:3]}") == [event_id]
    assert offered(f"peakshare event cancel --data {running} x") == []


def test_no_event_is_offered_where_no_controller_runs(tmp_path: Path):
    assert offered(f"peakshare event show --data {tmp_path} ") == []
