"""JumpLoop: an event loop on which time jumps to the next timer when nothing is ready.

The real program runs on it unchanged: a simulated day of a real app takes seconds and is the
same twice. Time stands still while work is offloaded (counted by `JumpClock.offload`) or a
socket has data, so thread results and real protocol bytes arrive at the virtual instant at
which they were asked for.
"""

import asyncio
import selectors
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime, timedelta
from typing import Any, TypeVar

from controller.clock import offload

T = TypeVar("T")


class _JumpSelector(selectors.BaseSelector):
    """A selector that, when idle, asks the loop to jump instead of blocking."""

    def __init__(self, jump: Callable[[float], bool]) -> None:
        self._real = selectors.DefaultSelector()
        self._jump = jump

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._real.modify(fileobj, events, data)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = self._real.select(0)
        if ready or timeout is None or timeout <= 0:
            return ready if ready or timeout is not None else self._real.select(None)
        return [] if self._jump(timeout) else self._real.select(0.05)

    def close(self) -> None:
        self._real.close()

    def get_map(self) -> Any:
        return self._real.get_map()


class JumpLoop(asyncio.SelectorEventLoop):
    """Use as `asyncio.Runner(loop_factory=JumpLoop)`; `loop.time()` is virtual seconds."""

    def __init__(self) -> None:
        self._virtual_s = 0.0
        self.offloaded = 0
        super().__init__(_JumpSelector(self._try_jump))

    def time(self) -> float:
        return self._virtual_s

    def _try_jump(self, seconds: float) -> bool:
        """Advance by `seconds` unless work is still out; then the selector waits for real."""
        if self.offloaded:
            return False
        self._virtual_s += seconds
        return True


class JumpClock:
    """The clock of a JumpLoop: it stood at `epoch` when it was made.

    On any other loop it runs on from there in real time.
    """

    def __init__(self, epoch: datetime, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._epoch = epoch
        self._loop = loop or asyncio.get_running_loop()
        self._began_s = self._loop.time()

    def now(self) -> datetime:
        return self._epoch + timedelta(seconds=self._loop.time() - self._began_s)

    async def sleep_until(self, at: datetime) -> None:
        while (wait := (at - self.now()).total_seconds()) > 0:
            await asyncio.sleep(wait)

    async def offload(self, future: Future[T]) -> T:
        loop = self._loop
        if not isinstance(loop, JumpLoop):
            return await offload(future)
        loop.offloaded += 1
        try:
            return await offload(future)
        finally:
            loop.offloaded -= 1
