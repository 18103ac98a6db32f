"""The report of a run: one self-contained page that a control room can read and print."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from controller.evaluate import plots
from controller.evaluate.summary import (
    LEAST_FRAC,
    MOST_FRAC,
    Failure,
    MoneyRow,
    failure_table,
    headline,
    money_table,
    mw_text,
    peak_text,
    plan_text,
)
from controller.evaluate.tables import (
    event_table,
    log_table,
    plan_table,
    reason_table,
    score_table,
)
from controller.model.plans import Forecast, Reason
from controller.model.settings import Area
from controller.model.time import QUARTER_HOUR, Interval, Series
from controller.units import major_text

HALF_HOUR = timedelta(minutes=30)
PARTS = {
    "factory": "factories 工厂",
    "furnace": "furnaces 炉窑",
    "cold store": "cold stores 冷库",
    "mall": "malls 商场",
    "water works": "water works 水厂",
    "air conditioner": "air conditioners 空调",
    "water heater": "water heaters 热水器",
    "ev charger": "EV chargers 充电桩",
    "battery": "batteries 储能",
}
"""What kinds of resource are called in the legend; others keep their name."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """Baseline against metered of one thing worth a look: the total, a factory, a home."""

    name: str
    baseline_kw: Series
    metered_kw: Series


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReportInput:
    """Everything the report shows. Series are kW on 15-minute grids; NaN is left blank."""

    area: Area
    day: date
    made_at: datetime
    config_hash: str
    result: Mapping[str, Any]
    """result.json as written."""
    forecast: Forecast
    limit_kw: float
    load_with_kw: Series
    """The area's load as it was, with response."""
    load_without_kw: Series | None
    """The simulators' twin without control; None in real operation."""
    events: tuple[Interval, ...]
    window: Interval
    """What the plots of the response show: the events and some time around them."""
    target_kw: Series
    """Of the ruling event per interval."""
    delivered_kw: Series
    true_kw: Series | None
    parts_kw: Mapping[str, Series]
    """Delivered by kind of resource (or contract), stacked in this order."""
    samples: tuple[Sample, ...]
    reasons: tuple[Reason, ...]
    """Of the day-ahead plan: chosen and left, with why."""
    failures: tuple[Failure, ...]
    money: tuple[MoneyRow, ...]
    notes: tuple[str, ...] = ()
    """What the reader must know, e.g. how short the history was."""
    statements: tuple[tuple[str, str], ...] = ()
    """(title, file name) of pages written beside the report."""
    names: Mapping[str, str] = field(default_factory=dict)
    """What contracts and cohorts are called, for the reasons."""


