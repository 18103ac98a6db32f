"""The second opinion: it agrees with a right ledger and finds every planted error."""

from dataclasses import replace

import numpy as np
import pytest

from controller.model.ids import EventId
from controller.model.money import Phase
from controller.model.time import Series
from controller.settle.reconcile import reconcile
from controller.settle.statement import statements
from tests.settle_world import Town, utc

TOWN = Town()
SETTLED = TOWN.settlements()
LEDGER = tuple(t for s in SETTLED for t in s.transfers)
TOLD = statements(
    TOWN.customers.values(),
    SETTLED,
    contracts=TOWN.contracts,
    programs=TOWN.programs,
    meters=TOWN.meters,
    made_at=utc("2014-01-28 20:00"),
)


def disagreements(settled=SETTLED, ledger=LEDGER, told=TOLD, metered=TOWN.metered):
    return reconcile(
        settled,
        ledger,
        contracts=TOWN.contracts,
        programs=TOWN.programs,
        meters=TOWN.meters,
        statements=told,
        metered=metered,
    )


def test_a_right_ledger_has_no_disagreement():
    assert disagreements() == ()


def planted(i=0, **change):
    return (*LEDGER[:i], replace(LEDGER[i], **change), *LEDGER[i + 1 :])


POINTS_ENTRY = next(i for i, t in enumerate(LEDGER) if t.component == "points")


@pytest.mark.parametrize(
    ("ledger", "sentence"),
    [
        (planted(amount_minor=LEDGER[0].amount_minor + 1), "is due"),
        (planted(POINTS_ENTRY, amount_minor=LEDGER[POINTS_ENTRY].amount_minor - 1), "is due"),
        (LEDGER[1:], "0 transfers, expected 1"),
        ((*LEDGER, LEDGER[0]), "2 transfers, expected 1"),
        ((*LEDGER, LEDGER[0]), "stands 2 times"),
        ((*LEDGER, replace(LEDGER[0], id="other", version=2)), "2 transfers, expected 1"),
        ((*LEDGER, replace(LEDGER[0], id="x", component="bonus")), "nothing is due"),
        (planted(currency="AUD"), "booked in AUD, due in CNY"),
        (planted(debit=LEDGER[0].credit, credit=LEDGER[0].debit), "booked from"),
        (planted(credit="customer:somebody-else"), "booked from"),
        (planted(phase=Phase.PENDING), "0 transfers, expected 1"),
        (planted(amount_minor=-LEDGER[0].amount_minor), "is due"),
    ],
)
def test_a_planted_error_in_the_ledger_is_found(ledger, sentence):
    assert any(sentence in found for found in disagreements(ledger=ledger))


def with_performance(i, **change):
    rows = list(SETTLED[0].performances)
    rows[i] = replace(rows[i], **change)
    return (replace(SETTLED[0], performances=tuple(rows)), SETTLED[1])


def test_a_kwh_counted_in_both_events_is_found():
    stolen = replace(SETTLED[0].performances[0], event_id=SETTLED[1].event_id)
    both = (SETTLED[0], replace(SETTLED[1], performances=(*SETTLED[1].performances, stolen)))
    assert any("and again in" in found for found in disagreements(settled=both))


def test_energy_that_does_not_follow_from_its_meter_is_found():
    p = SETTLED[0].performances[0]
    wrong = with_performance(0, delivered_wh=p.delivered_wh + 1)
    assert any("is not baseline − metered" in found for found in disagreements(settled=wrong))
    shifted = with_performance(0, baseline_wh=p.baseline_wh + 1, metered_wh=p.metered_wh + 1)
    assert any("Wh in the series" in found for found in disagreements(settled=shifted))


def test_a_meter_value_changed_after_settling_is_found():
    meter_id, series = next(iter(TOWN.metered.items()))
    later = {**TOWN.metered, meter_id: Series(grid=series.grid, values=series.values + 0.01)}
    assert any("metered is" in found for found in disagreements(metered=later))
    gone = {**TOWN.metered, meter_id: Series(grid=series.grid, values=np.full(12, np.nan))}
    assert any("None Wh in the series" in found for found in disagreements(metered=gone))


def test_a_statement_that_tells_another_amount_is_found():
    line = TOLD[0].lines[0]
    wrong = replace(TOLD[0], lines=(replace(line, amount_minor=line.amount_minor + 1),))
    assert any("the ledger has" in x for x in disagreements(told=(wrong, *TOLD[1:])))
    assert any("has no statement" in x for x in disagreements(told=TOLD[1:]))


def test_other_events_in_the_ledger_are_left_alone():
    other = replace(LEDGER[0], id="y", event_id=EventId("last-year"))
    assert disagreements(ledger=(*LEDGER, other)) == ()
