"""The options that say how figures are written."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.commands.output import remark
from analysis.formats import DEFAULT_FORMATS, IMAGE_FORMATS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from analysis.figures.saving import SavedFigure


def add_figure_options(parser: argparse.ArgumentParser) -> None:
    """Let a command draw in one or several image formats, for the screen or for a paper."""
    formats = "one or several; put RUN before; text in svg and pdf stays text; default: png, of --style paper pdf"
    parser.add_argument("--as", dest="formats", nargs="+", choices=IMAGE_FORMATS, metavar="FORMAT", help=formats)
    styles = (
        "screen: 10 in wide, with title and caption; paper: 7 in (one panel: 3.3 in), 8 pt, told apart in grey, "
        "captions in captions.md beside the figures; default: screen"
    )
    parser.add_argument("--style", choices=tuple(DEFAULT_FORMATS), default="screen", help=styles)


def chosen_formats(options: argparse.Namespace) -> tuple[str, ...]:
    """Return the image formats asked for, each once, or those of the style."""
    return tuple(dict.fromkeys(options.formats or DEFAULT_FORMATS[options.style]))


def written_paths(saved: "Iterable[SavedFigure]") -> "Iterator[Path]":
    """Yield the path of each figure as it is written, and remark on those that were skipped."""
    for figure in saved:
        if figure.path:
            yield figure.path
        else:
            remark(f"skipped {figure.name}: {figure.reason}")
