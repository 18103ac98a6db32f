"""Cohorts of like appliances: how they are formed, and who of them is called.

A plan only counts members; because the runs of a cohort with the recovery after them are
intervals, a count that never exceeds the members can always be given names, first come first
served (colouring of an interval graph), so the plan's numbers hold to the device.
"""

from collections.abc import Iterable, Mapping, Sequence, Set

import numpy as np

from controller.errors import PlanError
from controller.model.contracts import Contract
from controller.model.ids import CohortId
from controller.model.plans import Assignment, Cohort
from controller.model.resources import APPLIANCE_KINDS, Fleet, ResourceKind
from controller.model.settings import CohortRule
from controller.model.time import Series
from controller.plan.arrays import CohortTerms, Ints, Terms, contract_of
from controller.plan.draft import Draft


def form_cohorts(
    fleet: Fleet,
    contracts: Sequence[Contract],
    rules: Sequence[CohortRule],
    *,
    excluded: Set[int] = frozenset(),
    calls: Mapping[int, int] | None = None,
) -> tuple[Cohort, ...]:
    """Like appliances (contract, kind, feeder, rated power) in cohorts of about the rule's size.

    `excluded` are fleet indexes that must not be called (opted out, unreachable); who has used
    up the season's calls (`calls`) is left out too. Leaving out never moves others to another
    cohort, so ids stay the same from plan to plan. Appliances without a rule are in none.
    """
    calls = calls or {}
    rule_of = {rule.kind: rule for rule in rules}
    cohorts: list[Cohort] = []
    for contract in contracts:
        out = {
            i
            for r in contract.resource_ids
            if (i := fleet.index_of[r]) in excluded
            or fleet.resources[i].protected
            or calls.get(i, 0) >= contract.max_calls_per_season
        }
        for (kind, feeder, rated), indexes in sorted(_alike(fleet, contract).items()):
            if kind in rule_of:
                key = f"{contract.id}/{kind}/{feeder}/{rated:g}kW"
                cohorts += _split(fleet, contract, rule_of[kind], key, indexes, out)
    return tuple(cohorts)


def _alike(fleet: Fleet, contract: Contract) -> dict[tuple[ResourceKind, str, float], list[int]]:
    groups: dict[tuple[ResourceKind, str, float], list[int]] = {}
    for i in sorted(fleet.index_of[r] for r in contract.resource_ids):
        resource = fleet.resources[i]
        if resource.kind in APPLIANCE_KINDS:
            key = (resource.kind, str(resource.feeder), rated_class(resource.rated_kw))
            groups.setdefault(key, []).append(i)
    return groups


def rated_class(rated_kw: float) -> float:
    """Rated power to the next half kW: devices of one class count as alike."""
    return round(max(rated_kw, 0.0) * 2) / 2


def _split(
    fleet: Fleet,
    contract: Contract,
    rule: CohortRule,
    key: str,
    indexes: Sequence[int],
    out: Set[int],
) -> Iterable[Cohort]:
    """Equal parts in the order of the fleet; parts without anybody left are dropped."""
    parts = max(1, round(len(indexes) / max(1, rule.cohort_size)))
    for n, part in enumerate(np.array_split(np.array(indexes, dtype=np.int64), parts)):
        members = tuple(int(i) for i in part if int(i) not in out)
        if not members:
            continue
        rated = float(np.mean([fleet.resources[int(i)].rated_kw for i in part]))
        one = fleet.resources[members[0]]
        yield Cohort(
            id=CohortId(f"{key}/{n:02d}"),
            contract_id=contract.id,
            kind=rule.kind,
            zone=one.zone,
            feeder=one.feeder,
            members=members,
            control=rule.control,
            control_value=rule.value if rule.value_frac is None else rule.value_frac * rated,
            max_run=rule.max_run,
            recovery=rule.recovery,
        )


def assign_members(terms: Terms, draft: Draft) -> tuple[Assignment, ...]:
    """Names for the draft's counts, beside the runs that are fixed; least called first.

    Raises PlanError if the counts exceed what the members can do (a bug in whoever made them).
    """
    named = list(terms.kept)
    for cohort, counts in zip(terms.cohorts, draft.counts, strict=True):
        named += _named(terms, cohort, counts)
    return tuple(named)


def _named(terms: Terms, k: CohortTerms, counts: Ints) -> Iterable[Assignment]:
    contract = contract_of(terms.problem, k.cohort.contract_id)
    free_from = dict.fromkeys(k.cohort.members, 0)
    today = dict.fromkeys(k.cohort.members, 0)
    for run in terms.kept:
        for m in set(run.members) & free_from.keys():
            free_from[m] = max(free_from[m], run.start + run.length + k.recovery)
            today[m] += 1
    used = np.flatnonzero(counts)
    for o in used[np.lexsort((-k.length[used], k.start[used]))]:
        start, length, count = int(k.start[o]), int(k.length[o]), int(counts[o])
        free = [
            m
            for m in k.cohort.members
            if free_from[m] <= start and today[m] < contract.max_calls_per_day
        ]
        free.sort(key=lambda m: (terms.problem.calls.get(m, 0) + today[m], m))
        if len(free) < count:
            raise PlanError(f"{count} members of {k.cohort.id} wanted, {len(free)} are free")
        for m in free[:count]:
            free_from[m] = start + length + k.recovery
            today[m] += 1
        yield Assignment(
            cohort_id=k.cohort.id,
            contract_id=k.cohort.contract_id,
            start=start,
            length=length,
            members=tuple(free[:count]),
            kw_each=Series(grid=terms.grid, values=k.kw[o]),
        )
