"""Known vulnerabilities in the lock, as far as anybody can be asked.

pip-audit asks the package index about every locked version. A mirror may give no answers, and a
train has no network: then the check says so in one line and passes, because a check that is red
on a train is soon switched off. A vulnerability that was found fails it.
"""

import json
import subprocess
import sys
from pathlib import Path

from tests.house import ROOT, Verdict, tell

LIMIT_S = 60.0
ANSWER_S = 5  # for one package
UNREACHABLE = ("ConnectionError", "NameResolutionError", "ConnectTimeout", "ReadTimeout")

# Vulnerability: why it does not reach us. Nobody needs one today.
ACCEPTED: dict[str, str] = {}


def verdict() -> Verdict:
    command = [
        *(sys.executable, "-m", "pip_audit", "-r", "requirements.lock", "--format", "json"),
        # The lock is complete and hashed, so nothing needs to be resolved or downloaded.
        *("--no-deps", "--disable-pip", "--progress-spinner", "off", "--timeout", str(ANSWER_S)),
        *(f"--ignore-vuln={x}" for x in ACCEPTED),
    ]
    return ask(command, ROOT, LIMIT_S)


def ask(command: list[str], root: Path, limit_s: float) -> Verdict:
    """Run the audit under a time limit and judge what it says."""
    try:
        done = subprocess.run(
            command, cwd=root, capture_output=True, text=True, check=False, timeout=limit_s
        )
    except subprocess.TimeoutExpired:
        return _skipped(f"no answer within {limit_s:g} s")
    return judge(done.returncode, done.stdout, done.stderr)


def judge(code: int, out: str, err: str) -> Verdict:
    """A verdict from pip-audit's exit code, JSON and complaints."""
    if not out.strip():
        last = err.strip().splitlines()[-1:] or [f"pip-audit ended with {code}, without a word"]
        if any(word in err for word in UNREACHABLE):
            return _skipped("the package index cannot be reached")
        return Verdict(check="audit", faults=(f"pip-audit failed: {last[0]}",), said="")
    asked = json.loads(out)["dependencies"]
    silent = [x for x in asked if "skip_reason" in x]
    faults = tuple(
        f"{x['name']} {x['version']}: {found['id']} "
        f"(fixed in {', '.join(found['fix_versions']) or 'no version yet'})"
        for x in asked
        for found in x.get("vulns", [])
    )
    if not faults and len(silent) == len(asked):
        return _skipped(f"the package index knows no audit of any of {len(asked)} packages")
    known = len(asked) - len(silent)
    return Verdict(
        check="audit",
        faults=faults,
        said=f"no known vulnerability in {known} packages ({len(silent)} without an answer)",
    )


def _skipped(reason: str) -> Verdict:
    return Verdict(check="audit", said=f"skipped: {reason}")


if __name__ == "__main__":
    sys.exit(tell(verdict()))
