"""The web server as one task of the app: its own socket, nobody's signals."""

import contextlib
import socket
from collections.abc import Callable, Iterator

import uvicorn
from fastapi import FastAPI


class _QuietServer(uvicorn.Server):
    """Signals belong to the app, not to its web server."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def bind(host: str, port: int) -> socket.socket:
    """A listening TCP socket; port 0 picks a free one. Raises OSError."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(64)  # from now on nobody is refused: who comes early waits
    except OSError:
        sock.close()
        raise
    return sock


async def serve(api: FastAPI, sock: socket.socket, started: Callable[[], None]) -> None:
    """Serve until cancelled. `started` is called once requests are taken."""
    config = uvicorn.Config(
        api, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=2,
        limit_concurrency=64, h11_max_incomplete_event_size=65536,
    )  # fmt: skip
    server = _QuietServer(config)
    started()
    try:
        await server.serve(sockets=[sock])
    finally:
        server.should_exit = True
        sock.close()
