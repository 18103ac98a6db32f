"""Stories told in virtual time: a simulated day takes seconds and is the same twice."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

from controller.model.resources import APPLIANCE_KINDS
from simulators.clock import JumpLoop
from simulators.day import Day

Story = Callable[..., Coroutine[Any, Any, None]]


def in_virtual_time(story: Story) -> Callable[..., None]:
    """Run an async test on a loop whose time jumps to the next timer."""

    @wraps(story)
    def told(**fixtures: Any) -> None:
        with asyncio.Runner(loop_factory=JumpLoop) as runner:
            runner.run(story(**fixtures))

    return told


def held_sites(day: Day) -> list[str]:
    """Sites that are held now."""
    return [r for r in day.held() if day.config.fleet[r].kind not in APPLIANCE_KINDS]
