"""The one-screen summary: plain tables from result.json; who shows them chooses how."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from controller.model.contracts import Contract, Program
from controller.model.ids import ContractId, MeterId, ProgramId
from controller.model.money import Performance, Transfer
from controller.model.resources import Meter
from controller.model.scorecard import Scorecard
from controller.units import major_text


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
    """What happened, in result.json's own numbers. A value not known shows as '–'."""
    return (
        headline(result),
        *(event_table(event, timezone) for event in result.get("events") or ()),
        *([failure_table(failures, timezone)] if failures else []),
        *([money_table(money)] if money else []),
    )


def headline(result: Mapping[str, Any]) -> Table:
    """Forecast against actual peak, plan against merit order, devices, money."""
    forecast, plan = _part(result, "forecast"), _part(result, "plan")
    devices, settled = _part(result, "devices"), _part(result, "settlement")
    latency = _part(result, "latency")
    cost, greedy = plan.get("cost_fen"), plan.get("greedy_cost_fen")
    saved = "–" if not cost or not greedy else f"{1 - cost / greedy:.1%} below merit order"
    rows = (
        (
            "Forecast peak 预测最大负荷",
            f"{_mw(forecast.get('peak_kw'))} MW",
            f"actual {_mw(forecast.get('actual_peak_kw'))} MW, "
            f"{_num(forecast.get('peak_error_pct'), '+.1f')} %, "
            f"{_num(forecast.get('peak_time_error_min'), '+.0f')} min",
        ),
        ("Plan 调度计划", f"{_yuan(cost)} CNY", f"{saved}; gap {_pct(plan.get('gap_frac'), 2)}"),
        (
            "Devices 设备",
            f"{_num(devices.get('applied'), ',')} of {_num(devices.get('commanded'), ',')} applied",
            ", ".join(
                f"{_num(devices.get(k), ',')} {k.replace('_', ' ')}"
                for k in ("refused", "overridden", "unreachable", "released", "still_curtailed")
            ),
        ),
        (
            "Settlement 结算",
            f"{_yuan(settled.get('rebate_fen'))} CNY, {_num(settled.get('points'), ',')} points",
            f"{_num(settled.get('customers'), ',')} customers, "
            f"{_num(settled.get('transfers'), ',')} transfers, "
            f"{_num(settled.get('unreconciled'), ',')} unreconciled",
        ),
        (
            "Speed 速度",
            f"{_num(result.get('seconds'), '.1f')} s",
            f"first command {_num(latency.get('event_to_first_command_s'), '.2f')} s, "
            f"all acknowledged {_num(latency.get('all_acked_s'), '.2f')} s",
        ),
    )
    return Table(title="The day 总览", columns=("", "", ""), rows=rows, words=(0, 1, 2))


def event_table(event: Mapping[str, Any], timezone: str) -> Table:
    """Target, committed, delivered and true per interval, local time."""
    zone = ZoneInfo(timezone)
    rows = tuple(
        (
            f"{datetime.fromisoformat(i['start']).astimezone(zone):%H:%M}",
            _num(i["target_kw"], ",.0f"),
            _num(i["committed_kw"], ",.0f"),
            _num(i["delivered_kw"], ",.0f"),
            _pct(i["delivered_frac"], 1) if i["target_kw"] else "superseded",
            _num(i["true_kw"], ",.0f"),
        )
        for i in event["intervals"]
    )
    return Table(
        title=f"Event {event['id']} · {event['source']} · {event['status']} · "
        f"replanned {event['replans']}×",
        columns=(
            "from 起",
            "target 目标 kW",
            "committed 约定 kW",
            "delivered 响应 kW",
            "ratio 响应率",
            "true 真值 kW",
        ),
        rows=rows,
    )


