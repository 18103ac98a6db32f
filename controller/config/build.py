"""Tables → the values of `controller.model`. No judgement here: `check` has found them sound."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

from controller.config.files import Sources
from controller.config.parse import Draft, Placed
from controller.config.shapes import (
    AreaShape,
    ContractShape,
    CustomerShape,
    DispatchShape,
    HomeShape,
    HttpShape,
    LinkShape,
    PlanningShape,
    ProgramShape,
    Shape,
    ShavingShape,
    SiteShape,
    TelemetryShape,
    VerifyShape,
)
from controller.config.text import Money
from controller.model.contracts import BaselineRule, Contract, Customer, Program, Tier, Window
from controller.model.ids import (
    ContractId,
    CustomerId,
    FeederId,
    LinkId,
    MeterId,
    ProfileId,
    ProgramId,
    ResourceId,
    ZoneId,
)
from controller.model.resources import Fleet, Meter, Resource
from controller.model.settings import (
    Area,
    CohortRule,
    Config,
    DispatchRules,
    HttpSettings,
    LinkSettings,
    Planning,
    Shaving,
    TelemetryRules,
    VerifyRules,
)

S = TypeVar("S", bound=Shape)


def config_of(sources: Sources, draft: Draft) -> Config:
    """The whole configuration, from a draft without faults."""
    in_tables = members(draft)
    programs = [_program(p.item) for p in draft.of(ProgramShape)]
    contracts = [_contract(p.item, in_tables.get(p.item.id, ())) for p in draft.of(ContractShape)]
    links = [_link(p.item) for p in draft.of(LinkShape)]
    return Config(
        hash=sources.hash,
        body=sources.body,
        root=sources.root,
        area=_area(_only(draft, AreaShape)),
        fleet=Fleet(
            resources=tuple(p.item for p in resources(draft)),
            meters=tuple(p.item for p in meters(draft)),
        ),
        customers={c.id: c for c in _customers(draft)},
        contracts={c.id: c for c in contracts},
        programs={p.id: p for p in programs},
        profiles=draft.profiles,
        links={x.id: x for x in links},
        shaving=_shaving(_only(draft, ShavingShape)),
        planning=_planning(_only(draft, PlanningShape)),
        dispatch=DispatchRules(**dict(_only(draft, DispatchShape))),
        telemetry=TelemetryRules(**dict(_only(draft, TelemetryShape))),
        verify=VerifyRules(**dict(_only(draft, VerifyShape))),
        http=HttpSettings(**dict(_only(draft, HttpShape))),
    )


def resources(draft: Draft) -> list[Placed[Resource]]:
    """Every resource in the fleet's order: the sites, then the rows of the device tables."""
    sites = [
        Placed(file=s.file, place=s.place, item=_site(*s.item))
        for customer in draft.of(CustomerShape)
        for s in _sites_of(customer)
    ]
    return sites + [
        Placed(file=p.file, place=p.place, item=_appliance(MeterId(p.item.meter_id), p.item))
        for p in draft.of(HomeShape)
    ]


def meters(draft: Draft) -> list[Placed[Meter]]:
    """Every meter: the sites', then the homes' in the order of their first row."""
    found = [
        Placed(
            file=p.file,
            place=f"{p.place}.meter[{m.id}]",
            item=Meter(
                id=MeterId(m.id),
                customer_id=CustomerId(p.item.id),
                resource_ids=tuple(ResourceId(r.id) for r in m.resource),
                interval=m.interval,
                net=m.net,
            ),
        )
        for p in draft.of(CustomerShape)
        for m in p.item.meter
    ]
    behind: dict[str, list[Placed[HomeShape]]] = {}
    for row in draft.of(HomeShape):
        behind.setdefault(row.item.meter_id, []).append(row)
    for meter_id, rows in behind.items():
        meter = Meter(
            id=MeterId(meter_id),
            customer_id=CustomerId(rows[0].item.customer_id),
            resource_ids=tuple(ResourceId(r.item.id) for r in rows),
        )
        found.append(Placed(file=rows[0].file, place=rows[0].place, item=meter))
    return found


def members(draft: Draft) -> Mapping[str, tuple[ResourceId, ...]]:
    """The resources that device tables put into each contract."""
    rows: dict[str, list[ResourceId]] = {}
    for p in draft.of(HomeShape):
        rows.setdefault(p.item.contract_id, []).append(ResourceId(p.item.id))
    return {contract_id: tuple(ids) for contract_id, ids in rows.items()}


def _program(shape: ProgramShape) -> Program:
    """The program with its tiers and its baseline rule."""
    return Program(
        id=ProgramId(shape.id),
        name=shape.name,
        currency=shape.currency,
        timezone=shape.timezone,
        baseline=BaselineRule(**dict(shape.baseline)),
        tiers=tuple(Tier(**dict(tier)) for tier in shape.tier),
        tier_basis=shape.tier_basis,
        interval=shape.interval,
        holidays=tuple(day.isoformat() for day in shape.holidays),
        points_cap_frac=shape.points_cap_frac,
        points_min_frac=shape.points_min_frac,
        valid_frac=shape.valid_frac,
        start_paid=shape.start_paid,
        automatic=shape.automatic,
        settle_from_telemetry=shape.settle_from_telemetry,
        objection_days=shape.objection_days,
        sources=tuple(shape.sources),
    )


