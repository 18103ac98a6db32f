"""The files of a configuration: found, decoded, parsed as TOML or CSV, archived, hashed.

A folder holds `controller.toml`, `programs/*.toml`, `contracts/*.toml`, `fleet/*.toml` and
`fleet/*.csv`; the profiles are in its `profiles/` or, shared, in the one beside it. Other
folders (`area/`, `scenarios/`) belong to others and are not looked at.
"""

import csv
import hashlib
import io
import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.config.text import closest
from controller.errors import ConfigError, Fault

FOLDERS = {
    "programs": (".toml",),
    "contracts": (".toml",),
    "fleet": (".toml", ".csv"),
    "profiles": (".toml",),
}
"""Which files are read where; any other visible file there is a fault, not silently ignored."""

NEWLINE = b"\n"
MOST_BYTES = 50_000_000
"""Of one file: a table of half a million devices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a device table: its number in the file and its cells by column."""

    line: int
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The decoded files, by path with '/', in order of that path."""

    root: Path
    texts: Mapping[str, str]

    @property
    def body(self) -> bytes:
        """All files as one archive text, the same on every machine: what is stored and hashed."""
        return json.dumps(self.texts, ensure_ascii=False, sort_keys=True, indent=0).encode()

    @property
    def hash(self) -> str:
        """SHA-256 of `body`, in hexadecimal."""
        return hashlib.sha256(self.body).hexdigest()

    def named(self, folder: str, suffix: str) -> list[tuple[str, str]]:
        """(path, text) of the files of a folder with that suffix."""
        return [
            (path, text)
            for path, text in self.texts.items()
            if path.startswith(f"{folder}/") and path.endswith(suffix)
        ]


def read_files(root: Path) -> tuple[Sources, list[Fault]]:
    """Every file of the configuration at `root`, lines end in LF, byte-order marks dropped."""
    shared = root.parent / "profiles"
    profiles = shared if not (root / "profiles").is_dir() and shared.is_dir() else root / "profiles"
    texts: dict[str, str] = {}
    faults: list[Fault] = []
    for name, path in sorted(_found(root, profiles, faults)):
        text, found = _decoded(name, path)
        faults += found
        if not found:
            texts[name] = text
    return Sources(root=root, texts=texts), faults


def from_body(body: bytes) -> Sources:
    """The files of an archived configuration, as they were. Raises ConfigError for other bytes."""
    try:
        texts = json.loads(body)
    except ValueError as error:
        raise ConfigError(f"the stored configuration is not readable: {error}") from error
    if not isinstance(texts, dict) or not all(isinstance(t, str) for t in texts.values()):
        raise ConfigError("the stored configuration is not an archive of files")
    return Sources(root=Path("stored"), texts=texts)


def missing_files(names: Iterable[str]) -> Iterator[Fault]:
    """A fault for each kind of file of which there is none."""
    present = list(names)
    if "controller.toml" not in present:
        expected = "the settings of the controller"
        yield Fault(file="controller.toml", place="file", value="missing", expected=expected)
    for folder in FOLDERS:
        if not any(name.startswith(f"{folder}/") for name in present):
            yield Fault(
                file=f"{folder}/*.toml", place="file", value="missing", expected="at least one file"
            )


def parse_toml(file: str, text: str) -> tuple[dict[str, Any] | None, list[Fault]]:
    """The document, or None and the fault with its line and column."""
    try:
        return tomllib.loads(text), []
    except tomllib.TOMLDecodeError as error:
        what, _, where = str(error).rpartition(" (at ")
        place = where.removesuffix(")") or "document"
        return None, [Fault(file=file, place=place, value=what, expected="TOML 1.0")]


def parse_csv(file: str, text: str, columns: Sequence[str]) -> tuple[list[Row] | None, list[Fault]]:
    """The rows of a table that has exactly these columns, in any order; empty lines are skipped.

    None where the header has a fault; a line of another length is a fault and left out.
    """
    reader = csv.reader(io.StringIO(text), strict=True)
    try:
        lines = [(reader.line_num, cells) for cells in reader if cells]
    except csv.Error as error:
        place = f"line {reader.line_num}"
        return None, [Fault(file=file, place=place, value=str(error), expected="a CSV table")]
    header = lines[0][1] if lines else []
    faults = _header_faults(file, header, columns)
    if faults:
        return None, faults
    rows = []
    for line, cells in lines[1:]:
        if len(cells) == len(header):
            rows.append(Row(line=line, cells=dict(zip(header, cells, strict=True))))
        else:
            value, expected = f"{len(cells)} cells", f"{len(header)}, as in the header"
            faults.append(Fault(file=file, place=f"line {line}", value=value, expected=expected))
    return rows, faults


def _header_faults(file: str, header: Sequence[str], columns: Sequence[str]) -> list[Fault]:
    """Unknown and doubled columns; missing ones that no unknown one was meant to be."""
    faults = []
    meant = set()
    for i, name in enumerate(header):
        if name not in columns or name in header[:i]:
            close = closest(name, sorted(set(columns) - set(header)))
            meant.add(close)
            what = f"the column {close}?" if close else f"{', '.join(columns)}, each once"
            faults.append(Fault(file=file, place="line 1", value=repr(name), expected=what))
    for name in columns:
        if name not in header and name not in meant:
            what = f"a column {name}"
            faults.append(Fault(file=file, place="line 1", value="missing", expected=what))
    return faults


def _found(root: Path, profiles: Path, faults: list[Fault]) -> Iterator[tuple[str, Path]]:
    """(name, path) of every file to read; a fault for each file that does not belong."""
    settings = root / "controller.toml"
    if settings.is_file():
        yield settings.name, settings
    elif settings.is_dir() or settings.is_symlink():
        faults.append(_no_file(settings.name, settings))
    for folder, suffixes in FOLDERS.items():
        place = profiles if folder == "profiles" else root / folder
        for path in sorted(p for p in place.glob("*") if p.name[0] not in ".~#"):
            name = f"{folder}/{path.name}"
            if path.is_dir() and path.suffix not in suffixes:
                continue
            if not path.is_file():
                faults.append(_no_file(name, path))
            elif path.suffix in suffixes:
                yield name, path
            elif path.suffix != ".md" and not path.name.endswith("~"):
                expected = " or ".join(f"*{s}" for s in suffixes)
                faults.append(Fault(file=name, place="name", value=path.name, expected=expected))


def _no_file(name: str, path: Path) -> Fault:
    """A folder, or a link that leads nowhere, where a file should be."""
    what = "a folder" if path.is_dir() else "a link that leads to no file"
    return Fault(file=name, place="file", value=what, expected="a file")


def _decoded(name: str, path: Path) -> tuple[str, list[Fault]]:
    """The text of a file; where it is not UTF-8, '' and the fault with line and column."""
    try:
        if (size := path.stat().st_size) > MOST_BYTES:
            expected = f"at most {MOST_BYTES} bytes"
            return "", [Fault(file=name, place="file", value=f"{size} bytes", expected=expected)]
        body = path.read_bytes()
        text = body.decode("utf-8-sig")
    except OSError as error:
        value = error.strerror or type(error).__name__
        return "", [Fault(file=name, place="file", value=value, expected="a readable file")]
    except UnicodeDecodeError as error:
        before = body[: error.start]
        place = f"line {before.count(NEWLINE) + 1}, column {len(before) - before.rfind(NEWLINE)}"
        value = f"byte 0x{body[error.start]:02x}"
        expected = "UTF-8 text (saved in another encoding, such as GBK?)"
        return "", [Fault(file=name, place=place, value=value, expected=expected)]
    return text.replace("\r\n", "\n"), []
