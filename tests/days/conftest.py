"""A small town and its day: see tests.town."""

from pathlib import Path

import pytest

from controller.config import load_config
from controller.model.settings import Config
from simulators.scenario import Scenario, read_scenario
from tests.town import make_town


@pytest.fixture(scope="session")
def town_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_town(tmp_path_factory.mktemp("configs"))


@pytest.fixture(scope="session")
def town(town_folder: Path) -> Config:
    return load_config(town_folder)


@pytest.fixture(scope="session")
def scenario(town_folder: Path, town: Config) -> Scenario:
    return read_scenario(town_folder / "scenarios" / "day.toml", town.area.timezone)
