"""No tracked file knows the machine it was written on, nor where its packages came from.

A stranger's clone must work with the stranger's own package index and folders. Patterns are
written so that this page does not match itself.
"""

import gzip
import re
import sys
from pathlib import Path

from tests.house import ROOT, Verdict, tell, tracked_files

# What it is: how it looks in bytes. Binary files are searched too: pictures carry comments.
BANNED = {
    "a package registry's address": re.compile(
        rb"(?:pypi|pythonhosted|npmjs|yarnpkg|crates|rubygems)\.(?:org|io|com)\b"
        rb"|\b(?:deb|security|snapshot|ftp\.\w+)\.debian\.org|\b(?:archive|ports)\.ubuntu\.com"
        rb"|repo1?\.maven\.(?:apache\.)?org|proxy\.golang\.org"
    ),
    "an option that names a package index": re.compile(
        rb"(?m)^\s*(?:--(?:extra-)?index-url|--find-links|--trusted-host|-i https?:)"
    ),
    "a path of one machine": re.compile(
        rb"(?<![\w./:$}-])/(?:root|work|Users/\w+|home/\w+)(?=[/\s\"'`),;:]|$)"
        rb"|\b[A-Z]:\\+Users\\+\w"
    ),
}

# "file": {what it is: why}. Nobody needs one today.
ALLOWED: dict[str, dict[str, str]] = {}


def verdict() -> Verdict:
    paths = tracked_files()
    return Verdict(
        check="tracked",
        faults=tuple(faults(paths, ROOT, ALLOWED)),
        said=f"{len(paths)} files name no package registry and no machine's folder",
    )


def faults(paths: list[Path], root: Path, allowed: dict[str, dict[str, str]]) -> list[str]:
    """Every banned text with file, line and what it is; and every allowance without use."""
    found, used = [], set()
    for path in paths:
        name = path.relative_to(root).as_posix()
        for what, line, text in _banned(path):
            if what in allowed.get(name, {}):
                used.add((name, what))
            else:
                found.append(f"{name}:{line}: {what}: {text}")
    wanted = {(name, what) for name, reasons in allowed.items() for what in reasons}
    return found + [f"{name}: allowed {what}, and has none" for name, what in wanted - used]


def _banned(path: Path) -> list[tuple[str, int, str]]:
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    return [
        (what, content.count(b"\n", 0, hit.start()) + 1, hit.group().decode(errors="replace"))
        for what, pattern in BANNED.items()
        for hit in pattern.finditer(content)
    ]


if __name__ == "__main__":
    sys.exit(tell(verdict()))
