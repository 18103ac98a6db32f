"""`peakshare run`: the only place that knows every concrete class."""

import asyncio
import contextlib
import json
import logging
import os
import secrets
import signal
import socket
import stat
import sys
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

from adapters.broker import Broker
from adapters.registry import desk_of, open_link
from controller.app import Controller, Services
from controller.app.controller import make_controller
from controller.app.planner import Planner
from controller.cli.client import RUN_FILE, TOKEN_FILE
from controller.cli.files import read_json
from controller.cli.instants import instant_of
from controller.clock import DemoClock, StartLine, SystemClock
from controller.config import load_config
from controller.errors import AddressFileError, Fault, PortError, UsageError
from controller.model.ids import LinkId
from controller.model.settings import Config, HttpSettings, LinkSettings
from controller.ports import Clock, Desk, Link
from controller.store import open_store
from controller.web.api import make_api
from controller.web.server import bind, serve

log = logging.getLogger("peakshare")

_ADDRESS = 'an address by link id: {"link id": {"host": "127.0.0.1", "port": 502}}'


def run_controller(
    folder: Path,
    data: Path,
    *,
    feed: Path | None,
    links: Path | None,
    start_line: Path | None,
    epoch: str | None,
    seed: int | None,
) -> int:
    """Run until stopped; 0 when it was asked to end, 1 when a part of it failed."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(name)s: %(message)s")
    for noisy in ("httpx", "uvicorn.error", "apscheduler"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    config = load_config(folder)
    addresses = read_addresses(links, config.links)
    begun = None if epoch is None else instant_of("--epoch", epoch)
    line = _start_line(start_line, begun)
    return asyncio.run(_run(config, data, feed or data / "feed", addresses, begun, line, seed))


async def _run(
    config: Config,
    data: Path,
    feed: Path,
    addresses: dict[str, tuple[str, int]],
    epoch: datetime | None,
    line: StartLine | None,
    seed: int | None,
) -> int:
    clock: Clock = SystemClock() if epoch is None else DemoClock(epoch)
    if isinstance(clock, DemoClock) and line is not None:
        clock.start(line)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(data, clock))
        fence = await store.journal.take_fence()
        random = Random(None if seed is None else f"{seed}:{fence}")
        threads = stack.enter_context(ThreadPoolExecutor(2, thread_name_prefix="work"))
        planner = await stack.enter_async_context(Planner(clock))
        links, desks = await _open_links(stack, config, addresses, clock, fence)
        services = Services(
            clock=clock, journal=store.journal, telemetry=store.telemetry, links=links,
            desks=desks, planner=planner, threads=threads, random=random, feed_folder=feed,
            fence=fence,
        )  # fmt: skip
        controller = await make_controller(config, services)
        sock = _bind(config.http)
        stack.callback(sock.close)
        token = _token(data)
        address = sock.getsockname()
        stack.callback((data / RUN_FILE).unlink, missing_ok=True)

        def started() -> None:
            _write_private(data / RUN_FILE, json.dumps(
                {"host": address[0], "port": address[1], "pid": os.getpid()}
            ))  # fmt: skip
            print(json.dumps({"ready": True, "port": address[1]}), flush=True)

        _end_on_signals(controller)
        api = make_api(controller, token)
        beside = [lambda: serve(api, sock, started)]
        if isinstance(clock, DemoClock) and (line is None or _is_lifeline(sys.stdin.fileno())):
            beside.append(lambda: _obey_supervisor(clock, controller, line))
        await controller.run(*beside)
    return 0


def _bind(http: HttpSettings) -> socket.socket:
    try:
        return bind(http.host, http.port)
    except OSError as error:
        message = f"{http.host}:{http.port} cannot be served: {error.strerror}"
        raise PortError(message) from error


async def _open_links(
    stack: AsyncExitStack,
    config: Config,
    addresses: dict[str, tuple[str, int]],
    clock: Clock,
    fence: int,
) -> tuple[dict[LinkId, Link], dict[LinkId, Desk]]:
    """Open every link; the embedded broker too where a link asks for it and none is named."""
    links: dict[LinkId, Link] = {}
    desks: dict[LinkId, Desk] = {}
    for settings in config.links.values():
        placed = _placed(settings, addresses)
        if placed.protocol == "mqtt" and placed.port == 0:
            broker = await stack.enter_async_context(Broker(host=placed.host))
            placed = replace(placed, port=broker.port)
            log.info("embedded MQTT broker on %s:%s", placed.host, placed.port)
        link = await stack.enter_async_context(open_link(
            placed, config.fleet, config.profiles, clock, fence=fence,
            run_id=f"{os.getpid()}-{fence}",
        ))  # fmt: skip
        links[settings.id] = link
        if (desk := desk_of(link)) is not None:
            desks[settings.id] = desk
    return links, desks


def read_addresses(file: Path | None, known: Collection[str]) -> dict[str, tuple[str, int]]:
    """Addresses of links by id: {"id": {"host": …, "port": …}}. Raises AddressFileError."""
    if file is None:
        return {}
    message = "the addresses of links cannot be read"
    raw = read_json(file, AddressFileError, message)
    if not isinstance(raw, dict):
        raw = {"document": raw}
    faults = [
        Fault(file=str(file), place=link, value=json.dumps(v)[:80], expected=_ADDRESS)
        for link, v in raw.items()
        if not _is_address(v)
    ]
    if faults:
        raise AddressFileError(message, faults)
    if strangers := [link for link in raw if link not in known]:
        expected = f"the id of a link: {', '.join(known)}"
        raise AddressFileError(message, [
            Fault(file=str(file), place=link, value="unknown link", expected=expected)
            for link in strangers
        ])  # fmt: skip
    return {link: (v["host"], v["port"]) for link, v in raw.items()}


def _is_address(value: Any) -> bool:
    """A host and a port; JSON's true is no port."""
    if not isinstance(value, dict) or set(value) != {"host", "port"}:
        return False
    host, port = value["host"], value["port"]
    return isinstance(host, str) and bool(host) and type(port) is int and 0 <= port < 65536


