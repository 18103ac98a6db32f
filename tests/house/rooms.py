"""The map in `controller/__init__.py` names every room of the house, and no other."""

import ast
import re
import sys
from pathlib import Path

from tests.house import ROOT, Verdict, tell

BESIDE = {"adapters", "simulators"}  # named on the map, and built beside controller/


def verdict() -> Verdict:
    house = ROOT / "controller"
    return Verdict(
        check="rooms",
        faults=tuple(faults(house, BESIDE)),
        said=f"the map names all {len(rooms(house))} rooms of controller/",
    )


def faults(house: Path, beside: set[str]) -> list[str]:
    page = house / "__init__.py"
    told = ast.get_docstring(ast.parse(page.read_text(encoding="utf-8"))) or ""
    named = set(re.findall(r"`(\w+)`", told)) - beside
    place = f"{house.name}/__init__.py"
    return [f"{place}: the map leaves out `{x}`" for x in sorted(rooms(house) - named)] + [
        f"{place}: the map names `{x}`, which is not there" for x in sorted(named - rooms(house))
    ]


def rooms(house: Path) -> set[str]:
    """Modules and packages directly inside."""
    return {path.stem for path in house.glob("*.py") if not path.stem.startswith("_")} | {
        path.parent.name for path in house.glob("*/__init__.py")
    }


if __name__ == "__main__":
    sys.exit(tell(verdict()))
