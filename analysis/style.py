"""How figures look: theme, colours by role, title and caption."""

import functools
import textwrap
from collections.abc import Callable
from typing import Any, Final, TypeVar

import matplotlib as mpl
import seaborn as sns
from matplotlib.figure import Figure

from analysis.run import Run
from fedcircuits.errors import FedCircuitsError

WIDTH: Final = 10.0
"""Inches; two columns of a paper."""

DPI: Final = 150

BLUE, ORANGE, GREEN, RED, PURPLE, SKY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9"
"""Okabe and Ito's palette, which colour-blind readers can tell apart."""

INK: Final = "#1A1A1A"
GREY: Final = "#595959"
MISSING: Final = "#DDDDDD"
"""Background of heat maps: a cell without a value."""

_THEME: Final[dict[Any, Any]] = {
    "figure.dpi": 100,
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.labelsize": 10,
    "axes.titleweight": "normal",
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "grid.color": "#E5E5E5",
    "axes.edgecolor": "#8C8C8C",
    "svg.fonttype": "none",
}

Draw = Callable[[Run], Figure]

Subject = TypeVar("Subject")
"""What a figure is drawn of: a run, or several side by side."""


class NothingToDrawError(FedCircuitsError):
    """A run has not logged what a figure shows; the text says what is missing."""


def themed(draw: Callable[[Subject], Figure]) -> Callable[[Subject], Figure]:
    """Give a figure function the project's theme, without changing matplotlib's global settings."""

    @functools.wraps(draw)
    def draw_themed(subject: Subject) -> Figure:
        with sns.axes_style("whitegrid"), mpl.rc_context(_THEME):
            return draw(subject)

    return draw_themed


def new_figure(height: float) -> Figure:
    """Return an empty figure of the standard width; it belongs to nobody, so it needs no closing."""
    return Figure(figsize=(WIDTH, height), layout="constrained")


def label_figure(figure: Figure, run: Run, title: str, caption: str) -> Figure:
    """Put title and caption on a figure and return it.

    Args:
        figure: the figure.
        run: named at the end of the caption.
        title: what is shown.
        caption: what to look for, in a line or two.
    """
    return put_texts(figure, title, f"{caption} Run: {run.path.name}.")


def put_texts(figure: Figure, title: str, caption: str) -> Figure:
    """Put title and caption on a figure, the caption in lines of its width, and return it."""
    figure.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold")
    text = textwrap.fill(caption, width=int(WIDTH * 14.8), break_on_hyphens=False)
    figure.supxlabel(text, x=0.01, ha="left", fontsize=9, color=GREY)
    return figure


def layer_colours(num_layers: int) -> list[Any]:
    """Return one colour per layer, from the input to the output."""
    if num_layers <= 6:
        return [BLUE, ORANGE, GREEN, RED, PURPLE, SKY][:num_layers]
    colours: list[Any] = sns.color_palette("viridis", num_layers)
    return colours
