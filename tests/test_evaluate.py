"""Scorecards, their shape in result.json, and the one-screen summary."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from controller.evaluate.result import event_result
from controller.evaluate.scorecard import score_intervals, scorecard
from controller.evaluate.summary import (
    Failure,
    money_rows,
    money_table,
    named,
    summary,
)
from controller.evaluate.tables import event_table, reason_table, score_table
from controller.model.commands import Outcome, Receipt
from controller.model.events import DREvent, EventSource, EventStatus
from controller.model.ids import EventId, ProgramId, ResourceId, SetpointId, ZoneId
from controller.model.scorecard import Scorecard, ScoreInterval
from controller.model.time import Series
from tests.report_world import a_report
from tests.settle_world import DAY_AHEAD, EMERGENCY, ZONE, Town, span, utc

TOWN = Town()
GRID = TOWN.timeline.grid
PERFORMANCES = [p for s in TOWN.settlements() for p in s.performances]
TRANSFERS = [t for s in TOWN.settlements() for t in s.transfers]


def event(event_id=DAY_AHEAD, target: Series | None = None) -> DREvent:
    return DREvent(
        id=event_id,
        source=EventSource.SCHEDULER,
        source_id="1",
        program_id=ProgramId("sites"),
        zone=ZoneId("riverside"),
        target=target or TOWN.timeline.target,
        notified_at=utc("2014-01-27 20:15"),
        status=EventStatus.SETTLED,
    )


def rows(of: DREvent | None = None, **more: Any) -> tuple[ScoreInterval, ...]:
    of = of or event()
    other = [TOWN.timeline.ruling[i] != of.id for i in range(GRID.count)]
    return score_intervals(
        of,
        TOWN.timeline,
        superseded=[
            GRID.interval(i) for i, lost in enumerate(other) if lost and GRID.at(i) in of.span
        ],
        committed_kw=Series.full(GRID, 444.0),
        delivered_kw=more.pop("delivered_kw", Series.full(GRID, 420.0)),
        **more,
    )


def card(of: DREvent | None = None, **more: Any) -> Scorecard:
    return scorecard(
        of or event(),
        more.pop("intervals", rows(of)),
        transfers=more.pop("transfers", TRANSFERS),
        receipts=more.pop("receipts", ()),
        **more,
    )


def test_where_another_event_rules_the_target_is_0_and_there_is_no_ratio():
    for row in rows(true_kw=Series.full(GRID, 410.0)):
        superseded = row.interval.start in span("2014-01-28 16:45", "2014-01-28 17:45")
        assert row.rules != superseded
        assert (row.target_kw == 0) == superseded
        assert (row.delivered_frac is None) == superseded
        assert (row.delivered_kw == 0) == superseded
        assert (row.true_kw == 0) == superseded
        assert (row.committed_kw == 0) == superseded


def test_what_two_events_got_together_is_what_the_meters_show_for_both():
    """Each interval's energy goes to the event that rules it, once."""
    metered = Series(grid=GRID, values=np.linspace(300.0, 600.0, GRID.count))
    both = [card(e, intervals=rows(e, delivered_kw=metered)) for e in (event(), event(EMERGENCY))]
    ruled = np.array([r is not None for r in TOWN.timeline.ruling])
    assert sum(c.delivered_kwh or 0.0 for c in both) == pytest.approx(
        metered.values[ruled].sum() * GRID.step_h
    )


def test_energy_with_an_interval_that_nobody_metered_is_not_known():
    """A sum over what is left would look like a figure of the whole."""
    values = np.full(GRID.count, 420.0)
    values[0] = np.nan
    made = card(intervals=rows(delivered_kw=Series(grid=GRID, values=values)))
    assert (made.delivered_kwh, made.delivered_frac, made.cost_per_kwh_minor) == (None, None, None)
    assert made.intervals[0].delivered_kw is None
    assert made.worst_frac is not None


def test_the_ratio_is_none_and_not_infinite_for_an_event_that_never_ruled():
    other = replace(event(), id=EventId("nobody"))
    made = card(other)
    assert (made.target_kwh, made.delivered_frac, made.worst_frac) == (0.0, None, None)


