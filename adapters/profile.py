"""Device profiles (点表): TOML pages → `Profile`, and the arithmetic of a point. Pure.

The simulators share these pages but not the conversions below: they write their own, so that a
mistake in scale, sign or word order cannot cancel itself out in a test.
"""

import math
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from controller.errors import Fault
from controller.model.commands import Control
from controller.model.ids import ProfileId
from controller.model.settings import Point, Profile

PROTOCOLS = ("modbus", "opcua", "mqtt", "duty_desk")
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


def load_profiles(folder: Path) -> tuple[dict[ProfileId, Profile], list[Fault]]:
    """Every `*.toml` page of `folder`, and every fault of every page at once.

    A page with a fault yields no profile. The file name without `.toml` must be the page's id.
    """
    profiles: dict[ProfileId, Profile] = {}
    faults: list[Fault] = []
    for path in sorted(folder.glob("*.toml")):
        profile, found = read_profile(path.name, path.read_bytes())
        faults += found
        if profile is not None:
            profiles[profile.id] = profile
    return profiles, faults


def read_profile(file: str, body: bytes) -> tuple[Profile | None, list[Fault]]:
    """One page from its bytes; `file` is its name for the faults."""
    try:
        page = _Page.model_validate(tomllib.loads(body.decode()))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        return None, [Fault(file=file, place="page", value=str(error), expected="TOML in UTF-8")]
    except ValidationError as error:
        return None, [_fault(file, e) for e in error.errors(include_url=False)]
    faults = [
        Fault(file=file, place=place, value=value, expected=expected)
        for place, value, expected in _contradictions(page, file.removesuffix(".toml"))
    ]
    return (None, faults) if faults else (_profile(page), [])


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
    model_config = ConfigDict(extra="forbid", frozen=True)


class _PointPage(_Strict):
    address: str = Field(min_length=1, max_length=200)
    type: Literal[
        "int16", "uint16", "int32", "uint32", "float32", "float64", "bool", "string"
    ]  # fmt: skip
    scale: float = Field(default=1.0, allow_inf_nan=False)
    offset: float = Field(default=0.0, allow_inf_nan=False)
    sign: Literal[1, -1] = 1
    low: float | None = Field(default=None, allow_inf_nan=False)
    high: float | None = Field(default=None, allow_inf_nan=False)
    unit: str = ""
    writable: bool = False
    word_order: Literal["big", "little"] = "big"
    comment: str = ""


class _Page(_Strict):
    id: str = Field(min_length=1, max_length=64)
    title: str = Field(min_length=1)
    protocol: Literal["modbus", "opcua", "mqtt", "duty_desk"]
    controls: tuple[Control, ...]
    dead_man: Literal["device_timer", "edge_agent", "none"]
    dead_man_text: str = Field(min_length=1)
    tier: Literal["simulated", "recorded", "seen"]
    deadband_kw: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    points: dict[str, _PointPage] = Field(default_factory=dict)


def _profile(page: _Page) -> Profile:
    points = {name: Point(name=name, **p.model_dump()) for name, p in page.points.items()}
    return Profile(
        id=ProfileId(page.id),
        title=page.title,
        protocol=page.protocol,
        controls=page.controls,
        dead_man=page.dead_man,
        dead_man_text=page.dead_man_text,
        tier=page.tier,
        points=points,
        deadband_kw=page.deadband_kw,
    )


def _fault(file: str, error: Mapping[str, Any]) -> Fault:
    place = ".".join(str(part) for part in error["loc"])
    shown = "missing" if error["type"] == "missing" else repr(error["input"])[:80]
    return Fault(file=file, place=place, value=shown, expected=str(error["msg"]))


def _contradictions(page: _Page, stem: str) -> list[tuple[str, str, str]]:
    """(place, value, expected) of everything that is well formed and still cannot work."""
    found: list[tuple[str, str, str]] = []
    if page.id != stem:
        found.append(("id", page.id, f"the file's name, {stem}"))
    if page.controls and page.dead_man == "none":
        found.append(("dead_man", "none", "a dead-man, since the profile can be commanded"))
    for name in _needed(page):
        if name not in page.points:
            found.append((f"points.{name}", "missing", "a point, for its controls or dead-man"))
        elif name != "mode" and not page.points[name].writable:
            found.append((f"points.{name}.writable", "false", "true"))
    for name, point in page.points.items():
        for key, value, expected in _point_faults(page, name, point):
            found += [(f"points.{name}.{key}", value, expected)]
    return found


def _needed(page: _Page) -> list[str]:
    """Points without which the controls cannot be commanded, ended and read back."""
    if not page.controls:
        return []
    names = [POINT_OF[control] for control in page.controls]
    if page.protocol in ("modbus", "opcua"):
        names += ["hold_s", "enable", "mode"]
    return names


def _point_faults(page: _Page, name: str, point: _PointPage) -> list[tuple[str, str, str]]:
    found: list[tuple[str, str, str]] = []
    if name not in NAMES:
        found.append(("name", name, "one of " + ", ".join(sorted(NAMES))))
    if point.scale == 0:
        found.append(("scale", "0", "a number other than 0"))
    if point.low is not None and point.high is not None and point.low > point.high:
        found.append(("low", f"{point.low:g}", f"at most high = {point.high:g}"))
    if (name in TEXTS) != (point.type == "string"):
        found.append(("type", point.type, "string for setpoint_id and refusal, else a number"))
    if page.protocol == "modbus":
        pattern = _MODBUS_STRING if point.type == "string" else _MODBUS_NUMBER
        if not pattern.fullmatch(point.address):
            shape = "holding:110/18 (18 registers)" if point.type == "string" else "holding:100"
            found.append(("address", point.address, f"a table and register like {shape}"))
        elif point.writable and not point.address.startswith("holding:"):
            found.append(("address", point.address, "a holding register, since it is writable"))
    return found
