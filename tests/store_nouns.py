"""Small examples of what the store keeps."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from controller.model.commands import Control, Outcome, Override, OverrideSource, Receipt, Setpoint
from controller.model.events import Answer, DREvent, EventSource, Notice, Offer
from controller.model.ids import (
    ContractId,
    CustomerId,
    EventId,
    MeterId,
    PlanId,
    ProgramId,
    ResourceId,
    SetpointId,
    ZoneId,
)
from controller.model.money import Baseline, Performance, Transfer
from controller.model.plans import Forecast, Plan, PlanStatus
from controller.model.time import QUARTER_HOUR, Grid, Series

NOON = datetime(2014, 1, 28, 1, tzinfo=UTC)
GRID = Grid(start=NOON, step=QUARTER_HOUR, count=4)
ZONE = ZoneId("riverside")


def a_series(*values: float) -> Series:
    return Series(grid=GRID, values=np.array(values or (1.0, 2.0, np.nan, 4.0)))


def an_event(event_id="day-ahead", revision=0, **changes):
    made = DREvent(
        id=EventId(event_id),
        source=EventSource.OPERATOR,
        source_id="vtn-1",
        program_id=ProgramId("industry"),
        zone=ZONE,
        target=a_series(100.0, 200.0, 200.0, 100.0),
        notified_at=NOON,
        revision=revision,
    )
    return replace(made, **changes)


def a_forecast(peak_kw=92_200.0):
    kw = np.array([[1.0, 2.0, 3.0, np.nan], [2.0, 3.0, peak_kw, np.nan]])
    return Forecast(made_at=NOON, model="ridge", grid=GRID, quantiles=(0.1, 0.5), kw=kw)


def a_plan(plan_id="plan-1", **changes):
    zero = Series.full(GRID, 0.0)
    made = Plan(
        id=PlanId(plan_id),
        event_id=EventId("day-ahead"),
        revision=1,
        made_at=NOON,
        grid=GRID,
        ruling=(None, EventId("day-ahead"), EventId("day-ahead"), None),
        target_kw=a_series(),
        expected_kw=a_series(),
        reserve_kw=zero,
        shortfall_kw=zero,
        commitments=(),
        cohorts=(),
        assignments=(),
        cost_minor=12_345,
        bound_minor=12_300,
        gap_frac=0.0036,
        status=PlanStatus.OPTIMAL,
    )
    return replace(made, **changes)


def a_setpoint(n=0, **changes):
    made = Setpoint(
        id=SetpointId(f"sp-{n}"),
        event_id=EventId("day-ahead"),
        resource_id=ResourceId(f"home-{n:05d}"),
        control=Control.CAP_KW,
        value=0.8,
        start=NOON,
        until=NOON + timedelta(hours=2),
        hold_s=7200.0,
        revision=1,
        fence=1,
    )
    return replace(made, **changes)


def a_receipt(n=0, outcome=Outcome.APPLIED, **changes):
    made = Receipt(
        setpoint_id=SetpointId(f"sp-{n}"),
        resource_id=ResourceId(f"home-{n:05d}"),
        at=NOON + timedelta(seconds=5),
        outcome=outcome,
    )
    return replace(made, **changes)


def an_override(n=0):
    return Override(
        resource_id=ResourceId(f"home-{n:05d}"), at=NOON, source=OverrideSource.CUSTOMER
    )


def a_notice(notice_id="notice-1", **changes):
    made = Notice(
        id=notice_id,
        event_id=EventId("day-ahead"),
        contract_id=ContractId("mill-3"),
        kw=a_series(),
        sent_at=NOON,
        reply_by=NOON + timedelta(minutes=30),
    )
    return replace(made, **changes)


def an_offer(notice_id="notice-1", answer=Answer.ACCEPT):
    return Offer(
        notice_id=notice_id,
        event_id=EventId("day-ahead"),
        contract_id=ContractId("mill-3"),
        answer=answer,
        kw=a_series(),
        answered_at=NOON + timedelta(minutes=3),
        by="值班员",
    )


def a_baseline(meter_id="mill-3"):
    return Baseline(
        meter_id=MeterId(meter_id),
        series=a_series(),
        unadjusted=a_series(),
        method="x_of_y",
        days_used=(NOON.date(),),
    )


def a_performance(i=0, delivered_wh=250):
    return Performance(
        event_id=EventId("day-ahead"),
        meter_id=MeterId("mill-3"),
        contract_id=ContractId("mill-3"),
        interval=GRID.interval(i),
        baseline_wh=1000,
        metered_wh=1000 - delivered_wh,
        committed_wh=250,
        delivered_wh=delivered_wh,
    )


def a_transfer(n=0, **changes):
    made = Transfer(
        id=f"transfer-{n}",
        event_id=EventId("day-ahead"),
        contract_id=ContractId("mill-3"),
        customer_id=CustomerId("mill"),
        component="energy",
        debit="program:industry",
        credit="customer:mill",
        amount_minor=350 + n,
        currency="CNY",
        reason="1.000 kWh × 3.50 元",
    )
    return replace(made, **changes)
