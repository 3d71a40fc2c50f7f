"""Writes figures as files: the same figure gives the same bytes, with the same versions of matplotlib and its fonts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from matplotlib.figure import Figure

from analysis.figures.style import Draw, NothingToDrawError, Subject
from analysis.figures.styles import SAVING, STYLES, plain_settings
from analysis.formats import IMAGE_FORMATS, StyleName
from fedcircuits.errors import FedCircuitsError, RunLogError
from fedcircuits.whole_files import write_whole

DPI: Final = {"screen": 150, "paper": 300}
"""Of PNG files, and of what is drawn as pixels in others."""

CAPTIONS: Final = "captions"

_UNDATED: Final[dict[str, dict[str, Any]]] = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
"""Metadata that are left out, so that a figure gives the same bytes on every day."""


@dataclass(frozen=True)
class SavedFigure:
    """What became of one figure.

    Args:
        name: its key in `FIGURES` or `PAPER_FIGURES`.
        path: the file written; None if it was skipped.
        reason: why it was skipped; None if it was written.
    """

    name: str
    path: Path | None
    reason: str | None


def save_figure(figure: Figure, path: Path, dpi: int = DPI["screen"]) -> Path:
    """Write a figure, whole or not at all, in a folder that is made if missing, and return its path.

    Args:
        figure: the figure.
        path: ends in .png, .svg or .pdf.
        dpi: pixels per inch, where there are pixels.

    Raises:
        FedCircuitsError: if the path has another ending.
        OSError: if it cannot be written.
    """
    image_format = path.suffix.removeprefix(".")
    if image_format not in IMAGE_FORMATS:
        raise FedCircuitsError(f"{path}: figures are written as {', '.join(IMAGE_FORMATS)}, not as {image_format!r}")
    options: dict[str, Any] = {"dpi": dpi, "format": image_format, "metadata": _UNDATED[image_format]}
    path.parent.mkdir(parents=True, exist_ok=True)
    with plain_settings(SAVING):
        write_whole(path, lambda temporary: figure.savefig(temporary, **options))
    return path


def save_drawings(
    drawings: Mapping[str, Draw[Subject]],
    subject: Subject,
    folder: Path,
    formats: Sequence[str] = ("png",),
    style: StyleName = "screen",
) -> Iterator[SavedFigure]:
    """Draw and write figures of a subject one at a time; a figure whose data was not logged is skipped.

    Args:
        drawings: file name without its ending to the function that draws it.
        subject: what is drawn: a run, or a study.
        folder: where to; made if missing.
        formats: of png, svg and pdf; each figure is written in all of them.
        style: `screen`, or `paper`, whose captions go into a file of their own.

    Raises:
        RunLogError: if the folder cannot be written.
    """
    captions = {}
    try:
        for name, draw in drawings.items():
            try:
                figure = draw(subject, style=style)
            except NothingToDrawError as error:
                yield SavedFigure(name, None, str(error))
                continue
            captions[name] = f"**{figure.get_suptitle()}.** {figure.get_supxlabel()}".replace("\n", " ")
            for image_format in formats:
                yield SavedFigure(name, save_figure(figure, folder / f"{name}.{image_format}", DPI[style]), None)
        if captions and not STYLES[style].has_texts:
            yield SavedFigure(CAPTIONS, _write_captions(captions, folder), None)
    except OSError as error:
        raise RunLogError(f"cannot write figures to {folder}: {error}") from error


def _write_captions(captions: Mapping[str, str], folder: Path) -> Path:
    """Write the captions of figures that do not carry them."""
    text = "\n\n".join(f"## {name}\n\n{caption}" for name, caption in captions.items())
    path = folder / f"{CAPTIONS}.md"
    write_whole(path, lambda temporary: temporary.write_text(f"{text}\n", encoding="utf-8"))
    return path
