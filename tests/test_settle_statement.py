"""What a customer gets: complete, right in every sum, and the same bytes as last time."""

import os
import re
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from controller.baseline.baselines import used_kw
from controller.model.contracts import Customer
from controller.model.ids import CustomerId, MeterId
from controller.settle.page import Section, statement_html, statement_text
from controller.settle.settle import Settlement
from controller.settle.statement import as_table, objection_end, statement, totals
from tests.settle_world import DAY_AHEAD, SITES, Town, utc

GOLDEN = Path(__file__).parent / "golden"
TOWN = Town()
KNOWN: dict[str, Any] = {"contracts": TOWN.contracts, "programs": TOWN.programs}


def told(customer: str, settlements: tuple[Settlement, ...] | None = None):
    return statement(
        TOWN.customers[CustomerId(customer)],
        settlements or TOWN.settlements(),
        meters=TOWN.meters,
        made_at=utc("2014-01-28 20:00"),
        config_hash="ab" * 32,
        **KNOWN,
    )


def page(customer: str) -> str:
    made = told(customer)
    days = {(b.event_id, b.meter_id): used_kw(TOWN.history, b) for b in made.baselines}
    section = Section(statement=made, used_days=days, **KNOWN)
    return statement_html(section, contact="settlement@riverside.example")


@pytest.mark.parametrize("customer", ["mill-3", "home-00001"])
@pytest.mark.parametrize("kind", ["txt", "html"])
def test_statements_are_those_that_were_read_and_approved(customer, kind):
    """PEAKSHARE_WRITE_GOLDEN=1 writes them anew; then read the difference."""
    made = statement_text(told(customer), **KNOWN) if kind == "txt" else page(customer)
    file = GOLDEN / f"statement-{customer}.{kind}"
    if os.environ.get("PEAKSHARE_WRITE_GOLDEN"):
        file.write_text(made, encoding="utf-8")
    assert made == file.read_text(encoding="utf-8")


def test_the_amount_can_be_redone_from_the_table():
    """Σ paid kWh of the day-ahead rows × 3.00 CNY is the energy line."""
    text = statement_text(told("mill-3"), **KNOWN)
    rows = re.findall(r"\d\d:\d\d–\d\d:\d\d .* ([\d.]+)  day-ahead", text)
    energy = told("mill-3").lines[0]
    assert len(rows) == 8
    assert round(sum(float(x) for x in rows) * 300) == energy.amount_minor


def test_a_baseline_that_served_two_events_is_told_once():
    assert page("mill-3").count("<h3>Baseline<") == 1


def test_the_page_numbers_the_events_and_sums_each_under_its_intervals():
    """What stands in a line of the amounts is the sum of that event's rows."""
    html = page("mill-3")
    assert "event 事件 <b>1</b> on 2014-01-28" in html
    sums = re.findall(r"Sum of event .*?<td>(\d)</td>(.*?)</tr>", html)
    assert [number for number, _ in sums] == ["1", "2"]
    for (_, cells), line in zip(sums, told("mill-3").lines, strict=True):
        *_, committed, delivered = re.findall(r"<td>([\d.,]+)</td>", cells)
        assert (committed, delivered) == (
            f"{line.committed_wh / 1000:,.3f}",
            f"{line.delivered_wh / 1000:,.3f}",
        )


def test_columns_that_say_nothing_are_left_out():
    """Homes are graded over the event: no ratio per interval. The mill's baseline is a mean."""
    assert "<th>Tier<" in page("mill-3")
    assert "<th>Tier<" not in page("home-00001")
    assert "调整后" in page("home-00001")
    assert "调整后" not in page("mill-3")


def test_a_fictional_area_says_so_on_the_statement_first():
    html = statement_html(
        Section(statement=told("mill-3"), **KNOWN), disclaimer="All of this is <fictional>."
    )
    assert re.search(r"<body>\s*<p[^>]*>All of this is &lt;fictional&gt;", html)


def test_everything_from_outside_is_escaped():
    named = replace(TOWN.customers[CustomerId("mill-3")], name="<script>alert(1)</script>")
    made = statement(
        named, TOWN.settlements(), meters=TOWN.meters, made_at=utc("2014-01-28 20:00"), **KNOWN
    )
    html = statement_html(Section(statement=made, **KNOWN), contact="<b>us</b>")
    assert "<script>" not in html
    assert "<b>us</b>" not in html


def test_the_page_needs_no_other_file():
    assert not re.search(r'(src|href)="|url\(|@import|http', page("mill-3"))


def test_a_customer_who_was_not_called_gets_an_empty_statement():
    made = statement(
        Customer(id=CustomerId("x"), name="X"),
        TOWN.settlements(),
        meters=TOWN.meters,
        made_at=utc("2014-01-28 20:00"),
        **KNOWN,
    )
    assert (made.lines, made.object_until) == ((), None)
    assert "Not called" in statement_html(Section(statement=made, **KNOWN))
    assert "not called" in statement_text(made, **KNOWN)


def test_a_line_on_hold_says_why():
    town = Town()
    mill = town.metered.pop(MeterId("meter-mill-3"))
    held = town.settle(DAY_AHEAD)
    made = statement(
        town.customers[CustomerId("mill-3")],
        [held],
        meters=town.meters,
        made_at=utc("2014-01-28 20:00"),
        **KNOWN,
    )
    assert "on hold: 0 of 8" in statement_text(made, **KNOWN)
    assert "no value 缺数" in statement_html(Section(statement=made, **KNOWN))
    assert mill.grid.count == 12


def test_objections_end_five_working_days_later():
    """Made on Tuesday the 28th: Wed, Thu, Fri, Mon, Tue; a holiday in between adds a day."""
    made_at = utc("2014-01-28 20:00")
    assert objection_end(SITES, made_at) == date(2014, 2, 4)
    with_holiday = replace(SITES, holidays=("2014-01-30",))
    assert objection_end(with_holiday, made_at) == date(2014, 2, 5)


def test_all_statements_are_one_table_without_separators_in_its_numbers():
    header, *rows = as_table([told("mill-3"), told("home-00001")])
    assert len(rows) == 4
    assert all(len(row) == len(header) for row in rows)
    first = dict(zip(header, rows[0], strict=True))
    assert float(first["amount"]) * 100 == pytest.approx(told("mill-3").lines[0].amount_minor)
    assert float(first["committed_kwh"]) == 640.0


def test_totals_keep_money_and_points_apart():
    made = told("home-00001")
    assert set(totals(made.lines)) == {"POINT"}
    assert set(totals(told("mill-3").lines)) == {"CNY"}
