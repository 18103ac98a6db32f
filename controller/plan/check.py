"""An independent checker: a plan against its problem, term by term, straight from the contracts.

It shares no code with the model, the greedy or their arrays (only the nouns and `Problem`), so
that a misreading there cannot excuse itself here. Plain loops over instants; slow is fine.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from controller.model.contracts import Contract, ContractUse
from controller.model.ids import ContractId
from controller.model.plans import Plan
from controller.plan.check_members import check_members, in_window
from controller.plan.check_sums import check_sums
from controller.plan.problem import Problem

KW = 1e-3


def check_plan(plan: Plan, problem: Problem) -> tuple[str, ...]:
    """Every broken term as a sentence; empty when the plan keeps all of them."""
    frame = tuple(_frame(plan, problem))
    if frame:
        return frame
    return (
        *(f for c in plan.commitments for f in _commitment(plan, problem, c.contract_id)),
        *_left_out(plan, problem),
        *check_members(plan, problem),
        *check_sums(plan, problem),
    )


def _frame(plan: Plan, problem: Problem) -> Iterator[str]:
    """The plan speaks of the same intervals, events and targets as the problem."""
    line, grid = problem.timeline, problem.timeline.grid
    if (plan.grid.start, plan.grid.step) != (grid.start, grid.step) or plan.grid.count < grid.count:
        yield "the plan's grid is not the timeline's"
        return
    if plan.ruling[: grid.count] != line.ruling or any(plan.ruling[grid.count :]):
        yield "the plan names other ruling events than the timeline"
    ids = [c.contract_id for c in plan.commitments]
    known = {c.id for c in problem.contracts}
    yield from (f"{i} has two commitments" for i in sorted({i for i in ids if ids.count(i) > 1}))
    yield from (f"{i} is no contract of the problem" for i in ids if i not in known)
    for t, kw in enumerate(plan.target_kw.values):
        ruled = t < grid.count and line.ruling[t] is not None
        if abs(kw - (line.target.values[t] if ruled else 0.0)) > KW:
            yield f"the target of interval {t} is not the timeline's"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Calls:
    """How a contract is called, by instant, with what the earlier plan did before."""

    contract: Contract
    kw: Mapping[datetime, float]
    """From the first open interval on."""
    before: Mapping[datetime, float]
    """The earlier plan's, past and announced."""
    runs: Sequence[tuple[datetime, datetime]]
    open_from: datetime
    forced_until: datetime
    """A run that is on at `open_from` cannot end earlier than this."""


def _commitment(plan: Plan, problem: Problem, contract_id: ContractId) -> Iterator[str]:
    contract = next(c for c in problem.contracts if c.id == contract_id)
    calls = _calls(plan, problem, contract)
    for at, kw in _series(plan, contract_id).items():
        if at < calls.open_from and abs(kw - calls.before.get(at, 0.0)) > KW:
            earlier = problem.fixed is not None and contract_id in problem.fixed.commitments
            if earlier or contract_id not in problem.locked:
                yield f"{contract_id} is changed in the past, {at:%H:%M}Z"
    if contract_id in problem.excluded:
        if any(kw > KW for kw in calls.kw.values()):
            yield f"{contract_id} is called although excluded: {problem.excluded[contract_id]}"
    elif contract_id in problem.locked:
        yield from _promise(problem, calls)
    else:
        yield from _levels(plan, problem, calls)
        yield from _durations(calls)
        yield from _notice_and_rest(problem, calls)
        yield from _budget(problem, calls)


def _left_out(plan: Plan, problem: Problem) -> Iterator[str]:
    """Whoever is on record as called, has promised, or must go on, has a commitment."""
    listed = {c.contract_id for c in plan.commitments}
    for contract in problem.contracts:
        if contract.id in listed:
            continue
        calls = _calls(plan, problem, contract)
        was = any(
            kw > KW and plan.grid.start <= at < calls.open_from for at, kw in calls.before.items()
        )
        if was:
            yield f"{contract.id} was called and is not in the plan"
        elif contract.id not in problem.excluded:
            if contract.id in problem.locked:
                yield from _promise(problem, calls)
            elif calls.forced_until > calls.open_from:
                yield f"{contract.id} stops before its least duration"


def _promise(problem: Problem, calls: _Calls) -> Iterator[str]:
    """What was accepted is called, no more and no less."""
    locked = problem.locked[calls.contract.id]
    for at, kw in calls.kw.items():
        promised = locked.value_at(at)
        if abs(kw - (promised if promised == promised else 0.0)) > KW:
            yield f"{calls.contract.id} promised {promised:g} kW at {at:%H:%M}Z, not {kw:g}"


