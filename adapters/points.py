"""What a site says and is told, as raw numbers by point name: shared by Modbus and OPC UA.

Both write the same block (value, start, until, hold_s, fence, setpoint_id, then enable) and read
it back; they differ only in how a raw number travels. `enable` is 0 for free and n for "held by
the n-th control of the profile", so that reading it back tells which control rules.
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime

from adapters.parts import OVERRIDDEN, STILL_HELD
from adapters.profile import MEASURED, POINT_OF, UnfitValueError, raw_value, same_raw, value_of
from controller.model.commands import DeviceState, Mode, Outcome, Quality, Reading, Setpoint
from controller.model.ids import SetpointId
from controller.model.resources import Resource
from controller.model.settings import Profile

Raw = int | float | bool | str
RawByPoint = Mapping[str, Raw]

_MODES = {0: Mode.FREE, 1: Mode.HELD, 2: Mode.OVERRIDDEN}


def hold_values(profile: Profile, setpoint: Setpoint, now: datetime) -> dict[str, Raw]:
    """The raw values that make a device obey `setpoint`, `enable` last.

    Raises UnfitValueError when the device has no such control or a value does not fit its point.
    """
    if profile.dead_man == "none":
        raise UnfitValueError(f"{profile.id} has no dead-man, so it is not commanded")
    if setpoint.control not in profile.controls:
        raise UnfitValueError(f"{profile.id} has no control {setpoint.control}")
    wanted: dict[str, float | str] = {
        POINT_OF[setpoint.control]: setpoint.value,
        "start": setpoint.start.timestamp(),
        "until": setpoint.until.timestamp(),
        "hold_s": _hold_s(profile, setpoint, now),
        "fence": setpoint.fence,
        "setpoint_id": setpoint.id,
        "enable": profile.controls.index(setpoint.control) + 1,
    }
    return {name: _raw(profile, name, v) for name, v in wanted.items() if name in profile.points}


def release_values(profile: Profile, fence: int) -> dict[str, Raw]:
    """The raw values that give control back."""
    wanted: dict[str, float] = {"fence": fence, "enable": 0}
    return {name: _raw(profile, name, v) for name, v in wanted.items() if name in profile.points}


def outcome_of(
    profile: Profile, wrote: RawByPoint, read: RawByPoint, setpoint: Setpoint, now: datetime
) -> tuple[Outcome, str]:
    """Did the device take `setpoint`? Judged by what it says after the write."""
    mode = mode_of(read)
    if mode is Mode.OVERRIDDEN:
        return OVERRIDDEN
    strange = [name for name in wrote if name != "fence" and not _same(profile, name, wrote, read)]
    if mode is Mode.HELD and not strange:
        return Outcome.APPLIED, ""
    if setpoint.until <= now:
        return Outcome.LATE, "its end had passed before the device took it"
    said = str(read.get("refusal", ""))
    return Outcome.REFUSED, said or f"the device did not take {', '.join(strange) or 'it'}"


def release_outcome_of(read: RawByPoint, refused: str = "") -> tuple[Outcome, str]:
    """Did the device let go? `refused` is what it said when it was written."""
    if mode_of(read) is Mode.HELD:
        return Outcome.REFUSED, refused or str(read.get("refusal", "")) or STILL_HELD
    return Outcome.APPLIED, ""


def state_of(profile: Profile, resource: Resource, read: RawByPoint, now: datetime) -> DeviceState:
    """What the device obeys, from its raw values."""
    mode = mode_of(read)
    if mode is not Mode.HELD:
        return DeviceState(resource_id=resource.id, at=now, mode=mode)
    control = profile.controls[max(1, min(len(profile.controls), int(read["enable"]))) - 1]
    point = profile.points[POINT_OF[control]]
    until = read.get("until")
    setpoint_id = read.get("setpoint_id")
    return DeviceState(
        resource_id=resource.id,
        at=now,
        mode=mode,
        value=value_of(point, float(read[point.name])),
        until=None if until is None else datetime.fromtimestamp(float(until), UTC),
        setpoint_id=SetpointId(str(setpoint_id)) if setpoint_id else None,
    )


def readings_of(
    profile: Profile,
    resource: Resource,
    read: RawByPoint,
    at: datetime,
    quality: Quality = Quality.OK,
) -> list[Reading]:
    """The device's own power, and its meter's where the profile has a point for it."""

    def value(name: str) -> float | None:
        if name not in read:
            return None
        return value_of(profile.points[name], float(read[name]))

    readings = []
    if (power_kw := value("power_kw")) is not None and math.isfinite(power_kw):
        readings.append(
            Reading(
                meter_id=resource.meter_id,
                resource_id=resource.id,
                at=at,
                power_kw=power_kw,
                quality=quality,
                soc_frac=value("soc_frac"),
                temperature_c=value("temperature_c"),
            )
        )
    if (meter_kw := value("meter_kw")) is not None and math.isfinite(meter_kw):
        readings.append(
            Reading(meter_id=resource.meter_id, at=at, power_kw=meter_kw, quality=quality)
        )
    return readings


def watched(profile: Profile) -> list[str]:
    """The points that are polled."""
    return [name for name in (*MEASURED, "mode") if name in profile.points]


def read_back(profile: Profile) -> list[str]:
    """The points that tell what the device obeys."""
    return [name for name in profile.points if name not in MEASURED]


def mode_of(read: RawByPoint) -> Mode:
    """Who has the device; `UNKNOWN` where it says a number that we do not know."""
    return _MODES.get(int(read.get("mode", -1)), Mode.UNKNOWN)


def _hold_s(profile: Profile, setpoint: Setpoint, now: datetime) -> float:
    """Whole seconds; a device without an `until` point ends by this timer alone."""
    left_s = math.inf if "until" in profile.points else (setpoint.until - now).total_seconds()
    return max(1, math.ceil(min(setpoint.hold_s, left_s)))


def _raw(profile: Profile, name: str, value: float | str) -> Raw:
    point = profile.points[name]
    return value if isinstance(value, str) else raw_value(point, value)


def _same(profile: Profile, name: str, wrote: RawByPoint, read: RawByPoint) -> bool:
    if name not in read:
        return False
    ours, theirs = wrote[name], read[name]
    if isinstance(ours, str) or isinstance(theirs, str):
        return str(ours) == str(theirs)
    return same_raw(profile.points[name], float(ours), float(theirs))
