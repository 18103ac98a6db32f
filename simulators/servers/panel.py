"""A site's front panel: the points of its profile as raw numbers, over a device's firmware."""

from collections.abc import Callable
from datetime import UTC, datetime

from controller.model.commands import Control, DeviceState, Mode, Outcome, Setpoint
from controller.model.ids import EventId, SetpointId
from controller.model.resources import Resource
from controller.model.settings import Point, Profile
from simulators.servers.firmware import Devices, Firmware, Verdict

Raw = int | float | bool | str

_WRITES = {
    Control.CAP_KW: "cap_kw",
    Control.POWER_KW: "power_kw_set",
    Control.OFF: "off",
    Control.OFFSET_C: "offset_c",
    Control.CHARGE_KW: "charge_kw",
}
_MEASURED = ("power_kw", "meter_kw", "soc_frac", "temperature_c")
_FAR = datetime(2100, 1, 1, tzinfo=UTC)


class Panel:
    """Points in, points out. Writes are kept aside until `enable` is written."""

    def __init__(
        self,
        resource: Resource,
        profile: Profile,
        devices: Devices,
        now: Callable[[], datetime],
    ) -> None:
        self.resource = resource
        self.profile = profile
        self.firmware = Firmware(resource.id, devices, now)
        self.refusal = ""
        self._now = now
        self._written: dict[str, Raw] = {}
        self._taken = 0

    def shown(self) -> dict[str, Raw]:
        """Every point of the profile as it reads now; not yet measured ones are left out."""
        state, measured = self.firmware.state(), self._measured()
        shown = {}
        for name, point in self.profile.points.items():
            if name not in _MEASURED:
                shown[name] = self._shown(name, point, state)
            elif name in measured:
                shown[name] = _displayed(point, measured[name])
        return shown

    def write(self, name: str, raw: Raw) -> Verdict | None:
        """Take one written point; a verdict comes with `enable` only."""
        if name != "enable":
            self._written[name] = raw
            return None
        written, self._written = self._written, {}
        verdict = self._take(int(raw), written)
        self.refusal = "" if verdict.outcome is Outcome.APPLIED else verdict.detail
        return verdict

    def _take(self, enable: int, written: dict[str, Raw]) -> Verdict:
        fence = int(written.get("fence", 0))
        if enable == 0:
            return self.firmware.release(fence)
        if enable > len(self.profile.controls):
            return Verdict(outcome=Outcome.REFUSED, detail="no such control")
        control = self.profile.controls[enable - 1]
        point = self.profile.points.get(_WRITES[control])
        if point is None or point.name not in written:
            return Verdict(outcome=Outcome.REFUSED, detail="no value was written")
        return self.firmware.hold(
            Setpoint(
                id=SetpointId(str(written.get("setpoint_id") or self._own_name())),
                event_id=EventId(""),
                resource_id=self.resource.id,
                control=control,
                value=_meant(point, float(written[point.name])),
                start=_instant(written.get("start"), self._now()),
                until=_instant(written.get("until"), _FAR),
                hold_s=float(written.get("hold_s", 0)),
                revision=0,
                fence=fence,
            )
        )

    def _own_name(self) -> str:
        """For a command to a device that keeps no ids."""
        self._taken += 1
        return f"{self.resource.id} {self._taken}"

    def _measured(self) -> dict[str, float]:
        """Engineering values of the measured points, as far as they are known."""
        found: dict[str, float | None] = {}
        for reading in self.firmware.readings():
            own = reading.resource_id is not None
            found["power_kw" if own else "meter_kw"] = reading.power_kw
            if own:
                found["soc_frac"] = reading.soc_frac
                found["temperature_c"] = reading.temperature_c
        return {name: value for name, value in found.items() if value is not None}

    def _shown(self, name: str, point: Point, state: DeviceState) -> Raw:
        if name == "refusal":
            return self.refusal
        if name == "mode":
            return {Mode.FREE: 0, Mode.HELD: 1, Mode.OVERRIDDEN: 2}.get(state.mode, 0)
        told = self.firmware.told
        if state.mode is not Mode.HELD or told is None:
            return "" if point.type == "string" else _displayed(point, 0.0)
        return self._told(name, point, told)

    def _told(self, name: str, point: Point, told: Setpoint) -> Raw:
        if name == "setpoint_id":
            return told.id
        if name == _WRITES[told.control]:
            return _displayed(point, told.value)
        known = {
            "enable": self.profile.controls.index(told.control) + 1,
            "start": told.start.timestamp(),
            "until": told.until.timestamp(),
            "hold_s": told.hold_s,
            "fence": told.fence,
        }
        return _displayed(point, float(known.get(name, 0.0)))


def _displayed(point: Point, value: float) -> Raw:
    """What a device with this point would show for `value`."""
    shown = (value / point.sign - point.offset) / point.scale
    if point.type == "bool":
        return bool(shown)
    return shown if point.type.startswith("float") else int(shown + (0.5 if shown > 0 else -0.5))


def _meant(point: Point, shown: float) -> float:
    """What the number at a point means in kW, K or as a fraction."""
    value = shown * point.scale
    value += point.offset
    return -value if point.sign < 0 else value


def _instant(seconds: Raw | None, otherwise: datetime) -> datetime:
    return otherwise if seconds is None else datetime.fromtimestamp(float(seconds), UTC)
