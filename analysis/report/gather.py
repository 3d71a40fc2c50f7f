"""`python -m analysis.report.gather`: puts the files of the folder static into the one JSON file that makes pages.

Flower's bundles and its Hub carry no HTML, CSS or JavaScript; what they carry is JSON. Pages are made of that file
alone, so a checkout shows what a bundle shows.
"""

import json
import sys
from pathlib import Path
from typing import Final

from analysis.report.assets import GATHERED, ReportError
from fedcircuits.whole_files import write_whole

SOURCES: Final = Path(__file__).parent / "static"

_ENDINGS: Final = {".css", ".j2", ".js"}


def gathered(folder: Path) -> str:
    """Return the sources of pages as a JSON object from file name to text, in the order of names, a file per line.

    Raises:
        ReportError: if the folder holds none.
    """
    paths = sorted(path for path in folder.glob("[!.]*") if path.suffix in _ENDINGS)
    if not paths:
        raise ReportError(f"{folder} holds no template, style or script: they are in a checkout of the repository")
    texts = {path.name: path.read_text(encoding="utf-8") for path in paths}
    return json.dumps(texts, ensure_ascii=False, indent=0) + "\n"


def main() -> int:
    """Write the file, and return the exit code."""
    path = SOURCES.with_name(GATHERED)
    try:
        text = gathered(SOURCES)
    except ReportError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    write_whole(path, lambda temporary: temporary.write_text(text, encoding="utf-8", newline="\n"))
    sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
