"""The rules of the house can fail: each is shown the fault it is there for."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house import (
    ROOT,
    audit,
    configs,
    licences,
    links,
    names,
    pythons,
    rooms,
    sizes,
    tracked,
    walkthrough,
)
from tests.house.licences import Package
from tests.house.spdx import COPYLEFT, PERMISSIVE, UNKNOWN, WEAK, family


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


# Sizes


def test_a_file_or_a_function_that_is_too_long_is_named(tmp_path: Path):
    long_file = written(tmp_path, "a.py", "x = 1\n" * 401)
    long_function = written(tmp_path, "b.py", "def f():\n" + "    x = 1\n" * 60)
    fits = written(tmp_path, "c.py", "def f():\n" + "    x = 1\n" * 59 + "x = 1\n" * 340)

    assert sizes.faults([long_file, long_function, fits], tmp_path, {}) == [
        "a.py: 401 lines, at most 400",
        "b.py::f: 61 lines, at most 60",
    ]


def test_an_allowance_holds_until_nobody_needs_it(tmp_path: Path):
    path = written(tmp_path, "b.py", "def f():\n" + "    x = 1\n" * 60)
    assert sizes.faults([path], tmp_path, {"b.py::f": "one table"}) == []
    written(tmp_path, "b.py", "def f(): ...\n")
    assert "no longer needed" in sizes.faults([path], tmp_path, {"b.py::f": "one table"})[0]


# Names


@pytest.mark.parametrize(
    "text", ["class TaskManager: ...", "def parse_data(): ...", "class HTTPHandler: ..."]
)
def test_a_name_that_says_nothing_is_refused(text: str, tmp_path: Path):
    assert len(names.faults([written(tmp_path, "a.py", text)], tmp_path, {})) == 1


def test_a_word_inside_a_word_is_no_fault(tmp_path: Path):
    page = "def database(): ...\ndef test_bad_data(): ...\nclass Processor: ..."
    assert names.faults([written(tmp_path, "a.py", page)], tmp_path, {}) == []


def test_a_module_is_named_like_everything_else(tmp_path: Path):
    assert "utils" in names.faults([written(tmp_path, "utils.py", "")], tmp_path, {})[0]


# Rooms


def test_a_room_that_is_not_on_the_map_and_one_that_is_not_there_are_named(tmp_path: Path):
    written(tmp_path, "__init__.py", '"""`plan` and `cellar`; outside: `adapters`."""')
    written(tmp_path, "plan/__init__.py", "")
    written(tmp_path, "attic.py", "")
    found = rooms.faults(tmp_path, {"adapters"})
    assert [f.rpartition(": ")[2] for f in found] == [
        "the map leaves out `attic`",
        "the map names `cellar`, which is not there",
    ]


# Tracked files


@pytest.mark.parametrize(
    "text",
    [
        "see https://py" + "pi.org/simple",
        "registry=https://registry.npm" + "js.org/",
        "--extra-index" + "-url https://example.com",
        "cd /ro" + "ot/peakshare",
        'open("/ho' + 'me/ann/x.csv")',
        "C:" + "\\Users\\ann",
    ],
)
def test_a_registry_or_a_path_of_one_machine_is_found_with_its_line(text: str, tmp_path: Path):
    path = written(tmp_path, "page.md", f"first\n{text}\n")
    found = tracked.faults([path], tmp_path, {})
    assert len(found) == 1
    assert found[0].startswith("page.md:2: ")


@pytest.mark.parametrize("text", ["out/work/x", "pip install x", "https://example.com/home/"])
def test_what_only_looks_alike_is_left_alone(text: str, tmp_path: Path):
    assert tracked.faults([written(tmp_path, "page.md", text)], tmp_path, {}) == []


# Links and the walk for newcomers


def test_a_dead_link_and_a_dead_heading_are_named(tmp_path: Path):
    page = written(
        tmp_path,
        "a.md",
        "# One two\n[ok](#one-two) [dead](b.md) [dead](#three)\n"
        "```\n[code](y.md)\n```\n[far](https://example.com/z.md)\n",
    )
    assert links.faults(page, tmp_path)[:2] == ["a.md: no b.md", "a.md: no #three"]
    assert not [f for f in links.faults(page, tmp_path) if "y.md" in f or "z.md" in f]


def test_the_walk_may_name_only_what_is_there(tmp_path: Path):
    written(tmp_path, "Makefile", "test:\n\tpytest\n")
    written(tmp_path, "tests/test_a.py", "def test_one(): ...\n")
    told = "tests/test_a.py::test_one, tests/test_a.py::test_two, docs/x.md"
    text = f"`make test`, `make coffee`, {told}"
    assert walkthrough.faults(text, tmp_path) == [
        "CONTRIBUTING.md: no docs/x.md",
        "CONTRIBUTING.md: no `make coffee`",
        "CONTRIBUTING.md: no test tests/test_a.py::test_two",
    ]


@pytest.mark.slow
def test_the_first_change_of_contributing_works_as_it_is_told(tmp_path: Path):
    """The page's own file, checked and obeyed; without its dead-man, refused by name."""
    walk = walkthrough.first_change((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    ((name, page),) = walk.items()
    copy = tmp_path / "house"
    for top in ("configs", "controller", "adapters", "simulators", "tests", "pyproject.toml"):
        (copy / top).parent.mkdir(parents=True, exist_ok=True)
        _copy(ROOT / top, copy / top)
    written(copy, name, page)

    assert _run(copy, "-m", "controller", "check", "configs/demo").returncode == 0
    wire = "tests/adapters/test_profiles_on_the_wire.py"
    tested = _run(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", wire, "-k", Path(name).stem)
    assert "1 passed" in tested.stdout, tested.stdout + tested.stderr

    written(copy, name, page.replace('dead_man = "device_timer"\n', ""))
    refused = _run(copy, "-m", "controller", "check", "configs/demo")
    assert refused.returncode == 2
    assert "pool-pump.toml" in refused.stderr
    assert "dead_man" in refused.stderr


def _copy(path: Path, there: Path) -> None:
    if path.is_dir():
        shutil.copytree(path, there, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy2(path, there)


def _run(cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PYTHONPATH": str(cwd)}
    return subprocess.run(
        [sys.executable, *words], cwd=cwd, env=env, capture_output=True, text=True, timeout=100,
        check=False,
    )  # fmt: skip


# Configurations


def test_a_configuration_with_a_fault_fails_with_what_check_says(tmp_path: Path):
    page = written(tmp_path, "town/controller.toml", "timezone = 3\n")
    assert configs.folders(tmp_path) == [page.parent]
    assert any("controller.toml" in fault for fault in configs.faults(page.parent, ROOT))


# Licences


def a_package(licence: str, *, run_time: bool = True, name: str = "lib") -> Package:
    return Package(name=name, parents=("peakshare",), run_time=run_time, licence=licence)


@pytest.mark.parametrize(
    ("expression", "kind"),
    [
        ("MIT", PERMISSIVE),
        ("LGPL-3.0-or-later", WEAK),
        ("AGPL-3.0-only", COPYLEFT),
        ("GPL-2.0-only WITH Classpath-exception-2.0", COPYLEFT),
        ("MIT OR GPL-3.0-only", PERMISSIVE),
        ("MIT AND GPL-3.0-only", COPYLEFT),
        ("Ask-Me-1.0", UNKNOWN),
        ("", UNKNOWN),
    ],
)
def test_a_licence_is_as_strict_as_what_binds_us(expression: str, kind: int):
    assert family(expression) == kind


def elsewhere() -> list[Package]:
    return [a_package(x, name=n) for n, x in licences.ELSEWHERE.items()]


def test_gpl_is_refused_at_run_time_and_needs_a_reason_elsewhere():
    gpl = a_package("GPL-3.0-only")
    tool = a_package("GPL-3.0-only", run_time=False, name="tool")
    assert licences.faults([gpl, *elsewhere()], {"lib": "because"}) == [
        "lib: GPL-3.0-only is refused at run time"
    ]
    assert "needs a reason" in licences.faults([tool, *elsewhere()], {})[0]
    assert licences.faults([tool, *elsewhere()], {"tool": "never shipped"}) == []


def test_a_licence_that_nobody_can_read_is_refused():
    assert "cannot tell its licence" in licences.faults([a_package(""), *elsewhere()], {})[0]


def test_what_a_dependency_brings_along_counts_as_ours():
    lock = (
        "a==1 \\\n    --hash=x\n    # via peakshare (pyproject.toml)\n"
        "b==2\n    # via a\n"
        "c==3\n    # via\n    #   b\n    #   d\n"
        "d==4\n    # via peakshare (pyproject.toml)\n"
    )
    parents = licences.read_lock(lock)
    assert licences.run_time(parents, {"a"}) == {"a", "b", "c"}


def test_foreign_data_must_stand_in_notice():
    found = licences.missing_notices([], ["configs/x/curve.csv.gz", *licences.OURS], "nothing")
    assert [f.split(":")[0] for f in found] == ["configs/x/curve.csv.gz"]


# Vulnerabilities


FOUND = (
    '{"dependencies": [{"name": "lib", "version": "1",'
    ' "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]}]}'
)
SILENT = '{"dependencies": [{"name": "lib", "skip_reason": "not found"}]}'


def test_a_vulnerability_fails_the_audit():
    assert audit.judge(1, FOUND, "").faults == ("lib 1: CVE-1 (fixed in 2)",)


@pytest.mark.parametrize(("out", "err"), [(SILENT, ""), ("", "ConnectionError: no route")])
def test_an_audit_without_answers_is_skipped_and_says_why(out: str, err: str):
    verdict = audit.judge(1, out, err)
    assert not verdict.faults
    assert verdict.said.startswith("skipped: ")


def test_an_audit_that_breaks_is_a_fault_and_one_that_hangs_is_skipped(tmp_path: Path):
    assert audit.judge(2, "", "usage: …").faults
    slow = [sys.executable, "-c", "import time; time.sleep(60)"]
    assert audit.ask(slow, tmp_path, 0.2).said == "skipped: no answer within 0.2 s"


# Pythons


def test_a_python_that_nobody_provides_is_skipped(capsys: pytest.CaptureFixture[str]):
    assert pythons.find("3.99") is None
    assert pythons.find(f"{sys.version_info[0]}.{sys.version_info[1]}") is not None
