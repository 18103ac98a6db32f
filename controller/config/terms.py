"""What was agreed: a contract's terms among themselves, with its program and its resources."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from controller.config.book import Book
from controller.config.parse import Placed
from controller.config.rules import span_faults
from controller.config.shapes import ContractShape, WindowShape
from controller.config.text import duration_text
from controller.errors import Fault
from controller.model.commands import Control
from controller.model.contracts import ContractKind
from controller.model.resources import Resource

TOLD = "duty_desk"
"""The protocol of links behind which people answer."""


def contract_faults(book: Book) -> Iterator[Fault]:
    """Terms that contradict each other, the program, or the resources."""
    for contract in book.draft.of(ContractShape):
        terms = contract.item
        yield from book.refer(
            contract, "program", terms.program, "a program", book.programs, "programs"
        )
        resources = book.members(terms)
        if not terms.resources and not resources and "fleet" not in book.draft.unread:
            yield contract.fault("resources", [], "at least one, here or in a device table")
        yield from _levels(contract, resources)
        yield from _durations(book, contract)
        yield from _currencies(book, contract)
        if terms.kind is ContractKind.INTERRUPTIBLE:
            yield from _wire(book, contract, resources)
        else:
            yield from _appliances(book, contract, resources)
        yield from _protection(contract, resources)


def _levels(
    contract: Placed[ContractShape], resources: Sequence[Placed[Resource]]
) -> Iterator[Fault]:
    """Steps or a range for what the customer cuts; neither where the cohort rule says it."""
    terms = contract.item
    stepped, ranged = terms.steps_kw is not None, terms.max_kw is not None
    if terms.kind is not ContractKind.INTERRUPTIBLE:
        if stepped or ranged or terms.min_kw is not None:
            expected = "no steps_kw, min_kw or max_kw: [[planning.cohort]] says what is called"
            yield contract.fault("steps_kw", "given", expected)
        return
    if stepped == ranged or (stepped and terms.min_kw is not None):
        yield contract.fault("steps_kw", terms.steps_kw, "either steps_kw, or min_kw and max_kw")
        return
    if terms.steps_kw and terms.steps_kw != sorted(set(terms.steps_kw)):
        yield contract.fault("steps_kw", terms.steps_kw, "steps in rising order, each once")
    if terms.max_kw and (terms.min_kw or 0.0) > terms.max_kw:
        yield contract.fault("min_kw", terms.min_kw, f"at most max_kw = {terms.max_kw:g}")
    most = max(terms.steps_kw or [terms.max_kw or 0.0])
    for resource in (r.item for r in resources):
        room = resource.rated_kw - resource.floor_kw
        if most > room >= 0:
            key = "steps_kw" if terms.steps_kw else "max_kw"
            expected = f"at most {room:g} kW: {resource.id} is rated {resource.rated_kw:g} kW"
            yield contract.fault(key, most, expected + f" with a floor of {resource.floor_kw:g} kW")


def _durations(book: Book, contract: Placed[ContractShape]) -> Iterator[Fault]:
    """Whole intervals, least before most, and windows that a call fits into."""
    terms = contract.item
    program = book.programs.get(terms.program)
    yield from span_faults(contract, terms.min_duration, terms.max_duration, program)
    told = terms.kind is ContractKind.INTERRUPTIBLE and not terms.wired
    if told and not timedelta(0) < (terms.reply_within or timedelta(0)) < terms.notice:
        expected = f"longer than 0 and shorter than notice = {duration_text(terms.notice)}"
        yield contract.fault("reply_within", terms.reply_within, expected)
    if terms.wired and terms.reply_within is not None:
        yield contract.fault(
            "reply_within", terms.reply_within, "none: a wired contract is not asked"
        )
    for i, window in enumerate(terms.windows):
        if _length(window) < terms.min_duration:
            value = f"{window.start:%H:%M}-{window.end:%H:%M}"
            expected = (
                f"start before end, at least min_duration = {duration_text(terms.min_duration)}"
            )
            yield contract.fault(f"windows[{i}]", value, expected)


def _length(window: WindowShape) -> timedelta:
    start, end = (timedelta(hours=t.hour, minutes=t.minute) for t in (window.start, window.end))
    return end - start


def _currencies(book: Book, contract: Placed[ContractShape]) -> Iterator[Fault]:
    """Prices in the program's currency."""
    terms = contract.item
    program = book.programs.get(terms.program)
    for key in ("energy_price", "capacity_price", "start_cost", "penalty"):
        amount = getattr(terms, key)
        if program and amount and amount.currency != program.currency:
            expected = f"{program.currency}, the currency of program {program.id}"
            yield contract.fault(key, amount.currency, expected)


def _wire(
    book: Book, contract: Placed[ContractShape], resources: Sequence[Placed[Resource]]
) -> Iterator[Fault]:
    """A wired site can be capped and frees itself; a told one stands behind a duty desk."""
    for placed in resources:
        resource = placed.item
        link = book.links.get(resource.link)
        profile = book.draft.profiles.get(resource.profile)
        if link and (link.protocol == TOLD) is contract.item.wired:
            side = "a link that is no duty desk" if contract.item.wired else "a duty desk's link"
            expected = (
                f"{side}, as wired = {str(contract.item.wired).lower()} in {contract.item.id}"
            )
            yield placed.fault("link", f"{link.id} ({link.protocol})", expected)
        elif contract.item.wired and profile and profile.dead_man == "none":
            expected = f"a profile with a dead-man, since {contract.item.id} is wired"
            yield placed.fault("profile", f"{profile.id} (dead_man = none)", expected)
        elif contract.item.wired and profile and Control.CAP_KW not in profile.controls:
            expected = f"a profile with the control cap_kw, since {contract.item.id} is wired"
            yield placed.fault("profile", profile.id, expected)


def _appliances(
    book: Book, contract: Placed[ContractShape], resources: Sequence[Placed[Resource]]
) -> Iterator[Fault]:
    """Homes are wired, and each kind has a rule that its devices can follow."""
    if not contract.item.wired:
        yield contract.fault("wired", False, f"true: {contract.item.kind} is done by us")
    if contract.item.kind is ContractKind.POINTS and not contract.item.points_per_kwh:
        yield contract.fault("points_per_kwh", 0, "at least 1, since the kind is points")
    for placed in resources:
        resource = placed.item
        rule = book.cohorts.get(resource.kind) if book.cohorts is not None else None
        profile = book.draft.profiles.get(resource.profile)
        if rule is None and book.cohorts is not None:
            expected = f"a kind with a [[planning.cohort]]; contract {contract.item.id} needs one"
            yield placed.fault("kind", resource.kind, expected)
        elif rule and profile and rule.control not in profile.controls:
            expected = f"a profile with the control {rule.control} of its [[planning.cohort]]"
            yield placed.fault("profile", profile.id, expected)


def _protection(
    contract: Placed[ContractShape], resources: Sequence[Placed[Resource]]
) -> Iterator[Fault]:
    """A protected resource may stand in a contract only if that is never called."""
    for resource in (r.item for r in resources if r.item.protected):
        if contract.item.max_calls_per_day:
            expected = f"0, since {resource.id} is protected"
            yield contract.fault("max_calls_per_day", contract.item.max_calls_per_day, expected)
