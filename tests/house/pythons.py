"""`make test` on the lowest and the highest Python we say we support, where they can be found.

`make versions` runs this; `--highest` for that one alone; what is left over goes to pytest. Each
version has its own environment (.venv-3.13) from the one lock. A version that nobody provides is
skipped and named.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from tests.house import ROOT


def main(arguments: Sequence[str]) -> int:
    wanted = supported((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    chosen = wanted[-1:] if "--highest" in arguments else [wanted[0], wanted[-1]]
    more = [x for x in arguments if x != "--highest"]
    return max(_test(version, more) for version in chosen)


def supported(pyproject: str) -> list[str]:
    """The classifiers' versions, lowest first: 3.11, 3.12, 3.13."""
    lines = tomllib.loads(pyproject)["project"]["classifiers"]
    found = [x for x in (re.fullmatch(r".*:: (3\.\d+)", line) for line in lines) if x]
    return sorted((x.group(1) for x in found), key=lambda x: int(x.partition(".")[2]))


def find(version: str) -> str | None:
    """A working interpreter of that version: this one, one on the path, pyenv's or uv's."""
    return next((x for x in _candidates(version) if _is(x, version)), None)


def _candidates(version: str) -> list[str]:
    """Cheapest first. pyenv's stand-ins on the path fail unless that version is switched on."""
    found = [sys.executable, shutil.which(f"python{version}") or ""]
    if shutil.which("pyenv"):
        for name in _said("pyenv", "versions", "--bare").split():
            if name.startswith(f"{version}."):
                found.append(str(Path(_said("pyenv", "prefix", name)) / "bin" / "python"))
    if shutil.which("uv"):
        found.append(
            _said("uv", "python", "find", "--no-project", "--no-python-downloads", version)
        )
    return [x for x in found if x]


def _is(interpreter: str, version: str) -> bool:
    script = "import sys; print('%d.%d' % sys.version_info[:2])"
    return _said(interpreter, "-c", script) == version


def _said(*command: str) -> str:
    """What a command printed, or nothing if it failed or is not there."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _test(version: str, more: Sequence[str]) -> int:
    interpreter = find(version)
    if interpreter is None:
        _tell(f"{version}: skipped: no such Python here (on the path, in pyenv or in uv)")
        return 0
    ours = sys.executable == interpreter and Path(sys.prefix) != Path(sys.base_prefix)
    environment = Path(sys.prefix).name if ours else f".venv-{version}"
    _tell(f"{version}: make test in {environment}")
    command = ["make", "--no-print-directory", "test", f"VENV={environment}"]
    command += [] if ours else [f"PYTHON={interpreter}"]
    # pytest reads this itself: no quoting on the way through make and the shell.
    extra = {"PYTEST_ADDOPTS": f"{os.environ.get('PYTEST_ADDOPTS', '')} {shlex.join(more)}".strip()}
    clean = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKEOVERRIDES", "ARGS")}
    code = subprocess.run(command, cwd=ROOT, env=clean | extra, check=False).returncode
    _tell(f"{version}: {'passed' if code == 0 else f'failed with {code}'}")
    return code


def _tell(line: str) -> None:
    sys.stdout.write(f"versions: {line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
