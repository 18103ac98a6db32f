"""A small invented town for the tests of baseline, settle and evaluate: two sites, some homes."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from controller.baseline.baselines import baselines
from controller.baseline.days import local_days
from controller.model.contracts import (
    Adjustment,
    BaselineMethod,
    BaselineRule,
    Contract,
    ContractKind,
    Customer,
    Program,
    Tier,
    TierBasis,
)
from controller.model.events import Timeline
from controller.model.ids import (
    ContractId,
    CustomerId,
    EventId,
    MeterId,
    ProgramId,
    ResourceId,
)
from controller.model.money import Baseline
from controller.model.resources import Meter
from controller.model.time import QUARTER_HOUR, Grid, Interval, Series
from controller.settle.settle import Settlement, settle_event

ZONE = "Australia/Melbourne"
DAY_AHEAD, EMERGENCY = EventId("day-ahead"), EventId("emergency")
INF = float("inf")

STATE_GRID_TIERS = (
    Tier(from_ratio=-INF, to_ratio=0.8, pay_frac=0.0, cap_ratio=1.2, penalty_frac=1.0,
         penalty_ratio=0.5),
    Tier(from_ratio=0.8, to_ratio=INF, pay_frac=1.0, cap_ratio=1.2),
)  # fmt: skip
SITES = Program(
    id=ProgramId("sites"),
    name="Interruptible load 可中断负荷",
    currency="CNY",
    timezone=ZONE,
    baseline=BaselineRule(method=BaselineMethod.RECENT_N, days=5),
    tiers=STATE_GRID_TIERS,
    tier_basis=TierBasis.INTERVAL,
    holidays=("2014-01-01", "2014-01-27"),
    sources=("an invented rule of the provincial type",),
)
HOMES = Program(
    id=ProgramId("homes-ac"),
    name="Air conditioners 居民空调",
    currency="CNY",
    timezone=ZONE,
    baseline=BaselineRule(
        method=BaselineMethod.X_OF_Y,
        days=10,
        pick_days=4,
        adjustment=Adjustment.RATIO,
        adjustment_cap_frac=0.2,
    ),
    tiers=(Tier(from_ratio=-INF, to_ratio=INF, pay_frac=1.0, cap_ratio=1.5),),
    holidays=SITES.holidays,
)
PROGRAMS = {p.id: p for p in (SITES, HOMES)}


def utc(local: str) -> datetime:
    """'2014-01-28 15:00' in Melbourne as aware UTC."""
    return datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(ZONE)).astimezone(UTC)


def span(start: str, end: str) -> Interval:
    return Interval(start=utc(start), end=utc(end))


def site(name: str, price: int = 300, penalty: int = 450) -> Contract:
    return Contract(
        id=ContractId(name),
        name=name.replace("-", " ").title(),
        program_id=SITES.id,
        resource_ids=(ResourceId(name),),
        kind=ContractKind.INTERRUPTIBLE,
        wired=True,
        max_kw=1000.0,
        energy_price_minor_per_kwh=price,
        penalty_minor_per_kwh=penalty,
    )


def homes_contract(names: Sequence[str]) -> Contract:
    return Contract(
        id=ContractId("homes-ac"),
        name="Homes with air conditioners",
        program_id=HOMES.id,
        resource_ids=tuple(ResourceId(n) for n in names),
        kind=ContractKind.POINTS,
        wired=True,
        max_kw=2.0,
        points_per_kwh=100,
    )


def meter(name: str) -> Meter:
    return Meter(
        id=MeterId(f"meter-{name}"),
        customer_id=CustomerId(name),
        resource_ids=(ResourceId(name),),
    )


class Town:
    """Two sites and `homes` homes on 2014-01-28, called by two events; seeded."""

    site_names = ("mill-3", "cold-store-1")

    def __init__(self, homes: int = 4, seed: int = 7) -> None:
        self.home_names = [f"home-{i:05d}" for i in range(homes)]
        names = [*self.site_names, *self.home_names]
        self.meters = {m.id: m for m in map(meter, names)}
        self.customers = {
            m.customer_id: Customer(id=m.customer_id, name=str(m.customer_id))
            for m in self.meters.values()
        }
        contracts = [*map(site, self.site_names), homes_contract(self.home_names)]
        self.contracts = {c.id: c for c in contracts}
        self.programs = dict(PROGRAMS)
        self.window = span("2014-01-28 15:00", "2014-01-28 18:00")
        self.timeline = timeline(self.window)
        self._simulate(seed)

    def contract_of(self, meter_id: MeterId) -> Contract:
        name = self.meters[meter_id].customer_id
        return self.contracts[ContractId(name if name in self.site_names else "homes-ac")]

    def _simulate(self, seed: int) -> None:
        start, count = utc("2014-01-01 00:00"), 28 * 96
        times = [start + QUARTER_HOUR * i for i in range(count)]
        rated = np.array([800.0, 300.0] + [2.0] * len(self.home_names))
        hour = np.arange(count) % 96 / 4
        heat = 1 + 0.4 / (1 + ((hour - 17) / 3) ** 2)
        kw = rated * heat[:, None] * (0.9 + 0.2 * scatter(count, len(rated), seed))
        self.history = local_days(list(self.meters), times, kw, ZONE)
        self.committed: dict[tuple[ContractId, MeterId], Series] = {}
        self.metered: dict[MeterId, Series] = {}
        grid = self.timeline.grid
        today = Grid(start=utc("2014-01-28 00:00"), step=QUARTER_HOUR, count=96)
        given = 0.5 + 0.9 * scatter(grid.count, len(rated), seed + 1)
        for i, meter_id in enumerate(self.meters):
            cut = rated[i] * 0.4
            self.committed[self.contract_of(meter_id).id, meter_id] = Series.full(grid, cut)
            real = Series(grid=today, values=kw[27 * 96 :, i]).on(grid).values
            self.metered[meter_id] = Series(grid=grid, values=real - cut * given[:, i])

    def baselines(self) -> Mapping[MeterId, Baseline]:
        """By each contract's program, told five minutes before the start."""
        out: dict[MeterId, Baseline] = {}
        for program in self.programs.values():
            ids = [m for m in self.meters if self.contract_of(m).program_id == program.id]
            made = baselines(
                program.baseline,
                program,
                self.history.only(ids),
                spans=self.window,
                notified_at=self.window.start - timedelta(minutes=5),
            )
            out.update({b.meter_id: b for b in made})
        return out

    def settle(self, event_id: EventId) -> Settlement:
        return settle_event(
            event_id,
            timeline=self.timeline,
            contracts=self.contracts,
            programs=self.programs,
            meters=self.meters,
            baselines=self.baselines(),
            metered=self.metered,
            committed=self.committed,
        )

    def settlements(self) -> tuple[Settlement, ...]:
        return self.settle(DAY_AHEAD), self.settle(EMERGENCY)


def scatter(rows: int, columns: int, seed: int) -> NDArray[np.float64]:
    """Numbers in [0, 1) without a pattern to see, the same with every version of numpy."""
    i, j = np.arange(rows)[:, None], np.arange(columns)[None, :]
    mixed: NDArray[np.float64] = (
        (i * 7919 + j * 104_729 + i * i * 131 + i * j * 37 + seed * 613) % 2003
    ) / 2003
    return mixed


def timeline(window: Interval) -> Timeline:
    """The day-ahead event; the emergency rules from 16:45 to 17:45."""
    grid = Grid.over(window)
    inner = span("2014-01-28 16:45", "2014-01-28 17:45")
    ruling = tuple(EMERGENCY if at.start in inner else DAY_AHEAD for at in grid.intervals())
    return Timeline(grid=grid, ruling=ruling, target=Series.full(grid, 400.0))


def day(text: str) -> date:
    return date.fromisoformat(text)
