"""README and docs as pages with links, pictures and commands."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
"""Mark of a picture, text and target."""

FENCED = re.compile(r"^```bash$(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
"""A block of commands."""


class Link(NamedTuple):
    is_picture: bool
    text: str
    target: str


def pages(project: Path) -> list[Path]:
    """Return the README and the pages of docs of a copy of the project."""
    return [project / "README.md", *sorted((project / "docs").glob("*.md"))]


def commands(project: Path) -> Iterator[str]:
    """Yield every block of commands of every page."""
    for page in pages(project):
        yield from FENCED.findall(page.read_text(encoding="utf-8"))


def links(page: Path) -> list[Link]:
    """Return what a page links to and shows."""
    return [Link(bool(mark), text, target) for mark, text, target in LINK.findall(_prose(page))]


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", _prose(page), flags=re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", LINK.sub(r"\2", heading).lower()).replace(" ", "-")
        earlier = [anchor for anchor in found if re.fullmatch(rf"{re.escape(slug)}(-\d+)?", anchor)]
        found.add(f"{slug}-{len(earlier)}" if earlier else slug)
    return found


def dead_links(project: Path, is_picture: bool) -> list[str]:
    """Return the links, of pictures or of anything else, that lead nowhere within a copy of the project."""
    return [
        f"{page.relative_to(project)}: {link.target}"
        for page in pages(project)
        for link in links(page)
        if link.is_picture == is_picture and _is_dead(page, link.target)
    ]


def _is_dead(page: Path, target: str) -> bool:
    if "://" in target:
        return not target.startswith("https://")
    place, _, anchor = target.partition("#")
    linked = page.parent / place if place else page
    return not linked.exists() or bool(anchor and anchor not in anchors(linked))


def _prose(page: Path) -> str:
    """Return a page without its blocks of code."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
