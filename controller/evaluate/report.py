"""The report of a run: one self-contained page that a control room can read and print."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from controller.evaluate import plots
from controller.evaluate.summary import (
    Failure,
    MoneyRow,
    Table,
    event_table,
    failure_table,
    headline,
    money_table,
    score_table,
)
from controller.model.plans import Forecast, Reason
from controller.model.scorecard import Scorecard
from controller.model.settings import Area
from controller.model.time import Interval, Series
from controller.units import major_text


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
    scorecards: tuple[Scorecard, ...] = ()
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
    zone = ZoneInfo(report.area.timezone)
    return templates.get_template("report.html.j2").render(
        r=report,
        made=f"{report.made_at.astimezone(zone):%Y-%m-%d %H:%M}",
        tiles=tiles(report),
        headline=headline(report.result),
        events=[event_table(e, report.area.timezone) for e in report.result.get("events") or ()],
        failures=failure_table(report.failures, report.area.timezone),
        money=money_table(report.money),
        scores=score_table(report.scorecards) if report.scorecards else None,
        chosen=reason_table([x for x in report.reasons if x.chosen], report.names),
        left=reason_table([x for x in report.reasons if not x.chosen], report.names),
        plan=plan_table(report.result),
        plots=_plots(report, zone),
    )


def tiles(report: ReportInput) -> list[tuple[str, str, str, str]]:
    """(title, 中文, figure, what it means) of the first row."""
    window = report.window
    with_kw, without_kw = report.load_with_kw, report.load_without_kw
    peak = f"{_peak(with_kw, window) / 1000:.2f} MW"
    of = f"{_peak(without_kw, window) / 1000:.2f} MW without response" if without_kw else ""
    asked = report.target_kw.values > 0
    target = float(report.target_kw.values[asked].sum())
    delivered = float(report.delivered_kw.on(report.target_kw.grid).values[asked].sum())
    step_h = report.target_kw.grid.step_h
    settled = report.result.get("settlement") or {}
    plan = report.result.get("plan") or {}
    cost, greedy = plan.get("cost_fen"), plan.get("greedy_cost_fen")
    return [
        ("Peak in the window", "最大负荷", peak, of),
        (
            "Delivered",
            "响应率",
            f"{delivered / target:.1%}" if target else "–",
            f"{delivered * step_h / 1000:.2f} of {target * step_h / 1000:.2f} MWh asked",
        ),
        (
            "Plan",
            "调度成本",
            "–" if cost is None else f"{major_text(int(cost))} CNY",
            f"{1 - cost / greedy:.1%} below the merit order" if cost and greedy else "",
        ),
        (
            "Paid to customers",
            "补贴",
            "–"
            if settled.get("rebate_fen") is None
            else f"{major_text(int(settled['rebate_fen']))} CNY",
            _settled_text(settled),
        ),
    ]


def _settled_text(settled: Mapping[str, Any]) -> str:
    unreconciled = settled.get("unreconciled")
    return (
        f"{settled.get('points') or 0:,} points, {settled.get('customers') or 0:,} customers, "
        f"{'not reconciled' if unreconciled is None else f'{unreconciled:,} unreconciled'}"
    )


def plan_table(result: Mapping[str, Any]) -> Table:
    """The day-ahead plan against its bound and the merit order."""
    plan = result.get("plan") or {}

    def yuan(key: str) -> str:
        value = plan.get(key)
        return "–" if value is None else major_text(int(value))

    gap = plan.get("gap_frac")
    return Table(
        title="The day-ahead plan 日前计划",
        columns=("", "expected cost 预期成本 CNY", "what it is"),
        words=(0, 2),
        rows=(
            ("chosen plan", yuan("cost_fen"), f"status {plan.get('status') or '–'}"),
            (
                "proven bound",
                yuan("bound_fen"),
                "no plan can cost less; gap " + ("–" if gap is None else f"{gap:.2%}"),
            ),
            (
                "merit order",
                yuan("greedy_cost_fen"),
                "cheapest first, under the same terms, margin and limits",
            ),
        ),
    )


def reason_table(reasons: Sequence[Reason], names: Mapping[str, str]) -> Table:
    """One row per contract or cohort: what decided, and the sentence for the operator."""
    return Table(
        title="chosen" if reasons and reasons[0].chosen else "left",
        columns=("contract or cohort 合同 / 集群", "what decided 决定因素", "why 理由"),
        words=(0, 1, 2),
        rows=tuple((names.get(r.of, r.of), r.code, r.text) for r in reasons),
    )


def _plots(report: ReportInput, zone: ZoneInfo) -> dict[str, str]:
    paid = sorted(report.money, key=lambda m: (-m.paid_minor, m.contract))
    return {
        "load": plots.load_plot(
            report.forecast,
            report.load_with_kw,
            report.load_without_kw,
            report.limit_kw,
            report.events,
            zone,
        ),
        "parts": plots.parts_plot(report.parts_kw, report.target_kw, report.window, zone),
        "truth": plots.truth_plot(
            report.target_kw, report.delivered_kw, report.true_kw, report.window, zone
        ),
        "baseline": plots.baseline_plot(
            [(s.name, s.baseline_kw, s.metered_kw) for s in report.samples],
            report.events,
            report.window,
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


def _peak(series: Series, window: Interval) -> float:
    inside = series.on(series.grid.within(window)).values
    return float(np.nanmax(inside)) if np.isfinite(inside).any() else float("nan")
