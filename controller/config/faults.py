"""Faults in words: where it stood by ids, what stood there, what was expected instead."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import time, timedelta
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from controller.config.text import closest, duration_text
from controller.errors import Fault

_EXPECTED = {
    "bool_type": "true or false",
    "date_type": "a date such as 2014-01-27, without quotes",
    "dict_type": "a table",
    "finite_number": "a finite number",
    "float_parsing": "a number",
    "float_type": "a number, without quotes",
    "int_type": "a whole number, without quotes",
    "list_type": "a list in [ ]",
    "model_type": "a table",
    "string_too_short": "a text that is not empty",
    "string_type": "a text in quotes",
    "timezone_aware": "an instant with time zone, such as 2014-01-28T08:30:00Z",
    "too_short": "at least one entry",
}
"""Pydantic's error types whose own words would not help the reader of a TOML file."""

_ROW = re.compile(r"line (\d+), (.*)")


def shape_faults(
    file: str, place: str, shape: type[BaseModel], raw: object, error: ValidationError
) -> list[Fault]:
    """One fault for each thing pydantic found in `raw`; a mistyped key is one thing, not two."""
    details = error.errors(include_url=False)
    missing = {d["loc"] for d in details if d["type"] == "missing"}
    faults = []
    for d in details:
        if d["type"] == "extra_forbidden":
            meant, wanted = _unknown_key(shape, d["loc"], missing)
            missing.discard((*d["loc"][:-1], meant or ""))
            faults.append((d["loc"], "unknown key", wanted))
        elif d["type"] != "missing":
            faults.append((d["loc"], shown(d["input"]), _in_words(d)))
    faults += [(loc, "missing", _wanted(shape, loc)) for loc in sorted(missing, key=str)]
    return [
        Fault(file=file, place=key_path(place, raw, loc), value=value, expected=wanted)
        for loc, value, wanted in faults
    ]


def shown(value: object) -> str:
    """A value as its file would write it, cut to a readable length."""
    if value is None:
        return "missing"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        return f"[{', '.join(map(shown, value))}]"
    text = json.dumps(value, ensure_ascii=False, default=_plain)
    return text if len(text) <= 80 else text[:77] + "…"


def key_path(place: str, raw: object, loc: Sequence[int | str]) -> str:
    """'contract[mill-3].windows[0].start': entries of lists by their id where they have one."""
    path = place
    for step in loc:
        raw = _inside(raw, step)
        if isinstance(step, int):
            path += f"[{name_of(raw, step)}]"
        else:
            joint = ", " if path.startswith("line ") else "."
            path = joint.join(part for part in (path, step) if part)
    return path or "document"


def name_of(raw: object, index: int) -> str:
    """An entry's id, or kind where that tells entries apart, or its number counted from 0."""
    if isinstance(raw, Mapping):
        for key in ("id", "kind"):
            if isinstance(raw.get(key), str) and raw[key]:
                return str(raw[key])
    return str(index)


def collapsed(faults: Sequence[Fault]) -> list[Fault]:
    """Faults by file; the same fault in many rows of a table becomes one that counts them."""
    groups: dict[tuple[str, str, str, str], list[str]] = {}
    for fault in sorted(faults, key=lambda f: f.file):
        row = _ROW.fullmatch(fault.place)
        key = row[2] if row else fault.place
        lines = groups.setdefault((fault.file, key, fault.value, fault.expected), [])
        lines += [row[1]] if row else []
    return [
        Fault(file=file, place=_lines(lines) + key, value=value, expected=expected)
        for (file, key, value, expected), lines in groups.items()
    ]


def _lines(lines: Sequence[str]) -> str:
    """'line 17, ' or 'lines 17, 18, 19 … (2000 rows), ', or nothing outside a table."""
    if len(lines) < 2:
        return "".join(f"line {line}, " for line in lines)
    more = f" … ({len(lines)} rows)" if len(lines) > 3 else ""
    return f"lines {', '.join(lines[:3])}{more}, "


def _unknown_key(
    shape: type[BaseModel], loc: tuple[int | str, ...], missing: set[tuple[int | str, ...]]
) -> tuple[str | None, str]:
    """(the key that was probably meant, what was expected); a missing key is the first guess."""
    *table, key = loc
    known = list(_table_at(shape, table).model_fields)
    absent = [str(m[-1]) for m in missing if list(m[:-1]) == table]
    meant = closest(key, absent) or closest(key, known)
    return meant, f'the key "{meant}"?' if meant else f"one of the keys {', '.join(known)}"


def _table_at(shape: type[BaseModel], loc: Sequence[int | str]) -> type[BaseModel]:
    """The class of the table at `loc`, seen through lists, options and tables by name."""
    by_name = False
    for step in loc:
        if isinstance(step, str) and not by_name:
            annotation = shape.model_fields[step].annotation
            shape = _model_in(annotation) or shape
            by_name = get_origin(annotation) is dict
        else:
            by_name = False
    return shape


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(argument) for argument in get_args(annotation))
    return next((model for model in found if model), None)


def _wanted(shape: type[BaseModel], loc: Sequence[int | str]) -> str:
    """What a missing key should hold: what its type says when it is given nonsense."""
    field = _table_at(shape, loc[:-1]).model_fields[str(loc[-1])]
    kind: Any = Annotated[field.annotation, field]
    try:
        TypeAdapter(kind).validate_python(object(), strict=True)
    except ValidationError as error:
        return _in_words(error.errors(include_url=False)[0])
    return "a value"


def _in_words(detail: ErrorDetails) -> str:
    """Pydantic's message as what was expected."""
    words = detail["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    return _EXPECTED.get(detail["type"], words)


def _plain(value: object) -> str:
    if isinstance(value, timedelta):
        return duration_text(value)
    return f"{value:%H:%M}" if isinstance(value, time) else str(value)


def _inside(raw: object, step: int | str) -> object:
    """The part of a raw document one step in; None where it has none."""
    if isinstance(raw, Mapping) and isinstance(step, str):
        return raw.get(step)
    if isinstance(raw, Sequence) and isinstance(step, int) and step < len(raw):
        return raw[step]
    return None
