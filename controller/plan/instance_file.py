"""Instance files: one JSON object each, read whole and checked before anything is planned.

Every fault is collected with its place, value and what was expected; numbers are bounded, so that
a broken file cannot ask for more memory or time than an honest one.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from controller.errors import Fault, InputError
from controller.plan.arrays import Floats, Ints
from controller.plan.instance import STEP_H, Batteries, CarParks, Cohorts, Contracts, Instance

MOST_BYTES = 1_000_000_000
MOST_FAULTS = 100
BIG = 1e12
MOST_INTERVALS, MOST_FEEDERS, MOST_LEVELS = 1000, 10_000, 20

Field = tuple[str, bool, float, float]
"""Key, whole number, least, most."""
_HEAD: tuple[Field, ...] = (
    ("T", True, 1, MOST_INTERVALS), ("H", True, 1, MOST_INTERVALS), ("F", True, 1, MOST_FEEDERS),
    ("z", False, 0, 10), ("short1", False, 0, BIG), ("short2", False, 0, BIG),
    ("tier_lo", False, 0, 1), ("tier_hi", False, 1, 1000), ("over", False, 0, BIG),
    ("feeder_short", False, 0, BIG),
)  # fmt: skip
_CONTRACT: tuple[Field, ...] = (
    ("price", False, 0, BIG), ("fatigue", False, 0, BIG), ("startup", False, 0, BIG),
    ("avail", False, 0, 1), ("earliest", True, 0, 1e6), ("min_dur", True, 1, 1e6),
    ("max_dur", True, 1, 1e6), ("max_act", True, 0, 1e6), ("rest", True, 0, 1e6),
    ("budget", True, 0, 1e6), ("feeder", True, 0, BIG),
)  # fmt: skip
_COHORT: tuple[Field, ...] = (
    ("n", True, 0, 1e9), ("kw", False, 0, 1e6), ("resp", False, 0, 1), ("price", False, 0, BIG),
    ("fixed", False, 0, BIG), ("feeder", True, 0, BIG),
)  # fmt: skip
_COOLING: tuple[Field, ...] = (
    ("max_off", True, 1, 100), ("recover", True, 0, 1e6), ("rebound", False, 0, 10),
    ("rebound_len", True, 1, 1000),
)  # fmt: skip
_CARS: tuple[Field, ...] = (("deadline", True, 0, 1e6), ("need", True, 0, 1e6))
_BATTERY: tuple[Field, ...] = (
    ("cap", False, 0, BIG), ("pmax", False, 0, BIG), ("soc0", False, 0, BIG),
    ("soc_min", False, 0, BIG), ("soc_end", False, 0, BIG), ("eff", False, 0.01, 1),
    ("cost", False, 0, BIG), ("feeder", True, 0, BIG),
)  # fmt: skip


def read_instance(path: Path) -> Instance:
    """The instance in a file. Raises InputError with all its faults."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"{path} is larger than {MOST_BYTES} bytes")
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON: {error}") from None
    return parse_instance(content, str(path))


def parse_instance(content: Any, file: str = "instance") -> Instance:
    """The instance in parsed JSON, bare or under `instance`. Raises InputError."""
    raw = content.get("instance", content) if isinstance(content, Mapping) else content
    checker = _Checker(file)
    checker.instance(raw)
    if checker.faults:
        shown = checker.faults[:MOST_FAULTS]
        raise InputError(f"{file}: {len(checker.faults)} faults in the instance", shown)
    return _instance(raw)


