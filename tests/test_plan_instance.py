"""`peakshare plan --instance`: a proven plan for an instance file, clear words for a bad one."""

import json
import os
from pathlib import Path

import pytest

from tests.cli_cases import Say, say_fixture

__all__ = ["say_fixture"]
CASES = Path(os.environ.get("PEAKSHARE_DATA", "/nowhere")) / "cases" / "plan"


@pytest.mark.slow
@pytest.mark.skipif(not CASES.exists(), reason="needs the instances in PEAKSHARE_DATA")
@pytest.mark.parametrize("name", ["small_n15_T8", "mixed_n20_T8_K3_B1"])
def test_a_small_instance_is_planned_to_its_proven_optimum(name: str, say: Say):
    code, out, err = say("plan", "--instance", CASES / f"{name}.json", "--time-limit", 30, "--json")
    assert code == 0, err
    told = json.loads(out)
    assert told["status"] == "optimal"
    assert told["gap_frac"] <= 1e-4
    assert told["bound"] <= told["objective"] * (1 + 1e-9)


def test_a_file_that_is_no_instance_is_refused(say: Say, tmp_path: Path):
    page = tmp_path / "broken.json"
    page.write_text("{")
    code, out, err = say("plan", "--instance", page)
    assert (code, out) == (2, "")
    assert "broken.json" in err
    assert "Traceback" not in err
