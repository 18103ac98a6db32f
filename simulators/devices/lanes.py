"""What every device page shares: lanes, surroundings, commands and the shape of a page.

A *lane* is one simulated device. Arrays are (rows, n): n devices of one kind, row 0 the
controlled fleet, row 1 (where present) its uncontrolled twins, stepped by the same arithmetic
in the same call, so that they are equal bit by bit until a command differs.
"""

from dataclasses import dataclass, fields, replace
from typing import ClassVar, Protocol, Self

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from controller.model.commands import Control

Lanes = NDArray[np.float64]
"""(rows, n) values, or (n,) where both rows are the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """The world around the devices at the start of a step."""

    outdoor_c: float
    hour: float
    """Local hours since midnight, 0 <= hour < 24 (25 on a day with a repeated hour)."""
    working: bool
    """A working day: neither weekend nor holiday."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What rules each lane during a step; +inf, NaN and 0 mean free."""

    cap_kw: Lanes
    power_kw: Lanes
    offset_c: Lanes

    @classmethod
    def free(cls, rows: int, count: int) -> Self:
        shape = (rows, count)
        return cls(
            cap_kw=np.full(shape, np.inf), power_kw=np.full(shape, np.nan), offset_c=np.zeros(shape)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """Base of a page's parameters: every field is an (n,) column."""

    rated_kw: Lanes

    def take(self, lanes: NDArray[np.int64]) -> Self:
        """The same parameters for some of the devices."""
        return replace(self, **{f.name: getattr(self, f.name)[lanes] for f in fields(self)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Nameplate(Params):
    """What the configuration says of n devices of one kind."""

    floor_kw: Lanes
    ramp_kw_per_min: Lanes


class Device(Protocol):
    """One page of physics: parameters as fields, state and draws as plain arrays.

    State is (len(fields), rows, n) and is all that a device remembers; it can be saved and
    loaded as it is. Draws are the day's random numbers of each device: (m, n), the same for
    both rows.
    """

    state_fields: ClassVar[tuple[str, ...]]
    uniforms_per_day: ClassVar[int]
    controls: ClassVar[frozenset[Control]]

    @classmethod
    def draw(cls, plate: Nameplate, g: Generator) -> Self:
        """Parameters of n devices of this kind."""
        ...

    def take(self, lanes: NDArray[np.int64]) -> Self: ...

    def initial(self, around: Surroundings, rows: int) -> Lanes:
        """A state to start from without history; a simulated day or two makes it right."""
        ...

    def plan_day(self, uniforms: Lanes, working: bool) -> Lanes:
        """The day's draws from `uniforms` (uniforms_per_day, n) in [0, 1)."""
        ...

    def step(
        self, state: Lanes, draws: Lanes, around: Surroundings, command: Command, dt_s: float
    ) -> tuple[Lanes, Lanes]:
        """The state after `dt_s` seconds and the mean power over them, (rows, n) kW."""
        ...

    def temperature_c(self, state: Lanes) -> Lanes | None:
        """What the device's own sensor shows, if it has one."""
        ...

    def soc_frac(self, state: Lanes) -> Lanes | None:
        """State of charge, if it stores electricity."""
        ...


class Reporting:
    """Mixin: what a device reports besides its power; nothing, if a page adds nothing.

    A page with a sensor names the state field it shows as `thermometer`; one that stores
    electricity overrides `soc_frac`.
    """

    __slots__ = ()

    state_fields: ClassVar[tuple[str, ...]]
    thermometer: ClassVar[str | None] = None

    def temperature_c(self, state: Lanes) -> Lanes | None:
        if self.thermometer is None:
            return None
        shown_c: Lanes = state[self.state_fields.index(self.thermometer)]
        return shown_c

    def soc_frac(self, state: Lanes) -> Lanes | None:
        return None


def between(hour: float, start: Lanes | float, end: Lanes | float) -> NDArray[np.bool_]:
    """Whether `hour` lies in [start, end); an end before the start wraps over midnight."""
    inside = (hour >= np.asarray(start)) & (hour < np.asarray(end))
    wraps = np.asarray(end) < np.asarray(start)
    return np.where(wraps, (hour >= np.asarray(start)) | (hour < np.asarray(end)), inside)


def towards(value: Lanes, goal: Lanes, dt_s: float, tau_s: Lanes | float) -> Lanes:
    """First-order approach to `goal`, exact for any step: no ticking, no instability."""
    return goal + (value - goal) * np.exp(-dt_s / tau_s)
