"""Many days with drawn faults: `make soak`. The seeds are named, so that a failure replays."""

import os
from pathlib import Path

import pytest

from controller.model.settings import Config
from simulators.day import play_day
from simulators.faults import draw_faults
from simulators.scenario import Scenario
from tests.days.virtual import in_virtual_time

pytestmark = pytest.mark.soak

SEEDS = range(1, 1 + int(os.environ.get("PEAKSHARE_SOAK_SEEDS", "20")))


@pytest.mark.parametrize("seed", SEEDS)
@in_virtual_time
async def test_no_day_leaves_a_device_held_or_a_command_repeated(
    seed: int, town: Config, scenario: Scenario, tmp_path: Path
):
    """A lost link, a refusal, a liar and opt-outs; each seed strikes others at other times."""
    faults = draw_faults(scenario, town, seed)
    async with play_day(town, scenario, tmp_path, seed=seed, faults=faults) as day:
        await day.until("19:45")
        controller = day.require()

        assert day.held() == []
        assert controller.steering.all_free
        assert set(day.executions().values()) == {1}
        commands = await day.store.journal.commands()
        assert not any(town.fleet[c.setpoint.resource_id].protected for c in commands)
        settled = await day.settle()
        assert settled["unreconciled"] == 0
        assert (await controller.settle(actor="operator"))["posted"] == 0
