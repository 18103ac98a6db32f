"""One word per thing: modules, classes and functions keep to the words of docs/glossary.md.

Left out are words that are wrong for one of our nouns and right for something else: a Modbus
unit, an OPC UA node, an MQTT message, a merit order, a score, a sample day, a solver's solution.
"""

import ast
import re
import sys
from pathlib import Path

from tests.house import ROOT, Verdict, python_files, stale, tell

# A word we do not use: what to say for it.
UNWANTED = {
    **dict.fromkeys(
        ("manager", "managers", "handler", "handlers", "helper", "helpers", "util", "utils"),
        "the verb it does or the noun it holds",
    ),
    **dict.fromkeys(("data", "info"), "what it tells: readings, terms, history"),
    **dict.fromkeys(("process", "processes"), "the stage's verb"),
    **dict.fromkeys(("record", "records"), "Transfer, Receipt, Reading or journal entry"),
    **dict.fromkeys(("wallet", "wallets"), "ledger or points"),
    **dict.fromkeys(("payout", "payouts"), "rebate"),
    **dict.fromkeys(("scheme", "schemes"), "Program"),
    **dict.fromkeys(("asset", "assets"), "Resource"),
    **dict.fromkeys(("prediction", "predictions"), "Forecast"),
    **dict.fromkeys(("snapback",), "rebound"),
}

# "file" or "file::name": why the word is right there.
_OS = "a process of the operating system, which is what the word means"
ALLOWED = {
    "controller/cli/processes.py": _OS,
    "controller/cli/demo.py::data": "the folder that `--data` names",
    "simulators/inprocess.py::InProcessLink": _OS,
    "simulators/inprocess.py::InProcessDesk": _OS,
    "tests/process_cases.py": _OS,
    "tests/test_process.py": _OS,
}


def verdict() -> Verdict:
    paths = python_files()
    return Verdict(
        check="names",
        faults=tuple(faults(paths, ROOT, ALLOWED)),
        said=f"no module, class or function says {', '.join(list(UNWANTED)[:4])} … "
        f"({len(ALLOWED)} allowed with a reason)",
    )


def faults(paths: list[Path], root: Path, allowed: dict[str, str]) -> list[str]:
    """Every name with an unwanted word that is not `allowed`, and every allowance without use."""
    found = [item for path in paths for item in _unwanted(path, root)]
    return [
        f"{key}: not `{word}` but {UNWANTED[word]}" for key, word in found if key not in allowed
    ] + stale("tests/house/names.py", set(allowed), {key for key, _ in found})


def _unwanted(path: Path, root: Path) -> list[tuple[str, str]]:
    place = path.relative_to(root).as_posix()
    named = [(place, path.stem)] + [
        (f"{place}::{node.name}", node.name)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and not node.name.startswith("test_")  # a test's name is a sentence, not a term
    ]
    return [(key, word) for key, name in named for word in _words(name) if word in UNWANTED]


def _words(name: str) -> list[str]:
    """InProcessLink, in_process_link: in, process, link."""
    return [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)]


if __name__ == "__main__":
    sys.exit(tell(verdict()))
