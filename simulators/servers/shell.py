"""What every simulator process does alike: arguments, the ready line, the start line, the end.

It prints `{"ready": true, "links": {link id: port}}`, reads one start line (`controller.clock`)
from stdin, runs on the demo clock, and ends on SIGTERM or when stdin closes, which is how it
notices that its supervisor has died. At the end it writes its part of the truth.
"""

import asyncio
import gc
import json
import signal
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from controller.clock import DemoClock, StartLine
from controller.config import load_config
from controller.errors import InputError, UsageError
from controller.model.ids import LinkId
from controller.model.settings import Config, LinkSettings
from simulators.faults import draw_faults
from simulators.population import Population
from simulators.scenario import Scenario, read_scenario
from simulators.truth import write_part


class Clock(Protocol):
    """The part of `controller.clock` that a server needs."""

    def now(self) -> datetime: ...

    async def sleep_until(self, at: datetime) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a server plays: its links, their devices, and the time."""

    config: Config
    scenario: Scenario
    seed: int
    links: Sequence[LinkSettings]
    population: Population
    clock: DemoClock
    broker: tuple[str, int] | None = None
    """Host and port of the MQTT broker, for the one server that is a client itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """An open server: where it listens, and what it does until the end."""

    ports: Mapping[LinkId, int]
    work: Sequence[Coroutine[Any, Any, None]] = field(default_factory=tuple)


Opener = Callable[[Scene], AbstractAsyncContextManager[Served]]


def main(protocol: str, opener: Opener, arguments: Sequence[str] | None = None) -> None:
    """Run one simulator process; ends the process: 0 after a run, 2 on wrong input."""
    chosen = _arguments(protocol, arguments)
    try:
        scene = _scene(protocol, chosen)
        asyncio.run(_run(scene, opener))
    except InputError as error:
        print(error, file=sys.stderr)
        raise SystemExit(error.exit_code) from error
    scene.population.advance(scene.clock.now())
    write_part(chosen.out / f"{protocol}.npz", scene.population)


def _arguments(protocol: str, arguments: Sequence[str] | None) -> Namespace:
    parser = ArgumentParser(prog=f"python -m simulators.servers.{protocol}")
    parser.add_argument("--config", type=Path, required=True, help="the configuration folder")
    parser.add_argument("--scenario", type=Path, required=True, help="the scenario's TOML page")
    parser.add_argument("--out", type=Path, required=True, help="folder for the part of the truth")
    parser.add_argument("--state", type=Path, help="devices at the epoch, as write_feed left them")
    parser.add_argument("--seed", type=int, help="instead of the scenario's own")
    parser.add_argument("--broker", help="HOST:PORT of the MQTT broker (mqtt only)")
    return parser.parse_args(arguments)


def _scene(protocol: str, chosen: Namespace) -> Scene:
    """Raises ConfigError, InputError."""
    config = load_config(chosen.config)
    scenario = read_scenario(chosen.scenario, config.area.timezone)
    seed = scenario.page.seed if chosen.seed is None else chosen.seed
    links = [link for link in config.links.values() if link.protocol == protocol]
    ids = [r.id for r in config.fleet if config.links[r.link].protocol == protocol]
    population = Population(
        config,
        scenario.world(seed),
        ids,
        seed,
        scenario.epoch,
        faults=draw_faults(scenario, config, seed),
        saved=chosen.state,
    )
    return Scene(
        config=config,
        scenario=scenario,
        seed=seed,
        links=links,
        population=population,
        clock=DemoClock(scenario.epoch),
        broker=_broker(chosen.broker),
    )


def _broker(text: str | None) -> tuple[str, int] | None:
    if text is None:
        return None
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal():
        raise UsageError(f"--broker {text}: expected HOST:PORT")
    return host, int(port)


async def _run(scene: Scene, opener: Opener) -> None:
    end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end.set)
    async with opener(scene) as served, asyncio.TaskGroup() as tasks:
        working = [tasks.create_task(work) for work in served.work]
        listening = tasks.create_task(_listen(scene.clock, end))
        gc.freeze()  # what is here stays to the end: never look through it again
        print(json.dumps({"ready": True, "links": served.ports}), flush=True)
        await end.wait()
        for task in (*working, listening):
            task.cancel()


async def _listen(clock: DemoClock, end: asyncio.Event) -> None:
    """Start the clock with the start line; a closed stdin is the end."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    try:
        if line := await reader.readline():
            clock.start(StartLine.from_json(line.decode()))
            while await reader.read(4096):
                pass
        end.set()
    finally:
        transport.close()
