"""Child processes of the supervisor: started, made ready, given the start line, ended.

Every child gets its own session (an interrupt reaches only us) and a pipe as standard input:
the first line is the start line, its end is the lifeline, so that no child outlives us.
"""

import asyncio
import contextlib
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.clock import StartLine
from controller.errors import DemoError

READY_S = 60.0
STOP_S = 8.0


@dataclass(kw_only=True)
class Child:
    """One running child process."""

    name: str
    process: Process
    log: Path
    ready: dict[str, Any]

    def start(self, line: StartLine) -> None:
        """Hand over the start line: its clock leaves the epoch."""
        if self.process.stdin is not None:
            self.process.stdin.write(f"{line.to_json()}\n".encode())

    async def stop(self) -> int:
        """SIGTERM, then its lifeline, then SIGKILL; its exit code."""
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        return await self.ended()

    async def ended(self, within_s: float = STOP_S) -> int:
        """Wait for the child to end by itself; kill it after `within_s`."""
        try:
            async with asyncio.timeout(within_s):
                return await self.process.wait()
        except TimeoutError:
            self.kill()
            return await self.process.wait()

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()


async def start_child(name: str, module: str, arguments: Sequence[str], logs: Path) -> Child:
    """Start `python -m module` and wait for its one JSON ready line. Raises DemoError."""
    log = _log_file(logs, name)
    with log.open("ab") as stream:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", module, *arguments,
            stdin=PIPE, stdout=PIPE, stderr=stream, start_new_session=True,
        )  # fmt: skip
    child = Child(name=name, process=process, log=log, ready={})
    try:
        async with asyncio.timeout(READY_S):
            line = await process.stdout.readline() if process.stdout else b""
        child.ready = json.loads(line)
    except (TimeoutError, ValueError) as error:
        child.kill()
        await process.wait()
        tail = log.read_text(errors="replace")[-1500:]
        raise DemoError(
            f"{name} did not start: {line.decode(errors='replace')[:200]!r}\n{tail}",
            hint=f"See {log}.",
        ) from error
    except BaseException:
        child.kill()
        raise
    return child


def _log_file(folder: Path, name: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{name}.log"