def test_cost_is_what_customers_got_less_penalties_and_points_stand_apart():
    made = card()
    own = [t for t in TRANSFERS if t.event_id == DAY_AHEAD]
    paid = sum(t.amount_minor for t in own if t.component == "energy")
    owed = sum(t.amount_minor for t in own if t.component == "penalty")
    assert made.cost_minor == paid - owed
    assert made.points == sum(t.amount_minor for t in own if t.component == "points")
    assert made.delivered_kwh
    assert made.cost_per_kwh_minor == pytest.approx(made.cost_minor / made.delivered_kwh)


def test_before_it_is_settled_an_event_has_no_cost_rather_than_none():
    made = card(transfers=None)
    assert (made.cost_minor, made.points, made.cost_per_kwh_minor) == (None, None, None)


def test_devices_are_counted_once_however_many_receipts_they_sent():
    at = utc("2014-01-28 15:00")
    receipts = [
        Receipt(setpoint_id=SetpointId(str(i)), resource_id=ResourceId(r), at=at, outcome=o)
        for i, (r, o) in enumerate(
            [("a", Outcome.UNREACHABLE)] * 3 + [("b", Outcome.REFUSED), ("c", Outcome.APPLIED)]
        )
    ]
    made = card(receipts=iter(receipts))
    assert (made.unreachable, made.refused, made.overridden) == (1, 1, 0)


def test_a_device_taken_back_counts_where_it_was_called():
    at = utc("2014-01-28 15:00")
    receipts = [
        Receipt(setpoint_id=SetpointId(r), resource_id=ResourceId(r), at=at, outcome=o)
        for r, o in (("a", Outcome.APPLIED), ("b", Outcome.OVERRIDDEN), ("c", Outcome.APPLIED))
    ]
    made = card(receipts=receipts, taken_back={ResourceId("a"), ResourceId("never called")})
    assert made.overridden == 2


def test_a_scorecard_has_the_shape_of_result_json():
    made = event_result(card(intervals=rows(true_kw=Series.full(GRID, 410.0)), replans=2))
    assert set(made) == {"replans", "intervals", "score"}
    assert set(made["intervals"][0]) == {
        "start", "status", "target_kw", "committed_kw", "delivered_kw", "delivered_frac",
        "true_kw",
    }  # fmt: skip
    assert made["intervals"][0]["start"] == "2014-01-28T04:00:00+00:00"
    assert {i["status"] for i in made["intervals"]} == {"ruling", "superseded"}
    assert json.loads(json.dumps(made)) == made


def test_the_summary_is_one_screen_with_who_ruled_each_interval():
    report = a_report()
    tables = summary(report.result, timezone=ZONE, failures=report.failures, money=report.money)
    assert [t.title.split()[0] for t in tables] == ["The", "Events", "What", "Money"]
    by_time = {row[0]: row for row in tables[1].rows}
    assert len(by_time) == len(tables[1].rows) == 15
    assert (by_time["15:00"][1], by_time["16:45"][1]) == ("scheduler", "openadr")
    assert tables[3].rows[-1][0] == "all 合计"
    assert all(len(row) == len(t.columns) for t in tables for row in t.rows)
    assert sum(len(t.rows) + 4 for t in tables) < 60


def test_an_event_shows_where_another_ruled_and_its_means():
    day_ahead, emergency = a_report().result["events"]
    table = event_table(day_ahead, ZONE)
    by_time = {row[0]: row for row in table.rows}
    assert by_time["16:45"] == ("16:45", "0", "–", "–", "superseded 被取代", "–")
    assert by_time["mean 平均"][1] == "4,500"
    assert table.total
    assert event_table(emergency, ZONE).rows[-1][1] == "5,400"


def test_intervals_outside_what_an_operator_accepts_are_marked():
    event = a_report().result["events"][1]
    for frac, shown in ((0.9499, "95.0% ▼"), (0.95, "95.0%"), (1.15, "115.0%"), (1.2, "120.0% ▲")):
        event["intervals"][0]["delivered_frac"] = frac
        assert event_table(event, ZONE).rows[0][4] == shown


