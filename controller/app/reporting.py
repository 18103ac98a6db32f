"""What the report of a day is made from, as JSON: the same file renders it again later."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import numpy as np

from controller.app.day_after import Day
from controller.app.situation import Happening
from controller.evaluate.summary import money_rows
from controller.model.ids import MeterId
from controller.model.resources import APPLIANCE_KINDS
from controller.model.settings import Config
from controller.model.time import Series


def report_section(
    config: Config, day: Day, happenings: Iterable[Happening], made_at: datetime
) -> dict[str, Any]:
    """Series, money and failures of the day; series are lists on `start` + 15 minutes."""
    grid, terms = day.line.grid, day.first_terms
    return {
        "area": {
            "id": config.area.id,
            "name": config.area.name,
            "timezone": config.area.timezone,
            "disclaimer": config.area.disclaimer,
        },
        "config_hash": terms.version.hash,
        "made_at": made_at.isoformat(),
        "limit_kw": config.shaving.limit_kw,
        "start": grid.start.isoformat(),
        "target_kw": _list(day.line.target.values),
        "delivered_kw": _list(day.delivered_kw()),
        "parts_kw": {name: _list(kw) for name, kw in _parts(day).items()},
        "samples": _samples(day),
        "money": _money(day),
        "failures": _failures(happenings),
        "names": {c.id: c.name for c in terms.contracts.values()},
    }


def _parts(day: Day) -> Mapping[str, np.ndarray]:
    """Delivered by kind of resource, kW on the timeline."""
    kind_of = {r.meter_id: r.kind for r in day.fleet}
    out: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(day.line.grid.count))
    for meter_id in day.baselines:
        out[kind_of[meter_id].replace("_", " ")] += np.nan_to_num(day.delivered_of(meter_id))
    return dict(sorted(out.items(), key=lambda item: -float(item[1].sum())))


def _samples(day: Day) -> list[dict[str, Any]]:
    """Baseline against metered of the total, of the largest called factory and of a home."""
    fleet, grid = day.fleet, day.line.grid
    kind_of = {m: fleet[fleet.meter(m).resource_ids[0]].kind for m in day.baselines}
    sites = [m for m, kind in kind_of.items() if kind not in APPLIANCE_KINDS]
    homes = [m for m, kind in kind_of.items() if kind in APPLIANCE_KINDS]

    def energy(meter_id: MeterId) -> float:
        return float(np.nansum(day.delivered_of(meter_id)))

    picks = [*sorted(sites, key=energy)[-1:], *sorted(homes, key=energy)[-1:]]
    rows = [
        {
            "name": "all called meters",
            "baseline_kw": _list(_total(b.series.on(grid) for b in day.baselines.values())),
            "metered_kw": _list(_total(
                _known_where(day.metered[m], b.series.on(grid)) for m, b in day.baselines.items()
            )),
        }
    ]  # fmt: skip
    for meter_id in picks:
        customer = day.first_terms.customers[fleet.meter(meter_id).customer_id]
        rows.append({
            "name": customer.name,
            "customer_id": customer.id,
            "baseline_kw": _list(day.baselines[meter_id].series.on(grid).values),
            "metered_kw": _list(day.metered[meter_id].values),
        })  # fmt: skip
    return rows


def _money(day: Day) -> list[dict[str, Any]]:
    """One row per contract over all events."""
    terms = day.first_terms
    rows = money_rows(
        [p for s in day.settlements for p in s.performances],
        [t for s in day.settlements for t in s.transfers],
        contracts=terms.contracts,
        programs=terms.programs,
        meters=terms.meters,
    )
    return [asdict(row) for row in rows]


def _failures(happenings: Iterable[Happening]) -> list[dict[str, Any]]:
    """Each fault with what the next plan called instead."""
    rows: list[dict[str, Any]] = []
    waiting: list[dict[str, Any]] = []
    for h in happenings:
        if h.kind == "fault":
            row = {"at": h.at.isoformat(), "what": h.text, "lost_kw": None, "replaced_by": ""}
            rows.append(row)
            waiting.append(row)
        elif h.kind == "replaced":
            for row in waiting:
                row["replaced_by"] = h.text
            waiting = []
    for row in waiting:
        row["replaced_by"] = "nothing"
    return rows


def _known_where(series: Series, where: Series) -> Series:
    known = np.where(np.isfinite(where.values), series.on(where.grid).values, np.nan)
    return Series(grid=where.grid, values=known)


def _total(series: Iterable[Series]) -> np.ndarray:
    total: np.ndarray = np.sum([np.nan_to_num(s.values) for s in series], axis=0)
    return total


def _list(values: np.ndarray) -> list[float | None]:
    return [round(float(v), 2) if np.isfinite(v) else None for v in values]
