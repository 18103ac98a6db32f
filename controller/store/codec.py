"""Model values to canonical JSON and back, without loss.

The JSON is canonical (keys sorted, no spaces), so that equal values have equal bytes on every
machine and can be hashed. Instants are RFC 3339 text, lengths of time ISO 8601 durations, dates
ISO 8601, enums their value. In arrays null stands for NaN (missing). Decoding is strict: a text
is never taken for a number, and a missing or null field without default is an error.

JSON has no infinity, and a bare NaN or naive instant could be written but not read back: all
three are refused when they are written, not when somebody needs them.
"""

import math
from collections.abc import Callable, Hashable
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, NewType, TypeVar, cast, get_args, get_origin, get_type_hints

import msgspec
import numpy as np

from controller.errors import StoreDamagedError, StoreError
from controller.model.time import Grid, Series

T = TypeVar("T")
Check = Callable[[Any, str], None]


def encode(value: object) -> bytes:
    """Canonical JSON of a model value.

    Raises StoreError for what could not be read back: an infinite number, NaN outside a series,
    an instant without time zone, a type that is not of the model.
    """
    if (check := _check_of(cast(Hashable, type(value)))) is not None:
        check(value, type(value).__name__)
    try:
        return _ENCODER.encode(value)
    except NotImplementedError as error:
        raise StoreError(str(error), hint=_HINT) from error


def decode(kind: type[T], body: bytes | str) -> T:
    """The value of type `kind` that `encode` wrote. Raises StoreError where it does not fit."""
    try:
        return cast(T, _decoder(cast(Hashable, kind)).decode(body))
    except (msgspec.MsgspecError, ValueError) as error:
        message = f"stored {kind.__name__} cannot be read: {error}"
        raise StoreDamagedError(message) from error


def instant_text(at: datetime) -> str:
    """An aware instant as sortable UTC text, microseconds and all. Raises StoreError if naive."""
    _aware(at, "instant")
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def instant(text: str) -> datetime:
    """What `instant_text` wrote, as aware UTC."""
    return datetime.fromisoformat(text)


def _array_out(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        if np.isinf(value).any():
            raise NotImplementedError("an array with infinite values cannot be stored")
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    raise NotImplementedError(f"a {type(value).__name__} cannot be stored")


def _array_in(kind: Any, value: Any) -> Any:
    """The lists of an array: one or two levels of numbers and nulls, nothing else."""
    if get_origin(kind) is not np.ndarray:
        raise NotImplementedError(f"{kind} is not a type of the model")
    flat = not value or not isinstance(value[0], list)
    row = list[float | None]
    return np.array(msgspec.convert(value, row if flat else list[row]), dtype=np.float64)


_HINT = "This is a bug in what was handed to the store; nothing of the call was stored."
_ENCODER = msgspec.json.Encoder(enc_hook=_array_out, order="sorted")


@cache
def _decoder(kind: Hashable) -> "msgspec.json.Decoder[Any]":
    return msgspec.json.Decoder(cast(type, kind), dec_hook=_array_in)


@cache
def _check_of(hint: Hashable) -> Check | None:
    """What to look at in a value of this type before it is written; None: nothing."""
    if isinstance(hint, NewType):
        return _check_of(hint.__supertype__)
    if hint is float:
        return _finite
    if hint is datetime:
        return _aware
    if get_origin(hint) is tuple:
        return _of_each(_check_of(get_args(hint)[0]))
    if isinstance(hint, type) and is_dataclass(hint) and hint not in (Grid, Series):
        return _of_fields(hint)
    checks = [check for member in get_args(hint) if (check := _check_of(member))]
    return _unless_none(checks[0]) if checks else None


def _of_fields(kind: type) -> Check | None:
    hints = get_type_hints(kind)
    found = [(f.name, check) for f in fields(kind) if (check := _check_of(hints[f.name]))]

    def of_fields(value: Any, name: str) -> None:
        for field, check in found:
            check(getattr(value, field), f"{name}.{field}")

    return of_fields if found else None


def _of_each(check: Check | None) -> Check | None:
    if check is None:
        return None

    def of_each(values: Any, name: str) -> None:
        for value in values:
            check(value, name)

    return of_each


def _unless_none(check: Check) -> Check:
    def unless_none(value: Any, name: str) -> None:
        if value is not None:
            check(value, name)

    return unless_none


def _finite(value: Any, name: str) -> None:
    if not math.isfinite(value):
        raise StoreError(f"{name} is {value} and cannot be stored", hint=_HINT)


def _aware(value: Any, name: str) -> None:
    if value.tzinfo is None:
        raise StoreError(f"{name} {value} has no time zone and cannot be stored", hint=_HINT)
