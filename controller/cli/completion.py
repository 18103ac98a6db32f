"""What a shell offers where Typer does not know it: the ids of events. Files are the shell's."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import typer

SOON_S = 0.5
"""Nobody waits longer for a word to be completed."""


def event_ids(context: typer.Context, incomplete: str) -> Iterator[tuple[str, str]]:
    """Ids of the running controller's events that begin so, and what they are; else nothing."""
    from controller.cli.client import find
    from controller.errors import PeakshareError

    folder = context.params.get("data") or Path("out/run")
    try:
        events = replace(find(Path(folder)), timeout_s=SOON_S).get("/events")
    except PeakshareError:
        return
    for event in events:
        if event["id"].startswith(incomplete):
            yield event["id"], f"{event['status']}, {event['start']}"
