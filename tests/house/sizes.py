"""No file over 400 lines, no function over 60: what is longer wants to be two."""

import ast
import sys
from pathlib import Path

from tests.house import ROOT, Verdict, python_files, stale, tell

LINES_PER_FILE = 400
LINES_PER_FUNCTION = 60

# "file" or "file::function": why it may be longer.
ALLOWED = {
    "tests/report_world.py::a_report": "one literal: a report with every field filled in once",
    "tests/simulator_cases.py::a_config": "one literal: a configuration with every kind of device",
}


def verdict() -> Verdict:
    paths = python_files()
    return Verdict(
        check="sizes",
        faults=tuple(faults(paths, ROOT, ALLOWED)),
        said=f"{len(paths)} Python files, none over {LINES_PER_FILE} lines, no function over "
        f"{LINES_PER_FUNCTION} ({len(ALLOWED)} allowed with a reason)",
    )


def faults(paths: list[Path], root: Path, allowed: dict[str, str]) -> list[str]:
    """Everything too long that is not `allowed`, and every allowance without use."""
    long = [item for path in paths for item in _too_long(path, root)]
    found = [f"{key}: {lines} lines, at most {most}" for key, lines, most in long]
    keys = {key for key, _, _ in long}
    return [text for text, (key, _, _) in zip(found, long, strict=True) if key not in allowed] + (
        stale("tests/house/sizes.py", set(allowed), keys)
    )


def _too_long(path: Path, root: Path) -> list[tuple[str, int, int]]:
    text = path.read_text(encoding="utf-8")
    name = path.relative_to(root).as_posix()
    measured = [(name, len(text.splitlines()), LINES_PER_FILE)] + [
        (f"{name}::{node.name}", (node.end_lineno or 0) - node.lineno + 1, LINES_PER_FUNCTION)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return [(key, lines, most) for key, lines, most in measured if lines > most]


if __name__ == "__main__":
    sys.exit(tell(verdict()))
