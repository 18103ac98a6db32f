"""The HTTP side: nobody without the token, nothing that is not understood."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from random import Random
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from controller.errors import EventError
from controller.model.events import DREvent
from controller.web.api import OPEN_PATHS, make_api
from tests.test_openadr import a_wire

TOKEN = "correct horse"


class FakeController:
    """Takes what the API hands it and remembers it."""

    def __init__(self) -> None:
        self.config = SimpleNamespace(
            area=SimpleNamespace(id="riverside"), http=SimpleNamespace(host="::1")
        )
        self.clock = SimpleNamespace(now=lambda: datetime(2014, 1, 28, 5, 10, tzinfo=UTC))
        self.random = Random(1)
        self.taken: list[DREvent] = []
        self.stopped: list[str] = []

    async def take_event(self, event: DREvent, actor: str) -> DREvent:
        if event.source_id == "too late":
            raise EventError("this event is over")
        self.taken.append(event)
        return event

    async def stop_all(self, reason: str, actor: str) -> dict[str, Any]:
        self.stopped.append(reason)
        return {"released": 3}

    async def status(self) -> dict[str, Any]:
        return {"target_kw": 0.0}


@pytest.fixture
def controller() -> FakeController:
    return FakeController()


@pytest.fixture
async def client(controller: FakeController) -> AsyncIterator[httpx.AsyncClient]:
    api = make_api(controller, TOKEN)  # type: ignore[arg-type]
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=api),
        base_url="http://127.0.0.1:1",
        headers={"Authorization": f"Bearer {TOKEN}"},
    ) as client:
        yield client


async def test_every_route_but_health_is_closed_without_the_token(controller: FakeController):
    """Generated from the router: a new route is closed until it is named open."""
    api = make_api(controller, TOKEN)  # type: ignore[arg-type]
    transport = httpx.ASGITransport(app=api)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as stranger:
        for route in api.routes:
            template = getattr(route, "path", "/")
            for method in getattr(route, "methods", None) or ():
                path = template.replace("{event_id}", "x").replace("{customer_id}", "x")
                for token in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer "}):
                    answer = await stranger.request(method, path, headers=token)
                    expected = 200 if template in OPEN_PATHS else 401
                    assert answer.status_code == expected, (method, path)

    assert controller.taken == []
    assert controller.stopped == []


async def test_a_strange_host_header_is_refused(client: httpx.AsyncClient):
    """A web page that rebinds its name to loopback does not get through."""
    answer = await client.get("/status", headers={"Host": "evil.example"})

    assert answer.status_code == 403


async def test_an_openadr_event_is_taken(client: httpx.AsyncClient, controller: FakeController):
    answer = await client.post("/openadr3/3.1.0/events", json=a_wire())

    assert answer.status_code == 201
    assert answer.json()["objectType"] == "EVENT"
    assert controller.taken[0].target.values.max() == 5200.0


async def test_a_bad_event_gets_a_problem_that_names_its_faults(
    client: httpx.AsyncClient, controller: FakeController
):
    answer = await client.post("/openadr3/3.1.0/events", json=a_wire(priority="high"))

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert "priority" in answer.json()["detail"]
    assert answer.json()["code"] == "PS-120"
    assert controller.taken == []


async def test_a_refused_event_says_why(client: httpx.AsyncClient):
    answer = await client.post("/openadr3/3.1.0/events", json=a_wire(eventName="too late"))

    assert answer.status_code == 422
    assert answer.json()["detail"] == "this event is over"


async def test_an_oversized_message_is_refused(client: httpx.AsyncClient):
    answer = await client.post("/openadr3/3.1.0/events", content=b"[" * 2_000_000)

    assert answer.status_code == 413


async def test_a_message_without_a_length_is_bounded_too(client: httpx.AsyncClient):
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"[" * 50_000

    answer = await client.post("/openadr3/3.1.0/events", content=endless())

    assert answer.status_code in (411, 413)


async def test_an_emergency_stop_wants_a_reason(
    client: httpx.AsyncClient, controller: FakeController
):
    assert (await client.post("/stop", json={})).status_code == 422
    assert (await client.post("/stop", json={"reason": "fire", "x": 1})).status_code == 422
    assert (await client.post("/stop", json={"reason": "fire"})).json() == {"released": 3}
    assert controller.stopped == ["fire"]


@pytest.mark.parametrize("host", ["[::1]", "[::1]:8123", "127.0.0.1:1", "LocalHost"])
async def test_every_way_of_naming_this_machine_is_served(client: httpx.AsyncClient, host: str):
    assert (await client.get("/status", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize("length", ["9" * 5000, "-1", "1e3", "²"])
async def test_a_length_that_is_no_number_is_refused(client: httpx.AsyncClient, length: str):
    answer = await client.post("/stop", headers=[(b"Content-Length", length.encode("latin-1"))])

    assert answer.status_code == 413


async def test_nobody_signs_as_the_program_itself(
    client: httpx.AsyncClient, controller: FakeController
):
    for name in ("controller", " Scheduler", "a\nb"):
        answer = await client.post("/stop", json={"reason": "drill", "actor": name})
        assert answer.status_code == 422

    assert controller.stopped == []
