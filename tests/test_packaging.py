"""Wheel and sdist as a stranger gets them: from what git has, installed where nothing else is.

The quick tests borrow the libraries of this environment through a path file, which does not bring
this checkout along; `make package` installs the lock and plays the whole demonstration.
"""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from controller.cli.version import commit_of
from tests.house import ROOT, tracked_files

pytestmark = pytest.mark.slow

EPOCH = {"SOURCE_DATE_EPOCH": "1390867200"}  # the demo's hot day
CLEAN = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
TEMPLATES = {"settle/templates/statement.html.j2", "evaluate/templates/report.html.j2"}


def said(
    *words: object, cwd: Path, env: Mapping[str, str] | None = None, limit_s: int = 100
) -> str:
    """What a command printed. Fails with all it said when it does not end with 0."""
    done = subprocess.run(
        [str(w) for w in words], cwd=cwd, env=CLEAN | dict(env or {}), capture_output=True,
        text=True, timeout=limit_s, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def build(source: Path, target: Path, kind: str) -> Path:
    """Build with the environment's own hatchling: nothing is downloaded."""
    said(
        sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", target, cwd=source, env=EPOCH
    )
    built = [p for p in target.iterdir() if p.suffix in (".whl", ".gz")]
    assert len(built) == 1, built
    return built[0]


def git(*words: str, cwd: Path) -> str:
    who = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com")
    return said("git", *who, *words, cwd=cwd).strip()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean checkout of what is in git, or about to be."""
    if shutil.which("git") is None:
        pytest.skip("there is no git to make a checkout with")
    copy = tmp_path_factory.mktemp("source")
    for path in tracked_files():
        there = copy / path.relative_to(ROOT)
        there.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, there)
    git("init", "--quiet", cwd=copy)
    git("add", "--all", "--force", cwd=copy)
    git("commit", "--quiet", "--message", "all: as it is", cwd=copy)
    return copy


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(source, tmp_path_factory.mktemp("wheel"), "wheel")


@pytest.fixture(scope="module")
def sdist(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(source, tmp_path_factory.mktemp("sdist"), "sdist")


def unzipped(wheel: Path) -> dict[str, list[bytes]]:
    """The lines of every file; a wheel's own list of files has no order to keep."""
    with zipfile.ZipFile(wheel) as packed:
        lines = {name: packed.read(name).splitlines() for name in packed.namelist()}
    return {n: sorted(x) if n.endswith("/RECORD") else x for n, x in lines.items()}


def venv_in(folder: Path) -> Path:
    """The Python of a new, empty environment."""
    said(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    return folder / "bin" / "python"


def install(wheel: Path, python: Path) -> None:
    said(
        *(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps"),
        *("--no-index", "--no-compile", "--disable-pip-version-check", wheel),
        cwd=wheel.parent,
    )


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the wheel, and this one's libraries by a path file."""
    python = venv_in(tmp_path_factory.mktemp("stranger") / "venv")
    install(wheel, python)
    site = Path(said(python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])",
                     cwd=wheel.parent).strip())  # fmt: skip
    (site / "borrowed.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    return python


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    return tmp_path


def test_the_wheel_carries_the_program_its_configurations_and_its_licence(wheel: Path):
    names = set(zipfile.ZipFile(wheel).namelist())
    tops = {n.split("/")[0] for n in names if ".dist-info/" not in n}
    shipped = [p for p in tracked_files() if p.is_relative_to(ROOT / "configs")]
    configs = {f"controller/_configs/{p.relative_to(ROOT / 'configs').as_posix()}" for p in shipped}

    assert tops == {"controller", "adapters", "simulators"}
    assert configs <= names
    assert {f"controller/{n}" for n in TEMPLATES} <= names
    assert {f"{top}/py.typed" for top in tops} <= names
    assert {n.rsplit("/", 1)[1] for n in names if "/licenses/" in n} == {"LICENSE", "NOTICE"}
    assert not [n for n in names if "version_hook" in n or "/test_" in n or "bench" in n]


def test_the_sdist_carries_all_that_checks_and_tests_need(sdist: Path):
    with tarfile.open(sdist) as packed:
        names = {n.partition("/")[2] for n in packed.getnames()}
    needed = {p.relative_to(ROOT).as_posix() for p in tracked_files()} - {".gitignore"}
    assert needed - names == set()


def test_a_wheel_from_the_sdist_is_the_wheel_from_the_checkout(
    wheel: Path, sdist: Path, tmp_path: Path
):
    with tarfile.open(sdist) as packed:
        packed.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.iterdir()
    again = build(unpacked, tmp_path / "again", "wheel")

    assert unzipped(again) == unzipped(wheel)


def test_what_runs_is_the_installed_program(python: Path, empty: Path):
    code = "import controller, adapters, simulators; print(controller.__file__, adapters.__file__)"
    for place in said(python, "-c", code, cwd=empty).split():
        assert Path(place).is_relative_to(python.parents[1])


def test_version_names_version_and_the_commit_it_was_built_from(
    source: Path, python: Path, empty: Path
):
    peakshare, commit = python.parent / "peakshare", git("rev-parse", "HEAD", cwd=source)
    version = tomllib.loads((source / "pyproject.toml").read_text())["project"]["version"]

    told = said(peakshare, "--version", cwd=empty)
    assert told == f"peakshare {version} (commit {commit[:7]})\n"
    assert json.loads(said(peakshare, "--version", "--json", cwd=empty)) == {
        "version": version, "commit": commit, "changes": False,
    }  # fmt: skip


def test_a_checkout_says_that_it_holds_something_else(source: Path, tmp_path: Path):
    copy = tmp_path / "copy"
    git("clone", "--quiet", str(source), str(copy), cwd=tmp_path)
    commit = git("rev-parse", "HEAD", cwd=copy)
    assert commit_of(copy / "controller") == commit
    (copy / "README.md").write_text("mine\n")
    assert commit_of(copy / "controller") == f"{commit}+changes"


def test_where_git_is_missing_the_commit_is_unknown(
    source: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit_of(source / "controller") == "unknown"


def test_an_archive_without_git_does_not_know_its_commit(source: Path, tmp_path: Path):
    shutil.copytree(source / "controller" / "cli", tmp_path / "controller" / "cli")
    assert commit_of(tmp_path / "controller") == "unknown"


def test_the_shipped_configuration_and_its_profiles_are_valid_where_they_lie(
    python: Path, empty: Path
):
    code = "from controller.cli.demo import _shipped; print(_shipped('demo'))"
    shipped = Path(said(python, "-c", code, cwd=empty).strip())

    assert shipped.is_relative_to(python.parents[1])
    assert "is valid" in said(python.parent / "peakshare", "check", shipped, cwd=empty)


def test_a_type_checker_sees_the_types(python: Path, empty: Path):
    page = empty / "mine.py"
    page.write_text(
        "from controller.model.time import Grid\n\n\ndef first(grid: Grid) -> int:\n"
        "    return grid.start\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--python-executable", str(python), "--no-incremental",
         "--config-file", os.devnull, page.name],
        cwd=empty, env=CLEAN, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert 'got "datetime", expected "int"' in done.stdout, done.stdout + done.stderr
    assert "untyped" not in done.stdout


@pytest.mark.package
@pytest.mark.timeout(1200)
def test_the_wheel_in_an_empty_environment_and_folder_plays_the_demo(
    wheel: Path, tmp_path: Path, empty: Path
):
    """The real thing: the lock with its hashes, the wheel, nothing else, and the whole day."""
    said(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    python = tmp_path / "venv" / "bin" / "python"
    locked = subprocess.run(
        [python, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--require-hashes",
         "-r", ROOT / "requirements.lock"],
        cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    if locked.returncode and "No matching distribution" in locked.stderr:
        pytest.skip(f"no package index: {locked.stderr.strip().splitlines()[-1]}")
    assert locked.returncode == 0, locked.stderr
    install(wheel, python)
    folder = tmp_path / "folder"
    folder.mkdir()

    said(python.parent / "peakshare", "demo", "--json", cwd=folder, limit_s=400)

    assert (folder / "out" / "demo" / "report.html").is_file()
    result = json.loads((folder / "out" / "demo" / "result.json").read_text())
    assert result["devices"]["still_curtailed"] == 0
