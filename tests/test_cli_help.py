"""Help: it comes at once, and every command takes --json and has an example."""

import subprocess
import sys

import pytest

from tests.cli_cases import ALL, Say, say_fixture  # noqa: F401 - a fixture

HEAVY = {
    "asyncua", "fastapi", "holidays", "lightgbm", "matplotlib", "msgspec", "numpy", "ortools",
    "paho", "pandas", "pvlib", "pyarrow", "pymodbus", "rich", "scipy", "sklearn",
    "sqlite3", "starlette", "uvicorn",
}  # fmt: skip
"""None of these is needed to say what a command does. Typer itself looks at values by pydantic."""

EVERY_HELP = f"""
from controller import cli
for name in {[*ALL, "peakshare", "peakshare event", "peakshare meter"]}:
    assert cli.obey([*name.split()[1:], "--help"]) == 0, name
"""


def imported_by(*words: str) -> tuple[str, set[str]]:
    """What a Python process prints, and the top-level names that it imports."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *words],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    names = (line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines())
    return done.stdout, {name.split(".")[0] for name in names}


def test_help_loads_nothing_heavy():
    out, loaded = imported_by("-m", "controller", "--help")

    assert "Demand response" in out
    assert "typer" in loaded
    assert loaded & HEAVY == set()


def test_the_help_of_no_command_loads_anything_heavy():
    out, loaded = imported_by("-c", EVERY_HELP)

    assert out.count("Usage: peakshare") == len(ALL) + 3
    assert loaded & HEAVY == set()


@pytest.mark.parametrize("name", ALL)
def test_every_command_shows_an_example_of_itself(name: str, say: Say):
    code, out, _ = say(*name.split()[1:], "--help")

    assert code == 0
    assert f"Example: {name}" in out


@pytest.mark.parametrize("name", ALL)
def test_every_command_takes_json(name: str):
    assert "--json" in [word for option in ALL[name].params for word in option.opts]
