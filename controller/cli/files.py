"""Small files that a person names on the command line, in and out."""

import errno
import json
from pathlib import Path
from typing import Any

from controller.errors import DiskFullError, Fault, InputError, OutputError, PeakshareError

MOST_BYTES = 1_000_000
"""No event and no list of addresses is longer."""


def read_json(file: Path, kind: type[InputError], message: str) -> Any:
    """What a JSON file holds. Raises `kind` with the file and the place of its fault."""

    def fault(place: str, value: object, expected: str) -> InputError:
        return kind(
            message, [Fault(file=str(file), place=place, value=str(value), expected=expected)]
        )

    try:
        with file.open("rb") as stream:
            raw = stream.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        raise fault("file", getattr(error, "strerror", error), "a readable file") from error
    if len(raw) > MOST_BYTES:
        raise fault("file", f"more than {MOST_BYTES:,} bytes", f"at most {MOST_BYTES:,}")
    try:
        return json.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise fault(f"byte {error.start}", f"0x{raw[error.start]:02x}", "UTF-8 text") from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise fault(place, error.msg, "valid JSON") from error
    except (ValueError, RecursionError) as error:
        raise fault("JSON", error, "valid JSON") from error


def write_text(file: Path, text: str) -> None:
    """Write a result where a person wants it. Raises OutputError, DiskFullError."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise not_written(file, error) from error


def not_written(file: Path, error: OSError) -> PeakshareError:
    """Why a result is not at its place."""
    message = f"{file} cannot be written: {error.strerror}"
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return DiskFullError(message) if full else OutputError(message)
