"""A small town for whole days: every site of the demonstration and a few homes of each kind."""

import csv
import shutil
from collections import Counter
from pathlib import Path

DEMO = Path(__file__).parents[1] / "configs" / "demo"
HOMES_OF_A_KIND = 40


def make_town(root: Path, *, homes_of_a_kind: int = HOMES_OF_A_KIND) -> Path:
    """configs/demo with so many homes of each kind, under `root`; the profiles beside it."""
    shutil.copytree(DEMO.parent / "profiles", root / "profiles")
    town = root / "town"
    shutil.copytree(DEMO, town)
    homes = town / "fleet" / "homes.csv"
    with homes.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    seen: Counter[str] = Counter()
    with homes.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]))
        writer.writeheader()
        for row in rows:
            seen[row["kind"]] += 1
            if seen[row["kind"]] <= homes_of_a_kind:
                writer.writerow(row)
    return town
