"""The last look before the wire: whatever a plan says, this is never sent."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from controller.dispatch.setpoints import Wanted
from controller.model.commands import Control
from controller.model.ids import ResourceId
from controller.model.resources import Fleet


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A command that the gate did not let through."""

    resource_id: ResourceId
    reason: str


def admit(
    wants: Iterable[Wanted],
    fleet: Fleet,
    latest_kw: Mapping[ResourceId, float],
    barred: Mapping[ResourceId, str],
    held: Collection[ResourceId] = (),
) -> tuple[list[Wanted], list[Refusal]]:
    """Drop what is protected or barred; lift caps that would cut into a safety floor.

    `latest_kw` is the newest reading, not the forecast: a site that already draws its floor or
    less is left alone, unless it is `held`: then that is our cap at work, and the cap goes on,
    at the floor or above. `barred` names resources with an opt-out or a standing refusal.
    """
    passed: list[Wanted] = []
    refused: list[Refusal] = []
    for want in wants:
        resource = fleet[want.resource_id]
        if resource.protected:
            refused.append(Refusal(resource_id=resource.id, reason="protected load"))
        elif resource.id in barred:
            refused.append(Refusal(resource_id=resource.id, reason=barred[resource.id]))
        elif want.control is Control.CAP_KW and resource.floor_kw > 0:
            draws_kw = latest_kw.get(resource.id, float("inf"))
            if resource.id not in held and draws_kw <= resource.floor_kw:
                reason = f"draws its safety floor of {resource.floor_kw:g} kW already"
                refused.append(Refusal(resource_id=resource.id, reason=reason))
            else:
                passed.append(replace(want, value=max(want.value, resource.floor_kw)))
        else:
            passed.append(want)
    return passed, refused


def per_minute(wants: Sequence[Wanted], max_kw_per_min: float) -> list[list[Wanted]]:
    """Split into batches of at most `max_kw_per_min` of started reduction, in the given order.

    One command larger than the limit goes alone: the limit paces starts, it forbids none.
    """
    batches: list[list[Wanted]] = [[]]
    started_kw = 0.0
    for want in wants:
        if batches[-1] and started_kw + want.reduction_kw > max_kw_per_min:
            batches.append([])
            started_kw = 0.0
        batches[-1].append(want)
        started_kw += want.reduction_kw
    return [b for b in batches if b]
