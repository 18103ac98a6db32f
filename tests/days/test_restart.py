"""What a controller that was started again does not know yet, it does not hold against anyone."""

import asyncio
from pathlib import Path

import pytest

from controller.model.settings import Config
from simulators.clock import JumpLoop
from simulators.day import play_day
from simulators.scenario import Scenario

pytestmark = pytest.mark.slow


def test_after_a_restart_nobody_is_silent_who_has_not_had_the_time_to_report(
    town: Config, scenario: Scenario, tmp_path: Path
):
    """Its readings begin at its start; the first look once gave up every called contract."""

    async def story() -> None:
        async with asyncio.TaskGroup() as tasks, play_day(town, scenario, tmp_path) as day:
            await day.until("16:22")
            given_up = dict(day.require().situation.given_up)
            await day.crash()

            await day.until("16:41")
            controller = await day.start(tasks)
            await day.until("17:15")
            assert controller.steering.verifications
            assert controller.situation.given_up == given_up
            assert [h.text for h in controller.situation.happenings if h.kind == "fault"] == []

    with asyncio.Runner(loop_factory=JumpLoop) as runner:
        runner.run(story())
