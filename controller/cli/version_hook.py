"""Build hook of hatchling: writes the commit into wheel and sdist, for `version` to read.

It travels in the sdist, so that a wheel can be built from there, and not in the wheel.
"""

import runpy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CommitHook(BuildHookInterface[Any]):
    """Adds `controller/_commit`; an editable install asks git each time instead."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        package = Path(self.root) / "controller"
        # By its path: while building, the program's own dependencies are not there to import it.
        page = runpy.run_path(str(package / "cli" / "version.py"))
        if version == "editable" or (package / page["FILE"]).exists():
            return
        self._folder = TemporaryDirectory(prefix="peakshare-build-")
        file = Path(self._folder.name) / page["FILE"]
        file.write_text(f"{page['commit_of'](package)}\n", encoding="ascii")
        build_data["force_include"][str(file)] = f"controller/{page['FILE']}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if hasattr(self, "_folder"):
            self._folder.cleanup()
