"""What each device should obey now, by the plan: pure, absolute, ending by itself."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from controller.model.commands import Control, Setpoint
from controller.model.ids import EventId, ResourceId
from controller.model.plans import Assignment, Commitment, Plan
from controller.model.settings import Config
from controller.model.time import Series

LEASE_INTERVALS = 2
"""A site's setpoint is renewed each interval and outlives a dead controller by at most one."""

OFF = 1.0
"""The value of an `off` setpoint; releasing is what switches on again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a device should obey from `start` to `until`."""

    event_id: EventId
    resource_id: ResourceId
    control: Control
    value: float
    start: datetime
    until: datetime
    reduction_kw: float
    """What this is expected to take off; the rate limiter counts it."""


def wanted(
    plan: Plan,
    config: Config,
    operating_kw: Mapping[ResourceId, Series],
    release_offset: Mapping[int, timedelta],
    at: datetime,
) -> dict[ResourceId, Wanted]:
    """What the plan wants of each wired device in the interval that holds `at`.

    `operating_kw` is each site's operating forecast: a cap is that forecast minus the
    reduction, never below the floor. `release_offset` staggers homes by fleet index. Empty
    outside the plan's grid.
    """
    i = plan.grid.index(at)
    if not 0 <= i < plan.grid.count or plan.ruling[i] is None:
        return {}
    out: dict[ResourceId, Wanted] = {}
    for commitment in plan.commitments:
        if config.contracts[commitment.contract_id].wired and commitment.kw.values[i] > 0:
            out.update(_of_site(plan, config, commitment, operating_kw, i))
    for assignment in plan.assignments:
        if assignment.start <= i < assignment.start + assignment.length:
            out.update(_of_homes(plan, config, assignment, release_offset, i))
    return out


def differs(want: Wanted, obeys: Setpoint | None, deadband_kw: float) -> bool:
    """Whether the device must be written: nothing held, another value, or the lease runs out."""
    return (
        obeys is None
        or obeys.control is not want.control
        or abs(obeys.value - want.value) > deadband_kw
        or obeys.until != want.until
    )


def _of_site(
    plan: Plan,
    config: Config,
    commitment: Commitment,
    operating_kw: Mapping[ResourceId, Series],
    i: int,
) -> Iterator[tuple[ResourceId, Wanted]]:
    """Caps of the sites of a contract, its reduction shared by what each can give."""
    at = plan.grid.at(i)
    event_id = plan.ruling[i]
    if event_id is None:
        return
    until = min(_run_end(plan, commitment.kw, i), plan.grid.at(i + LEASE_INTERVALS))
    load = {r: operating_kw[r].value_at(at) for r in commitment.resource_ids}
    room = {r: max(0.0, kw - config.fleet[r].floor_kw) for r, kw in load.items() if kw == kw}
    for r, can_kw in room.items():
        share = can_kw / sum(room.values()) if sum(room.values()) > 0 else 0.0
        reduction = min(can_kw, float(commitment.kw.values[i]) * share)
        cap = max(config.fleet[r].floor_kw, load[r] - reduction)
        yield (
            r,
            Wanted(
                event_id=event_id,
                resource_id=r,
                control=Control.CAP_KW,
                value=round(cap, 1),
                start=at,
                until=until,
                reduction_kw=reduction,
            ),
        )


def _of_homes(
    plan: Plan,
    config: Config,
    assignment: Assignment,
    release_offset: Mapping[int, timedelta],
    i: int,
) -> Iterator[tuple[ResourceId, Wanted]]:
    """A home gets its whole window in one command."""
    event_id = plan.ruling[i]
    if event_id is None:
        return
    cohort = plan.cohort(assignment.cohort_id)
    contract = config.contracts[assignment.contract_id]
    start = plan.grid.at(assignment.start)
    end = plan.grid.at(assignment.start + assignment.length)
    for member in assignment.members:
        resource = config.fleet.resources[member]
        stagger = release_offset.get(member, timedelta(0))
        offset = _offset(min(contract.max_duration, cohort.max_run), end - start, stagger)
        yield (
            resource.id,
            Wanted(
                event_id=event_id,
                resource_id=resource.id,
                control=cohort.control,
                value=OFF if cohort.control is Control.OFF else cohort.control_value,
                start=start,
                until=end + offset,
                reduction_kw=max(0.0, float(assignment.kw_each.values[i])),
            ),
        )


def _offset(longest: timedelta, length: timedelta, stagger: timedelta) -> timedelta:
    """The stagger goes after the end, but never past the longest call (contract and comfort)."""
    return max(timedelta(0), min(stagger, longest - length))


def _run_end(plan: Plan, kw: Series, i: int) -> datetime:
    idle = np.flatnonzero(kw.values[i:] <= 0)
    return plan.grid.at(i + int(idle[0])) if idle.size else plan.grid.end
