"""The commands in groups: `peakshare event …` and `peakshare meter …`."""

from pathlib import Path
from typing import Annotated

import typer

from controller.cli.options import DATA, DataFolder, EventId, Json, Reason

event_app = typer.Typer(help="Events of the grid.", no_args_is_help=True, rich_markup_mode=None)
meter_app = typer.Typer(help="Meter readings.", no_args_is_help=True, rich_markup_mode=None)


@event_app.command("create")
def event_create(
    file: Annotated[Path, typer.Argument(help="An OpenADR 3.1 event as JSON.")],
    data: DataFolder = DATA,
    as_json: Json = False,
) -> None:
    """Send an event to the running controller.

    Example: peakshare event create event.json
    """
    from controller.cli import live

    live.create_event(data, file, as_json=as_json)


@event_app.command("list")
def event_list(data: DataFolder = DATA, as_json: Json = False) -> None:
    """List events and where they are in their lives.

    Example: peakshare event list --json
    """
    from controller.cli import live

    live.list_events(data, as_json=as_json)


@event_app.command("show")
def event_show(event_id: EventId, data: DataFolder = DATA, as_json: Json = False) -> None:
    """Show one event with its log.

    Example: peakshare event show 019b3f00-0000-7000-8000-000000000000
    """
    from controller.cli import live

    live.show_event(data, event_id, as_json=as_json)


@event_app.command("approve")
def event_approve(event_id: EventId, data: DataFolder = DATA, as_json: Json = False) -> None:
    """Approve a draft event.

    Example: peakshare event approve 019b3f00-0000-7000-8000-000000000001
    """
    from controller.cli import live

    live.approve_event(data, event_id, as_json=as_json)


@event_app.command("cancel")
def event_cancel(
    event_id: EventId, reason: Reason, data: DataFolder = DATA, as_json: Json = False
) -> None:
    """Cancel an event; its devices are released.

    Example: peakshare event cancel 019b3f00-0000-7000-8000-000000000002 --reason "grid recovered"
    """
    from controller.cli import live

    live.cancel_event(data, event_id, reason, as_json=as_json)


@meter_app.command("import")
def meter_import(
    files: Annotated[list[Path], typer.Argument(help="Parquet or CSV: meter_id, time_utc, kw.")],
    config: Annotated[Path, typer.Option(help="Configuration folder.")],
    data: DataFolder = DATA,
    as_json: Json = False,
) -> None:
    """Import 15-minute meter readings: whole, or nothing.

    Example: peakshare meter import meters/*.parquet --config configs/demo
    """
    from controller.cli.offline import meter_import as run_import

    run_import(config, data, files, as_json=as_json)
