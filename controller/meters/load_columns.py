"""What the columns of a load or temperature file are, told by their names alone.

Names are compared without regard to case. A load is `load`, `demand`, `net_load`, `power` or
`consumption`, bare or with a unit of power (`load_mw`), a unit alone (`kw`), or an energy per
interval (`energy_kwh`), or else anything that ends so (`zone_load_mw`). Where a file has loads of
several ranks the better rank is taken (a load before a power before an energy), so that a meter
with both power and energy is no riddle; two of one rank are, and are a fault. A column such as
`load_da_forecast_mw` is none of these.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from controller.errors import Fault

TIME: Final = "time_utc"
STATION: Final = "station_id"
RATED: Final = "rated_kw"
"""The contracted or rated power of a series, one value per id: what a new customer is sized by."""
PLAIN: Final = ""
"""The station of a file's one nameless temperature."""

_KW_PER: Final = {"w": 1e-3, "kw": 1.0, "mw": 1e3, "gw": 1e6}
_RANKS: Final = (
    re.compile(r"(?:net_)?(?:load|demand)(?:_(?P<unit>w|kw|mw|gw))?"),
    re.compile(r"(?:net_)?(?:power|consumption)(?:_(?P<unit>w|kw|mw|gw))?|(?P<bare>w|kw|mw|gw)"),
    re.compile(r"(?:net_)?(?:energy|load|demand|consumption)_(?P<unit>w|kw|mw|gw)h"),
    re.compile(r"(?!.*(?:forecast|pred)).*(?:load|demand|consumption)(?:_(?P<unit>w|kw|mw|gw))?"),
)
_ENERGY_RANK: Final = 2
_IDS: Final = frozenset(
    [
        "zone",
        "ldc",
        "site",
        "id",
        "feeder",
        "customer",
        "meter",
        "house",
        "home",
        "building",
        "region",
        "area",
        "series",
        "utility",
    ]
)
_TEMPERATURE: Final = re.compile(r"temp_(?P<kind>forecast_)?c(?:_(?P<station>.+))?")
_NUMBERED: Final = re.compile(r"temp(?P<forecast>_forecast)?(?P<station>\d+)_c")
_LOOKS_AHEAD: Final = re.compile(r"(?:fc|fcst|forecast|pred|predicted)(?:_.*)?|.*_\d+h")
"""`temp_c_fc_6h` is no station but another hour's temperature: reading it as one would leak."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Temperature:
    """A temperature column: whose, and measured or issued beforehand."""

    column: str
    station: str
    kind: Literal["measured", "issued"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """Which column is what; `ignored` are those without a role."""

    value: str | None = None
    kw_per_unit: float = 1.0
    unit: str = "kW"
    """The unit of power the file's readers think in, as it is written."""
    energy: bool = False
    """The values are energies per interval, not mean powers."""
    id: str | None = None
    station: str | None = None
    rated: str | None = None
    temperatures: tuple[Temperature, ...] = ()
    ignored: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = field(default=())


def roles_of(
    file: str, names: Sequence[str], *, load: bool, value: str | None = None, id: str | None = None
) -> Roles:
    """The roles of a file's columns; `value` and `id` are the user's own choice, if any.

    `load` says whether a load is wanted: a temperature file's loads and ids are ignored.
    """
    faults = [*_time_faults(file, names), *_absent(file, names, value, id)]
    low = {name.strip().lower(): name for name in names}
    temperatures = tuple(t for name in names if (t := _temperature(name)) is not None)
    station = low.get(STATION)
    used = {low.get(TIME), station, *(t.column for t in temperatures)}
    if not load:
        if not temperatures:
            faults.append(_no_temperature(file, names))
        return Roles(
            station=station,
            temperatures=temperatures,
            ignored=tuple(n for n in names if n not in used),
            faults=tuple(faults),
        )
    value, rank, unit = _value(file, low, value, faults)
    id = id or _id(file, low, faults)
    rated = low.get(RATED)
    used |= {value, id, rated}
    return Roles(
        value=value,
        kw_per_unit=_KW_PER.get(unit, 1.0),
        unit={"w": "W", "mw": "MW", "gw": "GW"}.get(unit, "kW"),
        energy=rank == _ENERGY_RANK,
        id=id,
        station=station,
        rated=rated,
        temperatures=temperatures,
        ignored=tuple(n for n in names if n not in used),
        faults=tuple(faults),
    )


def _temperature(name: str) -> Temperature | None:
    low = name.strip().lower()
    if match := _NUMBERED.fullmatch(low):
        kind: Literal["measured", "issued"] = "issued" if match["forecast"] else "measured"
        return Temperature(column=name, station=match["station"], kind=kind)
    match = _TEMPERATURE.fullmatch(low)
    if match is None or _LOOKS_AHEAD.fullmatch(match["station"] or ""):
        return None
    kind = "issued" if match["kind"] else "measured"
    return Temperature(column=name, station=match["station"] or PLAIN, kind=kind)


def _value(
    file: str, low: Mapping[str, str], chosen: str | None, faults: list[Fault]
) -> tuple[str | None, int, str]:
    """The load's column, its rank and its unit."""
    if chosen is not None:
        rank, unit = _load(chosen.strip().lower()) or (0, "kw")
        return chosen, rank, unit
    found = {low[name]: (name, *load) for name in low if (load := _load(name)) is not None}
    best = min((rank for _, rank, _ in found.values()), default=0)
    takers = [(n, rank, unit) for n, (_, rank, unit) in found.items() if rank == best]
    if len(takers) == 1:
        return takers[0]
    names = ", ".join(n for n, _, _ in takers) or f"none of {', '.join(low.values())}"
    faults.append(
        Fault(
            file=file,
            place="columns",
            value=names,
            expected="one load column, such as load_kw or load_mw; --value NAME says which",
        )
    )
    return None, 0, "kw"


def _load(name: str) -> tuple[int, str] | None:
    """Rank and unit of a column that is a load by its name."""
    for rank, pattern in enumerate(_RANKS):
        if match := pattern.fullmatch(name):
            groups = match.groupdict()
            return rank, groups.get("unit") or groups.get("bare") or "kw"
    return None


def _id(file: str, low: Mapping[str, str], faults: list[Fault]) -> str | None:
    named = [low[n] for n in low if n != STATION and (n.removesuffix("_id") in _IDS)]
    if not named:
        named = [low[n] for n in low if n.endswith("_id") and n != STATION]
    if len(named) > 1:
        faults.append(
            Fault(
                file=file,
                place="columns",
                value=", ".join(named),
                expected="one column that tells the series apart; --id NAME says which",
            )
        )
    return named[0] if len(named) == 1 else None


def _time_faults(file: str, names: Sequence[str]) -> list[Fault]:
    times = [name for name in names if name.strip().lower() == TIME]
    if len(times) == 1:
        return []
    hint = "; is it comma-separated?" if len(names) == 1 else ""
    return [
        Fault(
            file=file,
            place="columns",
            value=", ".join(names) or "none",
            expected=f"one column {TIME}, the start of each interval{hint}",
        )
    ]


def _absent(file: str, names: Sequence[str], *wanted: str | None) -> list[Fault]:
    return [
        Fault(file=file, place="columns", value=", ".join(names), expected=f"a column named {name}")
        for name in wanted
        if name is not None and name not in names
    ]


def _no_temperature(file: str, names: Sequence[str]) -> Fault:
    return Fault(
        file=file,
        place="columns",
        value=", ".join(names),
        expected=f"temp_c, temp_c_<station> or {STATION} with temp_c (issued: temp_forecast_c)",
    )
