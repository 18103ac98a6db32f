"""The report of a run: says first that it is fictional, needs nothing else, shows everything."""

import re
import subprocess
import sys
from dataclasses import replace

from controller.evaluate.report import render_report
from controller.model.ids import CohortId
from controller.model.plans import Reason
from controller.model.settings import Area
from controller.model.time import Series
from tests.report_world import a_report

REPORT = a_report()
PAGE = render_report(REPORT)


def body(page: str) -> str:
    return page[page.index("<body>") :]


def test_the_first_line_says_that_the_area_is_fictional():
    first = re.search(r"<body>\s*<p[^>]*>(.*?)</p>", PAGE, re.DOTALL)
    assert first
    assert first[1].startswith("Riverside is fictional")


def test_the_page_needs_no_other_file():
    links = set(re.findall(r'(?:src|href)="([^#"][^"]*)"', PAGE))
    assert links == {"statement-mill-3.html"}
    assert "@import" not in PAGE
    assert "<script" not in PAGE


def test_every_section_of_the_contents_line_exists():
    wanted = re.findall(r'href="#(\w+)">', PAGE)
    assert wanted
    assert all(f'id="{name}"' in PAGE for name in wanted)


def test_five_drawings_take_their_colour_from_the_page():
    assert PAGE.count("<svg") == 5
    assert "#010203" not in PAGE
    assert "currentColor" in PAGE
    assert "<?xml" not in PAGE


def test_the_same_input_draws_the_same_page():
    assert render_report(a_report()) == PAGE


def test_failures_reasons_and_money_stand_in_tables():
    for text in ("Modbus link lost", "never called", "27,540.00", "superseded", "Chosen", "Left"):
        assert text in body(PAGE)


def test_the_tiles_and_captions_repeat_the_numbers_of_the_series():
    """Peak, energy and hours above the limit are redone here from what the plots draw."""
    assert REPORT.load_without_kw is not None
    assert REPORT.true_kw is not None
    with_kw, without_kw = REPORT.load_with_kw.values, REPORT.load_without_kw.values
    asked = REPORT.target_kw.values > 0
    text = body(PAGE)
    assert f"<b>{with_kw[asked].max() / 1000:.2f} MW</b>" in text
    assert f"{without_kw[asked].max() / 1000:.2f} MW without response" in text
    mwh = [x.values[asked].sum() / 4000 for x in (REPORT.delivered_kw, REPORT.target_kw)]
    assert f"{mwh[0]:.2f} of {mwh[1]:.2f} MWh asked" in text
    assert f"above the limit for {(with_kw > 86_000).sum() / 4:g} h" in text
    assert f"without response {(without_kw > 86_000).sum() / 4:g} h" in text
    off = mwh[0] / (REPORT.true_kw.values[asked].sum() / 4000) - 1
    assert f"{off:+.1%}".replace("-", "−") in text


def test_what_is_missing_in_a_series_is_not_shown_as_a_number():
    values = REPORT.delivered_kw.values.copy()
    values[64] = float("nan")
    holed = replace(REPORT, delivered_kw=Series(grid=REPORT.delivered_kw.grid, values=values))
    assert "nan" not in re.sub(r"<svg.*?</svg>", "", render_report(holed), flags=re.DOTALL)


def test_cohorts_are_folded_away_and_ids_told_by_name():
    cohort = Reason(of=CohortId("homes/ac/north/2kW/00"), chosen=True, code="called", text="all 9")
    mill = replace(REPORT.failures[0], what="mill-3 refused")
    result = {**REPORT.result, "happenings": [["2014-01-28T05:00:00+00:00", "fault", "mill-3: no"]]}
    page = render_report(
        replace(
            REPORT,
            reasons=(*REPORT.reasons, cohort),
            failures=(mill,),
            names={"mill-3": "Rolling mill 3"},
            result=result,
        )
    )
    assert re.search(r"<details><summary>Cohorts.*?homes/ac/north", page, re.DOTALL)
    assert "Rolling mill 3 refused" in page
    assert re.search(r"<details><summary>Log.*?01-28 16:00.*?Rolling mill 3: no", page, re.DOTALL)


def test_everything_from_outside_is_escaped():
    evil = "<script>alert(1)</script>"
    area = replace(REPORT.area, name=evil, disclaimer=evil)
    money = (replace(REPORT.money[0], contract=evil), *REPORT.money[1:])
    page = render_report(replace(REPORT, area=area, money=money, notes=(evil,)))
    assert "<script" not in page


def test_a_real_area_has_no_twin_and_no_truth():
    real = Area(id=REPORT.area.id, name="Riverside", timezone=REPORT.area.timezone, feeders=())
    page = render_report(replace(REPORT, area=real, load_without_kw=None, true_kw=None))
    assert "fictional" not in page
    assert "without response (twin)" not in page
    assert "known to nobody here" in page


def test_a_run_without_event_money_or_samples_still_reports():
    empty = replace(
        REPORT,
        result=dict.fromkeys(REPORT.result),
        events=(),
        samples=(),
        money=(),
        failures=(),
        reasons=(),
        parts_kw={},
    )
    page = render_report(empty)
    assert "No event." in page
    assert "Nothing was settled." in page
    assert "Nothing failed." in page
    assert "None" not in body(page)


def test_matplotlib_is_loaded_only_to_draw():
    code = "import sys, controller.evaluate.report; print('matplotlib' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "False"
