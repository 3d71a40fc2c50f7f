"""The styles that figures can be drawn in, and the one in use: widths, sizes of text, what is written on a figure."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final

import matplotlib as mpl
import seaborn as sns
from matplotlib.figure import Figure, FigureBase

from analysis.formats import StyleName
from fedcircuits.errors import FedCircuitsError

_LOOKS: Final[dict[str, Any]] = {
    "figure.dpi": 100,
    "axes.titleweight": "normal",
    "legend.frameon": False,
    "grid.color": "#E5E5E5",
    "axes.edgecolor": "#8C8C8C",
}

SAVING: Final[dict[Any, Any]] = {"svg.fonttype": "none", "svg.hashsalt": "fedcircuits", "pdf.fonttype": 42}
"""Text stays text: in SVG as such, in PDF with its TrueType font embedded. Ids in SVG files are the same every time."""


def _texts(large: float, small: float) -> dict[str, Any]:
    """Return the sizes of text in points."""
    sizes = dict.fromkeys(("font.size", "axes.titlesize", "axes.labelsize"), large)
    return sizes | dict.fromkeys(("xtick.labelsize", "ytick.labelsize", "legend.fontsize"), small)


@dataclass(frozen=True)
class Style:
    """How figures look.

    Args:
        width: of a figure, in inches.
        panel_width: of a figure that is a single panel, in inches.
        height: factor of all heights.
        text: size of text in points.
        has_texts: whether title and caption are drawn; they are known to the figure in any case.
        is_grey_safe: whether colours are told apart by markers and hatching too.
        theme: matplotlib's settings.
    """

    width: float
    panel_width: float
    height: float
    text: float
    has_texts: bool
    is_grey_safe: bool
    theme: dict[Any, Any] = field(repr=False)


_SCREEN_TEXT: Final = 10.0
_SCREEN_WIDTH: Final = 10.0

STYLES: Final[dict[str, Style]] = {
    "screen": Style(
        width=_SCREEN_WIDTH,
        panel_width=_SCREEN_WIDTH,
        height=1.0,
        text=_SCREEN_TEXT,
        has_texts=True,
        is_grey_safe=False,
        theme={**_LOOKS, **_texts(_SCREEN_TEXT, 9), "lines.linewidth": 1.8, **SAVING},
    ),
    # Two columns of 3.3 in with a gutter make 7 in; captions are the paper's own.
    "paper": Style(
        width=7.0,
        panel_width=3.3,
        height=0.68,
        text=8.0,
        has_texts=False,
        is_grey_safe=True,
        theme={
            **_LOOKS,
            **_texts(8, 7),
            "lines.linewidth": 1.2,
            "axes.linewidth": 0.7,
            "grid.linewidth": 0.6,
            "hatch.linewidth": 0.5,
            **SAVING,
        },
    ),
}
"""Their names, as users type them."""

_style: ContextVar[Style] = ContextVar("style", default=STYLES["screen"])
_target: ContextVar[FigureBase | None] = ContextVar("target", default=None)


def current_style() -> Style:
    """Return the style in use."""
    return _style.get()


@contextmanager
def plain_settings(changes: Mapping[Any, Any] | None = None) -> Iterator[None]:
    """Use matplotlib's own defaults for a while, whatever a matplotlibrc says, such as to ask LaTeX for texts."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(changes or {})
        yield


@contextmanager
def drawing(style: StyleName, figure: FigureBase | None = None) -> Iterator[Style]:
    """Draw in a style, without changing matplotlib's global settings.

    Args:
        style: a key of `STYLES`.
        figure: what the next new figure is drawn into: an empty figure or part of one; None = a figure of its own.

    Raises:
        FedCircuitsError: if there is no such style, or the figure is not empty.
    """
    if style not in STYLES:
        raise FedCircuitsError(f"style: there is no {style!r}; there are {', '.join(map(repr, STYLES))}")
    if figure is not None and figure.axes:
        raise FedCircuitsError("figure: it has axes already; give an empty one, or a SubFigure of one")
    tokens = _style.set(STYLES[style]), _target.set(figure)
    try:
        with plain_settings(), sns.axes_style("whitegrid"), mpl.rc_context(STYLES[style].theme):
            yield STYLES[style]
    finally:
        _style.reset(tokens[0])
        _target.reset(tokens[1])


def new_figure(height: float, *, is_panel: bool = False) -> FigureBase:
    """Return the figure to draw into: the one that was given, or a new one that belongs to nobody and needs no closing.

    Args:
        height: of a new one, in inches of the style `screen`.
        is_panel: whether the figure is a single panel.
    """
    given = _target.get()
    if given is None:
        style = current_style()
        size = (style.panel_width if is_panel else style.width, height * style.height)
        return Figure(figsize=size, layout="constrained")
    root = given.get_figure(root=True)
    if root is not None and root.get_layout_engine() is None:
        root.set_layout_engine("constrained")
    return given


def width_of(figure: FigureBase) -> float:
    """Return the width of a figure, or of a part of one, in inches."""
    sized: Any = figure  # figures and their parts have a box and a resolution, which their base class does not declare
    return float(sized.bbox.width / sized.dpi)


def points(size: float) -> float:
    """Return a size of text for the style in use.

    Args:
        size: in points of the style `screen`.
    """
    return size * current_style().text / _SCREEN_TEXT


def num_characters(on_screen: int) -> int:
    """Return how many characters fit where so many do in the style `screen`."""
    style = current_style()
    return int(on_screen * style.width / _SCREEN_WIDTH * _SCREEN_TEXT / style.text)
