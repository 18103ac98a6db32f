"""The example in every command's help, typed into a shell as it stands there.

One folder serves all: a small town played once to its end by `demo`'s own example, its data and
feed where a utility would keep its own, and a controller started by `run`'s own example.
"""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from controller.clock import SystemClock
from controller.model.ids import EventId, ProgramId
from controller.model.time import QUARTER_HOUR, Grid, Series
from controller.store import open_store
from tests.cli_cases import ALL, a_wire_to_come
from tests.load_cases import load_csv
from tests.process_cases import hasty_town
from tests.store_nouns import an_event

pytestmark = pytest.mark.slow

ALONE = {
    "peakshare check": "is valid",
    "peakshare report": "written to out/demo/report.html",
    "peakshare forecast": "kW in the quarter hour from 2014-01-28",
    "peakshare meter import": "1 files imported",
    "peakshare backtest": "naive: the same time a week before",
}
"""What the examples that need no controller print."""

TO_A_CONTROLLER = {
    "peakshare status": "area: ",
    "peakshare plan": '"lines"',
    "peakshare event create": " taken",
    "peakshare event list": "019b3f00-0000-7000-8000-000000000000",
    "peakshare event show": "draft",
    "peakshare event approve": "is approved",
    "peakshare event cancel": "is cancelled",
    "peakshare settle": "posted",
    "peakshare statement": "written to statement.html",
    "peakshare stop": "devices released",
    "peakshare resume": "the emergency stop is lifted",
}
"""What the examples that speak to one print, in an order in which an operator might."""


def example_of(name: str) -> str:
    """The line after `Example:` in a command's help."""
    found = re.findall(r"^Example: (.+)$", ALL[name].help or "", re.MULTILINE)
    assert len(found) == 1, f"{name} has {len(found)} examples"
    return str(found[0])


@contextmanager
def typed(name: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """The example of a command in a shell, with `peakshare` on its path."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    kept = {k: v for k, v in os.environ.items() if k != "PEAKSHARE_DIR"}
    with subprocess.Popen(
        ["sh", "-c", f"exec {example_of(name)}"], cwd=folder, env={**kept, "PATH": path},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def said(name: str, folder: Path) -> str:
    """What the example prints when it ends well."""
    with typed(name, folder) as process:
        out, err = process.communicate(timeout=100)
    assert process.returncode == 0, f"{example_of(name)}\n{err}"
    return out


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a person types: a played day in out/demo, and a utility's own beside it."""
    here = tmp_path_factory.mktemp("here")
    hasty_town(here / "configs").rename(here / "configs" / "demo")
    said("peakshare demo", here)
    shutil.copytree(here / "out" / "demo" / "data", here / "out" / "run")
    shutil.copytree(here / "out" / "demo" / "feed", here / "out" / "feed")
    shutil.copytree(here / "out" / "demo" / "handover", here / "meters")
    load_csv(here, days=60)
    (here / "event.json").write_text(json.dumps(a_wire_to_come("contracted")))
    return here


@pytest.fixture(scope="module")
def manned(folder: Path) -> Iterator[Path]:
    """The same with a controller on out/run, three drafts for its operator to look at."""
    asyncio.run(drafts(folder / "out" / "run"))
    with typed("peakshare run", folder) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline() or "{}").get("ready"), process.communicate()
        yield folder
        process.terminate()
        _, log = process.communicate(timeout=20)
        assert process.returncode == 0, log


async def drafts(data: Path) -> None:
    """Events with the ids of the examples, to come the day after tomorrow."""
    now = SystemClock().now()
    start = now.replace(minute=0, second=0, microsecond=0) + timedelta(days=2)
    target = Series.full(Grid(start=start, step=QUARTER_HOUR, count=4), 100.0)
    async with open_store(data, SystemClock()) as store:
        for number in range(3):
            await store.journal.save_event(an_event(
                EventId(f"019b3f00-0000-7000-8000-{number:012}"), target=target, notified_at=now,
                program_id=ProgramId("contracted"),
            ))  # fmt: skip


def test_the_example_of_the_demo_plays_a_day(folder: Path):
    """`folder` has played it: that ended with 0, and left what the guide promises."""
    left = {p.name for p in (folder / "out" / "demo").iterdir()}

    assert {"report.html", "result.json", "truth.json", "statements.csv", "data", "feed"} <= left


@pytest.mark.parametrize("name", ALONE)
def test_an_example_that_needs_no_controller_does_what_it_says(name: str, folder: Path):
    assert ALONE[name] in said(name, folder)


def test_the_example_of_simulate_serves_its_devices_until_it_is_interrupted(folder: Path):
    with typed("peakshare simulate", folder) as process:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        assert any("simulators run; addresses in" in line for line in lines)
        links = json.loads((folder / "out" / "sim" / "links.json").read_text())
        assert len(links) >= 4
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=20)

    assert process.returncode == 0
    assert "interrupted: simulators stopped" in rest


@pytest.mark.parametrize("name", TO_A_CONTROLLER)
def test_an_example_for_a_running_controller_does_what_it_says(name: str, manned: Path):
    """`run`'s own example has started it."""
    if name == "peakshare resume":
        said("peakshare stop", manned)
    assert TO_A_CONTROLLER[name] in said(name, manned)


def test_the_example_of_every_command_is_typed_here():
    here = {"peakshare demo", "peakshare simulate", "peakshare run", *ALONE, *TO_A_CONTROLLER}
    assert here == set(ALL)
