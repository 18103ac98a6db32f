"""An invented day with everything a report shows, for its tests and for looking at it."""

from datetime import date
from typing import Any

import numpy as np

from controller.evaluate.report import ReportInput, Sample
from controller.evaluate.summary import Failure, MoneyRow
from controller.model.ids import ContractId, FeederId, ZoneId
from controller.model.plans import Forecast, Reason
from controller.model.settings import Area
from controller.model.time import QUARTER_HOUR, Grid, Series
from tests.settle_world import ZONE, span, utc

DAY = Grid(start=utc("2014-01-28 00:00"), step=QUARTER_HOUR, count=96)
WINDOW = span("2014-01-28 13:00", "2014-01-28 21:00")
EVENT = span("2014-01-28 15:00", "2014-01-28 18:45")
EMERGENCY = span("2014-01-28 16:45", "2014-01-28 17:45")


def a_report(seed: int = 3) -> ReportInput:
    """Whole and plausible; every figure is invented."""
    rng = np.random.default_rng(seed)
    hour = np.arange(96) / 4
    shape = 55 + 37 * np.exp(-(((hour - 17) / 4.5) ** 2)) - 9 * np.exp(-(((hour - 4) / 3) ** 2))
    without = shape * 1000
    target = np.where((hour >= 15) & (hour < 18.75), 4500.0, 0.0)
    target[(hour >= 16.75) & (hour < 17.75)] = 5400.0
    true = target * rng.uniform(0.97, 1.08, 96)
    true[(hour >= 18.75) & (hour < 20)] = -700.0
    delivered = np.where(target > 0, true * rng.uniform(0.96, 1.04, 96), 0.0)
    shares = {
        "factories": 0.42,
        "cold stores, malls": 0.18,
        "air conditioners": 0.27,
        "water heaters": 0.05,
        "EV chargers": 0.03,
        "batteries 电池": 0.05,
    }
    spread = np.linspace(0.02, 0.06, 96)
    quantiles = (0.05, 0.1, 0.5, 0.9, 0.95)
    z = np.array([-1.6, -1.28, 0, 1.28, 1.6])
    median = without * 1.012
    return ReportInput(
        area=Area(
            id=ZoneId("riverside"),
            name="Riverside",
            timezone=ZONE,
            feeders=(FeederId("f1"),),
            disclaimer="Riverside is fictional: 1 % of Victoria's demand and weather of 2014, "
            "with invented customers and Chinese contracts in CNY. 本区域为虚构示例。",
        ),
        day=date(2014, 1, 28),
        made_at=utc("2014-01-28 20:30"),
        config_hash="9f2c" * 16,
        result=a_result(target, delivered, true),
        forecast=Forecast(
            made_at=utc("2014-01-27 20:00"),
            model="analog-gbm",
            grid=DAY,
            quantiles=quantiles,
            kw=median + np.outer(z, median * spread),
            history_days=27,
            notes=("27 days of history", "weather forecast with 0.8 °C mean absolute error"),
        ),
        limit_kw=86_000.0,
        load_with_kw=_day(without - true),
        load_without_kw=_day(without),
        events=(EVENT, EMERGENCY),
        window=WINDOW,
        target_kw=_day(target),
        delivered_kw=_day(delivered),
        true_kw=_day(true),
        parts_kw={k: _day(delivered * v) for k, v in shares.items()},
        samples=_samples(hour, delivered, rng),
        reasons=_reasons(),
        failures=(
            Failure(
                at=utc("2014-01-28 15:22"),
                what="Rolling mill 3: Modbus link lost",
                lost_kw=620.0,
                replaced_by="Cement works 1 (+400 kW), 190 homes with air conditioners (+230 kW)",
            ),
            Failure(
                at=utc("2014-01-28 16:02"),
                what="Foundry 2 refused the setpoint",
                lost_kw=300.0,
                replaced_by="Cold store 4 (+300 kW)",
            ),
            Failure(
                at=utc("2014-01-28 17:10"),
                what="103 homes opted out",
                lost_kw=88.5,
                replaced_by="nothing: the reserve covered it",
            ),
        ),
        money=_money(),
        notes=("History of 27 days only: the forecast's band is wide accordingly.",),
        statements=(("Rolling mill 3", "statement-mill-3.html"),),
    )


