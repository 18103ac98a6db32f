"""`peakshare plan --instance`: one instance file planned offline, as text or as JSON."""

import json
from pathlib import Path
from time import monotonic

from controller.errors import InputError


def plan_instance(path: Path, time_limit_s: float, gap: float, seed: int, as_json: bool) -> int:
    """Plan the instance in a file within the time; exit code 0 with any valid plan."""
    from controller.plan.fleet_plan import plan_json
    from controller.plan.fleet_worker import plan_within
    from controller.plan.instance_file import read_instance

    if not 0 < time_limit_s <= 86_400 or not 0 <= gap < 1:
        raise InputError("--time-limit wants seconds above 0, --gap a fraction from 0 to below 1")
    began = monotonic()
    instance = read_instance(path)
    left = max(0.1, time_limit_s - (monotonic() - began))
    answer = plan_within(instance, gap=gap, seed=seed, time_limit_s=left)
    seconds = monotonic() - began
    if as_json:
        print(
            json.dumps(
                {
                    "name": instance.name,
                    "objective": answer.objective,
                    "bound": answer.bound,
                    "gap_frac": answer.gap_frac,
                    "seconds": round(seconds, 3),
                    "status": answer.status(gap),
                    "ended_by": answer.ended.value,
                    "plan": plan_json(instance, answer.plan),
                }
            )
        )
        return 0
    called = int(answer.plan.kw.any(axis=1).sum())
    print(f"{instance.name or path.name}: {answer.status(gap)}, found by {answer.by}")
    print(f"  cost {answer.objective:,.2f}, no plan below {answer.bound:,.2f}", end="")
    print(f" (gap {answer.gap_frac:.4%}), {seconds:.1f} s, ended by {answer.ended.value}")
    print(f"  {called} of {len(instance.contracts)} contracts called")
    return 0
