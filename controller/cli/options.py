"""Arguments and options that many commands share."""

from pathlib import Path
from typing import Annotated

import typer

from controller.cli.completion import event_ids

Json = Annotated[bool, typer.Option("--json", help="Print data instead of text; errors too.")]
Folder = Annotated[Path, typer.Argument(help="Configuration folder, e.g. configs/demo.")]
DataFolder = Annotated[
    Path, typer.Option("--data", help="Data directory of the controller.", envvar="PEAKSHARE_DIR")
]
EventId = Annotated[str, typer.Argument(help="As `event list` shows it.", autocompletion=event_ids)]
Reason = Annotated[str, typer.Option(help="Why; kept in the audit trail.")]

LoadFile = Annotated[
    Path, typer.Option("--load", help="CSV or Parquet: time_utc, load_kw (load_mw …), an id.")
]
TemperatureFiles = Annotated[
    list[Path] | None,
    typer.Option("--temperature", help="CSV or Parquet of temperatures; may be repeated."),
]
Zone = Annotated[str, typer.Option(help="Local clock: Europe/London, or UTC-05:00.")]
Country = Annotated[str | None, typer.Option(help="Whose holidays count: AU, AU-VIC, CN.")]
Model = Annotated[str, typer.Option(help="ensemble, day-effects or seasonal-naive.")]
Value = Annotated[str | None, typer.Option(help="The load's column, where it is in doubt.")]
IdColumn = Annotated[str | None, typer.Option("--id", help="The series' column, likewise.")]

DEFAULT_MODEL = "ensemble"
DATA = Path("out/run")