def a_result(target: Any, delivered: Any, true: Any) -> dict[str, Any]:
    """result.json's shape, as the report and the summary read it."""
    other, inside = _intervals(target, delivered, true)
    return {
        "forecast": {
            "peak_kw": 93_300.0,
            "actual_peak_kw": 92_180.0,
            "peak_error_pct": 1.2,
            "peak_time_error_min": -15,
        },
        "events": [
            {"id": "0f3a-day-ahead", "source": "scheduler", "status": "settled", "replans": 3,
             "intervals": other, "score": _score()},
            {"id": "7b21-emergency", "source": "openadr", "status": "settled", "replans": 1,
             "intervals": inside, "score": _score(gap_frac=None, unreachable=0)},
        ],
        "plan": {
            "cost_fen": 4_812_300,
            "greedy_cost_fen": 5_390_150,
            "bound_fen": 4_795_000,
            "gap_frac": 0.0036,
            "status": "optimal",
        },
        "devices": {
            "commanded": 1712,
            "applied": 1598,
            "refused": 1,
            "overridden": 103,
            "unreachable": 10,
            "released": 1712,
            "still_curtailed": 0,
        },
        "settlement": {
            "rebate_fen": 4_623_118,
            "points": 218_400,
            "customers": 1719,
            "transfers": 3021,
            "unreconciled": 0,
        },
        "latency": {"event_to_first_command_s": 0.41, "all_acked_s": 0.93},
        "seconds": 91.3,
    }  # fmt: skip


def _intervals(
    target: Any, delivered: Any, true: Any
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Those of the day-ahead event, superseded for an hour, and of the emergency."""
    rows = [
        {
            "start": DAY.at(i).isoformat(),
            "target_kw": float(target[i]),
            "committed_kw": float(target[i] * 1.08),
            "delivered_kw": float(delivered[i]),
            "delivered_frac": float(delivered[i] / target[i]),
            "true_kw": float(true[i]),
        }
        for i in range(96)
        if target[i] > 0
    ]
    other = [
        r
        if DAY.at(60 + i) not in EMERGENCY
        else {**r, "target_kw": 0.0, "committed_kw": 0.0, "delivered_kw": 0.0,
              "delivered_frac": None, "true_kw": 0.0}
        for i, r in enumerate(rows)
    ]  # fmt: skip
    inside = [r for i, r in enumerate(rows) if DAY.at(60 + i) in EMERGENCY]
    return other, inside


def _score(**more: Any) -> dict[str, Any]:
    return {
        "delivered_frac": 1.0335,
        "worst_frac": 0.955,
        "cost_minor": 3_312_050,
        "points": 160_400,
        "cost_per_kwh_minor": 258.96,
        "gap_frac": 0.0036,
        "unreachable": 10,
        "refused": 1,
        "overridden": 103,
        **more,
    }


def _day(values: Any) -> Series:
    return Series(grid=DAY, values=np.asarray(values, dtype=np.float64))


def _samples(hour: Any, delivered: Any, rng: np.random.Generator) -> tuple[Sample, ...]:
    flat = np.where((hour > 6) & (hour < 22), 1450.0, 600.0)
    ac = 0.4 + 1.9 * np.exp(-(((hour - 17) / 3.5) ** 2))
    called = delivered > 0
    base = {"All called meters": 21_000 + 4000 * ac, "Rolling mill 3": flat, "Home 00421": ac}
    cut = {
        "All called meters": delivered,
        "Rolling mill 3": 620 * called,
        "Home 00421": 0.9 * called,
    }
    return tuple(
        Sample(
            name=name,
            baseline_kw=_day(np.where(called, b * rng.uniform(0.98, 1.02, 96), np.nan)),
            metered_kw=_day(b * rng.uniform(0.97, 1.03, 96) - cut[name]),
        )
        for name, b in base.items()
    )


def _reasons() -> tuple[Reason, ...]:
    told = [
        ("Rolling mill 3", True, "called", "620 kW for 15 intervals at 3.00 CNY/kWh"),
        ("Cold store 4", True, "called", "300 kW for 8 intervals at 2.40 CNY/kWh"),
        ("Air conditioners, feeder 2", True, "called", "212 of 280 homes, two runs of 2 h"),
        ("General hospital", False, "protected", "protected load, never called"),
        ("Foundry 2", False, "duration", "needs a run of 4 h, the event has 3 h 45 min"),
        ("Glass works", False, "price", "4.80 CNY/kWh, dearer than what was needed"),
    ]
    return tuple(
        Reason(of=ContractId(of), chosen=chosen, code=code, text=text)
        for of, chosen, code, text in told
    )


def _money() -> tuple[MoneyRow, ...]:
    names = [
        "Rolling mill 3",
        "Cement works 1",
        "Cold store 4",
        "Foundry 2",
        "Mall north",
        "Water works",
    ]
    sites = [
        MoneyRow(
            contract=name,
            kind="interruptible",
            customers=1,
            committed_wh=2_325_000 - 300_000 * i,
            delivered_wh=2_280_000 - 310_000 * i,
            paid_minor=684_000 - 90_000 * i,
            penalty_minor=52_500 if name == "Foundry 2" else 0,
            points=0,
            currency="CNY",
        )
        for i, name in enumerate(names)
    ]
    homes = MoneyRow(
        contract="Homes with air conditioners",
        kind="points",
        customers=1100,
        committed_wh=2_310_000,
        delivered_wh=2_184_000,
        paid_minor=0,
        penalty_minor=0,
        points=218_400,
        currency="CNY",
    )
    return (*sites, homes)
