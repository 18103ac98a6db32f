"""Statements: of a settled day, and of a customer over all events, from the store alone."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from controller.app.day_after import Day, meter_days, meter_history
from controller.app.versions import Terms, Versions, terms
from controller.baseline.baselines import used_kw
from controller.errors import UnknownNameError
from controller.model.events import DREvent, EventStatus
from controller.model.ids import CustomerId
from controller.model.money import Statement
from controller.model.time import Interval
from controller.ports import Journal, Telemetry
from controller.settle.page import Section, statement_html
from controller.settle.parts import UsedDays
from controller.settle.settle import Settlement, settle_performances
from controller.settle.statement import as_table, statement, statements


def under_same_terms(day: Day) -> Iterator[tuple[Terms, tuple[Settlement, ...]]]:
    """The day's settlements by configuration version; mostly there is one."""
    by_version: dict[str, list[Settlement]] = {}
    for settlement in day.settlements:
        version = day.terms[settlement.event_id].version
        by_version.setdefault(version.hash, []).append(settlement)
    for settlements in by_version.values():
        yield day.terms[settlements[0].event_id], tuple(settlements)


def day_statements(
    terms: Terms, settlements: Sequence[Settlement], made_at: datetime
) -> tuple[Statement, ...]:
    """Every customer's statement over settlements under the same terms."""
    return statements(
        terms.customers.values(),
        settlements,
        contracts=terms.contracts,
        programs=terms.programs,
        meters=terms.meters,
        made_at=made_at,
        config_hash=terms.version.hash,
    )


def statement_table(day: Day, made_at: datetime) -> list[list[str]]:
    """Every line of every customer's statement, header first."""
    made = [
        s for terms, settlements in under_same_terms(day)
        for s in day_statements(terms, settlements, made_at)
    ]  # fmt: skip
    return [list(row) for row in as_table(made)]


async def statement_page(
    customer_id: CustomerId,
    *,
    journal: Journal,
    telemetry: Telemetry,
    versions: Versions,
    now: datetime,
) -> str:
    """A customer's statement over every settled event as HTML, a section per version of the terms.

    Needs no running controller. Raises UnknownNameError for a customer that no version
    knows, TooEarlyError without meters, StoreError where a version is not stored.
    """
    known = customer_id in versions.current.customers
    by_version: dict[str, tuple[Terms, list[Settlement]]] = {}
    events = await journal.events()
    for event in events:
        under, settlement = await _own(event, customer_id, versions, journal)
        known = known or customer_id in under.customers
        if settlement is not None:
            by_version.setdefault(under.version.hash, (under, []))[1].append(settlement)
    if not known:
        raise UnknownNameError(f"there is no customer {customer_id!r}")
    made_at = await _settled_at(events, journal, now)
    sections = []
    for under, settlements in by_version.values() or [(terms(versions.current), [])]:
        made = statement(
            under.customers[customer_id], settlements, contracts=under.contracts,
            programs=under.programs, meters=under.meters, made_at=made_at,
            config_hash=under.version.hash,
        )  # fmt: skip
        sections.append(Section(
            statement=made, contracts=under.contracts, programs=under.programs,
            used_days=await _used_days(made, under, telemetry),
        ))  # fmt: skip
    return statement_html(*sections, disclaimer=versions.current.area.disclaimer)


async def _own(
    event: DREvent, customer_id: CustomerId, versions: Versions, journal: Journal
) -> tuple[Terms, Settlement | None]:
    """An event's terms and the customer's part of its settlement; None where not called."""
    version = await versions.of(event.config_hash)
    under = terms(version, versions.current)
    kept, rows = await journal.settlement(event.id)
    if any(r.contract_id not in under.contracts or r.meter_id not in under.meters for r in rows):
        under = terms(version, *await versions.after(version), versions.current)
    own = [r for r in rows if under.meters[r.meter_id].customer_id == customer_id]
    if not own:
        return under, None
    return under, settle_performances(
        event.id, performances=own, baselines=kept, contracts=under.contracts,
        programs=under.programs, meters=under.meters,
    )  # fmt: skip


async def _used_days(made: Statement, under: Terms, telemetry: Telemetry) -> UsedDays:
    """The metered days behind each baseline, so that the customer can redo it."""
    if not made.baselines:
        return {}
    spans = [b.series.grid.span for b in made.baselines]
    whole = Interval(start=min(s.start for s in spans), end=max(s.end for s in spans))
    area, fleet = under.version.area, under.version.fleet
    days = meter_days(await meter_history(telemetry, area, whole), fleet, area.timezone)
    return {
        (b.event_id, b.meter_id): used_kw(days, b)
        for b in made.baselines
        if b.event_id and b.meter_id in fleet.meter_index_of
    }


async def _settled_at(events: Sequence[DREvent], journal: Journal, now: datetime) -> datetime:
    """When the last event was settled: a statement printed later says the same."""
    at = [
        entry.at
        for event in events
        for entry in await journal.event_log(event.id)
        if entry.status is EventStatus.SETTLED
    ]
    return max(at, default=now)
