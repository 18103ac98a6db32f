"""The scorecard of one event, from values other stages made."""

from collections.abc import Collection, Iterable, Sequence

import numpy as np

from controller.model.commands import Outcome, Receipt
from controller.model.events import DREvent, Timeline
from controller.model.ids import ResourceId
from controller.model.money import POINTS, Transfer
from controller.model.scorecard import Scorecard, ScoreInterval
from controller.model.time import Interval, Series


def score_intervals(
    event: DREvent,
    timeline: Timeline,
    *,
    superseded: Collection[Interval],
    committed_kw: Series,
    delivered_kw: Series,
    true_kw: Series | None = None,
) -> tuple[ScoreInterval, ...]:
    """Where `event` rules, and where it asks but another rules (`superseded`), in order of time.

    The series hold for all events together, in kW, and go to the one that rules: `committed_kw`
    by the plan, `delivered_kw` baseline less meter, `true_kw` a reduction known from elsewhere.
    NaN is not known.
    """
    grid = timeline.grid
    ruled = [timeline.ruling[i] == event.id for i in range(grid.count)]
    return tuple(
        _interval(timeline, i, committed_kw, delivered_kw, true_kw)
        if ruled[i]
        else _superseded(grid.interval(i), true_kw)
        for i in range(grid.count)
        if ruled[i] or grid.interval(i) in superseded
    )


def scorecard(
    event: DREvent,
    intervals: Sequence[ScoreInterval],
    *,
    transfers: Iterable[Transfer] | None,
    receipts: Iterable[Receipt],
    taken_back: Collection[ResourceId] = (),
    replans: int = 0,
    gap_frac: float | None = None,
) -> Scorecard:
    """Score `event` over `intervals`, those of `score_intervals`.

    Transfers of other events are left out; None before the event is settled. `receipts` are those
    of this event's setpoints; of the devices they name, `taken_back` by their owners count as
    overridden, whatever they answered.
    """
    rows, step_h = tuple(intervals), event.target.grid.step_h
    asked = [r for r in rows if r.target_kw > 0]
    target_kwh = _kwh([r.target_kw for r in rows], step_h) or 0.0
    delivered_kwh = _kwh([r.delivered_kw for r in rows], step_h)
    asked_kwh = _kwh([r.delivered_kw for r in asked], step_h)
    cost, points = _amounts(event, transfers)
    devices = _devices(receipts)
    commanded = set().union(*devices.values())
    return Scorecard(
        event_id=event.id,
        source=event.source,
        status=event.status,
        replans=replans,
        intervals=rows,
        target_kwh=target_kwh,
        committed_kwh=_kwh([r.committed_kw for r in rows], step_h) or 0.0,
        delivered_kwh=delivered_kwh,
        true_kwh=_kwh([r.true_kw for r in rows], step_h),
        delivered_frac=_ratio(asked_kwh, target_kwh),
        worst_frac=min((f for r in rows if (f := r.delivered_frac) is not None), default=None),
        cost_minor=cost,
        points=points,
        cost_per_kwh_minor=_ratio(cost, delivered_kwh),
        gap_frac=gap_frac,
        unreachable=len(devices[Outcome.UNREACHABLE]),
        refused=len(devices[Outcome.REFUSED]),
        overridden=len(devices[Outcome.OVERRIDDEN] | (commanded & set(taken_back))),
    )


def _interval(
    timeline: Timeline, i: int, committed_kw: Series, delivered_kw: Series, true_kw: Series | None
) -> ScoreInterval:
    at = timeline.grid.interval(i)
    target = float(timeline.target.values[i])
    committed = _known(committed_kw.value_at(at.start)) or 0.0
    delivered = _known(delivered_kw.value_at(at.start))
    return ScoreInterval(
        interval=at,
        rules=True,
        target_kw=target,
        committed_kw=committed,
        delivered_kw=delivered,
        delivered_frac=_ratio(delivered, target),
        true_kw=None if true_kw is None else _known(true_kw.value_at(at.start)),
    )


def _superseded(at: Interval, true_kw: Series | None) -> ScoreInterval:
    return ScoreInterval(
        interval=at,
        rules=False,
        target_kw=0.0,
        committed_kw=0.0,
        delivered_kw=0.0,
        delivered_frac=None,
        true_kw=None if true_kw is None else 0.0,
    )


def _amounts(event: DREvent, transfers: Iterable[Transfer] | None) -> tuple[int | None, int | None]:
    """Money and points to customers."""
    if transfers is None:
        return None, None
    own = [t for t in transfers if t.event_id == event.id]
    return (
        sum(_to_customer(t) for t in own if t.currency != POINTS),
        sum(_to_customer(t) for t in own if t.currency == POINTS),
    )


def _to_customer(t: Transfer) -> int:
    return t.amount_minor if t.credit.startswith("customer:") else -t.amount_minor


def _devices(receipts: Iterable[Receipt]) -> dict[Outcome, set[ResourceId]]:
    out: dict[Outcome, set[ResourceId]] = {outcome: set() for outcome in Outcome}
    for r in receipts:
        out[r.outcome].add(r.resource_id)
    return out


def _kwh(kw: Sequence[float | None], step_h: float) -> float | None:
    """Energy of mean kW per interval; None where one of them is not known."""
    known = [v for v in kw if v is not None]
    return sum(known) * step_h if len(known) == len(kw) else None


def _ratio(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole is not None and whole > 0 else None


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
