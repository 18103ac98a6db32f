"""The command line, said in a test as in a terminal, and a controller to say it to."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import typer

from controller import cli
from controller.clock import SystemClock
from tests.config_folder import write_folder
from tests.test_openadr import a_wire

Say = Callable[..., tuple[int, str, str]]


@pytest.fixture(name="say")
def say_fixture(capsys: pytest.CaptureFixture[str]) -> Say:
    """Say words to `peakshare`: exit code, standard output, standard error."""

    def spoken(*words: object) -> tuple[int, str, str]:
        code = cli.obey([str(w) for w in words])
        heard = capsys.readouterr()
        return code, heard.out, heard.err

    return spoken


@pytest.fixture(name="small", scope="module")
def small_fixture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small sound configuration."""
    return write_folder(tmp_path_factory.mktemp("configs"))


@pytest.fixture(name="running", scope="module")
def running_fixture(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data directory of a controller that runs, its devices out of reach."""
    data = tmp_path_factory.mktemp("running")
    with running_on(["run", small, "--data", data]):
        yield data


@contextmanager
def running_on(words: Sequence[object], **how: Any) -> Iterator[subprocess.Popen[str]]:
    """`peakshare run …` from ready to its end by SIGTERM, which is an end without fault."""
    with peakshare(*words, **how) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["ready"]
        yield process
        process.terminate()
        _, said = process.communicate(timeout=20)
        assert process.returncode == 0, said


@contextmanager
def peakshare(
    *words: object, stdin: int = subprocess.DEVNULL, cwd: Path | None = None
) -> Iterator[subprocess.Popen[str]]:
    """The real thing, as a process; it does not outlive its test."""
    with subprocess.Popen(
        [sys.executable, "-m", "controller", *map(str, words)],
        stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def a_wire_to_come(program_id: str = "cut", **changes: Any) -> dict[str, Any]:
    """An OpenADR event of an hour, the day after tomorrow."""
    start = SystemClock().now().replace(minute=0, second=0, microsecond=0) + timedelta(days=2)
    period = {"start": start.isoformat(), "duration": "PT15M"}
    return a_wire(**{"programID": program_id, "intervalPeriod": period} | changes)


def commands(group: Any, path: str = "peakshare") -> Iterator[tuple[str, Any]]:
    """Every command with its whole name."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


ALL = dict(commands(typer.main.get_command(cli.app)))
"""Every command by its whole name."""
