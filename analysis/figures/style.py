"""How figures look: colours by role, title and caption; `themed` gives figure functions their styles."""

import functools
import textwrap
from collections.abc import Callable
from typing import Any, Final, Protocol, TypeVar, cast, overload

import seaborn as sns
from matplotlib.figure import Figure, FigureBase

from analysis.figures.grey_print import Look, tell_apart
from analysis.figures.styles import current_style, drawing, width_of
from analysis.formats import StyleName
from fedcircuits.errors import FedCircuitsError
from fedcircuits.runlog.run import Run

BLUE, ORANGE, GREEN, RED, PURPLE, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
"""Okabe and Ito's palette, which colour-blind readers can tell apart."""

INK: Final = "#1A1A1A"
GREY: Final = "#595959"
MISSING: Final = "#DDDDDD"
"""Background of heat maps: a cell without a value."""

_LOOKS: Final = {
    BLUE: Look("o"),
    ORANGE: Look("s", ".."),
    GREEN: Look("^", "\\\\\\"),
    RED: Look("D", "xxx"),
    PURPLE: Look("v", "---"),
    SKY: Look("o", "", "#B8DFF7"),
    # The other colours of seaborn's palette "colorblind", of classes and clients.
    "#0173B2": Look("o"),
    "#DE8F05": Look("s"),
    "#029E73": Look("^"),
    "#CC78BC": Look("v"),
    "#CA9161": Look("P"),
    "#FBAFE4": Look("X"),
    "#949494": Look("<"),
    "#ECE133": Look(">"),
}
"""What colours are told apart by in print; grey and ink are nobody's own."""

Subject = TypeVar("Subject")
"""What a figure is drawn of: a run, or several side by side."""

DrawnOf_contra = TypeVar("DrawnOf_contra", contravariant=True)


class Draw(Protocol[DrawnOf_contra]):
    """A figure function as users see it."""

    @overload
    def __call__(self, subject: DrawnOf_contra, /, *, style: StyleName = ...) -> Figure: ...

    @overload
    def __call__(self, subject: DrawnOf_contra, /, *, figure: FigureBase, style: StyleName = ...) -> FigureBase: ...


class NothingToDrawError(FedCircuitsError):
    """A run has not logged what a figure shows; the text says what is missing."""


def themed(draw: Callable[[Subject], FigureBase]) -> Draw[Subject]:
    """Let a figure function take a style and a figure to draw into, and return that figure or a new one.

    Args:
        draw: the function; it begins its figure with `new_figure`.
    """

    @functools.wraps(draw)
    def draw_themed(subject: Subject, *, figure: FigureBase | None = None, style: StyleName = "screen") -> FigureBase:
        with drawing(style, figure) as chosen:
            drawn = draw(subject)
            if chosen.is_grey_safe:
                tell_apart(drawn, _LOOKS)
            return drawn

    # Otherwise help() would show the function within, without style and figure.
    del draw_themed.__wrapped__
    return cast("Draw[Subject]", draw_themed)


def label_figure(figure: FigureBase, run: Run, title: str, caption: str) -> FigureBase:
    """Put title and caption on a figure and return it.

    Args:
        figure: the figure.
        run: named at the end of the caption.
        title: what is shown.
        caption: what to look for, in a line or two.
    """
    return put_texts(figure, title, f"{caption} Run: {run.path.name}.")


def put_texts(figure: FigureBase, title: str, caption: str) -> FigureBase:
    """Put title and caption on a figure, in lines of its width, and return it; some styles have them hidden."""
    width = width_of(figure)
    head = figure.suptitle(textwrap.fill(title, int(width * 11)), x=0.01, ha="left", fontsize=13, fontweight="bold")
    text = textwrap.fill(caption, width=int(width * 14.8), break_on_hyphens=False)
    foot = figure.supxlabel(text, x=0.01, ha="left", fontsize=9, color=GREY)
    for label in (head, foot):
        label.set_visible(current_style().has_texts)
        label.set_in_layout(current_style().has_texts)
    return figure


def layer_colours(num_layers: int) -> list[Any]:
    """Return one colour per layer, from the input to the output."""
    if num_layers <= 6:
        return [BLUE, ORANGE, GREEN, RED, PURPLE, SKY][:num_layers]
    colours: list[Any] = sns.color_palette("viridis", num_layers)
    return colours