def _placed(settings: LinkSettings, addresses: dict[str, tuple[str, int]]) -> LinkSettings:
    if settings.id not in addresses:
        return settings
    host, port = addresses[settings.id]
    return replace(settings, host=host, port=port)


def _is_lifeline(descriptor: int) -> bool:
    """A pipe (or asyncio's socket pair) from a supervisor, and not a terminal or /dev/null."""
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def _start_line(file: Path | None, epoch: datetime | None) -> StartLine | None:
    """The start line in `file`. Raises UsageError where there is none, or no clock to start."""
    if file is None:
        return None
    if epoch is None:
        raise UsageError("--start-line starts a demo clock: say --epoch too")
    try:
        return StartLine.from_json(file.read_text())
    except (OSError, ValueError) as error:
        expected = "the start line of a demo clock"
        fault = Fault(file=str(file), place="file", value=str(error), expected=expected)
        raise UsageError("the start line cannot be read", [fault]) from error


async def _obey_supervisor(
    clock: DemoClock, controller: Controller, line: StartLine | None
) -> None:
    """The supervisor writes one start line when all are ready; when its pipe closes, we end."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    if line is None and (first := await reader.readline()):
        clock.start(StartLine.from_json(first.decode()))
    while await reader.read(4096):
        pass
    controller.stopping.set()


def _end_on_signals(controller: Controller) -> None:
    """SIGTERM and SIGINT end the process and release nothing: every setpoint ends by itself."""
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, controller.stopping.set)


def _token(data: Path) -> str:
    """The API's bearer token, made at the first run, readable by its owner only."""
    file = data / TOKEN_FILE
    with contextlib.suppress(FileNotFoundError):
        return file.read_text().strip()
    token = secrets.token_urlsafe(32)
    _write_private(file, token)
    return token


def _write_private(file: Path, text: str) -> None:
    """Write whole or not at all, mode 0600."""
    part = file.with_suffix(".part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
    part.replace(file)
