"""`peakshare --version`: the version, and the commit that the program came from.

A wheel and an sdist carry the commit in the file `controller/_commit`, which `version_hook` puts
there when they are built; a checkout asks git. Only the standard library: the hook runs this page
where nothing else is installed.
"""

import json
import os
import subprocess
from importlib import metadata
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
FILE = "_commit"
CHANGES = "+changes"
"""Behind the commit of a checkout that held more, less or other files than that commit."""
UNKNOWN = "unknown"
_SHORT = 7
_GIT_S = 10.0
_ELSEWHERE = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR")
"""Set inside a git hook, where they may speak of another repository."""


def show(*, as_json: bool) -> None:
    """Print version and commit, the commit shortened for a person and whole as data."""
    commit, changes = _parts(commit_of(PACKAGE))
    if as_json:
        known = {"commit": commit, "changes": bool(changes)}
        nothing = {"commit": None, "changes": None}
        print(json.dumps({"version": version(), **(nothing if commit == UNKNOWN else known)}))
    else:
        print(f"peakshare {version()} (commit {commit[:_SHORT]}{changes})")


def version() -> str:
    """The installed version; unknown where the folder is used without being installed."""
    try:
        return metadata.version("peakshare")
    except metadata.PackageNotFoundError:
        return UNKNOWN


def commit_of(package: Path) -> str:
    """The commit of a `controller` folder: 40 hex digits, perhaps `CHANGES` behind; or `UNKNOWN`.

    The file goes before git: whoever keeps an unpacked sdist in a repository of their own has
    commits there that are not ours.
    """
    file = package / FILE
    if file.is_file():
        return file.read_text(encoding="ascii").strip()
    return _checked_out(package.parent)


def _checked_out(root: Path) -> str:
    # Without this look, git would answer for any repository further up.
    if not (root / ".git").exists():
        return UNKNOWN
    try:
        commit = _git(root, "rev-parse", "--verify", "HEAD")
        changes = CHANGES if _git(root, "status", "--porcelain") else ""
    except (OSError, subprocess.SubprocessError):
        return UNKNOWN
    return commit + changes


def _git(root: Path, *words: str) -> str:
    environment = {k: v for k, v in os.environ.items() if k not in _ELSEWHERE}
    done = subprocess.run(
        ["git", "-C", str(root), "--no-optional-locks", *words],  # noqa: S607  git is on the path
        check=True, capture_output=True, text=True, timeout=_GIT_S, env=environment,
    )  # fmt: skip
    return done.stdout.strip()


def _parts(commit: str) -> tuple[str, str]:
    bare = commit.removesuffix(CHANGES)
    return bare, commit[len(bare) :]