class _Checker:
    """Collects what is wrong with an instance."""

    def __init__(self, file: str) -> None:
        self._file = file
        self.faults: list[Fault] = []

    def instance(self, raw: Any) -> None:
        if not isinstance(raw, Mapping):
            self._fault("instance", raw, "an object")
            return
        if not self._fields(raw, "instance", _HEAD):
            return
        T, H, F = int(raw["T"]), int(raw["H"]), int(raw["F"])
        self._expect(T <= H, "instance.H", H, f"at least T = {T}")
        for key, count, none, least in (
            ("target", H, False, 0.0), ("sigma0", H, False, 0.0), ("headroom", H, False, 0.0),
            ("feeder_max", F, True, 0.0), ("feeder_min", F, True, -BIG),
        ):  # fmt: skip
            self._series(raw.get(key), f"instance.{key}", count, none=none, least=least)
        if isinstance(raw.get("target"), list) and len(raw["target"]) == H:
            late = any(x for x in raw["target"][T:])
            self._expect(not late, "instance.target", raw["target"][T:], "0 from interval T on")
        for key, check in (
            ("contracts", self._contract), ("cohorts", self._cohort), ("batteries", self._battery)
        ):  # fmt: skip
            rows = raw.get(key)
            if not isinstance(rows, list):
                self._fault(f"instance.{key}", rows, "a list")
                continue
            for i, row in enumerate(rows):
                place = f"instance.{key}[{i}]"
                if not isinstance(row, Mapping):
                    self._fault(place, row, "an object")
                    continue
                check(row, place, H)
                feeder = row.get("feeder")
                if isinstance(feeder, int) and feeder >= F:
                    self._fault(f"{place}.feeder", feeder, f"0 … {F - 1}")
            self._unique(rows, key)

    def _contract(self, row: Mapping[str, Any], place: str, _: int) -> None:
        fine = self._fields(row, place, _CONTRACT)
        self._expect(
            row.get("kind") in ("step", "cont"), f"{place}.kind", row.get("kind"), "step or cont"
        )
        steps = row.get("steps")
        good = (
            isinstance(steps, list)
            and 0 < len(steps) <= MOST_LEVELS
            and all(_number(s) and 0.01 < s <= 1e9 for s in steps)
            and all(a < b for a, b in pairwise(steps))
        )
        self._expect(good, f"{place}.steps", steps, "kW above 0.01 in rising order")
        if row.get("kind") == "cont" and good and isinstance(steps, list):
            least = row.get("pmin")
            right = _number(least) and 0.01 < least <= steps[-1]
            self._expect(right, f"{place}.pmin", least, f"above 0.01 and at most {steps[-1]}")
        if fine:
            runs = row["min_dur"] <= row["max_dur"]
            self._expect(runs, f"{place}.max_dur", row["max_dur"], f"at least {row['min_dur']}")

    def _cohort(self, row: Mapping[str, Any], place: str, H: int) -> None:
        kind = row.get("kind")
        if kind not in ("ac", "wh", "ev"):
            self._fault(f"{place}.kind", kind, "ac, wh or ev")
            return
        self._fields(row, place, _COHORT)
        if self._fields(row, place, _CARS if kind == "ev" else _COOLING) and kind == "ev":
            self._expect(row["deadline"] <= H, f"{place}.deadline", row["deadline"], f"at most {H}")
            fits = row["need"] <= row["deadline"]
            self._expect(fits, f"{place}.need", row["need"], "no more than the deadline")

    def _battery(self, row: Mapping[str, Any], place: str, H: int) -> None:
        if not self._fields(row, place, _BATTERY):
            return
        inside = row["soc_min"] <= row["soc0"] <= row["cap"]
        self._expect(inside, f"{place}.soc0", row["soc0"], f"{row['soc_min']} … {row['cap']}")
        reach = min(row["cap"], row["soc0"] + row["eff"] * STEP_H * row["pmax"] * H)
        self._expect(
            row["soc_end"] <= reach, f"{place}.soc_end", row["soc_end"], f"at most {reach:g}"
        )

    def _fields(self, row: Mapping[str, Any], place: str, fields: Iterable[Field]) -> bool:
        before = len(self.faults)
        for key, whole, least, most in fields:
            value = row.get(key)
            right = _number(value) and least <= value <= most and (not whole or value == int(value))
            kind = "a whole number" if whole else "a number"
            self._expect(right, f"{place}.{key}", value, f"{kind}, {least:g} … {most:g}")
        return len(self.faults) == before

    def _series(self, values: Any, place: str, count: int, *, none: bool, least: float) -> None:
        if not isinstance(values, list) or len(values) != count:
            self._fault(place, values, f"a list of {count} numbers")
            return
        for i, value in enumerate(values):
            if value is None and none:
                continue
            right = _number(value) and least <= value <= BIG
            self._expect(right, f"{place}[{i}]", value, f"a number, {least:g} … {BIG:g}")

    def _unique(self, rows: Sequence[Any], key: str) -> None:
        seen: set[str] = set()
        for i, row in enumerate(rows):
            if not isinstance(row, Mapping):
                continue
            name = str(row.get("id"))
            self._expect(
                "id" in row and name not in seen, f"instance.{key}[{i}].id", row.get("id"),
                "an id of its own",
            )  # fmt: skip
            seen.add(name)

    def _expect(self, right: object, place: str, value: Any, expected: str) -> None:
        if not right:
            self._fault(place, value, expected)

    def _fault(self, place: str, value: Any, expected: str) -> None:
        shown = repr(value)
        shown = shown if len(shown) <= 60 else shown[:57] + "..."
        self.faults.append(Fault(file=self._file, place=place, value=shown, expected=expected))


