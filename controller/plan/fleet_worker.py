"""The search in a process of its own: whatever a solver does, the answer is there in time.

The process sends every improvement as it is found; when the time is up it is killed, and the last
improvement is the answer. Before the first one there is the merit order.
"""

import multiprocessing
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from time import monotonic

from controller.errors import PlanError
from controller.plan.fleet_answer import Answer, Ended
from controller.plan.instance import Instance

GRACE_FRAC = 0.95
"""Of the time that is left the search gets so much; the rest is for handing over."""


def plan_within(instance: Instance, *, gap: float, seed: int, time_limit_s: float) -> Answer:
    """The best plan found in time. Raises PlanError where not even the merit order is one."""
    until = monotonic() + time_limit_s
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    left = max(0.1, GRACE_FRAC * time_limit_s)
    process = context.Process(target=_search, args=(theirs, instance, gap, seed, left), daemon=True)
    process.start()
    theirs.close()
    best: Answer | None = None
    done = False
    try:
        while not done and ours.poll(max(0.0, until - monotonic())):
            best, done = ours.recv()
    except EOFError:
        pass  # It died: what it sent stands.
    finally:
        process.kill()
        process.join()
        ours.close()
    return best if best is not None else _floor(instance)


def _search(
    pipe: Connection, instance: Instance, gap: float, seed: int, time_limit_s: float
) -> None:
    from controller.plan.fleet_solve import solve_fleet

    send: Callable[[Answer], None] = lambda answer: pipe.send((answer, False))  # noqa: E731
    answer = solve_fleet(instance, gap=gap, seed=seed, time_limit_s=time_limit_s, report=send)
    pipe.send((answer, True))


def _floor(instance: Instance) -> Answer:
    """The merit order, without a solver."""
    from controller.plan.fleet_floor import floor_plan
    from controller.plan.fleet_plan import broken_rows, objective

    plan = floor_plan(instance)
    faults = broken_rows(instance, plan)
    if faults:
        raise PlanError("no plan keeps the hard limits: " + "; ".join(faults))
    cost = objective(instance, plan)
    return replace(
        Answer(plan=plan, objective=cost, bound=0.0, by="merit order"), ended=Ended.CLOCK
    )
