"""The way in: baselines of many meters for one event, with the days used, dropped and why."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from types import MappingProxyType
from typing import TypeVar

import numpy as np

from controller.baseline import recent_n, x_of_y
from controller.baseline.adjust import adjusted, adjustment_window, mean_of
from controller.baseline.calendar import candidates
from controller.baseline.days import MeterDays
from controller.baseline.explain import Account, described
from controller.baseline.sample import Choice, usage
from controller.model.contracts import BaselineMethod, BaselineRule, Program
from controller.model.money import Baseline
from controller.model.time import Grid, Interval, Series

CHOOSE: Mapping[BaselineMethod, Callable[..., Choice]] = MappingProxyType(
    {BaselineMethod.RECENT_N: recent_n.choose, BaselineMethod.X_OF_Y: x_of_y.choose}
)
_NO_DAYS: Mapping[date, str] = MappingProxyType({})
_T = TypeVar("_T")


def baselines(
    rule: BaselineRule,
    program: Program,
    history: MeterDays,
    *,
    spans: Interval | Sequence[Interval],
    notified_at: datetime | Sequence[datetime],
    excluded: Mapping[date, str] = _NO_DAYS,
) -> tuple[Baseline, ...]:
    """One baseline per meter of `history`, in its order, over the span in which it was called.

    `spans` and `notified_at` hold for all meters or are one per meter. The event day is the local
    day on which a span starts. `history` may hold that day too: of it only the adjustment window
    is read, which ends before the customer first learnt of a call that day (`notified_at`).
    `excluded` are days that cannot be samples, each with its reason: earlier event days, outages,
    orderly use of power (有序用电).

    Days are chosen on whole Wh; the series stays in kW and becomes Wh once, in settlement. A meter
    without `min_days` valid days gets NaN and a note. Raises ValueError where time zones or
    lengths do not fit or a span is off the grid.
    """
    if history.timezone != program.timezone:
        raise ValueError(f"history in {history.timezone}, program in {program.timezone}")
    meters = len(history.meter_ids)
    calls: dict[tuple[Interval, datetime], list[int]] = {}
    for i, call in enumerate(zip(_each(spans, meters), _each(notified_at, meters), strict=True)):
        calls.setdefault(call, []).append(i)
    out: dict[int, Baseline] = {}
    for (span, notice), rows in calls.items():
        part = history if len(rows) == meters else history.rows(rows)
        out.update(zip(rows, _one_call(rule, program, part, span, notice, excluded), strict=True))
    return tuple(out[i] for i in range(meters))


def used_kw(history: MeterDays, baseline: Baseline) -> Mapping[date, Series]:
    """The metered kW of each day that `baseline` used, laid over its intervals: to redo it."""
    meter = history.only([baseline.meter_id])
    grid = baseline.series.grid
    kw = meter.on(baseline.days_used, meter.wall_hours(grid.span))[0]
    return {d: Series(grid=grid, values=kw[i]) for i, d in enumerate(baseline.days_used)}


def _one_call(
    rule: BaselineRule,
    program: Program,
    history: MeterDays,
    span: Interval,
    notified_at: datetime,
    excluded: Mapping[date, str],
) -> list[Baseline]:
    hours = history.wall_hours(span)
    like = candidates(rule, program, history, hours, excluded)
    kw = history.on(like.days, hours)
    seen = usage(kw, history.step_h)
    choice = CHOOSE[rule.method](rule, seen, working=like.working)
    enough = choice.used.sum(axis=1) >= max(1, rule.min_days)
    mean = np.where(enough[:, None], mean_of(kw, choice.used), np.nan)
    window = adjustment_window(rule, span.start, notified_at, history.step)
    after = adjusted(rule, history, window, hours.day, like.days, choice.used, mean)
    grid = Grid.over(span, history.step)
    account = Account(
        rule=rule,
        like=like,
        seen=seen,
        choice=choice,
        event_h=grid.count * grid.step_h,
        history_from=history.days[0],
    )
    method = described(rule, working=like.working)
    return [
        Baseline(
            meter_id=meter_id,
            series=Series(grid=grid, values=after.kw[i]),
            unadjusted=Series(grid=grid, values=mean[i]),
            method=method,
            days_used=account.used(i),
            days_dropped=account.dropped(i),
            adjustment=float(after.amount[i]),
            notes=account.notes(i, after.notes[i]),
        )
        for i, meter_id in enumerate(history.meter_ids)
    ]


def _each(one_or_many: _T | Sequence[_T], count: int) -> Sequence[_T]:
    return one_or_many if isinstance(one_or_many, Sequence) else [one_or_many] * count
