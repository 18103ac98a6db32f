"""The terms of contracts that are called one by one, as arrays over the plan's grid."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from controller.model.contracts import Contract, ContractUse, Window
from controller.model.time import Grid
from controller.plan.arrays import (
    KW_TOLERANCE,
    Bools,
    ContractTerms,
    Floats,
    availability_of,
    down_kw,
)
from controller.plan.problem import Problem, intervals_up

LONG_AGO = -1_000_000


def contract_terms(problem: Problem, contract: Contract, ruled: Bools) -> ContractTerms:
    """What `contract` may do in the open intervals `ruled` (t,), and what is given already."""
    grid, first, t = problem.grid, problem.frozen_until, np.arange(problem.grid.count)
    history = _history(problem, contract)
    min_run, max_run, rest = run_limits(contract, grid)
    levels = levels_kw(contract)
    most = np.minimum(down_kw(problem, contract.id), levels[-1])
    free = contract.id not in problem.locked and contract.id not in problem.excluded
    must = free & (history.ran > 0) & (t >= first) & (t < first + min_run - history.ran)
    able = (most >= levels[0] - KW_TOLERANCE) & (levels[-1] > 0)
    can = free & (must | (ruled & able & in_windows(problem, contract.windows)))
    noticed = (t >= earliest_start(problem, contract)) | (history.kw > KW_TOLERANCE)
    rested_from = (first if history.ran else history.ended) + rest
    calls_left, intervals_left = _budget(problem, contract)
    return ContractTerms(
        contract=contract,
        free=free,
        availability=availability_of(problem, contract.id, contract),
        levels=levels,
        is_range=not contract.steps_kw and levels[-1] > levels[0],
        most_kw=most,
        can_give=can,
        can_start=can & noticed & (t >= rested_from),
        must_give=must,
        given_kw=_given(problem, contract, history),
        ran=history.ran,
        began_before_grid=history.began_before_grid,
        min_run=min_run,
        max_run=max_run,
        rest=rest,
        calls_left=max(0, calls_left - history.calls),
        intervals_left=max(int(must.sum()), intervals_left - history.intervals),
    )


def levels_kw(contract: Contract) -> tuple[float, ...]:
    """Steps, or ends of the range, of all its resources together: terms speak of each."""
    return tuple(sorted(kw * max(1, len(contract.resource_ids)) for kw in contract.levels_kw))


def run_limits(contract: Contract, grid: Grid) -> tuple[int, int, int]:
    """Least and longest run and rest in intervals; never less than was agreed."""
    least = max(1, -(-contract.min_duration // grid.step))
    longest = contract.max_duration // grid.step
    return least, longest, max(1, -(-contract.rest // grid.step))


def earliest_start(problem: Problem, contract: Contract) -> int:
    """First interval for which notice (and a told contract's reply) still fit from now."""
    lead = contract.notice if contract.wired else contract.notice + contract.reply_within
    return intervals_up(problem.now + lead, problem.grid)


def in_windows(problem: Problem, windows: tuple[Window, ...]) -> Bools:
    """(t,) intervals that lie wholly inside one of the local windows; no windows: all."""
    grid, zone = problem.grid, ZoneInfo(problem.timezone)
    local = [grid.at(i).astimezone(zone) for i in range(grid.count)]
    inside = [not windows or any(_inside(w, at, grid.step) for w in windows) for at in local]
    return np.array(inside, dtype=bool)


def _inside(window: Window, start: datetime, step: timedelta) -> bool:
    """By wall-clock minutes: a window keeps its hours on days when the clock changes."""
    day = 24 * 60
    opens = 60 * window.start.hour + window.start.minute
    length = (60 * window.end.hour + window.end.minute - opens) % day or day
    since = (60 * start.hour + start.minute - opens) % day
    opened_on = (start.replace(tzinfo=None) - timedelta(minutes=since)).weekday()
    return since + step.total_seconds() / 60 <= length and opened_on in window.weekdays


@dataclass(frozen=True, slots=True, kw_only=True)
class _History:
    """What an earlier plan did with a contract before the first open interval."""

    kw: Floats = field(repr=False)
    """(t,) on the plan's grid: commanded before, announced after the first open interval."""
    ran: int = 0
    began_before_grid: bool = False
    ended: int = LONG_AGO
    """Index after the last interval of the last finished run."""
    calls: int = 0
    intervals: int = 0


def _history(problem: Problem, contract: Contract) -> _History:
    """Read on the series' own grid, which may begin before the plan's."""
    series = problem.fixed.commitments.get(contract.id) if problem.fixed else None
    if series is None:
        return _History(kw=np.zeros(problem.grid.count))
    shift = (series.grid.start - problem.grid.start) // problem.grid.step
    kw = np.nan_to_num(series.values)
    past = kw[: max(0, problem.frozen_until - shift)] > KW_TOLERANCE
    edges = np.diff(np.concatenate([[False], past, [False]]).astype(int))
    starts, ends = np.flatnonzero(edges > 0), np.flatnonzero(edges < 0)
    running = bool(len(past)) and bool(past[-1]) and len(past) == problem.frozen_until - shift
    finished = ends[:-1] if running else ends
    return _History(
        kw=np.nan_to_num(series.on(problem.grid).values),
        ran=int(ends[-1] - starts[-1]) if running else 0,
        began_before_grid=bool(np.any((starts + shift < 0) & (ends + shift >= 0))),
        ended=int(finished[-1]) + shift if len(finished) else LONG_AGO,
        calls=len(starts),
        intervals=int(past.sum()),
    )


def _given(problem: Problem, contract: Contract, history: _History) -> Floats:
    """(t,) kW without choice: the past as it was, then what was accepted."""
    first = problem.frozen_until
    given = np.where(np.arange(problem.grid.count) < first, history.kw, 0.0)
    locked = problem.locked.get(contract.id)
    if locked is not None and contract.id not in problem.excluded:
        begins = first if problem.fixed and contract.id in problem.fixed.commitments else 0
        given[begins:] = np.nan_to_num(locked.on(problem.grid).values)[begins:]
    return given


def _budget(problem: Problem, contract: Contract) -> tuple[int, int]:
    """Calls and intervals that the contract still had before this event."""
    use = problem.use.get(contract.id, ContractUse(contract_id=contract.id))
    calls = min(
        contract.max_calls_per_day - use.calls_today,
        contract.max_calls_per_season - use.calls_season,
    )
    hours = contract.max_hours_per_year - use.hours_year
    return calls, int(hours / problem.grid.step_h + 1e-9)