def score_table(cards: Sequence[Scorecard]) -> Table:
    """One column per event: energy, cost, gap and what went wrong."""
    lines: tuple[tuple[str, Callable[[Scorecard], str]], ...] = (
        ("asked 目标 MWh", lambda c: _num(c.target_kwh / 1000, ",.2f")),
        ("committed 约定 MWh", lambda c: _num(c.committed_kwh / 1000, ",.2f")),
        ("delivered 响应 MWh", lambda c: _num(c.delivered_kwh / 1000, ",.2f")),
        ("true 真值 MWh", lambda c: "–" if c.true_kwh is None else f"{c.true_kwh / 1000:,.2f}"),
        ("response rate 响应率", lambda c: _pct(c.delivered_frac, 1)),
        ("worst interval 最差时段", lambda c: _pct(c.worst_frac, 1)),
        ("net paid 净补贴", lambda c: major_text(c.cost_minor)),
        ("points 积分", lambda c: f"{c.points:,}"),
        (
            "cost per kWh 度电成本",
            lambda c: "–" if c.cost_per_kwh_minor is None else f"{c.cost_per_kwh_minor / 100:.3f}",
        ),
        ("plan gap 最优性间隙", lambda c: _pct(c.gap_frac, 2)),
        (
            "unreachable · refused · taken back 失联·拒绝·干预",
            lambda c: f"{c.unreachable:,} · {c.refused:,} · {c.overridden:,}",
        ),
        ("comfort limits broken 舒适度越限", lambda c: f"{c.comfort_violations:,}"),
    )
    return Table(
        title="Scorecard 评分卡",
        columns=("", *(f"{c.event_id} ({c.source})" for c in cards)),
        rows=tuple((name, *(text(c) for c in cards)) for name, text in lines),
    )


def failure_table(failures: Iterable[Failure], timezone: str) -> Table:
    """What failed, when, how much it took away, and what replaced it."""
    zone = ZoneInfo(timezone)
    return Table(
        title="What failed, and what replaced it 故障与替补",
        columns=("at 时间", "what 故障", "lost 损失 kW", "replaced by 替补"),
        words=(0, 1, 3),
        rows=tuple(
            (f"{f.at.astimezone(zone):%H:%M}", f.what, _num(f.lost_kw, ",.0f"), f.replaced_by)
            for f in failures
        ),
    )


def money_table(money: Sequence[MoneyRow]) -> Table:
    """Per contract, largest payment first, and the sum."""
    ordered = sorted(money, key=lambda m: (-m.paid_minor, -m.points, m.contract))
    currencies = sorted({m.currency for m in money})
    unit = "/".join(currencies)
    total = (
        "all",
        "",
        f"{sum(m.customers for m in money):,}",
        *(
            _kwh(sum(wh))
            for wh in zip(*((m.committed_wh, m.delivered_wh) for m in money), strict=True)
        ),
        major_text(sum(m.paid_minor for m in money)),
        major_text(sum(m.penalty_minor for m in money)),
        f"{sum(m.points for m in money):,}",
    )
    rows = [
        (
            m.contract,
            m.kind,
            f"{m.customers:,}",
            _kwh(m.committed_wh),
            _kwh(m.delivered_wh),
            major_text(m.paid_minor),
            major_text(m.penalty_minor),
            f"{m.points:,}",
        )
        for m in ordered
    ]
    return Table(
        title="Money and points by contract 合同结算",
        columns=(
            "contract 合同",
            "kind",
            "customers 用户",
            "committed 约定 kWh",
            "delivered 响应 kWh",
            f"paid 补贴 {unit}",
            f"penalty 考核 {unit}",
            "points 积分",
        ),
        words=(0, 1),
        rows=(*rows, total) if len(currencies) == 1 else tuple(rows),
    )


def _part(result: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    return result.get(key) or {}


def _num(value: float | None, spec: str) -> str:
    return "–" if value is None else format(value, spec)


def _pct(value: float | None, places: int) -> str:
    return "–" if value is None else f"{value:.{places}%}"


def _mw(kw: float | None) -> str:
    return "–" if kw is None else f"{kw / 1000:.2f}"


def _yuan(fen: int | None) -> str:
    return "–" if fen is None else major_text(int(fen))


def _kwh(wh: int) -> str:
    return f"{wh / 1000:,.1f}"
