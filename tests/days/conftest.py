"""A small town: every site of the demonstration and a few homes of each kind."""

import csv
import shutil
from collections import Counter
from pathlib import Path

import pytest

from controller.config import load_config
from controller.model.settings import Config
from simulators.scenario import Scenario, read_scenario

HOMES_OF_A_KIND = 40
DEMO = Path(__file__).parents[2] / "configs" / "demo"


@pytest.fixture(scope="session")
def town_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """configs/demo with forty homes of each kind; the profiles beside it."""
    root = tmp_path_factory.mktemp("configs")
    shutil.copytree(DEMO.parent / "profiles", root / "profiles")
    shutil.copytree(DEMO, root / "town")
    homes = root / "town" / "fleet" / "homes.csv"
    with homes.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    seen: Counter[str] = Counter()
    with homes.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, fieldnames=list(rows[0]))
        writer.writeheader()
        for row in rows:
            seen[row["kind"]] += 1
            if seen[row["kind"]] <= HOMES_OF_A_KIND:
                writer.writerow(row)
    return root / "town"


@pytest.fixture(scope="session")
def town(town_folder: Path) -> Config:
    return load_config(town_folder)


@pytest.fixture(scope="session")
def scenario(town_folder: Path, town: Config) -> Scenario:
    return read_scenario(town_folder / "scenarios" / "day.toml", town.area.timezone)
