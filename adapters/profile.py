"""Device profiles (点表): what a page may say, its `Profile`, and the arithmetic of a point. Pure.

`controller.config` reads the pages and spells their faults, as it does for every other table.
The simulators share these pages but not the conversions below: they write their own, so that a
mistake in scale, sign or word order cannot cancel itself out in a test.
"""

import math
import re
from collections.abc import Iterator
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from controller.model.commands import Control
from controller.model.ids import ProfileId
from controller.model.settings import Point, Profile

Protocol = Literal["modbus", "opcua", "mqtt", "duty_desk"]
PROTOCOLS: tuple[str, ...] = get_args(Protocol)
"""What a page or a link may name."""

POINT_OF = {
    Control.CAP_KW: "cap_kw",
    Control.POWER_KW: "power_kw_set",
    Control.OFF: "off",
    Control.OFFSET_C: "offset_c",
    Control.CHARGE_KW: "charge_kw",
}
"""The point that a control writes."""

MEASURED = ("power_kw", "meter_kw", "soc_frac", "temperature_c")
COMMANDED = ("start", "until", "hold_s", "fence", "setpoint_id", "enable", "mode", "refusal")
NAMES = frozenset((*POINT_OF.values(), *MEASURED, *COMMANDED))
TEXTS = frozenset({"setpoint_id", "refusal"})

_INTEGER_RANGE = {
    "int16": (-(2**15), 2**15 - 1),
    "uint16": (0, 2**16 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "uint32": (0, 2**32 - 1),
}
_MODBUS_NUMBER = re.compile(r"(holding|input):\d{1,5}")
_MODBUS_STRING = re.compile(r"(holding|input):\d{1,5}/\d{1,2}")


class UnfitValueError(ValueError):
    """A value outside the range of its point: the device would misread it."""


def raw_value(point: Point, value: float) -> int | float | bool:
    """The number to write for an engineering value: (sign × value − offset) / scale.

    Raises UnfitValueError if it is not a finite number within [low, high] and the point's type.
    """
    low = -math.inf if point.low is None else point.low
    high = math.inf if point.high is None else point.high
    if not math.isfinite(value) or not low <= value <= high:
        raise UnfitValueError(f"{point.name} = {value:g} is outside {low:g} … {high:g}")
    raw = (point.sign * value - point.offset) / point.scale
    if point.type == "bool":
        return raw != 0
    if point.type not in _INTEGER_RANGE:
        return raw
    least, most = _INTEGER_RANGE[point.type]
    whole = round(raw)
    if not least <= whole <= most:
        raise UnfitValueError(f"{point.name} = {value:g} does not fit {point.type}")
    return whole


def value_of(point: Point, raw: float) -> float:
    """The engineering value of a raw number: sign × (raw × scale + offset)."""
    return point.sign * (raw * point.scale + point.offset)


def same_raw(point: Point, wrote: float, read: float) -> bool:
    """Is what was read what was written, as far as the point's type can hold it?"""
    fine = 1e-6 if point.type == "float32" else 1e-9
    if point.type in _INTEGER_RANGE or point.type == "bool":
        return wrote == read
    return math.isclose(wrote, read, rel_tol=fine, abs_tol=fine)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class PointPage(_Strict):
    """`[points.NAME]` of a page."""

    address: str = Field(min_length=1, max_length=200)
    type: Literal[
        "int16", "uint16", "int32", "uint32", "float32", "float64", "bool", "string"
    ]  # fmt: skip
    scale: float = 1.0
    offset: float = 0.0
    sign: Literal[1, -1] = 1
    low: float | None = None
    high: float | None = None
    unit: str = ""
    writable: bool = False
    word_order: Literal["big", "little"] = "big"
    comment: str = ""


class ProfilePage(_Strict):
    """A page of `profiles/`: its keys are explained in docs/adding-a-device.md."""

    id: str = Field(min_length=1, max_length=64)
    title: str = Field(min_length=1)
    protocol: Protocol
    controls: list[Annotated[Control, Field(strict=False)]]
    dead_man: Literal["device_timer", "edge_agent", "none"]
    dead_man_text: str = Field(min_length=1)
    tier: Literal["simulated", "recorded", "seen"]
    deadband_kw: float = Field(default=0.0, ge=0)
    points: dict[str, PointPage] = Field(default_factory=dict)


def profile_of(page: ProfilePage) -> Profile:
    """The profile that a sound page describes."""
    return Profile(
        id=ProfileId(page.id),
        title=page.title,
        protocol=page.protocol,
        controls=tuple(page.controls),
        dead_man=page.dead_man,
        dead_man_text=page.dead_man_text,
        tier=page.tier,
        points={name: Point(name=name, **dict(p)) for name, p in page.points.items()},
        deadband_kw=page.deadband_kw,
    )


Contradiction = tuple[str, object, str]
"""Place, value, and what was expected."""


def contradictions(page: ProfilePage, stem: str) -> Iterator[Contradiction]:
    """Everything that is well formed and still cannot work; `stem` is the file's name."""
    if page.id != stem:
        yield "id", page.id, f"the file's name, {stem}"
    if page.controls and page.dead_man == "none":
        yield "dead_man", "none", "a dead-man, since the profile can be commanded"
    for name in _needed(page):
        if name not in page.points:
            yield f"points.{name}", None, "a point, for its controls or dead-man"
        elif name != "mode" and not page.points[name].writable:
            yield f"points.{name}.writable", False, "true"
    for name, point in page.points.items():
        for key, value, expected in _of_point(page, name, point):
            yield f"points.{name}.{key}", value, expected


def _needed(page: ProfilePage) -> list[str]:
    """Points without which the controls cannot be commanded, ended and read back."""
    if not page.controls:
        return []
    names = [POINT_OF[control] for control in page.controls]
    if page.protocol in ("modbus", "opcua"):
        names += ["hold_s", "enable", "mode"]
    return names


def _of_point(page: ProfilePage, name: str, point: PointPage) -> Iterator[Contradiction]:
    if name not in NAMES:
        yield "name", name, "one of " + ", ".join(sorted(NAMES))
    if point.scale == 0:
        yield "scale", point.scale, "a number other than 0"
    if point.low is not None and point.high is not None and point.low > point.high:
        yield "low", point.low, f"at most high = {point.high:g}"
    if (name in TEXTS) != (point.type == "string"):
        yield "type", point.type, "string for setpoint_id and refusal, else a number"
    if page.protocol == "modbus":
        yield from _register(point)


def _register(point: PointPage) -> Iterator[Contradiction]:
    """A Modbus address: its table and number, and that it can be written where it must be."""
    pattern = _MODBUS_STRING if point.type == "string" else _MODBUS_NUMBER
    if not pattern.fullmatch(point.address):
        shape = "holding:110/18 (18 registers)" if point.type == "string" else "holding:100"
        yield "address", point.address, f"a table and register like {shape}"
    elif point.writable and not point.address.startswith("holding:"):
        yield "address", point.address, "a holding register, since it is writable"
