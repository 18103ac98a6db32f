"""The error tree. Each error has a code, a cause, what to do about it, and an example.

::

    PeakshareError  000          a bug
    ├── InputError  100          wrong usage or input: exit code 2, nothing was changed
    │   ├── UsageError        101
    │   ├── UnknownNameError  102
    │   ├── TooEarlyError     103
    │   ├── ConfigError       110
    │   │   └── ScenarioError 111
    │   ├── AddressFileError  112
    │   ├── EventError        120
    │   │   └── EventStateError 121
    │   ├── MeterFileError    130
    │   ├── FeedError         140
    │   ├── PlayedDayError    150
    │   └── OutputError       160
    ├── DeviceError 200          a device or link failed us; dispatch turns it into receipts
    │   ├── LinkSettingsError 201
    │   └── BrokerError       210
    ├── StoreError  300          the store refused
    │   ├── StoreLockedError  301
    │   ├── StoreMissingError 302
    │   ├── StoreFolderError  303
    │   ├── StoreVersionError 304
    │   ├── StoreDamagedError 305
    │   └── DiskFullError     310
    ├── NotRunningError 400      a command needs the running controller
    │   └── NoAnswerError     401
    ├── TokenError      410
    ├── AnswerError     420
    ├── PortError       430
    ├── DemoError       440
    └── PlanError       500      no plan can be made at all

Expected outcomes (a refusal, silence, an unreachable device) are values, never exceptions.
docs/errors.md is made from this file: `python -m tests.errors_page`.
"""

from collections.abc import Iterator, Mapping, Sequence
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
    cause = "The program met something it was not made for: a bug."
    hint = "Run again with --debug and report what it prints."
    example = "KeyError: 'mill-3'"
    exit_code = 1
    faults: tuple[Fault, ...] = ()

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or type(self).hint


