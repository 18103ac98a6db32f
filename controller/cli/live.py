"""Commands that ask the running controller; those that only read can do without it."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote

from controller.cli.client import Client, find
from controller.cli.files import read_json, write_text
from controller.errors import EventError, NotRunningError


def create_event(data: Path, file: Path, *, as_json: bool) -> None:
    """Send an OpenADR 3.1 event file."""
    wire = read_json(file, EventError, "the event file cannot be read")
    try:
        event = find(data).post("/openadr3/3.1.0/events", wire)
    except EventError as error:
        named = [replace(f, file=str(file)) for f in error.faults]
        raise type(error)(error.message, named, hint=error.hint) from error
    show(event, as_json, f"event {event['id']} taken")


def list_events(data: Path, *, as_json: bool) -> None:
    """Events, a line each."""
    events = _live_or_stored(data, "/events", lambda stored: stored.events(data))
    lines = [
        f"{e['id']}  {e['status']:<11} {e['source']:<9} {e['start']} – {e['end']}"
        f"  up to {e['peak_kw']:.0f} kW  {e['source_id']}"
        for e in events
    ]
    show(events, as_json, "\n".join(lines) or "no events")


def show_event(data: Path, event_id: str, *, as_json: bool) -> None:
    """One event with its log."""
    event = _live_or_stored(
        data, f"/events/{quoted(event_id)}", lambda stored: stored.event(data, event_id)
    )
    log = "\n".join(f"  {at}  {status}: {why} ({who})" for at, status, why, who in event["log"])
    show(event, as_json, f"{event['id']} {event['status']}\n{log}")


def approve_event(data: Path, event_id: str, *, as_json: bool) -> None:
    """Approve a draft."""
    event = find(data).post(f"/events/{quoted(event_id)}/approve", {})
    show(event, as_json, f"{event_id} is {event['status']}")


def cancel_event(data: Path, event_id: str, reason: str, *, as_json: bool) -> None:
    """Cancel, with a reason."""
    event = find(data).post(f"/events/{quoted(event_id)}/cancel", {"reason": reason})
    show(event, as_json, f"{event_id} is {event['status']}")


def status(data: Path, *, as_json: bool) -> None:
    """What the controller does now."""
    now = find(data).get("/status")
    show(now, as_json, "\n".join(f"{k}: {v}" for k, v in now.items()))


def plan(data: Path, *, as_json: bool) -> None:
    """The plan in force, with its reasons."""
    plan_ = _live_or_stored(data, "/plan", lambda stored: stored.plan(data))
    show(plan_, as_json, "\n".join(plan_.get("lines", ["no plan yet"])))


def stop(data: Path, reason: str, *, release_all: bool, as_json: bool) -> None:
    """End the controller, or give back every device."""
    done = find(data).post("/stop" if release_all else "/shutdown", {"reason": reason})
    show(done, as_json, _let_go(done) if release_all else "stopping")


def resume(data: Path, reason: str, *, as_json: bool) -> None:
    """Lift an emergency stop."""
    done = find(data).post("/resume", {"reason": reason})
    show(done, as_json, "the emergency stop is lifted")


def settle(data: Path, *, as_json: bool) -> None:
    """Settle what has ended."""
    done = find(data).post("/settle", {})
    show(done, as_json, ", ".join(f"{k} {v}" for k, v in done.items()))


def statement(data: Path, customer_id: str, out: Path | None, *, as_json: bool) -> None:
    """A customer's page, to a file or to the terminal."""
    page = _live_or_stored(
        data,
        f"/statements/{quoted(customer_id)}",
        lambda stored: stored.statement(data, customer_id),
        ask=Client.page,
    )
    if out is None:
        show({"customer_id": customer_id, "page": page}, as_json, page)
    else:
        write_text(out, page)
        show({"customer_id": customer_id, "written": str(out)}, as_json, f"written to {out}")


def quoted(name: str) -> str:
    """A name as part of a path, whatever is in it."""
    return quote(name, safe="")


def show(value: Any, as_json: bool, text: str) -> None:
    """Print data or text."""
    print(json.dumps(value, indent=1, ensure_ascii=False) if as_json else text)


def _let_go(done: dict[str, Any]) -> str:
    held = done["still_held"]
    text = f"{done['released']} devices released"
    return f"{text}, not yet seen to be free: {', '.join(held)}" if held else text


def _live_or_stored(
    data: Path,
    path: str,
    read: Callable[[ModuleType], Any],
    *,
    ask: Callable[[Client, str], Any] = Client.get,
) -> Any:
    """The running controller's answer; when it is down, the same from its store."""
    try:
        return ask(find(data), path)
    except NotRunningError as gone:
        from controller.cli import stored

        answer = read(stored)
        print(f"{gone}: read from its store", file=sys.stderr)
        return answer
