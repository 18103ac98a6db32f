"""`peakshare demo`: simulators, broker, controller, one day, and nothing that they do not do.

The supervisor starts every process, holds the clock at the epoch until the day-ahead plan is
made, hands everyone the start line, sends the grid operator's second event, stops the
simulators after the day, imports the metering operator's file, settles, and writes the result.
"""

import asyncio
import json
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from adapters.broker import Broker
from controller.cli import screen
from controller.cli.client import Client, find
from controller.cli.files import not_written
from controller.cli.outcome import finished, with_truth, write_table
from controller.cli.processes import Child, start_child
from controller.clock import Segment, StartLine
from controller.config import load_config
from controller.errors import DemoError, NotRunningError, PeakshareError
from controller.model.settings import Config
from controller.model.time import QUARTER_HOUR, Grid, Interval, Series
from controller.web.openadr import reduction_event
from simulators import scenario as scenarios
from simulators.feed import write_feed, write_meter_day
from simulators.truth import day_document, read_parts, write_truth

SERVERS = ("opcua", "modbus", "mqtt", "duty_desk")
"""The slowest to start comes first."""
PLAN_S = 60.0
START_IN_S = 0.3
GIVE_BACK_S = 5.0


@dataclass(kw_only=True)
class Demo:
    """One played day: its folders, processes and clock."""

    folder: Path
    """The configuration."""
    out: Path
    config: Config
    scenario: scenarios.Scenario
    seed: int
    say: screen.Progress
    servers: list[Child] = field(default_factory=list)
    controller: Child | None = None
    line: StartLine | None = None

    @property
    def data(self) -> Path:
        return self.out / "data"

    @property
    def feed(self) -> Path:
        return self.out / "feed"

    @property
    def links(self) -> Path:
        return self.out / "links.json"

    @property
    def client(self) -> Client:
        return find(self.data)

    def now(self) -> datetime:
        """The played time."""
        if self.line is None:
            return self.scenario.epoch
        return self.line.simulated(time.monotonic())

    async def prepare(self, stack: AsyncExitStack) -> None:
        """Feed, broker, simulators, meter history: everything but the controller."""
        state = self.out / "state.npz"
        self.say.step("the world: 27 days of meters, area load, weather forecast")
        await asyncio.to_thread(write_feed, self.feed, state, self.config, self.scenario, self.seed)
        self.say.step("broker and simulators")
        broker = await stack.enter_async_context(Broker(log=self.out / "logs" / "broker.log"))
        mqtt = next(s.id for s in self.config.links.values() if s.protocol == "mqtt")
        addresses: dict[str, Any] = {mqtt: {"host": "127.0.0.1", "port": broker.port}}
        async with asyncio.TaskGroup() as tasks:
            importing = tasks.create_task(self._import_meters())
            starting = [
                tasks.create_task(self._start_server(n, state, broker.port)) for n in SERVERS
            ]
        for task in starting:
            server = task.result()
            self.servers.append(server)
            stack.push_async_callback(server.stop)
            for link, port in server.ready.get("links", {}).items():
                addresses.setdefault(link, {"host": "127.0.0.1", "port": port})
        self.links.write_text(json.dumps(addresses, indent=1))
        self.say.step(f"{importing.result()} meter rows imported")

    async def start_controller(self) -> Child:
        """Start `peakshare run`; again after a crash, then with the start line in a file."""
        arguments = [
            "--debug", "run", str(self.folder), "--data", str(self.data), "--feed", str(self.feed),
            "--links", str(self.links), "--epoch", self.scenario.epoch.isoformat(),
            "--seed", str(self.seed),
        ]  # fmt: skip
        if self.line is not None:
            file = self.out / "start.json"
            file.write_text(self.line.to_json())
            arguments += ["--start-line", str(file)]
        self.controller = await start_child(
            "controller", "controller", arguments, self.out / "logs"
        )
        return self.controller

    async def wait_for_plan(self) -> Interval:
        """The dispatch window of the day-ahead plan, made while the clock is held."""
        deadline = time.monotonic() + PLAN_S
        while time.monotonic() < deadline:
            now = await self._status()
            if now and now["plan_revision"] and now["window"]:
                start, end = (datetime.fromisoformat(t) for t in now["window"])
                return Interval(start=start, end=end)
            await asyncio.sleep(0.1)
        raise DemoError("no day-ahead plan was made", hint="See logs/controller.log.")

    def start_clock(self, segments: Sequence[Segment]) -> None:
        """Everyone leaves the epoch together."""
        self.line = StartLine(mono0_s=time.monotonic() + START_IN_S, segments=tuple(segments))
        for child in [*self.servers, *([self.controller] if self.controller else [])]:
            child.start(self.line)

    async def play(self) -> None:
        """The day, with the grid operator's event in it, until every device is free."""
        async with asyncio.TaskGroup() as tasks:
            if self.scenario.page.emergency is not None:
                tasks.create_task(self._emergency())
            while self.now() < self.scenario.end:
                if now := await self._status():
                    self.say.show(self.now(), now)
                await asyncio.sleep(0.25)

    async def finish(self) -> dict[str, Any]:
        """Stop the world, hand over the meters, settle twice, collect what happened."""
        self.say.step("the metering operator's hand-over")
        for server in self.servers:
            await server.stop()
        parts = sorted((self.out / "parts").glob("*.npz"))
        world = self.scenario.world(self.seed)
        truth = await asyncio.to_thread(read_parts, parts, ZoneInfo(self.scenario.timezone))
        document = day_document(truth, self.config, world, self.scenario.day)
        write_truth(self.out / "truth.json", document)
        file = write_meter_day(self.out / "handover", self.config, truth)
        client = self.client
        await asyncio.to_thread(client.post, "/meters/import", {"paths": [str(file.resolve())]})
        self.say.step("settlement, twice")
        first = await asyncio.to_thread(client.post, "/settle", {})
        again = await asyncio.to_thread(client.post, "/settle", {})
        result = await asyncio.to_thread(client.get, "/result")
        result["settlement"] |= {"posted": first["posted"], "posted_again": again["posted"]}
        statements = await self._statements(client, result)
        await asyncio.to_thread(client.post, "/shutdown", {"reason": "the day is over"})
        if self.controller is not None:
            await self.controller.ended()
        return {
            "result": with_truth(result, document), "truth": document, "statements": statements
        }  # fmt: skip

    async def give_back(self, reason: str) -> None:
        """Interrupted: the controller lets every device go, as `stop --all` does."""
        self.say.step(f"{reason}: devices are released")
        try:
            async with asyncio.timeout(GIVE_BACK_S):
                done = await asyncio.to_thread(self.client.post, "/stop", {"reason": reason})
        except (TimeoutError, PeakshareError) as error:
            self.say.step(f"they end by themselves, the controller did not release them: {error}")
            return
        self.say.step(f"{done['released']} released, {len(done['still_held'])} still held")

    async def _statements(self, client: Client, result: dict[str, Any]) -> list[tuple[str, str]]:
        """All as one table, and the pages of the factory and the home that gave most."""
        folder = self.out / "statements"
        folder.mkdir(parents=True, exist_ok=True)
        write_table(self.out / "statements.csv", await asyncio.to_thread(client.get, "/statements"))
        pages: list[tuple[str, str]] = []
        for sample in result["report"]["samples"]:
            if customer_id := sample.get("customer_id"):
                page = await asyncio.to_thread(client.page, f"/statements/{customer_id}")
                (folder / f"{customer_id}.html").write_text(page, encoding="utf-8")
                pages.append((sample["name"], f"statements/{customer_id}.html"))
        return pages

    async def _emergency(self) -> None:
        """The grid operator's own client: an OpenADR event over HTTP, at its time."""
        page = self.scenario.page.emergency
        if page is None or self.line is None:
            return
        at = scenarios.emergency_posted_at(self.scenario)
        await asyncio.sleep(max(0.0, self.line.monotonic(at) - time.monotonic()))
        events = await asyncio.to_thread(self.client.get, "/events")
        first = next((e for e in events if e["source"] == "scheduler"), None)
        if first is None:
            return
        start = datetime.fromisoformat(first["start"])
        count = len(first["target_kw"])
        grid = Grid(start=start, step=QUARTER_HOUR, count=count)
        asked = Series(grid=grid, values=np.array(first["target_kw"]))
        target = scenarios.emergency_target(self.scenario, asked)
        wire = reduction_event(
            target, program_id=first["program_id"], name=page.source_id, priority=page.priority,
            emergency=True,
        )  # fmt: skip
        await asyncio.to_thread(self.client.post, "/openadr3/3.1.0/events", wire)

    async def _start_server(self, name: str, state: Path, broker: int) -> Child:
        arguments = [
            "--config", str(self.folder), "--scenario", str(self.scenario.path),
            "--state", str(state), "--out", str(self.out / "parts"), "--seed", str(self.seed),
            *(["--broker", f"127.0.0.1:{broker}"] if name == "mqtt" else []),
        ]  # fmt: skip
        return await start_child(name, f"simulators.servers.{name}", arguments, self.out / "logs")

    async def _import_meters(self) -> int:
        """`peakshare meter import` of the history: the path a real utility uses."""
        files = sorted((self.feed / "meters").glob("*.parquet"))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "controller", "meter", "import", "--json",
            "--config", str(self.folder), "--data", str(self.data), *map(str, files),
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            printed, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        if process.returncode:
            raise DemoError("the meter history could not be imported")
        return int(json.loads(printed)["rows"])

    async def _status(self) -> dict[str, Any] | None:
        try:
            status = await asyncio.to_thread(lambda: self.client.get("/status"))
        except NotRunningError:
            self._require_controller()
            return None
        return dict(status)

    def _require_controller(self) -> None:
        if self.controller is not None and self.controller.process.returncode is not None:
            tail = self.controller.log.read_text(errors="replace")[-2000:]
            raise DemoError(
                f"the controller ended with {self.controller.process.returncode}\n{tail}",
                hint=f"See {self.controller.log}.",
            )