def _levels(plan: Plan, problem: Problem, calls: _Calls) -> Iterator[str]:
    """Steps or range of each resource; within what the load leaves, where an event rules."""
    c, step = calls.contract, plan.grid.step
    for at, kw in calls.kw.items():
        if abs(kw) <= KW:
            continue
        each = kw / max(1, len(c.resource_ids))
        if c.steps_kw and min(abs(each - s) for s in c.steps_kw) > KW:
            yield f"{c.id}: {each:g} kW is none of its steps"
        if not c.steps_kw and not c.min_kw - KW <= each <= c.max_kw + KW:
            yield f"{c.id}: {each:g} kW is outside {c.min_kw:g} to {c.max_kw:g}"
        if at < calls.forced_until:
            continue
        known = problem.flexibility.get(c.id)
        can = known.down_kw.value_at(at) if known else 0.0
        if not kw <= can + KW:
            yield f"{c.id} can give {can:g} kW at {at:%H:%M}Z, not {kw:g}"
        if plan.ruling[plan.grid.index(at)] is None:
            yield f"{c.id} is called at {at:%H:%M}Z, where no event rules"
        if not in_window(c, at, step, problem.timezone):
            yield f"{c.id} is called at {at:%H:%M}Z, outside its hours"


def _durations(calls: _Calls) -> Iterator[str]:
    c = calls.contract
    for start, end in calls.runs:
        if end < calls.open_from:
            continue
        if end - start < c.min_duration:
            yield f"{c.id} runs {end - start}, at least {c.min_duration} is agreed"
        if end - start > c.max_duration and end > max(calls.forced_until, calls.open_from):
            yield f"{c.id} runs {end - start}, at most {c.max_duration} is agreed"


def _notice_and_rest(problem: Problem, calls: _Calls) -> Iterator[str]:
    c = calls.contract
    lead = c.notice if c.wired else c.notice + c.reply_within
    for start, _ in calls.runs:
        announced = calls.before.get(start, 0.0) > KW
        if start >= calls.open_from and start < problem.now + lead and not announced:
            yield f"{c.id} starts at {start:%H:%M}Z without its notice of {lead}"
    for (_, end), (start, _) in pairwise(calls.runs):
        if start >= calls.open_from and start - end < c.rest:
            yield f"{c.id} rests {start - end}, {c.rest} is agreed"


def _budget(problem: Problem, calls: _Calls) -> Iterator[str]:
    c, runs = calls.contract, calls.runs
    use = problem.use.get(c.id, ContractUse(contract_id=c.id))
    if any(start >= calls.open_from for start, _ in runs):
        if use.calls_today + len(runs) > c.max_calls_per_day:
            yield f"{c.id} is called more than {c.max_calls_per_day} times a day"
        if use.calls_season + len(runs) > c.max_calls_per_season:
            yield f"{c.id} is called more than {c.max_calls_per_season} times a season"
    hours = use.hours_year + sum((e - s).total_seconds() for s, e in runs) / 3600
    if hours > c.max_hours_per_year + 1e-9 and any(
        end > max(calls.forced_until, calls.open_from) for _, end in runs
    ):
        yield f"{c.id} runs more than {c.max_hours_per_year:g} h a year"


def _calls(plan: Plan, problem: Problem, contract: Contract) -> _Calls:
    fixed, step = problem.fixed, plan.grid.step
    open_from = max(fixed.until, plan.grid.start) if fixed else plan.grid.start
    before = _by_instant(problem, contract.id)
    called = _series(plan, contract.id)
    instants = [plan.grid.at(t) for t in range(plan.grid.count)]
    now = {at: called.get(at, 0.0) for at in instants if at >= open_from}
    past = {at: kw for at, kw in before.items() if at < open_from}
    runs = _stretches([at for at, kw in sorted({**past, **now}.items()) if kw > KW], step)
    ran = _stretches([at for at, kw in sorted(past.items()) if kw > KW], step)
    running = ran and ran[-1][1] == open_from
    return _Calls(
        contract=contract,
        kw=now,
        before=before,
        runs=runs,
        open_from=open_from,
        forced_until=ran[-1][0] + contract.min_duration if running else open_from,
    )


def _series(plan: Plan, contract_id: ContractId) -> dict[datetime, float]:
    for c in plan.commitments:
        if c.contract_id == contract_id:
            return {c.kw.grid.at(t): float(v) for t, v in enumerate(c.kw.values)}
    return {}


def _by_instant(problem: Problem, contract_id: ContractId) -> dict[datetime, float]:
    known = problem.fixed.commitments.get(contract_id) if problem.fixed else None
    if known is None:
        return {}
    return {known.grid.at(t): float(v) for t, v in enumerate(known.values) if v == v}


def _stretches(instants: Sequence[datetime], step: timedelta) -> list[tuple[datetime, datetime]]:
    """(start, end) of the runs of intervals that follow each other."""
    runs: list[tuple[datetime, datetime]] = []
    for at in instants:
        if runs and runs[-1][1] == at:
            runs[-1] = (runs[-1][0], at + step)
        else:
            runs.append((at, at + step))
    return runs
