"""Planning problems for tests and benchmarks: small ones by hand, demo-like ones by seed."""

from datetime import UTC, datetime, time, timedelta

import numpy as np

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
"""15:00 in Melbourne."""


def minutes(count: int) -> timedelta:
    return timedelta(minutes=count)


def a_planning(**changes: object) -> Planning:
    fields = {
        "confidence": 0.95,
        "gap_frac": 0.01,
        "node_limit": 2000,
        "replan_node_limit": 200,
        "kill_after_s": 20.0,
        "shortfall_price_minor_per_kwh": 2000,
        "over_delivery_price_minor_per_kwh": 100,
        "cohorts": (),
    }
    return Planning(**{**fields, **changes})  # type: ignore[arg-type]


def demo_problem(
    seed: int = 1,
    *,
    contracts: int = 25,
    cohorts: int = 30,
    intervals: int = 15,
    tail: int = 8,
    share: float = 0.65,
) -> Problem:
    """A fleet like the demonstration's: target about `share` of what can be given throughout."""
    rng = np.random.default_rng(seed)
    grid = Grid(start=START, step=QUARTER_HOUR, count=intervals)
    whole = Grid(start=START, step=QUARTER_HOUR, count=intervals + tail)
    sites = [_site(rng, i) for i in range(contracts)]
    homes = Contract(
        id=ContractId("homes"),
        name="Homes",
        program_id=ProgramId("program"),
        resource_ids=(),
        kind=ContractKind.POINTS,
        wired=True,
        notice=minutes(15),
        min_duration=minutes(30),
        max_duration=timedelta(hours=2),
        energy_price_minor_per_kwh=150,
        points_per_kwh=100,
    )
    flexibility: dict[ContractId | CohortId, Flexibility] = {}
    for c in sites:
        wave = c.most_kw * rng.uniform(0.9, 1.3) * (1 + 0.05 * rng.standard_normal(whole.count))
        flexibility[c.id] = Flexibility(
            of=c.id,
            down_kw=Series(grid=whole, values=wave),
            availability_frac=c.availability_frac,
        )
    groups, member = [], 0
    for k in range(cohorts):
        size, kw = int(rng.integers(40, 121)), float(rng.uniform(0.4, 2.5))
        group = Cohort(
            id=CohortId(f"homes/{k:02d}"),
            contract_id=homes.id,
            kind=ResourceKind.AIR_CONDITIONER,
            zone=ZoneId("riverside"),
            feeder=FeederId("f1"),
            members=tuple(range(member, member + size)),
            control=Control.CAP_KW,
            control_value=0.5,
            max_run=timedelta(hours=2),
            recovery=timedelta(hours=2),
        )
        member += size
        hump = kw * (0.9 + 0.1 * np.sin(np.linspace(0, np.pi, whole.count)))
        flexibility[group.id] = Flexibility(
            of=group.id,
            down_kw=Series(grid=whole, values=hump),
            availability_frac=0.92,
            rebound_frac=0.3,
            rebound_intervals=4,
        )
        groups.append(group)
    most = sum(
        c.most_kw * c.availability_frac * min(1, c.max_duration / grid.span.duration) for c in sites
    )
    most += sum(
        len(k.members) * flexibility[k.id].down_kw.values.mean() * 0.92 * min(1, 8 / intervals)
        for k in groups
    )
    shape = 0.9 + 0.1 * np.sin(np.linspace(0, np.pi, intervals))
    target = np.round(share * most * shape / 50) * 50
    return Problem(
        plan_id=PlanId(f"plan-{seed}"),
        event_id=EVENT,
        revision=0,
        now=START - timedelta(hours=19),
        timeline=Timeline(
            grid=grid, ruling=(EVENT,) * intervals, target=Series(grid=grid, values=target)
        ),
        timezone=ZONE,
        contracts=(*sites, homes),
        use={},
        cohorts=tuple(groups),
        flexibility=flexibility,
        planning=a_planning(),
        tail_intervals=tail,
        calls={m: int(rng.integers(0, 6)) for m in range(member)},
    )


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
