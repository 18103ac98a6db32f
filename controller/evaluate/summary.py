"""The one-screen summary: plain tables from result.json; who shows them chooses how."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any
from zoneinfo import ZoneInfo

from controller.model.contracts import Contract, Program
from controller.model.ids import ContractId, MeterId, ProgramId
from controller.model.money import Performance, Transfer
from controller.model.resources import Meter
from controller.units import major_text

LEAST_FRAC, MOST_FRAC = 0.95, 1.15
"""Delivered ÷ target that an operator accepts without a question."""
TOP_CONTRACTS = 8
"""On the screen; the report has them all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Something that failed during an event and what took its place."""

    at: datetime
    what: str
    lost_kw: float | None
    replaced_by: str
    """'nothing' is an answer; empty is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyRow:
    """One contract's money and points over all events, and the energy behind it."""

    contract: str
    kind: str
    customers: int
    committed_wh: int
    delivered_wh: int
    paid_minor: int
    """Energy and start payments."""
    penalty_minor: int
    points: int
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A titled table of texts; `words` are the columns that hold words, the others numbers."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: tuple[int, ...] = (0,)
    total: bool = False
    """The last row sums up the others."""


def money_rows(
    performances: Iterable[Performance],
    transfers: Iterable[Transfer],
    *,
    contracts: Mapping[ContractId, Contract],
    programs: Mapping[ProgramId, Program],
    meters: Mapping[MeterId, Meter],
) -> tuple[MoneyRow, ...]:
    """One row per contract that was called, over all events given."""
    called: dict[ContractId, list[Performance]] = {}
    for p in performances:
        called.setdefault(p.contract_id, []).append(p)
    booked: Counter[tuple[ContractId, str]] = Counter()
    for t in transfers:
        booked[t.contract_id, t.component] += t.amount_minor
    return tuple(
        MoneyRow(
            contract=contracts[c].name,
            kind=str(contracts[c].kind),
            customers=len({meters[p.meter_id].customer_id for p in rows}),
            committed_wh=sum(p.committed_wh for p in rows),
            delivered_wh=sum(p.delivered_wh for p in rows),
            paid_minor=booked[c, "energy"] + booked[c, "start"],
            penalty_minor=booked[c, "penalty"],
            points=booked[c, "points"],
            currency=programs[contracts[c].program_id].currency,
        )
        for c, rows in sorted(called.items())
    )


def summary(
    result: Mapping[str, Any],
    *,
    timezone: str,
    failures: Sequence[Failure] = (),
    money: Sequence[MoneyRow] = (),
) -> tuple[Table, ...]:
    """What happened, in result.json's own numbers, for one screen. Not known shows as '–'."""
    events = result.get("events") or ()
    names = _part(_part(result, "report"), "names")
    return (
        headline(result),
        *([timeline_table(events, timezone)] if events else []),
        *([failure_table(failures, timezone, names, shortened=True)] if failures else []),
        *([money_table(money, top=TOP_CONTRACTS)] if money else []),
    )


def headline(result: Mapping[str, Any]) -> Table:
    """Forecast against actual peak, plan against merit order, devices, money."""
    forecast, plan = _part(result, "forecast"), _part(result, "plan")
    devices, settled = _part(result, "devices"), _part(result, "settlement")
    latency = _part(result, "latency")
    rows = (
        ("Forecast peak 预测最大负荷", mw_text(forecast.get("peak_kw")), peak_text(forecast)),
        ("Plan 调度计划", _yuan(plan.get("cost_fen")), plan_text(plan)),
        (
            "Devices 设备",
            f"{num(devices.get('applied'), ',')} of {num(devices.get('commanded'), ',')} applied",
            ", ".join(
                f"{num(devices.get(k), ',')} {words}"
                for k, words in (
                    ("refused", "refused"),
                    ("overridden", "taken back"),
                    ("unreachable", "unreachable"),
                    ("released", "released"),
                    ("still_curtailed", "held"),
                )
            ),
        ),
        (
            "Settlement 结算",
            f"{_yuan(settled.get('rebate_fen'))} net",
            f"{num(settled.get('points'), ',')} points, "
            f"{num(settled.get('customers'), ',')} customers, "
            f"{num(settled.get('transfers'), ',')} transfers, "
            f"{num(settled.get('unreconciled'), ',')} unreconciled",
        ),
        (
            "Real time 实际耗时",
            f"{num(result.get('seconds'), '.1f')} s in all",
            f"event to first command {num(latency.get('event_to_first_command_s'), '.2f')} s, "
            f"to last answer {num(latency.get('all_acked_s'), '.2f')} s",
        ),
    )
    return Table(title="The day 总览", columns=("", "", ""), rows=rows, words=(0, 1, 2))


def timeline_table(events: Sequence[Mapping[str, Any]], timezone: str) -> Table:
    """All events in one: who rules each interval, target, committed, delivered and true."""
    zone = ZoneInfo(timezone)
    ruled = sorted(
        chain.from_iterable(((i, e) for i in e["intervals"] if i["target_kw"]) for e in events),
        key=lambda both: str(both[0]["start"]),
    )
    rows = tuple(
        (
            clock(i["start"], zone),
            str(e["source"]),
            num(i["target_kw"], ",.0f"),
            num(i["committed_kw"], ",.0f"),
            num(i["delivered_kw"], ",.0f"),
            pct(i["delivered_frac"], 1),
            num(i["true_kw"], ",.0f"),
        )
        for i, e in ruled
    )
    told = (f"{e['source']} {e['status']}, replanned {e['replans']}×" for e in events)
    return Table(
        title=f"Events 响应事件: {' · '.join(told)}",
        columns=(
            "from 起",
            "ruled by 主导",
            "target 目标 kW",
            "committed 约定 kW",
            "delivered 响应 kW",
            "ratio 响应率",
            "true 真值 kW",
        ),
        words=(0, 1),
        rows=rows,
    )


