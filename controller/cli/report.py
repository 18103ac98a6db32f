"""report.html from a played day's JSON."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from controller.evaluate.report import ReportInput, Sample, render_report
from controller.evaluate.summary import Failure, MoneyRow
from controller.model.ids import ContractId, FeederId, ZoneId
from controller.model.plans import Forecast, Reason
from controller.model.settings import Area
from controller.model.time import QUARTER_HOUR, Grid, Interval, Series

AROUND = timedelta(hours=1, minutes=30)


def write_report(folder: Path, inputs: Mapping[str, Any]) -> Path:
    """Render `inputs` ({result, truth, statements}) to report.html in `folder`."""
    page = folder / "report.html"
    page.write_text(render(inputs), encoding="utf-8")
    return page


def render(inputs: Mapping[str, Any]) -> str:
    """The page of {result, truth, statements}."""
    return render_report(report_input(inputs))


def report_input(inputs: Mapping[str, Any]) -> ReportInput:
    """The report's values from their JSON."""
    result, truth = inputs["result"], inputs["truth"]
    section = result["report"]
    area = Area(
        id=ZoneId(section["area"]["id"]),
        name=section["area"]["name"],
        timezone=section["area"]["timezone"],
        feeders=(FeederId("all"),),
        disclaimer=section["area"]["disclaimer"],
    )
    start = datetime.fromisoformat(section["start"])
    true = _series_of(truth["intervals"], "true_kw")
    target = _series(start, section["target_kw"])
    forecast = _forecast(result["forecast"])
    return ReportInput(
        area=area,
        day=start.astimezone(ZoneInfo(area.timezone)).date(),
        made_at=datetime.fromisoformat(section["made_at"]),
        config_hash=section["config_hash"],
        result=result,
        forecast=forecast,
        limit_kw=section["limit_kw"],
        load_with_kw=_series_of(truth["intervals"], "load_with_kw").on(forecast.grid),
        load_without_kw=_series_of(truth["intervals"], "load_without_kw").on(forecast.grid),
        events=tuple(
            Interval(start=datetime.fromisoformat(e["start"]), end=datetime.fromisoformat(e["end"]))
            for e in result["events"]
        ),
        window=Interval(start=target.grid.start - AROUND, end=target.grid.end + AROUND),
        target_kw=target,
        delivered_kw=_series(start, section["delivered_kw"]),
        true_kw=true,
        parts_kw={k: _series(start, v) for k, v in section["parts_kw"].items()},
        samples=tuple(
            Sample(
                name=s["name"],
                baseline_kw=_series(start, s["baseline_kw"]),
                metered_kw=_series(start, s["metered_kw"]),
            )
            for s in section["samples"]
        ),
        reasons=tuple(
            Reason(of=ContractId(of), chosen=chosen, code=code, text=text)
            for of, chosen, code, text in result["reasons"]
        ),
        failures=failures(result),
        money=money(result),
        notes=tuple(result["forecast"]["notes"]),
        statements=tuple((t, f) for t, f in inputs["statements"]),
        names=section["names"],
    )


def failures(result: Mapping[str, Any]) -> tuple[Failure, ...]:
    """What failed and what replaced it."""
    return tuple(
        Failure(
            at=datetime.fromisoformat(f["at"]),
            what=f["what"],
            lost_kw=f["lost_kw"],
            replaced_by=f["replaced_by"],
        )
        for f in result["report"]["failures"]
    )


def money(result: Mapping[str, Any]) -> tuple[MoneyRow, ...]:
    """Money and points by contract."""
    return tuple(MoneyRow(**row) for row in result["report"]["money"])


def _forecast(raw: Mapping[str, Any]) -> Forecast:
    grid = Grid(
        start=datetime.fromisoformat(raw["start"]), step=QUARTER_HOUR, count=len(raw["kw"][0])
    )
    return Forecast(
        made_at=datetime.fromisoformat(raw["issued_at"]),
        model="as issued",
        grid=grid,
        quantiles=tuple(raw["quantiles"]),
        kw=np.array(raw["kw"], dtype=np.float64),
        notes=tuple(raw["notes"]),
    )


def _series(start: datetime, values: Sequence[float | None]) -> Series:
    grid = Grid(start=start, step=QUARTER_HOUR, count=len(values))
    return Series(grid=grid, values=np.array([np.nan if v is None else v for v in values]))


def _series_of(rows: Sequence[Mapping[str, Any]], key: str) -> Series:
    return _series(datetime.fromisoformat(rows[0]["start"]), [r[key] for r in rows])
