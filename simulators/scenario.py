"""A scenario: which day is played, how fast, what goes wrong and how people at told sites answer.

One TOML page, checked whole: every fault at once, with its key and what was expected.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import numpy as np
from pydantic import BeforeValidator, Field, ValidationError, model_validator

from controller.clock import Segment
from controller.config import text
from controller.config.faults import shape_faults
from controller.config.files import parse_toml
from controller.config.shapes import (
    ClockTime,
    Count,
    Duration,
    Fraction,
    Id,
    NotNegative,
    Positive,
    Shape,
)
from controller.errors import Fault, ScenarioError
from controller.model.ids import ContractId
from controller.model.resources import ResourceKind
from controller.model.time import QUARTER_HOUR, Grid, Interval, Series
from simulators.world import World, read_area


class AreaShape(Shape):
    """`[area]`: the real region's curve and the fraction of it that is played."""

    file: Annotated[str, Field(min_length=1)]
    fraction: Positive


class WeatherShape(Shape):
    """`[weather]`."""

    mae_c: NotNegative


class HistoryShape(Shape):
    """`[history]`."""

    start: date


class ClockShape(Shape):
    """`[clock]`: speeds, and how far the slow part reaches beyond the events."""

    quiet_speed: Positive
    event_speed: Positive
    lead: Duration
    tail: Duration


class EmergencyShape(Shape):
    """`[emergency]`: the grid operator's second event."""

    source_id: Id
    posted_at: ClockTime
    start: ClockTime
    end: ClockTime
    target_frac: Positive
    round_kw: Positive = 50.0
    priority: Count = 0

    @model_validator(mode="after")
    def _in_order(self) -> "EmergencyShape":
        if not self.posted_at <= self.start < self.end:
            raise ValueError("posted_at <= start < end")
        if any(t.minute % 15 for t in (self.start, self.end)):
            raise ValueError("start and end on quarter hours")
        return self


class WhoShape(Shape):
    """Which site a fault befalls: a named one, or one drawn among those of a kind and protocol."""

    site: Id | None = None
    protocols: list[str] = Field(default_factory=list)
    kinds: list[Annotated[ResourceKind, BeforeValidator(text.word(ResourceKind))]] = Field(
        default_factory=list
    )


class LostLinkShape(WhoShape):
    """`[faults.lost_link]`."""

    at: ClockTime
    until: ClockTime

    @model_validator(mode="after")
    def _in_order(self) -> "LostLinkShape":
        if self.until <= self.at:
            raise ValueError("until after at")
        return self


class FaultsShape(Shape):
    """`[faults]`; a table left out is a fault that does not happen."""

    opt_out_frac: Fraction = 0.0
    lost_link: LostLinkShape | None = None
    refuses: WhoShape | None = None
    lies: WhoShape | None = None


class DeskShape(Shape):
    """`[desk]` and `[desk.contracts.ID]`: how a duty desk answers, and how soon."""

    accept: Fraction
    part: Fraction = 0.0
    no: Fraction = 0.0
    silent: Fraction = 0.0
    part_frac: Fraction = 0.7
    soonest: Duration = timedelta(minutes=2)
    latest: Duration = timedelta(minutes=12)
    follow_frac: Fraction = 0.0

    @model_validator(mode="after")
    def _adds_up(self) -> "DeskShape":
        if abs(self.accept + self.part + self.no + self.silent - 1) > 1e-6:
            raise ValueError("accept + part + no + silent = 1")
        if self.latest < self.soonest:
            raise ValueError("soonest <= latest")
        return self


class DesksShape(DeskShape):
    """`[desk]` with its exceptions by contract."""

    contracts: dict[str, DeskShape] = Field(default_factory=dict)


