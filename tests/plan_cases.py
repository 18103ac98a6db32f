"""Planning problems for tests and benchmarks: small ones by hand, demo-like ones by seed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import numpy as np
from numpy.typing import NDArray

from controller.model.commands import Control
from controller.model.contracts import Contract, ContractKind, Window
from controller.model.events import Timeline
from controller.model.ids import (
    CohortId,
    ContractId,
    EventId,
    FeederId,
    PlanId,
    ProgramId,
    ResourceId,
    ZoneId,
)
from controller.model.plans import Cohort, Flexibility
from controller.model.resources import ResourceKind
from controller.model.settings import Planning
from controller.model.time import QUARTER_HOUR, Grid, Series
from controller.plan.problem import Problem

ZONE = "Australia/Melbourne"
EVENT = EventId("evening-peak")
START = datetime(2014, 1, 28, 4, 0, tzinfo=UTC)
"""15:00 in Melbourne, a Tuesday."""
EVENING_BEFORE = START - timedelta(hours=19)


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def a_planning(**changes: object) -> Planning:
    fields = {
        "confidence": 0.95,
        "gap_frac": 0.01,
        "node_limit": 300,
        "replan_node_limit": 100,
        "kill_after_s": 30.0,
        "shortfall_price_minor_per_kwh": 2000,
        "over_delivery_price_minor_per_kwh": 100,
        "cohorts": (),
    }
    return Planning(**{**fields, **changes})  # type: ignore[arg-type]


def a_site(name: str, **changes: object) -> Contract:
    """A sure, wired site without terms that bind: 100 kW for 100 fen/kWh."""
    fields = {
        "id": ContractId(name),
        "name": name,
        "program_id": ProgramId("program"),
        "resource_ids": (ResourceId(name),),
        "kind": ContractKind.INTERRUPTIBLE,
        "wired": True,
        "energy_price_minor_per_kwh": 100,
        **({} if {"min_kw", "max_kw"} & changes.keys() else {"steps_kw": (100.0,)}),
    }
    return Contract(**{**fields, **changes})  # type: ignore[arg-type]


def some_homes(**changes: object) -> Contract:
    return a_site("homes", kind=ContractKind.POINTS, steps_kw=(), **changes)


def a_cohort(name: str, members: Sequence[int], **changes: object) -> Cohort:
    fields = {
        "id": CohortId(name),
        "contract_id": ContractId("homes"),
        "kind": ResourceKind.AIR_CONDITIONER,
        "zone": ZoneId("riverside"),
        "feeder": FeederId("north"),
        "members": tuple(members),
        "control": Control.CAP_KW,
        "control_value": 1.0,
        "max_run": minutes(60),
        "recovery": minutes(60),
    }
    return Cohort(**{**fields, **changes})  # type: ignore[arg-type]


def gives(
    of: str, kw: float | Sequence[float] | NDArray[np.float64], *, count: int = 40, **changes: float
) -> tuple[ContractId | CohortId, Flexibility]:
    """What `of` can give from START on: the same in each interval, or as listed."""
    listed = np.asarray(kw, dtype=np.float64)
    values = np.full(count, listed) if listed.ndim == 0 else listed
    series = Series(grid=Grid(start=START, step=QUARTER_HOUR, count=len(values)), values=values)
    return ContractId(of), Flexibility(of=ContractId(of), down_kw=series, **changes)  # type: ignore[arg-type]


def a_line(target: Sequence[float], ruled: Sequence[bool] | None = None) -> Timeline:
    grid = Grid(start=START, step=QUARTER_HOUR, count=len(target))
    rulers = tuple(EVENT if r else None for r in (ruled or [True] * len(target)))
    values = np.array(target, dtype=np.float64)
    return Timeline(grid=grid, ruling=rulers, target=Series(grid=grid, values=values))


def a_problem(
    target: Sequence[float],
    contracts: Sequence[Contract],
    *,
    cohorts: Sequence[Cohort] = (),
    flexibility: Mapping[ContractId | CohortId, Flexibility] | None = None,
    **changes: object,
) -> Problem:
    """Asked the evening before; sites can give all of their contract and always do."""
    known = dict(gives(c.id, c.most_kw * len(c.resource_ids)) for c in contracts if c.most_kw > 0)
    fields = {
        "plan_id": PlanId("plan"),
        "event_id": EVENT,
        "revision": 0,
        "now": EVENING_BEFORE,
        "timeline": a_line(target),
        "timezone": ZONE,
        "contracts": tuple(contracts),
        "use": {},
        "cohorts": tuple(cohorts),
        "flexibility": {**known, **(flexibility or {})},
        "planning": a_planning(),
        "tail_intervals": 4,
    }
    return Problem(**{**fields, **changes})  # type: ignore[arg-type]


def with_target(problem: Problem, target: Sequence[float]) -> Problem:
    return replace(problem, timeline=a_line(target))


def demo_problem(
    seed: int = 1,
    *,
    contracts: int = 25,
    cohorts: int = 30,
    intervals: int = 15,
    tail: int = 8,
    share: float = 0.65,
    **planning: object,
) -> Problem:
    """A fleet like the demonstration's: target about `share` of what can be given throughout."""
    rng = np.random.default_rng(seed)
    whole = Grid(start=START, step=QUARTER_HOUR, count=intervals + tail)
    sites = [_site(rng, i) for i in range(contracts)]
    homes = some_homes(
        notice=minutes(15),
        min_duration=minutes(30),
        max_duration=minutes(120),
        energy_price_minor_per_kwh=150,
    )
    known = dict(_site_flexibility(rng, c, whole) for c in sites)
    groups, member = [], 0
    for k in range(cohorts):
        size = int(rng.integers(40, 121))
        members = range(member, member + size)
        held = {"max_run": minutes(120), "recovery": minutes(120)}
        group = a_cohort(f"homes/{k:02d}", members, **held)
        member += size
        known |= [_home_flexibility(rng, group, whole)]
        groups.append(group)
    span = minutes(15 * intervals)
    most = sum(_mean(known[c.id]) * min(1, c.max_duration / span) for c in sites)
    most += sum(len(k.members) * _mean(known[k.id]) * min(1, k.max_run / span) for k in groups)
    shape = 0.9 + 0.1 * np.sin(np.linspace(0, np.pi, intervals))
    return a_problem(
        list(np.round(share * most * shape / 50) * 50),
        (*sites, homes),
        cohorts=groups,
        flexibility=known,
        planning=a_planning(**planning),
        tail_intervals=tail,
        calls={m: int(rng.integers(0, 6)) for m in range(member)},
    )