def _number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _instance(raw: Mapping[str, Any]) -> Instance:
    cohorts = raw["cohorts"]
    return Instance(
        name=str(raw.get("name", "")),
        T=int(raw["T"]),
        H=int(raw["H"]),
        F=int(raw["F"]),
        z=float(raw["z"]),
        target=np.array(raw["target"], dtype=np.float64),
        sigma=np.array(raw["sigma0"], dtype=np.float64),
        headroom=np.array(raw["headroom"], dtype=np.float64),
        short_price=(float(raw["short1"]), float(raw["short2"])),
        first_tier=1 - float(raw["tier_lo"]),
        over_price=float(raw["over"]),
        over_above=float(raw["tier_hi"]),
        feeder_most=_limits(raw["feeder_max"], np.inf),
        feeder_least=_limits(raw["feeder_min"], -np.inf),
        feeder_price=float(raw["feeder_short"]),
        contracts=_contracts(raw["contracts"]),
        cohorts=_cohorts([k for k in cohorts if k["kind"] != "ev"]),
        cars=_cars([k for k in cohorts if k["kind"] == "ev"], int(raw["H"])),
        batteries=_batteries(raw["batteries"]),
    )


def _limits(values: Sequence[float | None], none: float) -> Floats:
    return np.array([none if v is None else v for v in values], dtype=np.float64)


def _floats(rows: Sequence[Mapping[str, Any]], key: str) -> Floats:
    return np.array([r[key] for r in rows], dtype=np.float64)


def _ints(rows: Sequence[Mapping[str, Any]], key: str) -> Ints:
    return np.array([r[key] for r in rows], dtype=np.int64)


def _contracts(rows: Sequence[Mapping[str, Any]]) -> Contracts:
    ranged = np.array([r["kind"] == "cont" for r in rows], dtype=bool)
    levels = [[r["pmin"], r["steps"][-1]] if r["kind"] == "cont" else r["steps"] for r in rows]
    kw = np.zeros((len(rows), max(map(len, levels), default=1)))
    for i, own in enumerate(levels):
        kw[i, : len(own)] = own
    a = _floats(rows, "avail")[:, None]
    rate = (_floats(rows, "price") + _floats(rows, "fatigue"))[:, None]
    top = kw.max(axis=1, initial=0.0)[:, None]
    return Contracts(
        ids=tuple(str(r["id"]) for r in rows),
        level_kw=kw,
        mean_kw=a * kw,
        variance=a * (1 - a) * kw * np.where(ranged[:, None], top, kw),
        pay=rate * a * kw * STEP_H,
        start_cost=_floats(rows, "startup"),
        earliest=_ints(rows, "earliest"),
        least_run=_ints(rows, "min_dur"),
        longest_run=_ints(rows, "max_dur"),
        calls=_ints(rows, "max_act"),
        rest=np.maximum(_ints(rows, "rest"), 1),
        budget=_ints(rows, "budget"),
        feeder=_ints(rows, "feeder"),
        is_range=ranged,
        ran=np.zeros(len(rows), dtype=np.int64),
    )


def _cohorts(rows: Sequence[Mapping[str, Any]]) -> Cohorts:
    a, kw = _floats(rows, "resp"), _floats(rows, "kw")
    return Cohorts(
        ids=tuple(r["id"] for r in rows),
        count=_ints(rows, "n"),
        mean_kw=a * kw,
        variance=a * (1 - a) * kw**2,
        pay=_floats(rows, "price") * a * kw * STEP_H,
        start_cost=_floats(rows, "fixed"),
        longest=_ints(rows, "max_off"),
        recover=_ints(rows, "recover"),
        rebound=_floats(rows, "rebound"),
        rebound_run=_ints(rows, "rebound_len"),
        feeder=_ints(rows, "feeder"),
        earliest=np.zeros(len(rows), dtype=np.int64),
    )


def _cars(rows: Sequence[Mapping[str, Any]], H: int) -> CarParks:
    count, need = _ints(rows, "n"), _ints(rows, "need")
    kw, t = _floats(rows, "resp") * _floats(rows, "kw"), np.arange(H)
    deadline = _ints(rows, "deadline")
    return CarParks(
        ids=tuple(r["id"] for r in rows),
        count=count,
        need=count * need,
        mean_kw=kw,
        pay=_floats(rows, "price") * kw * STEP_H,
        baseline=np.where(t < need[:, None], count[:, None], 0),
        most=np.where(t < deadline[:, None], count[:, None], 0),
        feeder=_ints(rows, "feeder"),
    )


def _batteries(rows: Sequence[Mapping[str, Any]]) -> Batteries:
    return Batteries(
        cap=_floats(rows, "cap"),
        kw=_floats(rows, "pmax"),
        soc_start=_floats(rows, "soc0"),
        soc_min=_floats(rows, "soc_min"),
        soc_end=_floats(rows, "soc_end"),
        efficiency=_floats(rows, "eff"),
        pay=_floats(rows, "cost"),
        feeder=_ints(rows, "feeder"),
    )