class ScenarioShape(Shape):
    """The page."""

    epoch: datetime
    day: date
    end: ClockTime
    seed: Count
    area: AreaShape
    weather: WeatherShape
    history: HistoryShape
    clock: ClockShape
    emergency: EmergencyShape | None = None
    faults: FaultsShape = FaultsShape()
    desk: DesksShape = DesksShape(accept=1.0)

    @model_validator(mode="after")
    def _in_order(self) -> "ScenarioShape":
        if self.epoch.tzinfo is not None:
            raise ValueError("epoch as local time, without an offset")
        if not self.history.start < self.epoch.date() < self.day:
            raise ValueError("history.start before the epoch's date before day")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One played day; instants are UTC, `page` is what the file says."""

    page: ScenarioShape
    path: Path
    timezone: str
    epoch: datetime
    day: Interval
    """The local day, midnight to midnight."""
    end: datetime
    history_start: datetime
    desks: Mapping[ContractId, DeskShape] = field(default_factory=dict)

    def at(self, local: time) -> datetime:
        """That time of the played day."""
        zone = ZoneInfo(self.timezone)
        return datetime.combine(self.page.day, local, tzinfo=zone).astimezone(UTC)

    def desk(self, contract_id: ContractId) -> DeskShape:
        """How the desk of one contract answers."""
        return self.desks.get(contract_id, self.page.desk)

    def world(self, seed: int) -> World:
        """The day's world. Raises ScenarioError when the area's curve cannot be used."""
        area = read_area(self.path.parent / self.page.area.file)
        return World(area, self.page.area.fraction, self.timezone, seed)


def read_scenario(path: Path, timezone: str) -> Scenario:
    """Read and check one scenario page; `timezone` is the area's. Raises ScenarioError."""
    try:
        body = path.read_text(encoding="utf-8")
    except OSError as error:
        fault = Fault(file=str(path), place="file", value=str(error), expected="a readable page")
        raise ScenarioError("the scenario cannot be read", [fault]) from error
    raw, faults = parse_toml(path.name, body)
    if raw is None:
        raise ScenarioError(f"the scenario {path} is not TOML", faults)
    try:
        page = ScenarioShape.model_validate(raw)
    except ValidationError as error:
        faults = shape_faults(path.name, "", ScenarioShape, raw, error)
        raise ScenarioError(f"{len(faults)} faults in the scenario {path}", faults) from error
    return _scenario(page, path, timezone)


def segments(scenario: Scenario, window: Interval) -> tuple[Segment, ...]:
    """The played time: quiet, slow around the dispatch `window` and the emergency, quiet.

    From the scenario's end on it all but stands still, while the day is settled.
    """
    clock = scenario.page.clock
    start, end = window.start, window.end
    if (span := emergency_span(scenario)) is not None:
        start, end = min(start, emergency_posted_at(scenario)), max(end, span.end)
    slow = max(scenario.epoch, start - clock.lead), end + clock.tail
    quiet = Segment(start=scenario.epoch, speed=clock.quiet_speed)
    fast = Segment(start=slow[1], speed=clock.quiet_speed)
    between = Segment(start=slow[0], speed=clock.event_speed)
    over = Segment(start=max(scenario.end, slow[1]), speed=1.0)
    played = (between, fast, over) if slow[0] == scenario.epoch else (quiet, between, fast, over)
    return tuple(s for s, after in pairwise([*played, None]) if not after or s.start < after.start)


def emergency_span(scenario: Scenario) -> Interval | None:
    """When the emergency event lasts; None if there is none."""
    ask = scenario.page.emergency
    if ask is None:
        return None
    return Interval(start=scenario.at(ask.start), end=scenario.at(ask.end))


def emergency_posted_at(scenario: Scenario) -> datetime:
    """When the grid operator sends it. Raises ValueError if there is none."""
    if scenario.page.emergency is None:
        raise ValueError("the scenario has no emergency")
    return scenario.at(scenario.page.emergency.posted_at)


def emergency_target(scenario: Scenario, first: Series) -> Series:
    """What the emergency asks, given the day's event: a multiple of its highest target, in kW.

    Raises ValueError if the scenario has no emergency.
    """
    ask, span = scenario.page.emergency, emergency_span(scenario)
    if ask is None or span is None:
        raise ValueError("the scenario has no emergency")
    kw = float(np.nanmax(first.values)) * ask.target_frac
    return Series.full(Grid.over(span, QUARTER_HOUR), round(kw / ask.round_kw) * ask.round_kw)


def _scenario(page: ScenarioShape, path: Path, timezone: str) -> Scenario:
    zone = ZoneInfo(timezone)

    def midnight(day: date) -> datetime:
        return datetime.combine(day, time(0), tzinfo=zone).astimezone(UTC)

    day = Interval(start=midnight(page.day), end=midnight(page.day + timedelta(days=1)))
    return Scenario(
        page=page,
        path=path,
        timezone=timezone,
        epoch=page.epoch.replace(tzinfo=zone).astimezone(UTC),
        day=day,
        end=datetime.combine(page.day, page.end, tzinfo=zone).astimezone(UTC),
        history_start=midnight(page.history.start),
        desks={ContractId(k): v for k, v in page.desk.contracts.items()},
    )