def render_report(report: ReportInput) -> str:
    """The page as HTML; needs no other file. Its template is templates/report.html.j2."""
    from jinja2 import Environment, PackageLoader

    templates = Environment(
        loader=PackageLoader("controller.evaluate"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    timezone = report.area.timezone
    zone = ZoneInfo(timezone)
    chosen = [x for x in report.reasons if x.chosen]
    return templates.get_template("report.html.j2").render(
        r=report,
        made=f"{report.made_at.astimezone(zone):%Y-%m-%d %H:%M}",
        issued=f"{report.forecast.made_at.astimezone(zone):%Y-%m-%d %H:%M}",
        limits=(f"{LEAST_FRAC:.0%}", f"{MOST_FRAC:.0%}"),
        tiles=tiles(report),
        over_limit=over_limit(report),
        off_truth=off_truth(report),
        headline=headline(report.result),
        events=[(e["id"], event_table(e, timezone)) for e in report.result.get("events") or ()],
        failures=failure_table(report.failures, timezone, report.names),
        taken_back=(report.result.get("devices") or {}).get("overridden") or 0,
        money=money_table(report.money),
        scores=score_table(report.result.get("events") or ()),
        chosen=reason_table([x for x in chosen if not _is_cohort(x, report)], report.names),
        cohorts=reason_table([x for x in chosen if _is_cohort(x, report)], report.names),
        left=reason_table([x for x in report.reasons if not x.chosen], report.names),
        plan=plan_table(report.result),
        log=log_table(report.result, timezone, report.names),
        plots=_plots(report, zone),
    )


def tiles(report: ReportInput) -> list[tuple[str, str, str, str]]:
    """(title, 中文, figure, what it means) of the first row."""
    settled = report.result.get("settlement") or {}
    plan = report.result.get("plan") or {}
    forecast = report.result.get("forecast") or {}
    rebate, cost = settled.get("rebate_fen"), plan.get("cost_fen")
    return [
        _peak_tile(report),
        _delivered_tile(report),
        (
            "Forecast peak",
            "预测最大负荷",
            mw_text(forecast.get("peak_kw")),
            peak_text(forecast),
        ),
        (
            "Day-ahead plan",
            "日前计划成本",
            "–" if cost is None else f"{major_text(int(cost))} CNY",
            plan_text(plan),
        ),
        (
            "Paid to customers",
            "补贴净额",
            "–" if rebate is None else f"{major_text(int(rebate))} CNY",
            _settled_text(settled),
        ),
    ]


def over_limit(report: ReportInput) -> str:
    """How long the load was above the limit, with and without response."""
    with_h = _hours_above(report.load_with_kw, report.limit_kw)
    inside = sum(
        _hours_above(report.load_with_kw.on(report.load_with_kw.grid.within(e)), report.limit_kw)
        for e in _apart(report.events)
    )
    text = f"The metered load was above the limit for {with_h:g} h"
    if report.events:
        text += f", {inside:g} h of it during events"
    if report.load_without_kw is not None:
        text += f"; without response {_hours_above(report.load_without_kw, report.limit_kw):g} h"
    return f"{text}."


def off_truth(report: ReportInput) -> str:
    """How far the energy delivered by baseline is from the true one over the events."""
    if report.true_kw is None:
        return ""
    delivered, true = _asked_mwh(report, report.delivered_kw), _asked_mwh(report, report.true_kw)
    if not true or not np.isfinite(delivered / true):
        return "Energy delivered or true is not known for the whole of the events."
    return (
        f"Over the events {delivered:.2f} MWh were delivered by baseline and {true:.2f} MWh in "
        f"truth: {delivered / true - 1:+.1%}."
    ).replace("-", "−")


def _peak_tile(report: ReportInput) -> tuple[str, str, str, str]:
    """The highest load during the events (in the window where there was none), and without."""
    spans = report.events or (report.window,)
    peak = max(_peak(report.load_with_kw, s) for s in spans)
    meaning = f"limit {mw_text(report.limit_kw)}"
    if report.load_without_kw is not None:
        without = max(_peak(report.load_without_kw, s) for s in spans)
        meaning = f"{mw_text(without)} without response; {meaning}"
    return "Peak in the events", "响应期最大负荷", mw_text(peak), meaning


def _delivered_tile(report: ReportInput) -> tuple[str, str, str, str]:
    target = _asked_mwh(report, report.target_kw)
    delivered = _asked_mwh(report, report.delivered_kw)
    known = bool(target) and np.isfinite(delivered)
    meaning = f"{f'{delivered:.2f}' if known else '–'} of {target:.2f} MWh asked"
    if report.true_kw is not None and np.isfinite(true := _asked_mwh(report, report.true_kw)):
        meaning += f"; true {true:.2f} MWh"
    return "Delivered", "响应率", f"{delivered / target:.1%}" if known else "–", meaning


def _settled_text(settled: Mapping[str, Any]) -> str:
    unreconciled = settled.get("unreconciled")
    return (
        f"net of penalties; {settled.get('points') or 0:,} points, "
        f"{settled.get('customers') or 0:,} customers, "
        f"{'not reconciled' if unreconciled is None else f'{unreconciled:,} unreconciled'}"
    )


def _plots(report: ReportInput, zone: ZoneInfo) -> dict[str, str]:
    paid = sorted(report.money, key=lambda m: (-m.paid_minor, m.contract))
    events, window = report.events, report.window
    return {
        "load": plots.load_plot(
            report.forecast,
            report.load_with_kw,
            report.load_without_kw,
            report.limit_kw,
            events,
            zone,
        ),
        "parts": plots.parts_plot(
            {PARTS.get(name, name): kw for name, kw in report.parts_kw.items()},
            report.target_kw,
            window,
            zone,
        ),
        "truth": plots.truth_plot(
            report.target_kw, report.delivered_kw, report.true_kw, events, window, zone
        ),
        "baseline": plots.baseline_plot(
            [(s.name, s.baseline_kw, s.metered_kw) for s in report.samples],
            events,
            _known(report.samples, window),
            zone,
        ),
        "money": plots.money_plot(
            [
                (m.contract, m.paid_minor / 100, m.penalty_minor / 100)
                for m in paid
                if m.paid_minor or m.penalty_minor
            ],
            report.money[0].currency if report.money else "",
        ),
    }


def _known(samples: Sequence[Sample], window: Interval) -> Interval:
    """The part of `window` in which a sample has a baseline and a meter value, and half an hour."""
    edges: list[datetime] = []
    for s in samples:
        grid = s.baseline_kw.grid
        both = np.isfinite(s.baseline_kw.values) & np.isfinite(s.metered_kw.on(grid).values)
        edges += [grid.at(int(i)) for i in np.flatnonzero(both)[[0, -1]]] if both.any() else []
    if not edges:
        return window
    return Interval(
        start=max(window.start, min(edges) - HALF_HOUR),
        end=min(window.end, max(edges) + QUARTER_HOUR + HALF_HOUR),
    )


def _is_cohort(reason: Reason, report: ReportInput) -> bool:
    """Cohorts are named contract/kind/feeder/size; there are dozens of them."""
    return "/" in reason.of and reason.of not in report.names


def _asked_mwh(report: ReportInput, series: Series) -> float:
    """Energy over the intervals in which something was asked."""
    grid = report.target_kw.grid
    asked = report.target_kw.values > 0
    return float(series.on(grid).values[asked].sum()) * grid.step_h / 1000


def _hours_above(series: Series, limit_kw: float) -> float:
    return float(np.count_nonzero(series.values > limit_kw)) * series.grid.step_h


def _apart(events: Sequence[Interval]) -> list[Interval]:
    """The same time without overlaps."""
    out: list[Interval] = []
    for event in sorted(events, key=lambda e: e.start):
        if out and event.start <= out[-1].end:
            out[-1] = Interval(start=out[-1].start, end=max(out[-1].end, event.end))
        else:
            out.append(event)
    return out


def _peak(series: Series, window: Interval) -> float:
    inside = series.on(series.grid.within(window)).values
    return float(np.nanmax(inside)) if np.isfinite(inside).any() else float("nan")
