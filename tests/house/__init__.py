"""The rules of the house that no tool we know can see, each in a file of its own.

`make check` runs them all (`python -m tests.house`); one alone is `python -m tests.house.sizes`.
To add one: a file with a `verdict()` that says every fault at once, its name in `__main__.py`,
and a test in `tests/test_house.py` that plants the fault and sees it caught. An exception to a
rule stands inside the rule's file with its reason, and one that nobody needs any more is a fault.
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
MADE = {"out", "build", "dist", "__pycache__"}  # by a machine; git is told in .gitignore


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one check found; `said` is its one line when nothing is wrong."""

    check: str
    faults: tuple[str, ...] = ()
    said: str


def tell(verdict: Verdict) -> int:
    """Write the verdict for a person; the exit code it deserves."""
    lines = [f"{verdict.check}: {fault}" for fault in verdict.faults]
    sys.stdout.write("\n".join(lines or [f"{verdict.check}: {verdict.said}"]) + "\n")
    sys.stdout.flush()
    return 1 if verdict.faults else 0


def tracked_files(root: Path = ROOT) -> list[Path]:
    """Every file that is in git or about to be; without git (an unpacked sdist), every file."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    names = listed.stdout.split("\0") if listed.returncode == 0 else _walked(root)
    return [root / name for name in sorted(names) if name and (root / name).is_file()]


def python_files(root: Path = ROOT) -> list[Path]:
    return [path for path in tracked_files(root) if path.suffix == ".py"]


def stale(check: str, allowed: set[str], needed: set[str]) -> list[str]:
    """Faults for exceptions that nothing needs any more."""
    return [f"{key}: allowed in {check}, and no longer needed there" for key in allowed - needed]


def _walked(root: Path) -> list[str]:
    paths = (path.relative_to(root) for path in root.rglob("*"))
    return [str(p) for p in paths if not any(x in MADE or x.startswith(".") for x in p.parts)]