def test_a_mean_of_something_not_known_is_not_known():
    event = a_report().result["events"][1]
    event["intervals"][0]["true_kw"] = None
    *_, true = event_table(event, ZONE).rows[-1]
    assert true == "–"


def test_the_screen_has_the_largest_payments_and_the_others_as_one_row():
    money = [replace(a_report().money[0], contract=str(i), paid_minor=i) for i in range(20)]
    rows = money_table(money, top=8).rows
    assert [row[0] for row in rows] == [
        *(str(i) for i in range(19, 11, -1)), "12 others 其余", "all 合计",
    ]  # fmt: skip
    assert (rows[8][4], rows[9][4]) == ("0.66", "1.90")
    assert len(money_table(money).rows) == 21


def test_a_failure_is_told_shortly_on_the_screen_and_whole_in_the_report():
    failure = Failure(
        at=utc("2014-01-28 15:22"),
        what="mill-3: refused",
        lost_kw=None,
        replaced_by="A 甲厂 +90 kWh, Homes, EV 充电桩 +80 kWh, C +7 kWh, 丁厂 +5 kWh",
    )
    result = {"report": {"names": {"mill-3": "Mill 3 第三轧钢厂", "mill": "Mill"}}}
    shown = summary(result, timezone=ZONE, failures=[failure])[-1].rows[0]
    assert shown == ("15:22", "Mill 3: refused", "A +90 kWh, Homes, EV +80 kWh and 2 more")
    assert named("mill-3, mill-30, mill", {"mill": "M", "mill-3": "M3"}) == "M3, mill-30, M"


def test_what_decided_is_told_only_where_it_differs():
    reasons = a_report().reasons
    assert len(reason_table([r for r in reasons if r.chosen], {}).columns) == 2
    assert len(reason_table([r for r in reasons if not r.chosen], {}).columns) == 3


def test_the_summary_survives_a_result_that_knows_nothing_yet():
    keys = ("forecast", "events", "plan", "devices", "settlement", "latency", "seconds")
    (table,) = summary(dict.fromkeys(keys), timezone=ZONE)
    assert all("None" not in cell for row in table.rows for cell in row)


def test_money_rows_hold_every_entry_of_the_ledger():
    rows = money_rows(
        PERFORMANCES,
        TRANSFERS,
        contracts=TOWN.contracts,
        programs=TOWN.programs,
        meters=TOWN.meters,
    )
    assert [(r.contract, r.customers) for r in rows] == [
        ("Cold Store 1", 1),
        ("Homes with air conditioners", 4),
        ("Mill 3", 1),
    ]
    booked = sum(r.paid_minor + r.penalty_minor + r.points for r in rows)
    assert booked == sum(t.amount_minor for t in TRANSFERS)
    assert sum(r.delivered_wh for r in rows) == sum(p.delivered_wh for p in PERFORMANCES)


def test_a_loss_not_known_is_a_dash_and_a_column_of_dashes_is_left_out():
    failure = Failure(
        at=utc("2014-01-28 15:22"), what="link lost", lost_kw=None, replaced_by="nothing"
    )
    both = [failure, replace(failure, lost_kw=620.0)]
    assert summary({}, timezone=ZONE, failures=both)[-1].rows[0][2] == "–"
    assert summary({}, timezone=ZONE, failures=[failure])[-1].rows[0][2] == "nothing"


def test_scorecards_stand_side_by_side():
    day_ahead, emergency = a_report().result["events"]
    table = score_table([day_ahead, emergency])
    assert len(table.columns) == 3
    assert all(len(row) == 3 for row in table.rows)
    by_name = {row[0].split()[0]: row[1:] for row in table.rows}
    assert by_name["net"] == ("33,120.50", "33,120.50")
    assert by_name["gap"] == ("0.36%", "–")
    assert score_table([{k: v for k, v in day_ahead.items() if k != "score"}]).rows == ()


def test_energy_of_an_event_is_a_dash_where_an_interval_is_not_known():
    event = a_report().result["events"][1]
    event["intervals"][0]["true_kw"] = None
    by_name = {row[0].split()[0]: row[1] for row in score_table([event]).rows}
    assert by_name["true"] == "–"
    assert by_name["asked"] == "5.40"
