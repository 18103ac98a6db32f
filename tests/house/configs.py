"""Every configuration folder under configs/ passes `peakshare check`."""

import subprocess
import sys
from pathlib import Path

from tests.house import ROOT, Verdict, tell


def verdict() -> Verdict:
    found = folders(ROOT / "configs")
    return Verdict(
        check="configs",
        faults=tuple(fault for folder in found for fault in faults(folder, ROOT))
        if found
        else ("no folder under configs/ has a controller.toml",),
        said=f"{', '.join(str(x.relative_to(ROOT)) for x in found)} valid",
    )


def folders(under: Path) -> list[Path]:
    """The folders that are a configuration: those with a controller.toml."""
    return sorted(page.parent for page in under.rglob("controller.toml"))


def faults(folder: Path, root: Path) -> list[str]:
    """What `peakshare check` has against the folder, one fault a line."""
    done = subprocess.run(
        [sys.executable, "-m", "controller", "check", str(folder)],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if done.returncode == 0:
        return []
    return [f"{folder.name}: {line}" for line in done.stderr.splitlines() if line.strip()] or [
        f"{folder.name}: peakshare check ended with {done.returncode} and said nothing"
    ]


if __name__ == "__main__":
    sys.exit(tell(verdict()))
