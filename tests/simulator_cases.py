"""A small fleet with every kind of device, in the demo's real weather."""

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from itertools import count
from pathlib import Path
from zoneinfo import ZoneInfo

from controller.model.commands import Control, Setpoint
from controller.model.contracts import BaselineMethod, BaselineRule, Contract, ContractKind, Program
from controller.model.ids import (
    ContractId,
    CustomerId,
    EventId,
    FeederId,
    LinkId,
    MeterId,
    ProfileId,
    ProgramId,
    ResourceId,
    SetpointId,
    ZoneId,
)
from controller.model.resources import APPLIANCE_KINDS, Fleet, Meter, Resource, ResourceKind
from controller.model.settings import (
    Area,
    Config,
    DispatchRules,
    HttpSettings,
    LinkSettings,
    Planning,
    Shaving,
    TelemetryRules,
    VerifyRules,
)
from simulators.faults import NO_FAULTS, DayFaults
from simulators.population import Population
from simulators.world import World, read_area

DEMO = Path(__file__).parents[1] / "configs" / "demo"
MELBOURNE = "Australia/Melbourne"
SITE_KINDS = [k for k in ResourceKind if k not in APPLIANCE_KINDS]
RATED_KW = {
    ResourceKind.AIR_CONDITIONER: 2.5,
    ResourceKind.WATER_HEATER: 3.0,
    ResourceKind.EV_CHARGER: 7.0,
    ResourceKind.BATTERY: 4.0,
    ResourceKind.PV: 5.0,
}
_numbers = count(1)


def local(day: int, hour: int, minute: int = 0) -> datetime:
    """An instant of January 2014 by Melbourne's clocks."""
    return datetime(2014, 1, day, hour, minute, tzinfo=ZoneInfo(MELBOURNE)).astimezone(UTC)


def a_world(seed: int = 1) -> World:
    return World(read_area(DEMO / "area" / "victoria-2014-01.csv.gz"), 0.01, MELBOURNE, seed)


def a_resource(kind: ResourceKind, number: int, **changes: object) -> Resource:
    rated_kw = RATED_KW.get(kind, 800.0)
    site = kind not in APPLIANCE_KINDS
    values: dict[str, object] = {
        "id": ResourceId(f"{kind}-{number}"),
        "kind": kind,
        "zone": ZoneId("riverside"),
        "feeder": FeederId("north"),
        "meter_id": MeterId(f"m-{kind}-{number}"),
        "rated_kw": rated_kw,
        "floor_kw": 240.0 if site else 0.0,
        "ramp_kw_per_min": 50.0 if site else float("inf"),
        "link": LinkId("sites" if site else "homes"),
        "profile": ProfileId("any"),
        "address": "1",
        "protected": kind == ResourceKind.HOSPITAL,
    }
    return Resource(**(values | changes))  # type: ignore[arg-type]


def a_config(
    homes: int = 8,
    sites: int = 2,
    told: frozenset[str] = frozenset(),
    extra: Iterable[Resource] = (),
) -> Config:
    """`homes` of each appliance kind and `sites` of each site kind, a contract for each site."""
    resources = [a_resource(k, n) for k in SITE_KINDS for n in range(1, sites + 1)]
    resources += [a_resource(k, n) for k in RATED_KW for n in range(1, homes + 1)]
    resources += extra
    program = Program(
        id=ProgramId("contracted"),
        name="contracted",
        currency="CNY",
        timezone=MELBOURNE,
        baseline=BaselineRule(method=BaselineMethod.RECENT_N),
        tiers=(),
        holidays=("2014-01-01", "2014-01-27"),
    )
    contracts = [
        Contract(
            id=ContractId(r.id),
            name=r.id,
            program_id=program.id,
            resource_ids=(r.id,),
            kind=ContractKind.INTERRUPTIBLE,
            wired=r.id not in told,
            max_kw=r.rated_kw / 3,
            energy_price_minor_per_kwh=100 + i,
        )
        for i, r in enumerate(resources)
    ]
    minute = timedelta(minutes=1)
    link = {
        "host": "127.0.0.1",
        "port": 0,
        "timeout_s": 1.0,
        "poll_every": minute,
    }
    return Config(
        hash="",
        body=b"",
        root=DEMO,
        area=Area(
            id=ZoneId("riverside"),
            name="Riverside",
            timezone=MELBOURNE,
            feeders=(FeederId("north"),),
        ),
        fleet=Fleet(
            resources=tuple(resources),
            meters=tuple(
                Meter(id=r.meter_id, customer_id=CustomerId(f"c-{r.id}"), resource_ids=(r.id,))
                for r in resources
            ),
        ),
        customers={},
        contracts={c.id: c for c in contracts},
        programs={program.id: program},
        profiles={},
        links={
            LinkId("sites"): LinkSettings(id=LinkId("sites"), protocol="modbus", **link),  # type: ignore[arg-type]
            LinkId("homes"): LinkSettings(id=LinkId("homes"), protocol="mqtt", **link),  # type: ignore[arg-type]
        },
        shaving=Shaving(
            program_id=program.id,
            run_at=time(20),
            limit_kw=1.0,
            quantile=0.9,
            ask_frac=0.5,
            min_duration=minute,
            max_duration=minute,
        ),
        planning=Planning(
            confidence=0.9,
            gap_frac=0.01,
            node_limit=1,
            replan_node_limit=1,
            kill_after_s=1.0,
            shortfall_price_minor_per_kwh=1,
            over_delivery_price_minor_per_kwh=1,
            cohorts=(),
        ),
        dispatch=DispatchRules(
            lead=minute,
            ack_deadline_s=1.0,
            retries=0,
            backoff_s=0.0,
            release_stagger=minute,
            max_kw_per_min=1.0,
        ),
        telemetry=TelemetryRules(site_every=minute, home_every=5 * minute, stale_after=minute),
        verify=VerifyRules(
            every=minute,
            shortfall_frac=0.1,
            surplus_frac=0.1,
            failed_below_frac=0.1,
            settle_time=minute,
        ),
        http=HttpSettings(),
    )


def a_population(
    config: Config,
    start: datetime,
    *,
    only: Iterable[ResourceId] | None = None,
    faults: DayFaults = NO_FAULTS,
    seed: int = 1,
) -> Population:
    ids = [r.id for r in config.fleet] if only is None else list(only)
    return Population(config, a_world(seed), ids, seed, start, faults=faults)


def a_setpoint(
    resource_id: str,
    start: datetime,
    until: datetime,
    value: float,
    control: Control = Control.CAP_KW,
    *,
    hold_s: float = 6 * 3600,
    fence: int = 1,
) -> Setpoint:
    return Setpoint(
        id=SetpointId(f"sp-{next(_numbers)}"),
        event_id=EventId("event"),
        resource_id=ResourceId(resource_id),
        control=control,
        value=value,
        start=start,
        until=until,
        hold_s=hold_s,
        revision=0,
        fence=fence,
    )
