"""The links of README and docs."""

import re
from pathlib import Path


def dead_links(project: Path, is_picture: bool) -> list[str]:
    """Return the links, of pictures or of anything else, that lead nowhere within a copy of the project."""
    return [
        f"{page.relative_to(project)}: {target}"
        for page in (project / "README.md", *sorted((project / "docs").glob("*.md")))
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
        if "://" not in target and target.endswith(".png") == is_picture and not (page.parent / target).exists()
    ]
