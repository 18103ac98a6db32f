"""Links in the pages lead to files that are here, and to headings that are in them."""

import re
import sys
from collections import Counter
from pathlib import Path

from tests.house import ROOT, Verdict, tell, tracked_files


def verdict() -> Verdict:
    found = pages(ROOT)
    return Verdict(
        check="links",
        faults=tuple(fault for page in found for fault in faults(page, ROOT)),
        said=f"{len(found)} pages, every link and #heading leads somewhere",
    )


def pages(root: Path) -> list[Path]:
    return [path for path in tracked_files(root) if path.suffix == ".md"]


def faults(page: Path, root: Path) -> list[str]:
    """Every link of `page` to a file or heading that is not there; other sites are not asked."""
    text = _without_code(page.read_text(encoding="utf-8"))
    targets = [x for x in re.findall(r"\]\(([^)\s]+)", text) if "://" not in x]
    name = page.relative_to(root).as_posix()
    return [f"{name}: no {target}" for target in targets if not _leads(page, target)]


def anchors(page: Path) -> set[str]:
    """The headings of a page as GitHub names them: lower case, hyphens, -1 on the second."""
    text = _without_code(page.read_text(encoding="utf-8"))
    seen: Counter[str] = Counter()
    found = set()
    for heading in re.findall(r"(?m)^#{1,6} +(.+?)\s*$", text):
        shown = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


def _leads(page: Path, target: str) -> bool:
    path, _, anchor = target.partition("#")
    goal = page.parent / path if path else page
    if not goal.exists():
        return False
    return not anchor or (goal.suffix == ".md" and anchor in anchors(goal))


def _without_code(text: str) -> str:
    """Without fenced and quoted code, where brackets are no links and # is a comment."""
    fenceless = re.sub(r"(?ms)^(`{3,}|~{3,}).*?^\1[`~]*[ \t]*$", "", text)
    return re.sub(r"``[^`]*``", "", fenceless)


if __name__ == "__main__":
    sys.exit(tell(verdict()))
