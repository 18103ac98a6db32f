"""Programs and settings: tiers without gaps, baselines that can be made, sound ways to run."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from math import inf

from controller.config.book import Book
from controller.config.parse import Placed
from controller.config.shapes import (
    AreaShape,
    CohortShape,
    PlanningShape,
    ProgramShape,
    ShavingShape,
    TelemetryShape,
    VerifyShape,
)
from controller.config.text import duration_text
from controller.errors import Fault
from controller.model.commands import Control
from controller.model.contracts import BaselineMethod
from controller.model.resources import APPLIANCE_KINDS
from controller.model.time import QUARTER_HOUR

BY_FRACTION = (Control.CAP_KW, Control.CHARGE_KW, Control.POWER_KW)
"""Controls whose value is a fraction of rated power."""


def program_faults(book: Book) -> Iterator[Fault]:
    """Tiers without gaps, a baseline that can be made, one currency for all."""
    programs = book.draft.of(ProgramShape)
    for program in programs:
        terms = program.item
        yield from _tiers(program)
        yield from _baseline(program)
        if terms.currency != programs[0].item.currency:
            expected = f"{programs[0].item.currency}, as in {programs[0].file}: plans add up costs"
            yield program.fault("currency", terms.currency, expected)
        if not fits_hour(terms.interval):
            expected = 'an interval that divides the hour, such as "15 min"'
            yield program.fault("interval", terms.interval, expected)


def _tiers(program: Placed[ProgramShape]) -> Iterator[Fault]:
    """Every ratio lies in exactly one tier, negative ones too: a load may rise instead."""
    end: float | None = -inf
    last = len(program.item.tier) - 1
    for i, tier in enumerate(program.item.tier):
        if end is not None and tier.from_ratio != end:
            expected = f"{end:g}, where the tier before ends" if i else "-inf in the first tier"
            yield program.fault(f"tier[{i}].from_ratio", tier.from_ratio, expected)
        end = tier.to_ratio
        if i == last and end != inf:
            yield program.fault(f"tier[{i}].to_ratio", end, "inf in the last tier")
        elif tier.to_ratio <= tier.from_ratio:
            expected = f"more than from_ratio = {tier.from_ratio:g}"
            yield program.fault(f"tier[{i}].to_ratio", tier.to_ratio, expected)
            end = None


def _baseline(program: Placed[ProgramShape]) -> Iterator[Fault]:
    rule = program.item.baseline
    if rule.method is BaselineMethod.X_OF_Y and rule.pick_days > rule.days:
        expected = f"at most days = {rule.days}"
        yield program.fault("baseline.pick_days", rule.pick_days, expected)
    if rule.min_days > rule.days:
        yield program.fault("baseline.min_days", rule.min_days, f"at most days = {rule.days}")
    if rule.lookback_days < rule.days:
        expected = f"at least days = {rule.days}"
        yield program.fault("baseline.lookback_days", rule.lookback_days, expected)
    if rule.low_usage_frac >= rule.high_usage_frac:
        expected = f"less than high_usage_frac = {rule.high_usage_frac:g}"
        yield program.fault("baseline.low_usage_frac", rule.low_usage_frac, expected)


def settings_faults(book: Book) -> Iterator[Fault]:
    """What controller.toml says, against itself and the programs."""
    draft = book.draft
    for area in draft.of(AreaShape):
        for feeder, count in Counter(area.item.feeders).items():
            if count > 1:
                yield area.fault("feeders", feeder, "each feeder once")
    for shaving in draft.of(ShavingShape):
        yield from _shaving(book, shaving)
    for planning in draft.of(PlanningShape):
        yield from _prices(book, planning)
        yield from _cohorts(planning)
    for telemetry in draft.of(TelemetryShape):
        yield from _rhythm(telemetry)
    for verify in draft.of(VerifyShape):
        if not timedelta(0) < verify.item.every <= QUARTER_HOUR:
            expected = f"longer than 0, at most {duration_text(QUARTER_HOUR)}"
            yield verify.fault("every", verify.item.every, expected)


def _shaving(book: Book, shaving: Placed[ShavingShape]) -> Iterator[Fault]:
    terms = shaving.item
    yield from book.refer(shaving, "program", terms.program, "a program", book.programs, "programs")
    program = book.programs.get(terms.program)
    yield from span_faults(shaving, terms.min_duration, terms.max_duration, program)


def span_faults(
    table: Placed[object], least: timedelta, most: timedelta, program: ProgramShape | None
) -> Iterator[Fault]:
    """min_duration and max_duration: whole intervals, at least one, in this order."""
    interval = program.interval if program and fits_hour(program.interval) else QUARTER_HOUR
    for key, value in (("min_duration", least), ("max_duration", most)):
        if not value or value % interval:
            expected = f"a whole number of intervals of {duration_text(interval)}, at least one"
            yield table.fault(key, value, expected)
    if least > most:
        yield table.fault("min_duration", least, f"at most max_duration = {duration_text(most)}")


def fits_hour(interval: timedelta) -> bool:
    """Whether the hour is a whole number of such intervals."""
    return bool(interval) and not timedelta(hours=1) % interval


def _prices(book: Book, planning: Placed[PlanningShape]) -> Iterator[Fault]:
    """The plan's own prices are in the currency of the programs."""
    program = next(iter(book.programs.values()), None)
    for key in ("shortfall_price", "over_delivery_price"):
        currency = getattr(planning.item, key).currency
        if program and currency != program.currency:
            expected = f"{program.currency}, the currency of program {program.id}"
            yield planning.fault(key, currency, expected)


