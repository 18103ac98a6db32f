"""The error tree. Each error has a code, says what happened, and what to do about it.

::

    PeakshareError
    ├── InputError          wrong usage or input: exit code 2, nothing was changed
    │   ├── ConfigError     a configuration folder: all faults at once
    │   ├── EventError      an event that cannot be taken
    │   └── MeterFileError  a meter file that cannot be imported
    ├── DeviceError         a device or link failed us; dispatch turns it into receipts
    ├── StoreError          the store refused: locked, damaged, a broken chain
    ├── NotRunningError     a command needs the running controller
    └── PlanError           no plan can be made at all (a bug or an empty problem)

Expected outcomes (a refusal, silence, an unreachable device) are values, never exceptions.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing wrong in some input: where, what stood there, what was expected."""

    file: str
    place: str
    value: str
    expected: str

    def __str__(self) -> str:
        return f"{self.file}: {self.place}: {self.value} — expected {self.expected}"


class PeakshareError(Exception):
    """Anything Peakshare reports to its user."""

    code = "PS-000"
    hint = "Run again with --debug and report what it prints."
    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or type(self).hint


class InputError(PeakshareError):
    """Input that cannot be used; carries every fault found, nothing was half-applied."""

    code = "PS-100"
    hint = "Correct the input and run again; nothing was changed."
    exit_code = 2

    def __init__(
        self, message: str, faults: Sequence[Fault] = (), *, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.faults = tuple(faults)

    def __str__(self) -> str:
        return "\n".join([self.message, *(f"  {fault}" for fault in self.faults)])


class ConfigError(InputError):
    """A configuration folder with faults."""

    code = "PS-110"
    hint = "Correct the files named above, then `peakshare check DIR`."


class EventError(InputError):
    """An event that is malformed, too late, or not allowed in its state."""

    code = "PS-120"


class MeterFileError(InputError):
    """A meter file that cannot be imported."""

    code = "PS-130"


class DeviceError(PeakshareError):
    """A device, gateway or link did not do what was asked."""

    code = "PS-200"
    hint = "Check the link's address and the device; dispatch goes on without it."


class StoreError(PeakshareError):
    """The store cannot be used as asked."""

    code = "PS-300"
    hint = "Is another controller using this data directory?"


class NotRunningError(PeakshareError):
    """The command needs a running controller and there is none."""

    code = "PS-400"
    hint = "Start one with `peakshare run DIR`."


class PlanError(PeakshareError):
    """No plan at all could be made."""

    code = "PS-500"
