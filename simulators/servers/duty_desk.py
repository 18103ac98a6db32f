"""The duty desks of told sites behind HTTP: notices in, answers and meter values out.

`python -m simulators.servers.duty_desk --config DIR --scenario FILE --out DIR`
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from controller.model.events import Notice, Offer
from controller.model.ids import ContractId, EventId, ResourceId
from controller.model.time import Grid, Series
from simulators.duty import DutyDesks
from simulators.population import TruthPart
from simulators.servers.shell import Clock, Scene, Served, main

_MINUTE = timedelta(minutes=1)
_LONGEST_WAIT_S = 30.0


class Desks(Protocol):
    """The people: `simulators.duty.DutyDesks`."""

    @property
    def next_due(self) -> datetime | None: ...

    def take(self, notice: Notice, now: datetime) -> None: ...

    def answers(self, now: datetime) -> list[Offer]: ...


class Meters(Protocol):
    """The sites' meters: `simulators.population.Population`."""

    def advance(self, to: datetime) -> None: ...

    def truth(self) -> TruthPart: ...


class DeskServer:
    """`open()` gives the port; `run()` in a task serves it and lets people answer in time."""

    def __init__(
        self, desks: Desks, meters: Meters, addresses: dict[ResourceId, str], clock: Clock
    ) -> None:
        self._desks = desks
        self._meters = meters
        self._addresses = addresses
        self._clock = clock
        self._answers: list[dict[str, Any]] = []
        self._asked = asyncio.Event()
        self._answered = asyncio.Condition()

    def open(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listen on loopback; returns the port. Raises OSError."""
        self._socket = socket.create_server((host, port))
        found: int = self._socket.getsockname()[1]
        return found

    async def run(self) -> None:
        """Serve until cancelled."""
        app = Starlette(
            routes=[
                Route("/notices", self._take, methods=["POST"]),
                Route("/answers", self._give_answers),
                Route("/readings", self._give_readings),
            ]
        )
        config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off")
        server = _QuietServer(config)
        server.force_exit = True
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(server.serve(sockets=[self._socket]))
                tasks.create_task(self._let_answer())
        finally:
            await server.shutdown(sockets=[self._socket])

    async def _let_answer(self) -> None:
        """Let each answer come when it is due."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            while (due := self._desks.next_due) is not None:
                await self._clock.sleep_until(min(due, self._clock.now() + _MINUTE))
                if offers := self._desks.answers(self._clock.now()):
                    async with self._answered:
                        for offer in offers:
                            self._answers.append(_written(offer, len(self._answers) + 1))
                        self._answered.notify_all()

    async def _take(self, request: Request) -> Response:
        try:
            notice = _notice(await request.json())
        except (ValueError, KeyError, TypeError):
            return JSONResponse({"error": "this is no notice"}, status_code=422)
        self._desks.take(notice, self._clock.now())
        self._asked.set()
        return Response(status_code=204)

    async def _give_answers(self, request: Request) -> Response:
        after = int(request.query_params.get("after", 0))
        wait_s = min(float(request.query_params.get("wait_s", 0)), _LONGEST_WAIT_S)
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s), self._answered:
                while len(self._answers) <= after:
                    await self._answered.wait()
        return JSONResponse({"answers": self._answers[after:]})

    async def _give_readings(self, request: Request) -> Response:
        after = datetime.fromtimestamp(float(request.query_params.get("after", 0)), UTC)
        self._meters.advance(self._clock.now())
        part = self._meters.truth()
        grid = part.grid
        found = []
        for i in range(max(0, grid.index(after)), grid.count):
            at = grid.at(i + 1)
            if at > after:
                for k, resource_id in enumerate(part.resource_ids):
                    kw = float(part.controlled_kw[i, k])
                    found.append(_reading(self._addresses[resource_id], at, kw))
        return JSONResponse({"readings": found})


class _QuietServer(uvicorn.Server):
    """Leaves the process's signals to whoever runs it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _notice(body: Any) -> Notice:
    """Raises ValueError, KeyError, TypeError for anything else."""
    grid = Grid(
        start=datetime.fromtimestamp(body["start"], UTC),
        step=timedelta(seconds=body["step_s"]),
        count=len(body["kw"]),
    )
    return Notice(
        id=str(body["id"]),
        event_id=EventId(str(body["event_id"])),
        contract_id=ContractId(str(body["contract_id"])),
        kw=Series(grid=grid, values=np.array(body["kw"], dtype=np.float64)),
        sent_at=datetime.fromtimestamp(body["sent_at"], UTC),
        reply_by=datetime.fromtimestamp(body["reply_by"], UTC),
    )


def _written(offer: Offer, number: int) -> dict[str, Any]:
    return {
        "number": number,
        "notice_id": offer.notice_id,
        "event_id": offer.event_id,
        "contract_id": offer.contract_id,
        "answer": str(offer.answer),
        "start": offer.kw.grid.start.timestamp(),
        "step_s": offer.kw.grid.step.total_seconds(),
        "kw": offer.kw.values.tolist(),
        "answered_at": offer.answered_at.timestamp(),
        "by": offer.by,
    }


def _reading(address: str, at: datetime, kw: float) -> dict[str, Any]:
    return {"address": address, "at": at.timestamp(), "values": {"kw": round(kw, 3)}}


@asynccontextmanager
async def _serve(scene: Scene) -> AsyncIterator[Served]:
    desks = DutyDesks(scene.config, scene.scenario, scene.population, scene.seed)
    addresses = {r.id: r.address for r in scene.population.resources}
    server = DeskServer(desks, scene.population, addresses, scene.clock)
    port = server.open(port=scene.links[0].port)
    yield Served(ports={scene.links[0].id: port}, work=[server.run()])


if __name__ == "__main__":
    main("duty_desk", _serve)
