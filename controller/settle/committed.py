"""Who was called: the kW that each meter was committed to, by contract."""

from collections import defaultdict
from collections.abc import Collection, Mapping

import numpy as np

from controller.model.events import Timeline
from controller.model.ids import ContractId, MeterId, ResourceId
from controller.model.plans import Plan
from controller.model.resources import Fleet
from controller.model.time import Series

Committed = Mapping[tuple[ContractId, MeterId], Series]


def committed_by_meter(
    plan: Plan, fleet: Fleet, took: Collection[ResourceId], line: Timeline
) -> Committed:
    """KW per contract and meter on the timeline; homes that never took a command are left out.

    `plan` is the last of its day, `fleet` the one whose indexes it speaks. A contract's commitment
    is shared among its resources by rated power; a home has its own reduction while it is held.
    """
    out: dict[tuple[ContractId, MeterId], np.ndarray] = defaultdict(
        lambda: np.zeros(line.grid.count)
    )
    for commitment in plan.commitments:
        kw = np.nan_to_num(commitment.kw.on(line.grid).values)
        rated = np.array([fleet[r].rated_kw for r in commitment.resource_ids])
        for r, share in zip(commitment.resource_ids, rated / rated.sum(), strict=True):
            if kw.any():
                out[commitment.contract_id, fleet[r].meter_id] += kw * share
    for assignment in plan.assignments:
        run = np.zeros(plan.grid.count)
        held = slice(assignment.start, assignment.start + assignment.length)
        run[held] = np.maximum(np.nan_to_num(assignment.kw_each.values[held]), 0.0)
        kw = np.nan_to_num(Series(grid=plan.grid, values=run).on(line.grid).values)
        for resource in (fleet.resources[m] for m in assignment.members):
            if resource.id in took and kw.any():
                out[assignment.contract_id, resource.meter_id] += kw
    return {k: Series(grid=line.grid, values=v) for k, v in out.items()}
