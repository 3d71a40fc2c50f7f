"""Makes figures readable without colour: what differs in colour differs in marker, hatching or lightness too."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from matplotlib.figure import FigureBase
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.markers import MarkerStyle
from matplotlib.patches import Rectangle
from matplotlib.path import Path
from matplotlib.text import Text

_NO_MARKER: Final = ("", " ", "None", None)

_MARKED: Final = 5
"""Markers along a line that has none of its own, about."""


@dataclass(frozen=True)
class Look:
    """What stands for a colour.

    Args:
        marker: in place of a dot.
        hatch: of bars.
        colour: lighter, where another colour is as light; None = the same.
    """

    marker: str
    hatch: str = ""
    colour: str | None = None


Looks = Mapping[str, Look]
"""Colours, as upper-case hex codes, to what stands for them."""


def tell_apart(figure: FigureBase, looks: Looks) -> None:
    """Change lines, points, bars and boxes of a figure; other markers than dots mean something and stay.

    Args:
        figure: the figure.
        looks: colours that are not in it are left alone.
    """
    legend_lines = {line for legend in figure.findobj(Legend) for line in legend.get_lines()}
    for line in figure.findobj(Line2D):
        if look := looks.get(_hex(line.get_color())):
            _mark_line(line, look, is_in_legend=line in legend_lines)
    for points in figure.findobj(PathCollection):
        colours = {_hex(colour) for colour in points.get_facecolor()}
        look = looks.get(next(iter(colours))) if len(colours) == 1 else None
        if look and all(_is_dot(path) for path in points.get_paths()):
            points.set_paths([_path(look.marker)])
    boxes = [box for text in figure.findobj(Text) if (box := text.get_bbox_patch())]
    for patch in [*figure.findobj(Rectangle), *boxes]:
        if look := looks.get(_hex(patch.get_facecolor())):
            _mark_patch(patch, look)


def _mark_line(line: Line2D, look: Look, *, is_in_legend: bool) -> None:
    if look.colour and line.get_linestyle() == "None":
        line.set_markerfacecolor(look.colour)
    elif line.get_marker() == "o":
        line.set_marker(look.marker)
    elif line.get_marker() in _NO_MARKER and line.get_linestyle() == "-":
        length = len(np.asarray(line.get_xdata()))
        if is_in_legend or length > 2:
            line.set_marker(look.marker)
            line.set_markersize(3)
            line.set_markevery([1] if is_in_legend else max(1, length // _MARKED))


def _mark_patch(patch: Any, look: Look) -> None:
    if look.colour:
        patch.set_facecolor(look.colour)
    if isinstance(patch, Rectangle) and look.hatch and patch.get_alpha() is None:
        patch.set_hatch(look.hatch)
        patch.set_edgecolor("white")


def _is_dot(path: Path) -> bool:
    own, dot = np.asarray(path.vertices), np.asarray(_path("o").vertices)
    return own.shape == dot.shape and bool(np.allclose(own, dot))


def _path(marker: str) -> Path:
    style = MarkerStyle(marker)
    return style.get_path().transformed(style.get_transform())


def _hex(colour: Any) -> str:
    return "" if isinstance(colour, str) and colour == "none" else to_hex(colour).upper()
