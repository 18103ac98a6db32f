"""How the tables fit together: ids, references, the fleet. What was agreed is in `terms`."""

from collections.abc import Iterator

from adapters.profile import PROTOCOLS
from controller.config.book import Book
from controller.config.build import meters, resources
from controller.config.parse import Draft, Placed
from controller.config.rules import fits_hour, program_faults, settings_faults
from controller.config.shapes import (
    ContractShape,
    CustomerShape,
    HomeShape,
    LinkShape,
    ProgramShape,
)
from controller.config.terms import contract_faults
from controller.config.text import did_you_mean, duration_text
from controller.errors import Fault
from controller.model.resources import Resource


def check(draft: Draft) -> Iterator[Fault]:
    """Every fault that only shows between tables."""
    book = Book(draft=draft)
    yield from _doubles(draft)
    for link in draft.of(LinkShape):
        yield from _link(link)
    for resource in resources(draft):
        yield from _resource(book, resource)
    yield from _memberships(book)
    yield from settings_faults(book)
    yield from program_faults(book)
    yield from contract_faults(book)


def _doubles(draft: Draft) -> Iterator[Fault]:
    """Ids that are given twice."""
    groups: dict[str, list[Placed[str]]] = {
        "program": [_id(p, p.item.id) for p in draft.of(ProgramShape)],
        "contract": [_id(p, p.item.id) for p in draft.of(ContractShape)],
        "link": [_id(p, p.item.id) for p in draft.of(LinkShape)],
        "customer": [_id(p, p.item.id) for p in draft.of(CustomerShape)],
        "meter": [_id(p, p.item.id) for p in meters(draft)],
        "resource": [_id(p, p.item.id) for p in resources(draft)],
    }
    for what, ids in groups.items():
        first: dict[str, Placed[str]] = {}
        for placed in ids:
            other = first.setdefault(placed.item, placed)
            if other is not placed:
                expected = f"an id that no other {what} has; {other.file} has one at {other.place}"
                yield placed.fault("id", placed.item, expected)


def _id(placed: Placed[object], item: str) -> Placed[str]:
    return Placed(file=placed.file, place=placed.place, item=item)


def _link(link: Placed[LinkShape]) -> Iterator[Fault]:
    if link.item.protocol not in PROTOCOLS:
        hint = did_you_mean(link.item.protocol, PROTOCOLS)
        yield link.fault("protocol", link.item.protocol, f"one of {', '.join(PROTOCOLS)}{hint}")


def _resource(book: Book, placed: Placed[Resource]) -> Iterator[Fault]:
    """A resource's place in the area, its wire, and its floor."""
    resource, profiles = placed.item, book.draft.profiles
    if book.area:
        feeders, zone = book.area.feeders, book.area.id
        yield from book.refer(placed, "zone", resource.zone, "the area", [zone], "controller.toml")
        one_of = f"one of the feeders {', '.join(feeders)}"
        yield from book.refer(placed, "feeder", resource.feeder, one_of, feeders, "controller.toml")
    yield from book.refer(placed, "link", resource.link, "a link", book.links, "fleet")
    yield from book.refer(placed, "profile", resource.profile, "a profile", profiles, "profiles")
    link, profile = book.links.get(resource.link), profiles.get(resource.profile)
    if link and profile and link.protocol != profile.protocol and link.protocol in PROTOCOLS:
        expected = f"a profile for {link.protocol}, which link {link.id} speaks"
        yield placed.fault("profile", f"{profile.id} ({profile.protocol})", expected)
    if resource.floor_kw > resource.rated_kw:
        expected = f"at most rated_kw = {resource.rated_kw:g}"
        yield placed.fault("floor_kw", resource.floor_kw, expected)


def _memberships(book: Book) -> Iterator[Fault]:
    """Each resource in at most one contract, each meter measures one contract, one home one meter.

    A meter behind two contracts could not say who gave what: each kWh is counted once.
    """
    contract_of: dict[str, str] = {}
    for contract in book.draft.of(ContractShape):
        for resource_id in contract.item.resources:
            yield from book.refer(
                contract, "resources", resource_id, "a resource", book.resources, "fleet"
            )
            yield from _claim(contract_of, contract, "resources", resource_id, contract.item.id)
    seen: set[str] = set()
    for row in book.draft.of(HomeShape):
        home = row.item
        yield from book.refer(
            row, "contract_id", home.contract_id, "a contract", book.contracts, "contracts"
        )
        if home.id not in seen:  # else its id is given twice, which is a fault already
            yield from _claim(contract_of, row, "contract_id", home.id, home.contract_id)
        seen.add(home.id)
    yield from _metering(book, contract_of)


def _claim(
    contract_of: dict[str, str], by: Placed[object], key: str, resource_id: str, contract_id: str
) -> Iterator[Fault]:
    """Note that a contract has this resource; a fault if another or the same had it already."""
    if resource_id in contract_of:
        expected = f"a resource in one contract, once; {contract_of[resource_id]} has it"
        yield by.fault(key, resource_id, expected)
    contract_of.setdefault(resource_id, contract_id)


def _metering(book: Book, contract_of: dict[str, str]) -> Iterator[Fault]:
    """Meters that can be settled: one contract, one customer, the program's interval."""
    for placed in meters(book.draft):
        under = sorted({contract_of[r] for r in placed.item.resource_ids if r in contract_of})
        if len(under) > 1:
            key = "meter_id" if placed.place.startswith("line ") else "resource"
            yield placed.fault(key, ", ".join(under), "one contract behind one meter")
        for contract in (book.contracts[c] for c in under if c in book.contracts):
            program = book.programs.get(contract.program)
            if not program or not fits_hour(program.interval):
                continue
            if program.interval != placed.item.interval:
                expected = f"{duration_text(program.interval)}, as program {program.id} settles"
                yield placed.fault("interval", placed.item.interval, expected)
    customer_of: dict[str, str] = {}
    for row in book.draft.of(HomeShape):
        owner = customer_of.setdefault(row.item.meter_id, row.item.customer_id)
        if owner != row.item.customer_id:
            expected = f"{owner}, as for meter {row.item.meter_id} before"
            yield row.fault("customer_id", row.item.customer_id, expected)
