"""The report's own tables: events, scorecards, plan and reasons. `summary` has the others."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from controller.evaluate.summary import LEAST_FRAC, MOST_FRAC, Table, clock, named, num, pct
from controller.model.plans import Reason
from controller.model.time import QUARTER_HOUR
from controller.units import major_text


def event_table(event: Mapping[str, Any], timezone: str) -> Table:
    """Target, committed, delivered and true per interval, local time; the mean in the last row."""
    zone = ZoneInfo(timezone)
    rows = tuple(_interval_row(i, zone) for i in event["intervals"])
    asked = [i for i in event["intervals"] if i["target_kw"]]
    return Table(
        title=event_title(event, zone),
        columns=(
            "from 起",
            "target 目标 kW",
            "committed 约定 kW",
            "delivered 响应 kW",
            "ratio 响应率",
            "true 真值 kW",
        ),
        rows=(*rows, _mean_row(asked)) if asked else rows,
        total=bool(asked),
    )


def event_title(event: Mapping[str, Any], zone: ZoneInfo) -> str:
    """'peak-shaving 2014-01-28 (scheduler), 16:00–19:00 · settled · replanned 5×'."""
    hours = ""
    if event.get("start") and event.get("end"):
        hours = f", {clock(event['start'], zone)}–{clock(event['end'], zone)}"
    name = event.get("source_id") or event["id"]
    return f"{name} ({event['source']}){hours} · {event['status']} · replanned {event['replans']}×"


def score_table(events: Sequence[Mapping[str, Any]]) -> Table:
    """One column per event that was scored: energy, cost, gap and what went wrong."""
    scored = [e for e in events if e.get("score")]
    lines: tuple[tuple[str, Callable[[Mapping[str, Any]], str]], ...] = (
        ("asked 目标 MWh", lambda e: _mwh(e, "target_kw")),
        ("committed 约定 MWh", lambda e: _mwh(e, "committed_kw")),
        ("delivered 响应 MWh", lambda e: _mwh(e, "delivered_kw")),
        ("true 真值 MWh", lambda e: _mwh(e, "true_kw")),
        ("response rate 响应率", lambda e: pct(e["score"]["delivered_frac"], 1)),
        ("worst interval 最差时段", lambda e: pct(e["score"]["worst_frac"], 1)),
        ("net paid 净补贴", lambda e: _major(e["score"]["cost_minor"])),
        ("points 积分", lambda e: num(e["score"]["points"], ",")),
        ("cost per kWh 度电成本", lambda e: _major(e["score"]["cost_per_kwh_minor"])),
        ("gap of its first plan 最优性间隙", lambda e: pct(e["score"]["gap_frac"], 2)),
        (
            "unreachable · refused · taken back 失联·拒绝·干预",
            lambda e: " · ".join(
                f"{e['score'][k]:,}" for k in ("unreachable", "refused", "overridden")
            ),
        ),
    )
    return Table(
        title="Scorecard 评分卡",
        columns=("", *(f"{e.get('source_id') or e['id']} ({e['source']})" for e in scored)),
        rows=tuple((name, *(text(e) for e in scored)) for name, text in lines) if scored else (),
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
            ("chosen plan 选用方案", yuan("cost_fen"), f"status {plan.get('status') or '–'}"),
            (
                "proven bound 已证下界",
                yuan("bound_fen"),
                "no plan can cost less; gap " + ("–" if gap is None else f"{gap:.2%}"),
            ),
            (
                "merit order 按价排序",
                yuan("greedy_cost_fen"),
                "cheapest first, under the same terms, margin and limits",
            ),
        ),
    )


def reason_table(reasons: Sequence[Reason], names: Mapping[str, str]) -> Table:
    """One row per contract or cohort: what decided, and the sentence for the operator.

    What decided is told only where it differs from row to row.
    """
    codes = len({r.code for r in reasons}) > 1
    return Table(
        title="chosen" if reasons and reasons[0].chosen else "left",
        columns=("name 名称", *(("decided by 决定因素",) if codes else ()), "why 理由"),
        words=(0, 1, 2) if codes else (0, 1),
        rows=tuple((names.get(r.of, r.of), *((r.code,) if codes else ()), r.text) for r in reasons),
    )


def log_table(result: Mapping[str, Any], timezone: str, names: Mapping[str, str]) -> Table:
    """What happened when, as the controller wrote it down."""
    zone = ZoneInfo(timezone)
    return Table(
        title="Log 运行日志",
        columns=("at 时间", "kind 类别", "what 内容"),
        words=(0, 1, 2),
        rows=tuple(
            (f"{datetime.fromisoformat(at).astimezone(zone):%m-%d %H:%M}", kind, named(text, names))
            for at, kind, text in result.get("happenings") or ()
        ),
    )


def _mwh(event: Mapping[str, Any], key: str) -> str:
    """Energy over the event's intervals; a dash where one is not known."""
    kw = [i[key] for i in event["intervals"]]
    known = kw and None not in kw
    return num(sum(kw) * QUARTER_HOUR.total_seconds() / 3.6e6 if known else None, ",.2f")


def _major(minor: float | None) -> str:
    return "–" if minor is None else major_text(round(minor))


def _interval_row(i: Mapping[str, Any], zone: ZoneInfo) -> tuple[str, ...]:
    at = clock(i["start"], zone)
    if not i["target_kw"]:
        return (at, "0", "–", "–", "superseded 被取代", "–")
    return (
        at,
        num(i["target_kw"], ",.0f"),
        num(i["committed_kw"], ",.0f"),
        num(i["delivered_kw"], ",.0f"),
        _marked(i["delivered_frac"]),
        num(i["true_kw"], ",.0f"),
    )


def _mean_row(asked: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Means over the intervals in which the event ruled; a dash where one is not known."""
    means: dict[str, float | None] = {}
    for key in ("target_kw", "committed_kw", "delivered_kw", "true_kw"):
        known = [i[key] for i in asked if i[key] is not None]
        means[key] = sum(known) / len(asked) if len(known) == len(asked) else None
    delivered, target = means["delivered_kw"], means["target_kw"]
    frac = delivered / target if delivered is not None and target else None
    return (
        "mean 平均",
        num(target, ",.0f"),
        num(means["committed_kw"], ",.0f"),
        num(delivered, ",.0f"),
        pct(frac, 1),
        num(means["true_kw"], ",.0f"),
    )


def _marked(frac: float | None) -> str:
    """'92.4% ▼': marked where outside what an operator accepts."""
    mark = "" if frac is None else " ▼" if frac < LEAST_FRAC else " ▲" if frac > MOST_FRAC else ""
    return pct(frac, 1) + mark
