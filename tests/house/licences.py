"""The licences of the packages in the lock: none that runs with us may bind who runs us.

GPL and AGPL are refused at run time. LGPL, MPL and the like pass with a reason. Tools that only
developers install may be anything that is named. A licence nobody can read is refused. The page
docs/licences.md shows it all, and a stale page is a fault:

    python -m tests.house.licences --write
"""

import re
import sys
import tomllib
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.house import ROOT, Verdict, tell, tracked_files
from tests.house.spdx import COPYLEFT, UNKNOWN, WEAK, family, licence_of

PAGE = "docs/licences.md"
OURSELVES = "peakshare"

# Copyleft in the lock: why it may be here. It is read by the check and shown on the page.
REASONS = {
    "asyncua": "used unmodified as the separate package it is, and replaceable by its user",
    "certifi": "a list of certificates, used unmodified; MPL binds changed files only",
    "hypothesis": "a test tool; MPL binds changed files only",
    "pathspec": "a build and lint tool; MPL binds changed files only",
}

# In the lock for another platform or Python, so that not every machine can read its licence.
ELSEWHERE = {"colorama": "BSD-3-Clause", "wait-for2": "Apache-2.0"}

# Files under configs/ that are no TOML page and that we made: how. All others NOTICE must name.
OURS = {
    "configs/demo/fleet/homes.csv": "written by simulators/fleet from a seed",
    "configs/demo/area/README.md": "our own words about the curve beside it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One package of the lock; `parents` ask for it, `run_time` if any way leads from us to it."""

    name: str
    parents: tuple[str, ...]
    run_time: bool
    licence: str
    """An SPDX expression; empty if nobody says."""


def verdict() -> Verdict:
    packages = packages_of(ROOT, installed())
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    page = ROOT / PAGE
    told = page.read_text(encoding="utf-8") if page.exists() else ""
    found = faults(packages, REASONS) + missing_notices(packages, shipped_files(ROOT), notice)
    if told != written(packages):
        found.append(f"{PAGE} is stale: python -m tests.house.licences --write")
    run_time = sum(x.run_time for x in packages)
    return Verdict(
        check="licences",
        faults=tuple(found),
        said=f"{run_time} packages at run time, {len(packages) - run_time} for development, "
        f"none refused; NOTICE names all foreign data",
    )


def packages_of(root: Path, licences: dict[str, str]) -> list[Package]:
    """The whole lock, for every platform, with the licences that are known here."""
    parents = read_lock((root / "requirements.lock").read_text(encoding="utf-8"))
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    direct = {str(canonicalize_name(Requirement(x).name)) for x in project["dependencies"]}
    needed = run_time(parents, direct)
    return [
        Package(
            name=name,
            parents=tuple(sorted(asking)),
            run_time=name in needed,
            licence=licences.get(name) or ELSEWHERE.get(name, ""),
        )
        for name, asking in sorted(parents.items())
    ]


def installed(path: list[str] | None = None) -> dict[str, str]:
    """Name to SPDX expression ("" where the metadata do not say) of what is installed."""
    found = distributions() if path is None else distributions(path=path)
    return {canonicalize_name(x.metadata["Name"]): licence_of(x.metadata) for x in found}


def read_lock(text: str) -> dict[str, set[str]]:
    """Each locked package with those that ask for it, on any platform: uv writes them below it."""
    parents: dict[str, set[str]] = {}
    asking: set[str] = set()
    for line in text.splitlines():
        if pinned := re.match(r"([A-Za-z0-9._-]+)==", line):
            asking = parents.setdefault(canonicalize_name(pinned.group(1)), set())
        elif told := re.match(r"    #   (?:via )?(\S+)|    # via (\S+)", line):
            asking.add(canonicalize_name(told.group(1) or told.group(2)))
    return parents


def run_time(parents: dict[str, set[str]], direct: set[str]) -> set[str]:
    """What our dependencies bring along, and what those bring, until nothing is new."""
    needed = set(direct)
    while more := {name for name, asking in parents.items() if asking & needed} - needed:
        needed |= more
    return needed


def faults(packages: list[Package], reasons: dict[str, str]) -> list[str]:
    """Every package whose licence is refused, unknown or lacks its reason."""
    found = [fault for package in packages if (fault := _fault(package, reasons))]
    copyleft = {x.name for x in packages if family(x.licence) in (WEAK, COPYLEFT)}
    known = {x.name for x in packages}
    return (
        found
        + [f"{x}: has a reason, and no licence that needs one" for x in reasons.keys() - copyleft]
        + [f"{x}: stands in ELSEWHERE, and not in the lock" for x in ELSEWHERE.keys() - known]
    )


def missing_notices(packages: list[Package], data: list[str], notice: str) -> list[str]:
    """Foreign data, and run-time packages under LGPL or MPL, that NOTICE does not name."""
    names = [x.name for x in packages if x.run_time and family(x.licence) == WEAK]
    unnamed = [x for x in data if x not in OURS and x not in notice]
    return (
        [f"{x}: NOTICE does not name it with its source (ours? say how in OURS)" for x in unnamed]
        + [f"{x}: NOTICE does not name it" for x in names if x not in notice]
        + [f"{x}: stands in OURS, and is not there" for x in OURS.keys() - set(data)]
    )


def shipped_files(root: Path) -> list[str]:
    """Files under configs/ that are no TOML page."""
    paths = [path for path in tracked_files(root) if path.suffix != ".toml"]
    names = [path.relative_to(root).as_posix() for path in paths]
    return [name for name in names if name.startswith("configs/")]


def written(packages: list[Package]) -> str:
    """The page: no versions (the lock has them), so that only a licence can make it stale."""
    return "\n".join(
        [
            "# Licences of what is installed with Peakshare",
            "",
            "Made by `python -m tests.house.licences --write` from `requirements.lock` and the",
            "packages' own metadata; `make check` fails when it is stale. Peakshare is Apache-2.0",
            "and contains none of these: pip installs them beside it. What is judged, and what",
            "this cannot see, is told in [0011](decisions/0011-checks.md).",
            "",
            *_table("At run time", [x for x in packages if x.run_time]),
            *_table("For development only", [x for x in packages if not x.run_time]),
        ]
    )


def _fault(package: Package, reasons: dict[str, str]) -> str | None:
    kind = family(package.licence)
    if kind == UNKNOWN:
        return (
            f"{package.name}: cannot tell its licence ({package.licence or 'nothing said'}); "
            "if it can be read elsewhere, teach tests/house/spdx.py to read it"
        )
    if kind == COPYLEFT and package.run_time:
        return f"{package.name}: {package.licence} is refused at run time"
    if kind in (WEAK, COPYLEFT) and package.name not in reasons:
        return f"{package.name}: {package.licence} needs a reason in tests/house/licences.py"
    return None


def _table(title: str, packages: list[Package]) -> list[str]:
    rows = [f"| {x.name} | {x.licence} | {_asked_by(x)} | {_why(x)} |" for x in packages]
    heads = ["| package | licence | asked for by | |", "|---|---|---|---|"]
    return [f"## {title}", "", *heads, *rows, ""]


def _asked_by(package: Package) -> str:
    return ", ".join("us" if x == OURSELVES else x for x in package.parents)


def _why(package: Package) -> str:
    return REASONS.get(package.name, "")


if __name__ == "__main__":
    if "--write" in sys.argv:
        (ROOT / PAGE).write_text(written(packages_of(ROOT, installed())), encoding="utf-8")
    sys.exit(tell(verdict()))
