"""What a failed command leaves on standard error, and with which code it ends."""

import json
import sys
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from controller.errors import PeakshareError, UsageError


def complain(error: Exception, *, as_json: bool, debug: bool) -> int:
    """Say what went wrong and what to do about it; the exit code.

    As text: `error PS-xxx: message`, a line for each fault, the hint. As data: one object
    {"error": {"code", "message", "faults", "hint"}}. With `debug` the traceback too.
    """
    cause = as_ours(error)
    trace = "".join(traceback.format_exception(error)) if debug else ""
    if as_json:
        print(json.dumps({"error": as_object(cause, trace)}, ensure_ascii=False), file=sys.stderr)
    elif cause.message.startswith("Usage:"):
        print(cause.message, file=sys.stderr)
    else:
        print(f"{trace}error {cause.code}: {cause}\n  {cause.hint}", file=sys.stderr)
    return cause.exit_code


def as_object(error: PeakshareError, trace: str = "") -> dict[str, object]:
    """An error as JSON shows it."""
    return {
        "code": error.code,
        "message": error.message,
        "faults": [asdict(fault) for fault in error.faults],
        "hint": error.hint,
        **({"traceback": trace} if trace else {}),
    }


def wants_json(words: Sequence[str]) -> bool:
    """Whether a command line asks for data; also one that cannot be understood."""
    return "--json" in words


def as_ours(error: Exception) -> PeakshareError:
    """The error to report: ours if there is one, a wrong command line as such, else a bug."""
    cause = _cause(error)
    if isinstance(cause, PeakshareError):
        return cause
    if (usage := getattr(cause, "format_message", None)) is not None:
        return _usage(usage(), getattr(cause, "ctx", None))
    return PeakshareError(f"{type(cause).__name__}: {cause}")


def _cause(error: Exception) -> Exception:
    """What a task group wrapped: an error of ours if there is one, else the first."""
    if not isinstance(error, ExceptionGroup):
        return error
    causes = [_cause(e) for e in error.exceptions]
    return next((c for c in causes if isinstance(c, PeakshareError)), causes[0])


def _usage(message: str, context: Any) -> UsageError:
    """The fault of a command line; a command group without a command is its help."""
    command = getattr(context, "command_path", "peakshare")
    return UsageError(message.strip(), hint=f"See `{command} --help`.")
