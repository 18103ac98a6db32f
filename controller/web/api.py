"""The routes of the running controller: deny by default, bounded, JSON in and out."""

import hmac
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from fastapi import Body, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, field_validator

from controller.app import Controller
from controller.errors import InputError, PeakshareError
from controller.model.events import EventSource
from controller.model.ids import CustomerId, EventId, ResourceId
from controller.web.openadr import event_from_openadr, event_to_openadr

MAX_BODY_BYTES = 1_000_000
OPEN_PATHS = frozenset({"/healthz"})
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
_OURS = frozenset({"controller", "scheduler"})

Next = Callable[[Request], Awaitable[Response]]


class _Ask(BaseModel):
    model_config = ConfigDict(extra="forbid")
    actor: str = Field(default="operator", pattern=r"^[\w .@+-]{1,64}$")

    @field_validator("actor")
    @classmethod
    def _nobody_else(cls, actor: str) -> str:
        """The audit trail's own names are not for those who ask from outside."""
        if actor.strip().lower() in _OURS:
            raise ValueError(f"{actor!r} is the program itself")
        return actor


class Reasoned(_Ask):
    """An operator's act with its reason."""

    reason: str = Field(min_length=1, max_length=500)


class OptOut(Reasoned):
    """A customer's or operator's opt-out of one resource."""

    resource_id: str = Field(min_length=1, max_length=64)


class MeterFiles(_Ask):
    """Meter files to import, paths on this machine."""

    paths: list[str] = Field(min_length=1, max_length=1000)


def make_api(controller: Controller, token: str) -> FastAPI:
    """The API of `controller`; every route but /healthz wants `token` as a bearer token."""
    api = FastAPI(title="Peakshare", version="1", docs_url=None, redoc_url=None)
    _guard(api, token, _LOOPBACK | {_bracketed(controller.config.http.host.lower())})
    _reads(api, controller)
    _acts(api, controller)
    return api


def _guard(api: FastAPI, token: str, hosts: frozenset[str]) -> None:
    @api.middleware("http")
    async def deny_by_default(request: Request, call_next: Next) -> Response:
        if _host_of(request.headers.get("host", "")) not in hosts:
            return _problem(403, "this host name is not served")
        if "transfer-encoding" in request.headers:
            return _problem(411, "a message says how long it is")
        if not _fits(request.headers.get("content-length", "0")):
            return _problem(413, f"at most {MAX_BODY_BYTES} bytes")
        given = request.headers.get("authorization", "")
        if request.url.path not in OPEN_PATHS and not hmac.compare_digest(
            given.encode(), f"Bearer {token}".encode()
        ):
            return _problem(401, "a bearer token is needed")
        return await call_next(request)

    @api.exception_handler(PeakshareError)
    async def as_problem(_request: Request, error: PeakshareError) -> Response:
        status = 422 if isinstance(error, InputError) else 409
        faults = [asdict(fault) for fault in error.faults]
        return _problem(
            status, str(error), message=error.message, faults=faults, code=error.code,
            hint=error.hint,
        )  # fmt: skip


def _reads(api: FastAPI, controller: Controller) -> None:
    @api.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @api.get("/status")
    async def status() -> dict[str, Any]:
        return await controller.status()

    @api.get("/events")
    async def events() -> list[dict[str, Any]]:
        return await controller.list_events()

    @api.get("/events/{event_id}")
    async def event(event_id: str) -> dict[str, Any]:
        return await controller.show_event(EventId(event_id))

    @api.get("/plan")
    async def plan() -> dict[str, Any]:
        return await controller.show_plan()

    @api.get("/result")
    async def result() -> dict[str, Any]:
        return await controller.result()

    @api.get("/statements")
    async def statements() -> list[list[str]]:
        return await controller.statement_table()

    @api.get("/statements/{customer_id}")
    async def statement(customer_id: str) -> Response:
        page = await controller.statement_page(CustomerId(customer_id))
        return Response(page, media_type="text/html; charset=utf-8")


def _acts(api: FastAPI, controller: Controller) -> None:
    @api.post("/openadr3/3.1.0/events", status_code=201)
    async def take_event(wire: Annotated[Any, Body()]) -> dict[str, object]:
        event = event_from_openadr(
            wire,
            zone=controller.config.area.id,
            source=EventSource.OPERATOR,
            now=controller.clock.now(),
            random=controller.random,
        )
        return event_to_openadr(await controller.take_event(event, actor="operator"))

    @api.post("/events/{event_id}/approve")
    async def approve(event_id: str, ask: _Ask) -> dict[str, Any]:
        return await controller.approve_event(EventId(event_id), actor=ask.actor)

    @api.post("/events/{event_id}/cancel")
    async def cancel(event_id: str, ask: Reasoned) -> dict[str, Any]:
        return await controller.cancel_event(EventId(event_id), ask.reason, actor=ask.actor)

    @api.post("/stop")
    async def stop(ask: Reasoned) -> dict[str, Any]:
        return await controller.stop_all(ask.reason, actor=ask.actor)

    @api.post("/resume")
    async def resume(ask: Reasoned) -> dict[str, Any]:
        return await controller.resume(ask.reason, actor=ask.actor)

    @api.post("/shutdown")
    async def shutdown(ask: Reasoned) -> dict[str, Any]:
        return await controller.shut_down(ask.reason, actor=ask.actor)

    @api.post("/opt-outs")
    async def opt_out(ask: OptOut) -> dict[str, Any]:
        return await controller.opt_out(ResourceId(ask.resource_id), ask.reason, actor=ask.actor)

    @api.post("/meters/import")
    async def import_meters(ask: MeterFiles) -> dict[str, Any]:
        return await controller.import_meters([Path(p) for p in ask.paths], actor=ask.actor)

    @api.post("/settle")
    async def settle(ask: _Ask) -> dict[str, Any]:
        return await controller.settle(actor=ask.actor)


def _fits(length: str) -> bool:
    return (
        length.isascii()
        and length.isdecimal()
        and len(length) < 20
        and (int(length) <= MAX_BODY_BYTES)
    )


def _host_of(header: str) -> str:
    """The host of a Host header, without its port; an IPv6 address keeps its brackets."""
    host, separator, port = header.strip().lower().rpartition(":")
    return host if separator and port.isdecimal() and not host.endswith(":") else header.lower()


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _problem(status: int, detail: str, **more: object) -> JSONResponse:
    """RFC 9457 problem details."""
    body = {"type": "about:blank", "status": status, "detail": detail, **more}
    return JSONResponse(
        json.loads(json.dumps(body)), status_code=status, media_type="application/problem+json"
    )