def play(folder: Path | None, out: Path, seed: int | None, *, as_json: bool) -> int:
    """Play the day of a configuration; 0 when everything came out whole, else 1."""
    began = time.monotonic()
    demo = make_demo(folder, out, seed, quiet=as_json)
    inputs = asyncio.run(_play(demo))
    inputs["result"]["seconds"] = round(time.monotonic() - began, 1)
    return finished(demo.out, inputs, as_json=as_json, timezone=demo.config.area.timezone)


def make_demo(folder: Path | None, out: Path, seed: int | None, *, quiet: bool = False) -> Demo:
    """A demo on a fresh output folder. Raises ConfigError, ScenarioError and OutputError."""
    folder = folder or _shipped("demo")
    config = load_config(folder)
    scenario = scenarios.read_scenario(folder / "scenarios" / "day.toml", config.area.timezone)
    for old in ("data", "feed", "parts", "handover", "logs", "statements"):
        shutil.rmtree(out / old, ignore_errors=True)
    try:
        (out / "logs").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise not_written(out, error) from error
    return Demo(
        folder=folder.resolve(), out=out.resolve(), config=config, scenario=scenario,
        seed=scenario.page.seed if seed is None else seed,
        say=screen.Progress(config.area.timezone, quiet=quiet),
    )  # fmt: skip


