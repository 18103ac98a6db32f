"""What a controller is made of: the services it is given, and the parts that steer."""

from collections.abc import Mapping
from concurrent.futures import Executor as Pool
from dataclasses import dataclass
from pathlib import Path
from random import Random

from controller.app.asking import Asker
from controller.app.calling import Caller
from controller.app.operating import Operating
from controller.app.planner import Planner
from controller.app.situation import Situation
from controller.app.steering import Steering
from controller.app.telling import Teller
from controller.app.watching import Watch
from controller.dispatch.executor import Executor
from controller.model.ids import LinkId
from controller.model.settings import Config
from controller.ports import Clock, Desk, Journal, Link, Telemetry
from controller.telemetry import Readings


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything concrete, opened by the caller: the app closes nothing it did not open."""

    clock: Clock
    journal: Journal
    telemetry: Telemetry
    links: Mapping[LinkId, Link]
    desks: Mapping[LinkId, Desk]
    planner: Planner
    threads: Pool
    random: Random
    feed_folder: Path
    fence: int
    """Taken from the journal before the links were opened."""


def make_steering(
    config: Config, s: Services, situation: Situation, readings: Readings, executor: Executor
) -> Steering:
    """The parts that steer, strung together; they know no forecast yet."""
    nothing = Operating.empty(config.fleet, s.clock.now())
    return Steering(
        config=config,
        situation=situation,
        journal=s.journal,
        clock=s.clock,
        planner=s.planner,
        asker=Asker(config=config, situation=situation, operating=nothing, random=s.random),
        teller=Teller(
            config=config, situation=situation, journal=s.journal, desks=s.desks, clock=s.clock
        ),
        caller=Caller(
            config=config, situation=situation, operating=nothing, readings=readings,
            executor=executor, journal=s.journal, clock=s.clock,
        ),
        watch=Watch(config=config, situation=situation, operating=nothing, readings=readings),
    )  # fmt: skip