def _mean(flexibility: Flexibility) -> float:
    return float(flexibility.down_kw.values.mean()) * flexibility.availability_frac


def _site_flexibility(
    rng: np.random.Generator, site: Contract, grid: Grid
) -> tuple[ContractId | CohortId, Flexibility]:
    """A load around the agreed kW, so that the highest step does not always fit."""
    wave = site.most_kw * rng.uniform(0.9, 1.3) * (1 + 0.05 * rng.standard_normal(grid.count))
    return gives(site.id, wave, availability_frac=site.availability_frac)


def _home_flexibility(
    rng: np.random.Generator, cohort: Cohort, grid: Grid
) -> tuple[ContractId | CohortId, Flexibility]:
    """0.4 to 2.5 kW each, most in mid-event."""
    hump = 0.9 + 0.1 * np.sin(np.linspace(0, np.pi, grid.count))
    kw = float(rng.uniform(0.4, 2.5)) * hump * (1 + 0.02 * rng.standard_normal(grid.count))
    return gives(cohort.id, kw, availability_frac=0.92, rebound_frac=0.3, rebound_intervals=4)


def _site(rng: np.random.Generator, i: int) -> Contract:
    most = float(np.round(rng.uniform(100, 900) / 10) * 10)
    steps = int(rng.choice([0, 1, 2, 3]))
    return Contract(
        id=ContractId(f"site-{i:02d}"),
        name=f"Site {i}",
        program_id=ProgramId("program"),
        resource_ids=(ResourceId(f"site-{i:02d}"),),
        kind=ContractKind.INTERRUPTIBLE,
        wired=i % 3 != 0,
        steps_kw=tuple(float(most * (s + 1) / steps) for s in range(steps)),
        min_kw=0.0 if steps else float(np.round(most * rng.uniform(0.2, 0.6))),
        max_kw=0.0 if steps else most,
        notice=minutes(int(rng.choice([15, 30, 60, 120, 240]))),
        reply_within=minutes(15),
        min_duration=minutes(int(rng.choice([30, 60, 90, 120]))),
        max_duration=timedelta(hours=int(rng.choice([2, 3, 4]))),
        max_calls_per_day=int(rng.choice([1, 1, 1, 2])),
        rest=minutes(60),
        windows=(Window(start=time(13, 0), end=time(22, 0)),) if i % 4 == 0 else (),
        energy_price_minor_per_kwh=int(rng.integers(80, 401)),
        start_cost_minor=int(rng.integers(5000, 80001)),
        availability_frac=float(np.round(rng.uniform(0.85, 0.98), 2)),
    )
