"""Files → tables that are right by themselves, and a fault for everything that is not.

Each table is judged alone, so that one wrong contract does not hide what is wrong in the next.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast

from pydantic import ValidationError

from controller.config.faults import name_of, shape_faults, shown
from controller.config.files import Sources, parse_csv, parse_toml
from controller.config.profiles import read_profile
from controller.config.shapes import (
    AreaShape,
    ContractShape,
    ControllerShape,
    CustomerShape,
    DispatchShape,
    HomeShape,
    HttpShape,
    LinkShape,
    PlanningShape,
    ProgramShape,
    Shape,
    ShavingShape,
    TelemetryShape,
    VerifyShape,
)
from controller.errors import Fault
from controller.model.ids import ProfileId
from controller.model.settings import Profile

T = TypeVar("T", covariant=True)
S = TypeVar("S", bound=Shape)

SECTIONS: Mapping[str, type[Shape]] = {
    "area": AreaShape,
    "shaving": ShavingShape,
    "planning": PlanningShape,
    "dispatch": DispatchShape,
    "telemetry": TelemetryShape,
    "verify": VerifyShape,
    "http": HttpShape,
}
"""The tables of controller.toml."""

LISTS: Mapping[str, Mapping[str, type[Shape]]] = {
    "contracts": {"contract": ContractShape},
    "fleet": {"link": LinkShape, "customer": CustomerShape},
}
"""Where a file holds lists of tables, by their key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed(Generic[T]):
    """A value and where it stood, so that a fault found later can say so."""

    file: str
    place: str
    """Key path of the table, or 'line 17' of a device table; '' where the file is the table."""
    item: T

    def fault(self, key: str, value: object, expected: str) -> Fault:
        """A fault at `key` of this table."""
        joint = ", " if self.place.startswith("line ") else "."
        place = joint.join(part for part in (self.place, key) if part)
        return Fault(file=self.file, place=place, value=shown(value), expected=expected)


@dataclass(slots=True, kw_only=True)
class Draft:
    """The tables that could be read, before anyone looks at how they fit together."""

    tables: dict[type[Shape], list[Placed[Shape]]] = field(default_factory=dict)
    profiles: dict[ProfileId, Profile] = field(default_factory=dict)
    doubtful: set[str] = field(default_factory=set)
    """Ids in tables with faults of their own: a reference to one is no further fault."""
    unread: set[str] = field(default_factory=set)
    """Folders in which something could not be read at all: whose ids are not all known."""

    def one(self, shape: type[S]) -> Placed[S] | None:
        """The table of a shape that stands in one place only; None where it has faults."""
        return next(iter(self.of(shape)), None)

    def of(self, shape: type[S]) -> list[Placed[S]]:
        """The tables of one shape, in the order of files and in them."""
        return cast(list[Placed[S]], self.tables.get(shape, []))


def parse(sources: Sources) -> tuple[Draft, list[Fault]]:
    """Every table of every file."""
    draft, faults = Draft(), list[Fault]()
    for file, text in sources.texts.items():
        folder = file.partition("/")[0]
        if folder == "profiles":
            faults += _profile(draft, file, text)
        elif file.endswith(".csv"):
            faults += _rows(draft, file, text)
        else:
            document, found = parse_toml(file, text)
            faults += found
            if document is None:
                draft.unread.add(folder)
            elif folder in LISTS:
                faults += _lists(draft, LISTS[folder], file, document)
            elif folder == "programs":
                faults += _table(draft, ProgramShape, file, "", document)
            else:
                faults += _sections(draft, file, document)
    return draft, faults


def _table(draft: Draft, shape: type[Shape], file: str, place: str, raw: object) -> list[Fault]:
    """Take one table into the draft, or say what is wrong with it."""
    try:
        item = shape.model_validate(raw)
    except ValidationError as error:
        ids = set(_ids_in(raw))
        draft.doubtful |= ids
        if not ids or any(e["loc"][-1:] == ("id",) for e in error.errors(include_url=False)):
            draft.unread.add(file.partition("/")[0])
        return shape_faults(file, place, shape, raw, error)
    draft.tables.setdefault(shape, []).append(Placed(file=file, place=place, item=item))
    return []


def _sections(draft: Draft, file: str, document: Mapping[str, Any]) -> Iterator[Fault]:
    """Every table of controller.toml."""
    try:
        ControllerShape.model_validate(document)
    except ValidationError as error:
        yield from shape_faults(file, "", ControllerShape, document, error)
    for key, shape in SECTIONS.items():
        section = document.get(key, {} if key == "http" else None)
        if isinstance(section, dict):
            yield from _table(draft, shape, file, key, section)


def _lists(
    draft: Draft, shapes: Mapping[str, type[Shape]], file: str, document: Mapping[str, Any]
) -> Iterator[Fault]:
    """Every table of a file such as `[[contract]] …`."""
    for key, entries in document.items():
        if key not in shapes:
            wanted = " or ".join(f"[[{k}]]" for k in shapes)
            yield Fault(file=file, place=key, value="unknown key", expected=wanted)
        elif not isinstance(entries, list):
            yield Fault(file=file, place=key, value=f"[{key}]", expected=f"[[{key}]]")
        else:
            for i, raw in enumerate(entries):
                yield from _table(draft, shapes[key], file, f"{key}[{name_of(raw, i)}]", raw)


def _rows(draft: Draft, file: str, text: str) -> Iterator[Fault]:
    """Every row of a device table."""
    rows, faults = parse_csv(file, text, list(HomeShape.model_fields))
    yield from faults
    if rows is None:
        draft.unread.add("fleet")
    for row in rows or []:
        yield from _table(draft, HomeShape, file, f"line {row.line}", row.cells)


def _profile(draft: Draft, file: str, text: str) -> list[Fault]:
    """One page of a device model."""
    profile, faults = read_profile(file, text)
    if profile is None:
        draft.doubtful.add(file.removeprefix("profiles/").removesuffix(".toml"))
    else:
        draft.profiles[profile.id] = profile
    return faults


def _ids_in(raw: object) -> Iterator[str]:
    """Every `id` in a raw table and the tables in it."""
    if isinstance(raw, Mapping):
        if isinstance(raw.get("id"), str):
            yield raw["id"]
        for value in raw.values():
            yield from _ids_in(value)
    elif isinstance(raw, list):
        for entry in raw:
            yield from _ids_in(entry)
