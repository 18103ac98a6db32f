"""The scorecard of one event, from values other stages made."""

from collections.abc import Iterable, Sequence

import numpy as np

from controller.model.commands import Outcome, Receipt
from controller.model.events import DREvent, Timeline
from controller.model.ids import ResourceId
from controller.model.money import POINTS, Performance, Transfer
from controller.model.plans import Forecast
from controller.model.scorecard import Scorecard, ScoreInterval
from controller.model.time import Interval, Series
from controller.units import WH_PER_KWH


def scorecard(
    event: DREvent,
    timeline: Timeline,
    *,
    committed_kw: Series,
    performances: Iterable[Performance],
    transfers: Iterable[Transfer],
    receipts: Iterable[Receipt],
    replans: int = 0,
    forecast: Forecast | None = None,
    actual_kw: Series | None = None,
    gap_frac: float | None = None,
    true_kw: Series | None = None,
    comfort_violations: int = 0,
    first_command_s: float | None = None,
    all_acked_s: float | None = None,
) -> Scorecard:
    """Score `event` over its own span.

    `committed_kw` is the sum of what all plans in force promised; performances and transfers of
    other events are left out, those of this event are all counted. `actual_kw` is the area's load
    without response (for the peak error), `true_kw` a reduction known from elsewhere, `receipts`
    those of this event's setpoints.
    """
    delivered = _by_interval(p for p in performances if p.event_id == event.id)
    rows = tuple(
        _interval(event, timeline, i, committed_kw, delivered, true_kw)
        for i in range(event.target.grid.count)
    )
    step_h = event.target.grid.step_h
    asked = [r for r in rows if r.target_kw > 0]
    own = [t for t in transfers if t.event_id == event.id]
    cost = sum(_to_customer(t) for t in own if t.currency != POINTS)
    total = sum(r.delivered_kw for r in rows) * step_h
    by_outcome = _devices(receipts)
    peak_error = peak_errors(forecast, actual_kw)
    return Scorecard(
        event_id=event.id,
        source=event.source,
        status=event.status,
        replans=replans,
        intervals=rows,
        target_kwh=sum(r.target_kw for r in rows) * step_h,
        committed_kwh=sum(r.committed_kw for r in rows) * step_h,
        delivered_kwh=total,
        true_kwh=_sum_known([r.true_kw for r in rows], step_h),
        delivered_frac=_frac(sum(r.delivered_kw for r in asked), sum(r.target_kw for r in asked)),
        worst_frac=min((f for r in rows if (f := r.delivered_frac) is not None), default=None),
        peak_error_frac=peak_error[0],
        peak_time_error_min=peak_error[1],
        cost_minor=cost,
        points=sum(_to_customer(t) for t in own if t.currency == POINTS),
        cost_per_kwh_minor=cost / total if total > 0 else None,
        gap_frac=gap_frac,
        unreachable=len(by_outcome[Outcome.UNREACHABLE]),
        refused=len(by_outcome[Outcome.REFUSED]),
        overridden=len(by_outcome[Outcome.OVERRIDDEN]),
        comfort_violations=comfort_violations,
        first_command_s=first_command_s,
        all_acked_s=all_acked_s,
    )


def peak_errors(
    forecast: Forecast | None, actual_kw: Series | None
) -> tuple[float | None, float | None]:
    """Relative error of the forecast day's peak, and minutes its interval was early (−) or late."""
    if forecast is None or actual_kw is None or not np.isfinite(actual_kw.values).any():
        return None, None
    at, peak_kw = forecast.peak
    i = int(np.nanargmax(actual_kw.values))
    actual = float(actual_kw.values[i])
    return peak_kw / actual - 1, (at - actual_kw.grid.at(i)).total_seconds() / 60


def delivered_kw(performances: Iterable[Performance], like: Series) -> Series:
    """Mean kW delivered per interval of `like`'s grid, summed over meters; 0 where nobody was."""
    wh = _by_interval(performances)
    grid = like.grid
    return Series(
        grid=grid,
        values=np.array([wh.get(at, 0) / WH_PER_KWH / grid.step_h for at in grid.intervals()]),
    )


def _interval(
    event: DREvent,
    timeline: Timeline,
    i: int,
    committed_kw: Series,
    delivered_wh: dict[Interval, int],
    true_kw: Series | None,
) -> ScoreInterval:
    at = event.target.grid.interval(i)
    j = timeline.grid.index(at.start)
    rules = 0 <= j < timeline.grid.count and timeline.ruling[j] == event.id
    target = float(timeline.target.values[j]) if rules else 0.0
    delivered = delivered_wh.get(at, 0) / WH_PER_KWH / event.target.grid.step_h
    committed = committed_kw.value_at(at.start) if rules else 0.0
    known = float("nan")
    if true_kw is not None:
        known = true_kw.value_at(at.start) if rules else 0.0
    return ScoreInterval(
        interval=at,
        target_kw=target,
        committed_kw=committed if np.isfinite(committed) else 0.0,
        delivered_kw=delivered,
        delivered_frac=_frac(delivered, target),
        true_kw=known if np.isfinite(known) else None,
    )


def _by_interval(performances: Iterable[Performance]) -> dict[Interval, int]:
    out: dict[Interval, int] = {}
    for p in performances:
        out[p.interval] = out.get(p.interval, 0) + p.delivered_wh
    return out


def _devices(receipts: Iterable[Receipt]) -> dict[Outcome, set[ResourceId]]:
    out: dict[Outcome, set[ResourceId]] = {outcome: set() for outcome in Outcome}
    for r in receipts:
        out[r.outcome].add(r.resource_id)
    return out


def _to_customer(t: Transfer) -> int:
    return t.amount_minor if t.credit.startswith("customer:") else -t.amount_minor


def _frac(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None


def _sum_known(values: Sequence[float | None], step_h: float) -> float | None:
    known = [v for v in values if v is not None]
    return sum(known) * step_h if known else None