def _cohorts(planning: Placed[PlanningShape]) -> Iterator[Fault]:
    """One rule for each kind of appliance, with a value for its control."""
    kinds = [cohort.kind for cohort in planning.item.cohort]
    for i, cohort in enumerate(planning.item.cohort):
        at = f"cohort[{cohort.kind}]"
        if cohort.kind in kinds[:i]:
            yield planning.fault(at, cohort.kind, "one [[planning.cohort]] for each kind")
        if cohort.kind not in APPLIANCE_KINDS:
            expected = f"a kind out of {', '.join(sorted(APPLIANCE_KINDS))}"
            yield planning.fault(f"{at}.kind", cohort.kind, expected)
        if not cohort.max_run:
            yield planning.fault(f"{at}.max_run", cohort.max_run, "longer than 0")
        yield from _control_value(planning, at, cohort)


def _control_value(
    planning: Placed[PlanningShape], at: str, cohort: CohortShape
) -> Iterator[Fault]:
    """value_frac for powers, value for a thermostat's offset, neither for off."""
    frac, control = cohort.value_frac, cohort.control
    if (frac is not None) is not (control in BY_FRACTION):
        wanted = "a fraction of rated power" if control in BY_FRACTION else "none"
        yield planning.fault(f"{at}.value_frac", frac, f"{wanted}, for the control {control}")
    elif frac is not None and frac < 0 and control is not Control.POWER_KW:
        yield planning.fault(f"{at}.value_frac", frac, f"at least 0, for the control {control}")
    if (cohort.value != 0) is not (control is Control.OFFSET_C):
        wanted = "an offset in °C other than 0" if control is Control.OFFSET_C else "none"
        yield planning.fault(f"{at}.value", cohort.value, f"{wanted}, for the control {control}")


def _rhythm(telemetry: Placed[TelemetryShape]) -> Iterator[Fault]:
    """Nothing every 0 s, and silence noticed only after a reading was due."""
    rules = telemetry.item
    for key, every in (("site_every", rules.site_every), ("home_every", rules.home_every)):
        if not every:
            yield telemetry.fault(key, every, "longer than 0")
    slowest = max(rules.site_every, rules.home_every)
    if rules.stale_after <= slowest:
        expected = f"longer than {duration_text(slowest)}, the slowest reading"
        yield telemetry.fault("stale_after", rules.stale_after, expected)
