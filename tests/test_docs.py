"""Pages for people: links lead somewhere, every command and every decision is told."""

import re
from pathlib import Path

import pytest
import typer.main

from controller.cli import app

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "configs").rglob("*.md")]
)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_to_files_that_are_here(page: Path):
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [x for x in links if "://" not in x and not (page.parent / x).exists()] == []


def test_the_user_guide_has_an_example_of_every_command():
    guide = (ROOT / "docs" / "user-guide.md").read_text(encoding="utf-8")
    group = typer.main.get_command(app)
    for name, command in group.commands.items():  # type: ignore[attr-defined]
        for sub in getattr(command, "commands", {"": None}):
            assert f"peakshare {name} {sub}".strip() in guide


def test_the_index_lists_every_decision():
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text(encoding="utf-8")
    assert [p.name for p in folder.glob("0*.md") if f"({p.name})" not in index] == []


def test_the_picture_of_the_report_is_small_enough_to_show():
    assert (ROOT / "docs" / "pictures" / "report.png").stat().st_size < 300_000
