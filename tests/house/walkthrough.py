"""What CONTRIBUTING.md tells a newcomer is true: its paths, its make words, its node ids.

tests/test_house.py goes further and walks the first change that the page describes.
"""

import re
import sys
from pathlib import Path

from tests.house import ROOT, Verdict, tell

PAGE = "CONTRIBUTING.md"
TOPS = "controller|adapters|simulators|configs|tests|docs|bench"


def verdict() -> Verdict:
    text = (ROOT / PAGE).read_text(encoding="utf-8")
    return Verdict(
        check="walkthrough",
        faults=tuple(faults(text, ROOT)),
        said=f"{len(_paths(text))} paths, {len(_words(text))} make words of {PAGE} are there",
    )


def faults(text: str, root: Path) -> list[str]:
    """Paths, make words and tests that the page names and the house does not have.

    A file that the reader is to make stands as a title of its block, so it is no fault.
    """
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    known = set(re.findall(r"(?m)^([a-z]+):", makefile))
    new = set(first_change(text))
    return (
        [f"{PAGE}: no {x}" for x in _paths(text) if x not in new and not _there(root, x)]
        + [f"{PAGE}: no `make {x}`" for x in _words(text) if x not in known]
        + [f"{PAGE}: no test {x}::{y}" for x, y in _tests(text) if not _tested(root / x, y)]
    )


def first_change(text: str) -> dict[str, str]:
    """The files that the walk makes: each fenced block whose first line is `# path`."""
    fences = re.findall(r"(?ms)^```toml\n# (\S+)\n(.*?)^```", text)
    return dict(fences)


def _paths(text: str) -> list[str]:
    found = re.findall(rf"(?<![\w./-])((?:{TOPS})/[\w./*-]*[\w*/])", text)
    return sorted(set(found))


def _words(text: str) -> list[str]:
    return sorted(set(re.findall(r"(?m)(?:`|^)make ([a-z]+)", text)))


def _tests(text: str) -> list[tuple[str, str]]:
    return re.findall(r"(tests/[\w/]+\.py)::(\w+)", text)


def _there(root: Path, name: str) -> bool:
    return any(root.glob(name)) if "*" in name else (root / name).exists()


def _tested(path: Path, name: str) -> bool:
    return path.exists() and f"def {name}(" in path.read_text(encoding="utf-8")


if __name__ == "__main__":
    sys.exit(tell(verdict()))
