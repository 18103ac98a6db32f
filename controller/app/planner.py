"""Plans made in a process of their own: killable, warmed, with the greedy plan as floor."""

import asyncio
import multiprocessing
import os
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from multiprocessing.process import BaseProcess
from threading import Thread
from types import TracebackType
from typing import Self

from controller.model.plans import Plan
from controller.plan import greedy_plan, make_plan, warm_up
from controller.plan.problem import Problem
from controller.ports import Clock


class Planner:
    """`async with Planner(clock) as planner`: one spawned worker that has the solver loaded.

    Spawn and never fork: the parent has threads (MQTT, the store's writer).
    """

    def __init__(self, clock: Clock, pool: Executor | None = None) -> None:
        self._clock = clock
        self._given = pool
        self._pool: Executor | None = pool

    async def __aenter__(self) -> Self:
        self._open()
        await self._clock.offload(self._worker.submit(warm_up))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    async def plan(self, problem: Problem) -> Plan:
        """The best plan found within the work limit; the greedy one if the worker fails us."""
        kill_after_s = problem.planning.kill_after_s
        try:
            async with asyncio.timeout(kill_after_s):
                return await self._clock.offload(self._worker.submit(make_plan, problem))
        except (TimeoutError, BrokenProcessPool) as error:
            self._close()
            self._open()
            why = f"the solver gave no plan within {kill_after_s:g} s"
            if isinstance(error, BrokenProcessPool):
                why = "the solver process died"
            plan = await self._clock.offload(self._worker.submit(greedy_plan, problem))
            return replace(plan, notes=(*plan.notes, f"{why}; this is the merit order"))

    @property
    def _worker(self) -> Executor:
        if self._pool is None:
            raise RuntimeError("the planner is not open")
        return self._pool

    def _open(self) -> None:
        if self._pool is None:
            spawn = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(
                max_workers=1, mp_context=spawn, initializer=_end_with_parent
            )

    def _close(self) -> None:
        """Kill the worker: a solver that does not return in time is not waited for."""
        pool, self._pool = self._pool, self._given
        if isinstance(pool, ProcessPoolExecutor) and pool is not self._given:
            for process in list((pool._processes or {}).values()):
                process.kill()
            pool.shutdown(wait=False, cancel_futures=True)


def _end_with_parent() -> None:
    """In the worker: a controller killed with -9 leaves no solver behind."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        Thread(target=_exit_after, args=(parent,), daemon=True).start()


def _exit_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
