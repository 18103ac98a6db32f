"""Settle one event: performances, transfers and statement lines, each kWh once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from controller.model.contracts import Contract, Program
from controller.model.events import Timeline
from controller.model.ids import ContractId, CustomerId, EventId, MeterId, ProgramId
from controller.model.money import Baseline, Performance, StatementLine, Transfer
from controller.model.resources import Meter
from controller.model.time import Series
from controller.settle.performance import performances
from controller.settle.points import points
from controller.settle.rebate import Amount, rebate
from controller.settle.share import each_kwh_once
from controller.settle.transfers import transfer


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What settling one event gives. Equal input gives an equal value, ids included."""

    event_id: EventId
    version: int
    baselines: tuple[Baseline, ...] = field(repr=False)
    """Of the meters that were called, each marked with this event."""
    performances: tuple[Performance, ...] = field(repr=False)
    transfers: tuple[Transfer, ...] = field(repr=False)
    lines: Mapping[CustomerId, tuple[StatementLine, ...]] = field(repr=False)
    """Every customer who was called has a line, also with amount 0."""


def settle_event(
    event_id: EventId,
    *,
    timeline: Timeline,
    contracts: Mapping[ContractId, Contract],
    programs: Mapping[ProgramId, Program],
    meters: Mapping[MeterId, Meter],
    baselines: Mapping[MeterId, Baseline],
    metered: Mapping[MeterId, Series],
    committed: Mapping[tuple[ContractId, MeterId], Series],
    version: int = 1,
) -> Settlement:
    """Settle what was committed to `event_id` in the intervals where it rules the timeline.

    `committed` is kW per (contract, meter): for a site its contract's commitment, for a home the
    reduction it was called for. With several events on one timeline each interval belongs to the
    one that rules it, so every kWh is counted once; contracts behind one meter share its energy.
    A meter without baseline or values gets rows that are not valid. Raises KeyError for a contract,
    program or meter that is not given.
    """
    rows: list[Performance] = []
    for (contract_id, meter_id), kw in sorted(committed.items()):
        nothing = Series.missing(kw.grid)
        baseline = baselines.get(meter_id)
        rows += performances(
            event_id,
            timeline,
            contracts[contract_id],
            meters[meter_id],
            baseline.series if baseline else nothing,
            metered.get(meter_id, nothing),
            kw,
        )
    return settle_performances(
        event_id,
        performances=each_kwh_once(rows),
        baselines=baselines.values(),
        contracts=contracts,
        programs=programs,
        meters=meters,
        version=version,
    )


def settle_performances(
    event_id: EventId,
    *,
    performances: Sequence[Performance],
    baselines: Iterable[Baseline],
    contracts: Mapping[ContractId, Contract],
    programs: Mapping[ProgramId, Program],
    meters: Mapping[MeterId, Meter],
    version: int = 1,
) -> Settlement:
    """The money of performances already known, e.g. read back from the journal."""
    called: dict[tuple[ContractId, CustomerId], list[Performance]] = {}
    for row in performances:
        key = (row.contract_id, meters[row.meter_id].customer_id)
        called.setdefault(key, []).append(row)
    transfers: list[Transfer] = []
    lines: dict[CustomerId, tuple[StatementLine, ...]] = {}
    for (contract_id, customer_id), rows in sorted(called.items()):
        contract = contracts[contract_id]
        for amount in amounts(programs[contract.program_id], contract, rows):
            line = _line(event_id, contract_id, amount)
            lines[customer_id] = (*lines.get(customer_id, ()), line)
            entry = transfer(event_id, contract, customer_id, amount, version)
            transfers += [entry] if entry else []
    of_called = {row.meter_id for row in performances}
    return Settlement(
        event_id=event_id,
        version=version,
        baselines=tuple(
            replace(b, event_id=event_id) for b in baselines if b.meter_id in of_called
        ),
        performances=tuple(performances),
        transfers=tuple(transfers),
        lines=lines,
    )


def amounts(
    program: Program, contract: Contract, rows: Sequence[Performance]
) -> tuple[Amount, ...]:
    """Every component of one customer under one contract in one event."""
    return (*rebate(program, contract, rows), *points(program, contract, rows))


def _line(event_id: EventId, contract_id: ContractId, amount: Amount) -> StatementLine:
    return StatementLine(
        event_id=event_id,
        contract_id=contract_id,
        component=amount.component,
        committed_wh=amount.committed_wh,
        delivered_wh=amount.delivered_wh,
        ratio=amount.ratio,
        tier=amount.tier,
        amount_minor=amount.amount_minor,
        currency=amount.currency,
        formula=amount.formula,
    )