class InputError(PeakshareError):
    """Input that cannot be used; carries every fault found, nothing was half-applied."""

    code = "PS-100"
    cause = "Some input cannot be used, and none of the codes below says it better."
    hint = "Correct the input and run again; nothing was changed."
    example = "the truth cannot be put together"
    exit_code = 2

    def __init__(
        self, message: str, faults: Sequence[Fault] = (), *, hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.faults = tuple(faults)

    def __str__(self) -> str:
        return "\n".join([self.message, *(f"  {fault}" for fault in self.faults)])


class UsageError(InputError):
    """Words on the command line that no command takes."""

    code = "PS-101"
    cause = "The command line has an unknown command or option, lacks one, or a value does not fit."
    hint = "See `peakshare COMMAND --help`."
    example = "No such option: --wrong"


class UnknownNameError(InputError):
    """A name that nobody has."""

    code = "PS-102"
    cause = "No event, customer or resource has the name that was given."
    hint = "`peakshare event list` has the events; customers and resources stand in fleet/."
    example = "there is no event '019b3f00-0000-7000-8000-000000000000'"


class TooEarlyError(InputError):
    """What was asked for needs something that has not happened yet."""

    code = "PS-103"
    cause = "What the command works on is not there yet: no planned event, no meters, no stop."
    hint = "`peakshare status` and `peakshare event list` show what there is."
    example = "there is no planned event to settle"


class ConfigError(InputError):
    """A configuration folder with faults."""

    code = "PS-110"
    cause = "The configuration folder has faults, all of which are listed."
    hint = "Correct the files named above, then `peakshare check DIR`."
    example = "1 fault in the configuration configs/demo:"


class ScenarioError(ConfigError):
    """The page of a day to be played, or the curve it names, has faults."""

    code = "PS-111"
    cause = (
        "scenarios/day.toml, or the area's curve it names, cannot be used; only the demo needs it."
    )
    hint = "Correct it after scenarios/day.toml of configs/demo."
    example = "the scenario cannot be read"


class AddressFileError(InputError):
    """The file of --links cannot be used."""

    code = "PS-112"
    cause = "The file that --links names does not have a host and a port for each link id."
    hint = "Take links.json of `peakshare simulate` as the pattern."
    example = "the addresses of links cannot be read"


class EventError(InputError):
    """An event that is malformed, too late, or for nobody."""

    code = "PS-120"
    cause = "The event is no OpenADR 3.1 event, asks for what we would not act on, or is over."
    hint = "Correct the event and send it again; the user guide has one that is taken."
    example = "this is not an OpenADR 3.1 event"


class EventStateError(EventError):
    """A step that the life of an event does not allow."""

    code = "PS-121"
    cause = (
        "The event is in a state that does not allow this: approved twice, cancelled after its end."
    )
    hint = "`peakshare event show ID` has its state and how it came there."
    example = "event 019b3f00-0000-7000-8000-000000000000 is approved; only a draft can be approved"


class MeterFileError(InputError):
    """A meter file that cannot be imported."""

    code = "PS-130"
    cause = "A meter file has faults; of all the files named together nothing was imported."
    hint = "Correct the files named above and import all of them again."
    example = "1 of 2 meter files cannot be imported"


class FeedError(InputError):
    """The utility's feed or the meter history does not carry a forecast."""

    code = "PS-140"
    cause = (
        "The feed (area load, weather forecast) or the meter history is missing, broken or too old."
    )
    hint = "Bring the feed folder up to date; the user guide has its columns."
    example = "the feed in out/feed cannot be used"


class PlayedDayError(InputError):
    """A folder that is not a played day's."""

    code = "PS-150"
    cause = "The folder does not hold what `peakshare demo` leaves behind."
    hint = "Name the folder of a demo that came to its end, e.g. out/demo."
    example = "there is no played day to report on"


class OutputError(InputError):
    """A place where nothing can be written."""

    code = "PS-160"
    cause = "A result cannot be written where it was asked for."
    hint = "Name another place, or see to its permissions."
    example = "out/report cannot be written: Is a directory"


class DeviceError(PeakshareError):
    """A device, gateway or link did not do what was asked."""

    code = "PS-200"
    cause = "A device, a gateway or a duty desk did not do what was asked."
    hint = "Check the link's address and the device; dispatch goes on without it."
    example = "desk: the notice was not delivered"


class LinkSettingsError(DeviceError):
    """A link that cannot be opened as it is configured."""

    code = "PS-201"
    cause = "A link is configured so that it cannot be opened, or must not be."
    hint = "Correct the link in fleet/links.toml, or the device's address."
    example = "homes: broker.example would be spoken to in the clear"


class BrokerError(DeviceError):
    """The embedded MQTT broker did not start."""

    code = "PS-210"
    cause = "The embedded MQTT broker is not installed or did not start on its port."
    hint = "See that the port is free, or name a broker of your own in fleet/links.toml."
    example = "there is no MQTT broker at .venv/bin/nats-server"


class StoreError(PeakshareError):
    """The store cannot be used as asked."""

    code = "PS-300"
    cause = "The store refused what was asked of it, so that nothing in it is overwritten."
    hint = "Run again with --debug and report what it prints; the store is as it was before."
    example = "transfer 5f0c… is in the ledger with other content"


class StoreLockedError(StoreError):
    """Another controller has the data directory."""

    code = "PS-301"
    cause = "Another controller runs on the same data directory."
    hint = "Stop that controller first, or give this one a folder of its own."
    example = "data directory out/run is in use by process 4711"


class StoreMissingError(StoreError):
    """There is no data directory to read from."""

    code = "PS-302"
    cause = "No controller runs there, and none ever did: the data directory has no data."
    hint = "Start a controller there with `peakshare run DIR`, or name another folder."
    example = "there is no data in out/run yet (state.db is missing)"


class StoreFolderError(StoreError):
    """The data directory cannot be written to."""

    code = "PS-303"
    cause = "The data directory cannot be made or written to, or is on a network share."
    hint = "Choose a folder on a local disk that can be written to."
    example = "data directory /data cannot be used: Permission denied"


class StoreVersionError(StoreError):
    """Data of another program, or of another version of this one."""

    code = "PS-304"
    cause = "The files there were written by another program or another version of this one."
    hint = "Use the version that wrote them, or name another folder."
    example = "state.db was written by a newer version of Peakshare (tables of version 9)"


class StoreDamagedError(StoreError):
    """Stored data that cannot be read back."""

    code = "PS-305"
    cause = "A file of the store is damaged: it is no database any more, or a row cannot be read."
    hint = "Restore the data directory from a backup; keep the damaged one."
    example = "out/run/state.db cannot be opened: file is not a database"


class DiskFullError(StoreError):
    """No room for what is to be kept."""

    code = "PS-310"
    cause = "The disk is full, so that nothing can be stored; what was stored before is whole."
    hint = "Make room on the disk and start again: it carries on where it was."
    example = "the database failed: database or disk is full"


class NotRunningError(PeakshareError):
    """The command needs a running controller and there is none."""

    code = "PS-400"
    cause = "The command speaks to the running controller, and none runs on this data directory."
    hint = "Start one with `peakshare run DIR`, or name its data directory with --data."
    example = "no controller runs on out/run"


class NoAnswerError(NotRunningError):
    """A controller should be there but does not answer."""

    code = "PS-401"
    cause = "run.json says where a controller is, but nobody answers there: killed, or very busy."
    hint = "If its process is gone, start it again with `peakshare run DIR`: it carries on."
    example = "the controller does not answer: [Errno 111] Connection refused"


class TokenError(PeakshareError):
    """The running controller does not know us."""

    code = "PS-410"
    cause = "The controller refuses the token: the file `token` is not its own, or was changed."
    hint = "Name the data directory that the controller runs on, as the user it runs as."
    example = "a bearer token is needed"


class AnswerError(PeakshareError):
    """The running controller failed at what it was asked."""

    code = "PS-420"
    cause = "The controller answered with a failure of its own; it runs on."
    hint = "See the controller's log for the traceback, and report it."
    example = "the controller answered 500: Internal Server Error"


class PortError(PeakshareError):
    """Its address cannot be served."""

    code = "PS-430"
    cause = "The controller's HTTP port is in use, or the address is not of this machine."
    hint = "Choose another [http] port in controller.toml; 0 takes a free one."
    example = "127.0.0.1:8080 cannot be served: Address already in use"


class DemoError(PeakshareError):
    """A process of a played day did not start, or ended early."""

    code = "PS-440"
    cause = "A process of the demonstration did not start, ended early, or made no plan."
    hint = "See the logs folder of the demo: one file per process."
    example = "controller did not start"


class PlanError(PeakshareError):
    """No plan at all could be made."""

    code = "PS-500"
    cause = "Neither the solver nor the merit order gave a plan that keeps every contract."
    hint = "Devices keep what they were told until its end. Report the event with --debug's output."
    example = "the planning problem contradicts itself: resource ids are not unique"


def every_error(root: type[PeakshareError] = PeakshareError) -> Iterator[type[PeakshareError]]:
    """The tree, a parent before its children."""
    yield root
    for kind in root.__subclasses__():
        yield from every_error(kind)


def by_code() -> Mapping[str, type[PeakshareError]]:
    """The kind of error of each code."""
    return {kind.code: kind for kind in every_error()}