def failure_table(
    failures: Iterable[Failure],
    timezone: str,
    names: Mapping[str, str] | None = None,
    *,
    shortened: bool = False,
) -> Table:
    """What failed, when, how much it took away where that is known, and what replaced it."""
    zone = ZoneInfo(timezone)
    failures = tuple(failures)
    lost = any(f.lost_kw is not None for f in failures)
    rows = []
    for f in failures:
        what, by = named(f.what, names or {}), f.replaced_by
        if shortened:
            what, by = _latin(what), _latin(_few(by))
        amount = (num(f.lost_kw, ",.0f"),) if lost else ()
        rows.append((f"{f.at.astimezone(zone):%H:%M}", what, *amount, by))
    return Table(
        title="What failed, and what replaced it 故障与替补",
        columns=("at 时间", "what 故障", *(("lost 损失 kW",) if lost else ()), "replaced by 替补"),
        words=(0, 1, 3) if lost else (0, 1, 2),
        rows=tuple(rows),
    )


def money_table(money: Sequence[MoneyRow], *, top: int | None = None) -> Table:
    """Per contract, largest payment first, and the sum; with `top` the others in one row."""
    ordered = sorted(money, key=lambda m: (-m.paid_minor, -m.points, m.contract))
    shown = ordered if top is None or len(ordered) <= top + 1 else ordered[:top]
    others = ordered[len(shown) :]
    one_currency = len({m.currency for m in money}) == 1
    rows = [_money_row(m.contract, [m]) for m in shown]
    if one_currency and others:
        rows.append(_money_row(f"{len(others)} others 其余", others))
    if one_currency:
        rows.append(_money_row("all 合计", ordered))
    unit = "/".join(sorted({m.currency for m in money}))
    return Table(
        title="Money and points by contract 合同结算",
        columns=(
            "contract 合同",
            "customers 用户",
            "committed 约定 kWh",
            "delivered 响应 kWh",
            f"paid 补贴 {unit}",
            f"penalty 考核 {unit}",
            "points 积分",
        ),
        rows=tuple(rows),
        total=one_currency,
    )


def peak_text(forecast: Mapping[str, Any]) -> str:
    """'actual 92.18 MW, −6.6%, on time'."""
    late = forecast.get("peak_time_error_min")
    when = "at an unknown time"
    if late is not None:
        when = f"{abs(late):.0f} min {'late' if late > 0 else 'early'}" if late else "on time"
    error = num(forecast.get("peak_error_pct"), "+.1f").replace("-", "−")
    return f"actual {mw_text(forecast.get('actual_peak_kw'))}, {error}%, {when}"


def plan_text(plan: Mapping[str, Any]) -> str:
    """'12.0% below the merit order, proven to 0.02%'."""
    cost, greedy = plan.get("cost_fen"), plan.get("greedy_cost_fen")
    saved = f"{1 - cost / greedy:.1%} below the merit order" if cost and greedy else "–"
    return f"{saved}, proven to {pct(plan.get('gap_frac'), 2)}"


def named(text: str, names: Mapping[str, str]) -> str:
    """The text with names in the place of ids of contracts."""
    if not names:
        return text
    ids = "|".join(re.escape(i) for i in sorted(names, key=len, reverse=True))
    return re.sub(rf"(?<![\w/-])({ids})(?![\w/-])", lambda m: names[m[1]], text)


def clock(at: str, zone: ZoneInfo) -> str:
    """An ISO instant as local hours and minutes."""
    return f"{datetime.fromisoformat(at).astimezone(zone):%H:%M}"


def num(value: float | None, spec: str) -> str:
    """Formatted, or a dash for what is not known."""
    return "–" if value is None else format(value, spec)


def pct(value: float | None, places: int) -> str:
    """A fraction in percent, or a dash."""
    return "–" if value is None else f"{value:.{places}%}"


def mw_text(kw: float | None) -> str:
    """Megawatts with their unit."""
    return "– MW" if kw is None else f"{kw / 1000:.2f} MW"


def _money_row(name: str, rows: Sequence[MoneyRow]) -> tuple[str, ...]:
    return (
        name,
        f"{sum(m.customers for m in rows):,}",
        f"{sum(m.committed_wh for m in rows) / 1000:,.1f}",
        f"{sum(m.delivered_wh for m in rows) / 1000:,.1f}",
        major_text(sum(m.paid_minor for m in rows)),
        major_text(sum(m.penalty_minor for m in rows)),
        f"{sum(m.points for m in rows):,}",
    )


def _few(text: str) -> str:
    """The two largest of 'A +10 kWh, B +5 kWh, C +1 kWh', and how many more."""
    first, *more = re.split(r"(?<=kWh), ", text)
    rest = f" and {len(more) - 1} more" if len(more) > 1 else ""
    return ", ".join([first, *more[:1]]) + rest


def _latin(text: str) -> str:
    """Names that are told in both scripts only in the Latin one; others as they are."""
    return re.sub(r"(?<=[A-Za-z0-9)]) [\u4e00-\u9fff()]+", "", text)


def _part(result: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    return result.get(key) or {}


def _yuan(fen: int | None) -> str:
    return "– CNY" if fen is None else f"{major_text(int(fen))} CNY"