def simulate_only(folder: Path, out: Path, seed: int | None, *, as_json: bool) -> int:
    """Run broker and simulators of a configuration on their own until interrupted."""
    demo = make_demo(folder, out, seed, quiet=as_json)
    try:
        asyncio.run(_simulate(demo, as_json=as_json))
    except KeyboardInterrupt:
        demo.say.step("interrupted: simulators stopped")
    return 0


async def _play(demo: Demo) -> dict[str, Any]:
    async with AsyncExitStack() as stack:
        await demo.prepare(stack)
        demo.say.step("controller: forecast and day-ahead plan")
        controller = await demo.start_controller()
        stack.push_async_callback(controller.stop)
        try:
            window = await demo.wait_for_plan()
            names = {str(c.id): c.name for c in demo.config.contracts.values()}
            demo.say.plan(await asyncio.to_thread(demo.client.get, "/plan"), names)
            demo.start_clock(scenarios.segments(demo.scenario, window))
            await demo.play()
            return await demo.finish()
        except asyncio.CancelledError:
            await demo.give_back("the demonstration was interrupted")
            raise


async def _simulate(demo: Demo, *, as_json: bool) -> None:
    async with AsyncExitStack() as stack:
        await demo.prepare(stack)
        day = Interval(start=demo.scenario.epoch, end=demo.scenario.end)
        demo.start_clock(scenarios.segments(demo.scenario, day))
        demo.say.step(f"simulators run; addresses in {demo.links}, feed in {demo.feed}")
        if as_json:
            screen.show_json({"links": str(demo.links), "feed": str(demo.feed)})
        await asyncio.Event().wait()


def _shipped(name: str) -> Path:
    """A configuration that came with the package: in the wheel, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "_configs" / name
    return inside if inside.exists() else package.parent / "configs" / name
