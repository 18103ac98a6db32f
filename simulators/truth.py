"""What really happened: the same world and seed with and without control, beside each other.

Each process of simulators writes its part; together they are the truth that the controller
never sees while it works. It is compared with what the controller believes afterwards.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from controller.errors import Fault, InputError
from controller.model.ids import ResourceId
from controller.model.resources import Resource
from controller.model.settings import Config
from controller.model.time import QUARTER_HOUR, Grid, Interval, Series
from simulators.population import Population, TruthPart
from simulators.world import World


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Truth:
    """All parts on one grid: (grid.count, len(resource_ids)) kW at the meters."""

    grid: Grid
    timezone: ZoneInfo
    resource_ids: tuple[ResourceId, ...]
    controlled_kw: NDArray[np.float64] = field(repr=False)
    uncontrolled_kw: NDArray[np.float64] = field(repr=False)
    executions: Mapping[str, int]

    def reduction_kw(self) -> NDArray[np.float64]:
        """(grid.count, n) true reduction; negative while a load rebounds."""
        return self.uncontrolled_kw - self.controlled_kw

    def resources(self, config: Config) -> list[Resource]:
        return [config.fleet[r] for r in self.resource_ids]


def write_part(path: Path, population: Population) -> None:
    """Let the devices play their day to its end, and write one process's part (.npz)."""
    population.finish_day()
    part = population.truth()
    done = population.executions()
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(
        path,
        start=np.array(part.grid.start.isoformat()),
        resource_ids=np.array([str(r) for r in part.resource_ids]),
        controlled_kw=part.controlled_kw,
        uncontrolled_kw=part.uncontrolled_kw,
        setpoint_ids=np.array([str(s) for s in done]),
        executions=np.array(list(done.values()), dtype=np.int64),
    )


def read_parts(paths: Iterable[Path], timezone: ZoneInfo) -> Truth:
    """The parts together, cut to the time all of them know. Raises InputError with all faults."""
    parts: list[TruthPart] = []
    executions: Counter[str] = Counter()
    faults: list[Fault] = []
    for path in paths:
        try:
            part, done = _read(path)
        except (OSError, KeyError, ValueError) as error:
            faults.append(
                Fault(
                    file=str(path), place="file", value=str(error), expected="a part of the truth"
                )
            )
            continue
        parts.append(part)
        executions.update(done)
    if not parts and not faults:
        faults.append(Fault(file="-", place="parts", value="none", expected="at least one part"))
    if faults:
        raise InputError("the truth cannot be put together", faults)
    return merge(parts, timezone, executions)


def merge(parts: Sequence[TruthPart], timezone: ZoneInfo, executions: Mapping[str, int]) -> Truth:
    """Parts side by side on the time that all of them cover. Raises ValueError on none."""
    start = max(p.grid.start for p in parts)
    end = min(p.grid.end for p in parts)
    span = Interval(start=start, end=max(start, end))
    cuts = [p.grid.within(span) for p in parts]

    def beside(name: str) -> NDArray[np.float64]:
        columns = []
        for part, cut in zip(parts, cuts, strict=True):
            first = part.grid.index(cut.start)
            columns.append(getattr(part, name)[first : first + cut.count])
        return np.concatenate(columns, axis=1)

    return Truth(
        grid=cuts[0],
        timezone=timezone,
        resource_ids=tuple(r for p in parts for r in p.resource_ids),
        controlled_kw=beside("controlled_kw"),
        uncontrolled_kw=beside("uncontrolled_kw"),
        executions=dict(executions),
    )


def day_document(truth: Truth, config: Config, world: World, day: Interval) -> dict[str, Any]:
    """truth.json: the day's area load without and with response, and the true reduction.

    `actual_peak_kw` is without response; kW by contract are in `by_contract`, on the intervals.
    """
    grid = truth.grid.within(day)
    first = truth.grid.index(grid.start)
    rows = truth.reduction_kw()[first : first + grid.count]
    true_kw = rows.sum(axis=1)
    without = world.area_on(grid)
    with_kw = without.values - true_kw
    intervals = [
        {
            "start": grid.at(i).isoformat(),
            "true_kw": round(float(true_kw[i]), 3),
            "load_without_kw": round(float(without.values[i]), 3),
            "load_with_kw": round(float(with_kw[i]), 3),
        }
        for i in range(grid.count)
    ]
    with_response = Series(grid=grid, values=with_kw)
    return {
        "seed": world.seed,
        "intervals": intervals,
        **_peak("actual_peak", without),
        **_peak("peak_with_response", with_response),
        "by_contract": _by_contract(truth, config, rows),
        "setpoints_executed": len(truth.executions),
        "setpoints_repeated": sorted(s for s, n in truth.executions.items() if n > 1),
    }


def write_truth(path: Path, document: Mapping[str, Any]) -> None:
    """Write truth.json."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _peak(name: str, load: Series) -> dict[str, Any]:
    if not np.isfinite(load.values).any():
        return {f"{name}_kw": None, f"{name}_at": None}
    i = int(np.nanargmax(load.values))
    at = load.grid.at(i).isoformat()
    return {f"{name}_kw": round(float(load.values[i]), 3), f"{name}_at": at}


def _by_contract(truth: Truth, config: Config, rows: NDArray[np.float64]) -> dict[str, list[float]]:
    out: dict[str, NDArray[np.float64]] = {}
    for k, resource_id in enumerate(truth.resource_ids):
        contract = config.contract_of.get(resource_id)
        if contract is not None:
            out[contract] = out.get(contract, np.zeros(rows.shape[0])) + rows[:, k]
    return {c: [round(float(v), 3) for v in kw] for c, kw in out.items() if np.abs(kw).max() > 0}


def _read(path: Path) -> tuple[TruthPart, dict[str, int]]:
    with np.load(path) as saved:
        controlled = saved["controlled_kw"]
        start = datetime.fromisoformat(str(saved["start"]))
        part = TruthPart(
            grid=Grid(start=start, step=QUARTER_HOUR, count=len(controlled)),
            resource_ids=tuple(ResourceId(str(r)) for r in saved["resource_ids"]),
            controlled_kw=controlled,
            uncontrolled_kw=saved["uncontrolled_kw"],
        )
        ids, counts = saved["setpoint_ids"], saved["executions"]
        return part, {str(s): int(n) for s, n in zip(ids, counts, strict=True)}
