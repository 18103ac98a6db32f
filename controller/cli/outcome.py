"""result.json: the controller's account beside the simulators' truth, and whether it is whole."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from controller.cli import screen
from controller.cli.report import failures, money, write_report
from controller.evaluate.summary import summary

_WANTED = {
    "forecast": ("peak_kw", "actual_peak_kw", "peak_error_pct", "peak_time_error_min"),
    "plan": ("cost_fen", "greedy_cost_fen", "bound_fen", "gap_frac", "status"),
    "devices": (
        "commanded", "applied", "refused", "overridden", "unreachable", "released",
        "still_curtailed",
    ),
    "settlement": ("rebate_fen", "points", "customers", "transfers", "unreconciled"),
    "latency": ("event_to_first_command_s", "all_acked_s"),
}  # fmt: skip


def with_truth(result: dict[str, Any], truth: Mapping[str, Any]) -> dict[str, Any]:
    """Add what only the simulators know: the actual peak and the true reduction."""
    true_kw = {row["start"]: row["true_kw"] for row in truth["intervals"]}
    for event in result["events"]:
        for row in event["intervals"]:
            ruling = row["status"] == "ruling"
            row["true_kw"] = round(true_kw.get(row["start"], float("nan")), 1) if ruling else 0.0
    forecast = result["forecast"]
    if forecast is not None:
        actual = truth["actual_peak_kw"]
        late = datetime.fromisoformat(forecast["peak_at"]) - datetime.fromisoformat(
            truth["actual_peak_at"]
        )
        forecast["actual_peak_kw"] = actual
        forecast["peak_error_pct"] = round(100 * (forecast["peak_kw"] / actual - 1), 2)
        forecast["peak_time_error_min"] = late.total_seconds() / 60
    return result


def finished(out: Path, inputs: dict[str, Any], *, as_json: bool, timezone: str) -> int:
    """Write result.json and report.html, show the screen; 0 when everything is whole, else 1."""
    result = inputs["result"]
    (out / "report_input.json").write_text(json.dumps(inputs, ensure_ascii=False), encoding="utf-8")
    page = write_report(out, inputs)
    shown = {k: v for k, v in result.items() if k != "report"}
    (out / "result.json").write_text(
        json.dumps(shown, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    wrong = list(not_whole(result))
    if as_json:
        screen.show_json(shown)
    else:
        tables = summary(result, timezone=timezone, failures=failures(result), money=money(result))
        screen.show_tables(tables, result["report"]["area"]["disclaimer"])
        screen.say(f"report {page} · result {out / 'result.json'} · truth {out / 'truth.json'}")
    for line in wrong:
        screen.complain(line)
    return 1 if wrong else 0


def write_table(path: Path, rows: Sequence[Sequence[str]]) -> None:
    """A table with its header first as CSV."""
    import pandas as pd

    pd.DataFrame(rows[1:], columns=list(rows[0])).to_csv(path, index=False)


def not_whole(result: Mapping[str, Any]) -> Iterator[str]:
    """What is missing or must not be: a null key, a device still held, a cent unexplained."""
    for part, keys in _WANTED.items():
        values = result.get(part) or {}
        for key in keys:
            if values.get(key) is None:
                yield f"result.json: {part}.{key} is not known"
    devices, settled = result.get("devices") or {}, result.get("settlement") or {}
    if devices.get("still_curtailed"):
        yield f"{devices['still_curtailed']} devices are still curtailed"
    if devices.get("released") != devices.get("commanded"):
        yield f"{devices.get('released')} of {devices.get('commanded')} devices were read back free"
    if settled.get("unreconciled"):
        yield f"{settled['unreconciled']} amounts do not reconcile: {settled.get('disagreements')}"
    if settled.get("posted_again"):
        yield f"settling again posted {settled['posted_again']} more transfers"
    if not result.get("events"):
        yield "no event was made"