def _contract(shape: ContractShape, in_tables: tuple[ResourceId, ...] = ()) -> Contract:
    """The contract with the resources it lists and those that device tables put into it."""
    return Contract(
        id=ContractId(shape.id),
        name=shape.name,
        program_id=ProgramId(shape.program),
        resource_ids=(*map(ResourceId, shape.resources), *in_tables),
        kind=shape.kind,
        wired=shape.wired,
        steps_kw=tuple(shape.steps_kw or ()),
        min_kw=shape.min_kw or 0.0,
        max_kw=shape.max_kw or 0.0,
        notice=shape.notice,
        reply_within=shape.reply_within or timedelta(0),
        min_duration=shape.min_duration,
        max_duration=shape.max_duration,
        max_calls_per_day=shape.max_calls_per_day,
        max_calls_per_season=shape.max_calls_per_season,
        max_hours_per_year=shape.max_hours_per_year,
        rest=shape.rest,
        windows=tuple(Window(**dict(window)) for window in shape.windows),
        energy_price_minor_per_kwh=shape.energy_price.minor,
        capacity_price_minor_per_kw_month=_minor(shape.capacity_price),
        start_cost_minor=_minor(shape.start_cost),
        penalty_minor_per_kwh=_minor(shape.penalty),
        points_per_kwh=shape.points_per_kwh,
        availability_frac=shape.availability_frac,
    )


def _link(shape: LinkShape) -> LinkSettings:
    """The link; its options are checked by its protocol."""
    return LinkSettings(
        id=LinkId(shape.id),
        protocol=shape.protocol,
        host=shape.host,
        port=shape.port,
        timeout_s=shape.timeout_s,
        poll_every=shape.poll_every,
        options=shape.options,
    )


def _only(draft: Draft, shape: type[S]) -> S:
    """The one table of a shape; that it is there was checked."""
    return draft.of(shape)[0].item


def _area(shape: AreaShape) -> Area:
    return Area(
        id=ZoneId(shape.id),
        name=shape.name,
        timezone=shape.timezone,
        feeders=tuple(map(FeederId, shape.feeders)),
        disclaimer=shape.disclaimer,
    )


def _shaving(shape: ShavingShape) -> Shaving:
    return Shaving(
        program_id=ProgramId(shape.program),
        run_at=shape.run_at,
        limit_kw=shape.limit_kw,
        quantile=shape.quantile,
        ask_frac=shape.ask_frac,
        min_duration=shape.min_duration,
        max_duration=shape.max_duration,
        round_kw=shape.round_kw,
    )


def _planning(shape: PlanningShape) -> Planning:
    return Planning(
        confidence=shape.confidence,
        gap_frac=shape.gap_frac,
        node_limit=shape.node_limit,
        replan_node_limit=shape.replan_node_limit,
        kill_after_s=shape.kill_after_s,
        shortfall_price_minor_per_kwh=shape.shortfall_price.minor,
        over_delivery_price_minor_per_kwh=shape.over_delivery_price.minor,
        cohorts=tuple(CohortRule(**dict(cohort)) for cohort in shape.cohort),
    )


def _customers(draft: Draft) -> Iterator[Customer]:
    """Named customers, and those of the device tables under their ids."""
    named = {p.item.id: p.item.name for p in draft.of(CustomerShape)}
    rows = {p.item.customer_id: p.item.customer_id for p in draft.of(HomeShape)}
    for customer_id, name in (rows | named).items():
        yield Customer(id=CustomerId(customer_id), name=name)


def _sites_of(customer: Placed[CustomerShape]) -> Iterator[Placed[tuple[MeterId, SiteShape]]]:
    for meter in customer.item.meter:
        for site in meter.resource:
            place = f"{customer.place}.meter[{meter.id}].resource[{site.id}]"
            yield Placed(file=customer.file, place=place, item=(MeterId(meter.id), site))


def _site(meter_id: MeterId, shape: SiteShape) -> Resource:
    return replace(
        _appliance(meter_id, shape),
        floor_kw=shape.floor_kw,
        ramp_kw_per_min=shape.ramp_kw_per_min or float("inf"),
        min_on=shape.min_on,
        min_off=shape.min_off,
        recovery=shape.recovery,
        protected=shape.protected,
    )


def _appliance(meter_id: MeterId, shape: SiteShape | HomeShape) -> Resource:
    """What every resource says of itself; a home's appliance says no more."""
    return Resource(
        id=ResourceId(shape.id),
        kind=shape.kind,
        zone=ZoneId(shape.zone),
        feeder=FeederId(shape.feeder),
        meter_id=meter_id,
        rated_kw=shape.rated_kw,
        link=LinkId(shape.link),
        profile=ProfileId(shape.profile),
        address=shape.address,
    )


def _minor(amount: Money | None) -> int:
    return amount.minor if amount else 0
