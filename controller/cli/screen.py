"""What the terminal shows while the day is played, and at its end."""

import json
import re
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from rich.cells import cell_len
from rich.console import Console
from rich.live import Live
from rich.table import Table as RichTable
from rich.text import Text

from controller.evaluate.summary import Table


class Progress:
    """A line per step; while the day runs, one live line and the happenings as they come."""

    def __init__(self, timezone: str, *, quiet: bool = False) -> None:
        self._zone = ZoneInfo(timezone)
        self._console = Console(stderr=True, quiet=quiet)
        self._live: Live | None = None
        self._seen: set[tuple[str, ...]] = set()
        self._last_moment = (-1, -1)
        self._began = time.monotonic()

    def step(self, text: str) -> None:
        """Something that takes a moment begins or is done."""
        self._end_live()
        self._console.print(
            f"[{time.monotonic() - self._began:5.1f} s] {text}", markup=False, soft_wrap=True
        )

    def plan(self, shown: Mapping[str, Any], names: Mapping[str, str]) -> None:
        """The day-ahead plan: what was chosen, what was left and why."""
        for line in shown["lines"]:
            self._console.print(f"          {line}", markup=False, soft_wrap=True)
        for chosen, word in ((True, "chosen"), (False, "left")):
            for of, was_chosen, _code, text in shown["reasons"]:
                if was_chosen is chosen and of in names:
                    text = f"          {word:<7} {names[of]}: {text}"
                    self._console.print(text, markup=False, soft_wrap=True)

    def show(self, now: datetime, status: Mapping[str, Any]) -> None:
        """The state of the played day."""
        for at, kind, text in self._fresh(status["happenings"]):
            local = datetime.fromisoformat(at).astimezone(self._zone)
            self._console.print(
                f"          {local:%H:%M}  {kind:<8} {text}", markup=False, soft_wrap=True
            )
        line = self._line(now, status)
        if self._console.is_terminal:
            if self._live is None:
                self._live = Live(Text(line), console=self._console, transient=True)
                self._live.start()
            self._live.update(Text(line))
        else:
            local = now.astimezone(self._zone)
            moment = (local.hour, local.minute // 15 if status["target_kw"] else 0)
            if moment != self._last_moment:
                self._console.print(line, markup=False, soft_wrap=True)
            self._last_moment = moment

    def _fresh(self, happenings: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
        fresh = [tuple(h) for h in happenings if tuple(h) not in self._seen]
        self._seen.update(fresh)
        return fresh

    def _line(self, now: datetime, status: Mapping[str, Any]) -> str:
        local = now.astimezone(self._zone)
        text = f"          {local:%a %H:%M}"
        if status["target_kw"]:
            delivered = status["delivered_kw"]
            shown = "–" if delivered is None else f"{delivered:,.0f}"
            text += (
                f"  target {status['target_kw']:,.0f} kW  committed "
                f"{status['committed_kw'] or 0:,.0f}  delivered {shown} kW"
            )
        return f"{text}  held {status['devices_held']}  readings {status['readings']:,}"

    def _end_live(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


def show_tables(tables: Sequence[Table], disclaimer: str) -> None:
    """The one-screen summary on standard output."""
    console = Console()
    console.print(disclaimer, style="italic", markup=False)
    for table in tables:
        console.print(Text(f"\n{table.title}", style="bold"))
        console.print(_drawn(table, console.width))


def _drawn(table: Table, width: int) -> RichTable:
    """Chinese headings below the English ones; where it is narrow, names are cut, never numbers."""
    heads = [re.sub(r" (?=[\u4e00-\u9fff])", "\n", name, count=1) for name in table.columns]
    widths = [
        max(cell_len(line) for line in (*head.split("\n"), *(row[i] for row in table.rows)))
        for i, head in enumerate(heads)
    ]
    rich = RichTable(box=None, pad_edge=False, show_header=any(heads))
    for i, head in enumerate(heads):
        words = i in table.words
        names = words and len(table.words) == 1
        rest = sum(widths[:i] + widths[i + 1 :]) + 2 * (len(widths) - 1)
        rich.add_column(
            Text(head),
            justify="left" if words else "right",
            no_wrap=i == 0 or not words,
            max_width=max(12, width - rest) if names else None,
        )
    for row in table.rows:
        rich.add_row(*[Text(cell) for cell in row])
    return rich


def show_json(value: object) -> None:
    """Data on standard output."""
    print(json.dumps(value, indent=1, ensure_ascii=False))


def say(text: str) -> None:
    """A line on standard output."""
    print(text)


def complain(text: str) -> None:
    """A line on standard error."""
    print(f"not whole: {text}", file=sys.stderr)
