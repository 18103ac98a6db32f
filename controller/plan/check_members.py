"""The checker's part for appliances: each member's calls, one by one."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from controller.model.contracts import Contract
from controller.model.plans import Assignment, Cohort, Plan
from controller.model.time import Interval
from controller.plan.problem import Problem

KW = 1e-3
SHORTEST_PAUSE = timedelta(seconds=1)
"""Calls that follow each other at once would be one longer call."""


def check_members(plan: Plan, problem: Problem) -> Iterator[str]:
    """Every broken term of assignments and of the members in them."""
    open_from = _open_from(plan, problem)
    cohorts = {k.id: k for k in problem.cohorts}
    spans: dict[int, list[tuple[Interval, Assignment]]] = {}
    for run in plan.assignments:
        fits = run.start >= 0 and run.length > 0 and run.start + run.length <= plan.grid.count
        if not fits or not run.members or len(set(run.members)) != len(run.members):
            yield f"{run.cohort_id}: a run is outside the plan, or names nobody or somebody twice"
            continue
        span = _span(plan, run)
        for m in run.members:
            spans.setdefault(m, []).append((span, run))
        if span.start >= open_from:
            yield from _new_run(plan, problem, run, cohorts.get(run.cohort_id))
        else:
            yield from _old_run(problem, span, run, open_from)
    yield from _kept(plan, problem, spans, open_from)
    for m, mine in spans.items():
        yield from _member(problem, m, sorted(mine, key=lambda x: x[0].start), open_from)


def in_window(contract: Contract, at: datetime, step: timedelta, timezone: str) -> bool:
    """Whether the interval from `at` lies wholly in one of the contract's local windows.

    Wall-clock time; a window whose end is not after its start goes on past midnight and belongs
    to the weekday on which it opens.
    """
    if not contract.windows:
        return True
    begin = at.astimezone(ZoneInfo(timezone)).replace(tzinfo=None)
    for w in contract.windows:
        for days_ago in (0, 1):
            day = begin.date() - timedelta(days=days_ago)
            opens, closes = datetime.combine(day, w.start), datetime.combine(day, w.end)
            if closes <= opens:
                closes += timedelta(days=1)
            if day.weekday() in w.weekdays and opens <= begin and begin + step <= closes:
                return True
    return False


def _new_run(plan: Plan, problem: Problem, run: Assignment, cohort: Cohort | None) -> Iterator[str]:
    if cohort is None or run.contract_id != cohort.contract_id:
        yield f"{run.cohort_id} is no cohort of the problem"
        return
    contract = next(c for c in problem.contracts if c.id == cohort.contract_id)
    span, name = _span(plan, run), f"{run.cohort_id} at {_span(plan, run).start:%H:%M}Z"
    strangers = sorted(set(run.members) - set(cohort.members))
    if strangers:
        yield f"{name}: {strangers[0]} is not a member, or must not be called"
    if contract.id in problem.excluded:
        yield f"{name}: its contract is excluded, {problem.excluded[contract.id]}"
    lead = contract.notice if contract.wired else contract.notice + contract.reply_within
    if span.start < problem.now + lead:
        yield f"{name}: starts without its notice of {lead}"
    if not contract.min_duration <= span.duration <= contract.max_duration:
        yield f"{name}: runs {span.duration}, outside what is agreed"
    if span.duration > cohort.max_run:
        yield f"{name}: members are held {span.duration}, at most {cohort.max_run} is bearable"
    for t in range(run.start, run.start + run.length):
        if plan.ruling[t] is None:
            yield f"{name}: is called in interval {t}, where no event rules"
        if not in_window(contract, plan.grid.at(t), plan.grid.step, problem.timezone):
            yield f"{name}: is called in interval {t}, outside its hours"
    yield from _reduction(plan, problem, run)


def _reduction(plan: Plan, problem: Problem, run: Assignment) -> Iterator[str]:
    """A member gives what the forecast says while held, and rebounds as it says after."""
    known = problem.flexibility.get(run.cohort_id)
    end, kwh = run.start + run.length, 0.0
    for t, kw in enumerate(run.kw_each.values):
        if run.start <= t < end:
            can = known.down_kw.value_at(plan.grid.at(t)) if known else 0.0
            kwh += kw
            wrong = not abs(kw - can) <= KW
        else:
            back = 0.0
            if known and end <= t < end + known.rebound_intervals:
                back = known.rebound_frac * kwh / known.rebound_intervals
            wrong = abs(kw + back) > KW
        if wrong:
            yield f"{run.cohort_id}: {kw:g} kW in interval {t} is not what a member gives"
            return


def _old_run(
    problem: Problem, span: Interval, run: Assignment, open_from: datetime
) -> Iterator[str]:
    """A run that began before is as it was, but ends now for those who may not go on."""
    fixed, present = problem.fixed, {m for k in problem.cohorts for m in k.members}
    for m in run.members:
        was = _earlier_end(problem, m, run, span.start) if fixed else None
        left = m not in present or run.contract_id in problem.excluded
        if was is None:
            yield f"{run.cohort_id}: {m} was not called at {span.start:%H:%M}Z, in the past"
        elif left and span.end != min(was, open_from):
            yield f"{run.cohort_id}: {m} is held on, though it may not be called any more"
        elif not left and span.end != was:
            yield f"{run.cohort_id}: the run of {m} is changed, it began before"


def _kept(
    plan: Plan,
    problem: Problem,
    spans: dict[int, list[tuple[Interval, Assignment]]],
    open_from: datetime,
) -> Iterator[str]:
    """Nobody who was started is forgotten."""
    if problem.fixed is None:
        return
    for run in problem.fixed.assignments:
        start = problem.fixed.grid.at(run.start)
        end = problem.fixed.grid.at(run.start + run.length)
        if start >= open_from or end <= plan.grid.start:
            continue
        shown = max(start, plan.grid.start)
        lost = [m for m in run.members if not any(s.start == shown for s, _ in spans.get(m, []))]
        if lost:
            yield f"{run.cohort_id}: {lost[0]} was started at {start:%H:%M}Z and is forgotten"


def _member(
    problem: Problem, m: int, mine: list[tuple[Interval, Assignment]], open_from: datetime
) -> Iterator[str]:
    """Rest and recovery between a member's calls, and how often it is called."""
    contract = next(c for c in problem.contracts if c.id == mine[-1][1].contract_id)
    cohort = next((k for k in problem.cohorts if m in k.members), None)
    pause = max(contract.rest, cohort.recovery if cohort else timedelta(0))
    for (one, _), (two, _) in pairwise(mine):
        if two.start < one.end:
            yield f"{m} is called twice at {two.start:%H:%M}Z"
        elif two.start >= open_from and two.start - one.end < max(pause, SHORTEST_PAUSE):
            yield f"{m} is called again {two.start - one.end} after a call, {pause} is its rest"
    if mine[-1][0].start < open_from:
        return
    if len(mine) > contract.max_calls_per_day:
        yield f"{m} is called {len(mine)} times, {contract.max_calls_per_day} a day are agreed"
    if problem.calls.get(m, 0) >= contract.max_calls_per_season:
        yield f"{m} has no calls left this season"


def _earlier_end(
    problem: Problem, m: int, run: Assignment, shown_start: datetime
) -> datetime | None:
    """When the earlier plan ended the run of `m` that is shown from `shown_start` on."""
    if problem.fixed is None:
        return None
    grid, horizon = problem.fixed.grid, problem.grid.end
    for was in problem.fixed.assignments:
        start = max(grid.at(was.start), problem.grid.start)
        if was.cohort_id == run.cohort_id and m in was.members and start == shown_start:
            return min(grid.at(was.start + was.length), horizon)
    return None


def _open_from(plan: Plan, problem: Problem) -> datetime:
    return max(problem.fixed.until, plan.grid.start) if problem.fixed else plan.grid.start


def _span(plan: Plan, run: Assignment) -> Interval:
    return Interval(start=plan.grid.at(run.start), end=plan.grid.at(run.start + run.length))
