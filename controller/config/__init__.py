"""A folder of TOML and CSV → one `Config`, or every fault in it at once.

`files` finds and archives, `shapes` says what may stand in a table, `text` reads durations and
money, `parse` judges each table alone (`profiles` those of device models), `check` how they fit
together, `build` makes the values of `controller.model`, and `faults` puts what is wrong in words.
To add a setting: a field in the model, the same in `shapes`, and what it must fit to in `check`.
To add a device model: a page in profiles/ (what it may say is in `adapters.profile`).
"""

from pathlib import Path

from controller.config.build import config_of
from controller.config.check import check
from controller.config.faults import collapsed
from controller.config.files import Sources, from_body, missing_files, read_files
from controller.config.parse import parse
from controller.config.summary import Summary, summary
from controller.errors import ConfigError, Fault
from controller.model.settings import Config

__all__ = ["Summary", "check_config", "load_config", "load_stored"]


def load_config(root: Path) -> Config:
    """The configuration in the folder `root`. Raises ConfigError with all its faults."""
    if not root.is_dir():
        there = "a file" if root.exists() else "missing"
        fault = Fault(file=str(root), place="folder", value=there, expected="a folder with TOML")
        raise ConfigError(f"{root} is not a folder with a configuration", [fault])
    sources, faults = read_files(root)
    return _config(sources, faults)


def load_stored(body: bytes) -> Config:
    """An archived configuration (`Config.body`), as it was when its events were planned."""
    return _config(from_body(body), [])


def check_config(root: Path) -> Summary:
    """What a sound configuration holds, in figures. Raises ConfigError with all its faults."""
    return summary(load_config(root))


def _config(sources: Sources, faults: list[Fault]) -> Config:
    faults += missing_files([*sources.texts, *(fault.file for fault in faults)])
    draft, found = parse(sources)
    draft.unread.update(fault.file.partition("/")[0] for fault in faults)
    faults = collapsed([*faults, *found, *check(draft)])
    if faults:
        count = f"{len(faults)} fault" + ("s" if len(faults) > 1 else "")
        raise ConfigError(f"{count} in the configuration {sources.root}:", faults)
    return config_of(sources, draft)
