"""The pieces that figures are made of: panels with one legend, lines by round, heat maps."""

from collections.abc import Sequence
from math import ceil
from typing import Any, Final, Literal

import pandas as pd
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from analysis.figures.style import GREY, MISSING
from analysis.figures.styles import new_figure, points, width_of
from fedcircuits.records import ALL_LAYERS

LineStyle = Literal["-", "--", ":"]
Marker = Literal["o", "x"]

_MARKER_SIZES: Final = {"o": 1.0, "x": 1.5}

SPREAD: Final = (0.1, 0.9)
"""Quantiles between which the band around a mean reaches."""

_MAX_ANNOTATED: Final = 150
"""Heat maps of more cells than this carry no numbers."""


def panel_grid(figure: FigureBase, titles: Sequence[str], columns: int | None = None) -> tuple[Axes, list[Axes]]:
    """Divide a figure into panels below one row for a legend.

    Args:
        figure: an empty figure.
        titles: one per panel.
        columns: panels side by side, at most; None = all of up to five, four of more.

    Returns:
        the axes for the legend, and one axes per panel.
    """
    columns = min(columns or _columns(len(titles)), len(titles))
    rows = ceil(len(titles) / columns)
    grid = figure.add_gridspec(rows + 1, columns, height_ratios=[0.01, *[1.0] * rows])
    legend = figure.add_subplot(grid[0, :])
    legend.set_axis_off()
    panels = [figure.add_subplot(grid[1 + i // columns, i % columns]) for i in range(len(titles))]
    for panel, title in zip(panels, titles, strict=True):
        panel.set_title(title, loc="left")
        sns.despine(ax=panel)
    return legend, panels


def layer_figure(layers: Sequence[str]) -> tuple[FigureBase, Axes, list[Axes]]:
    """Return a figure with one panel per layer, and what `panel_grid` returns."""
    figure = new_figure(height=1.6 + 2.4 * ceil(len(layers) / _columns(len(layers))))
    titles = ["all layers" if layer == ALL_LAYERS else layer for layer in layers]
    return figure, *panel_grid(figure, titles)


def _columns(num_panels: int) -> int:
    return num_panels if num_panels <= 5 else 4


def is_leftmost(panel: Axes) -> bool:
    """Tell whether a panel stands in the first column, where the label of the vertical axis goes."""
    place = panel.get_subplotspec()
    return place is not None and place.is_first_col()


def put_legend(legend: Axes, handles: Sequence[Artist]) -> None:
    """Fill the legend's row of a panel grid with as many entries side by side as fit."""
    labels = [str(handle.get_label()) for handle in handles]
    # A legend wider than the figure would make the layout shrink every panel.
    entry_width = points(0.65 + 0.07 * max(len(label) for label in labels))
    figure = legend.get_figure()
    columns = max(1, min(len(labels), int(0.97 * width_of(figure) / entry_width))) if figure else 1
    legend.legend(handles, labels, loc="lower left", ncols=columns, borderaxespad=0, handlelength=2.2)


def line_handle(
    label: str, colour: str, style: LineStyle = "-", marker: str = "o", width: float | None = None
) -> Line2D:
    """Return a legend entry for a line."""
    return Line2D([], [], color=colour, linestyle=style, marker=marker, markersize=4, linewidth=width, label=label)


def dot_handle(label: str, fill: str, edge: str) -> Line2D:
    """Return a legend entry for single dots."""
    return Line2D([], [], linestyle="", marker="o", markersize=6, color=fill, markeredgecolor=edge, label=label)


def band_handle(what: str) -> Patch:
    """Return the legend entry that explains the bands of `draw_by_round`."""
    return Patch(color=GREY, alpha=0.2, linewidth=0, label=f"10–90 % of {what}")


def draw_by_round(
    panel: Axes,
    rows: pd.DataFrame,
    column: str,
    colour: str,
    *,
    style: LineStyle = "-",
    has_spread: bool = True,
    width: float | None = None,
    marker: Marker = "o",
) -> None:
    """Draw the mean of a column by round, with a band that holds the middle 80 % of the rows.

    Args:
        panel: where.
        rows: with the columns `round` and `column`; missing values are left out.
        column: what to draw.
        colour: of line and band.
        style: the line's.
        has_spread: whether to draw the band.
        width: the line's in points; None = the theme's.
        marker: of every round; dashed lines have none. A cross can be seen below a dot.
    """
    known = rows[["round", column]].dropna().astype("float64")
    if known.empty:
        return
    by_round = known.groupby("round")[column]
    mean, low, high = by_round.mean(), by_round.quantile(SPREAD[0]), by_round.quantile(SPREAD[1])
    if len(mean) == 1 and style == "--":
        # One point cannot look dashed, so it becomes a short level line.
        panel.hlines(mean, mean.index - 0.4, mean.index + 0.4, color=colour, linestyles=style)
    else:
        size = (4 if len(mean) < 20 else 2) * _MARKER_SIZES[marker]
        shown = "" if style == "--" else marker
        panel.plot(mean.index, mean, color=colour, linestyle=style, marker=shown, markersize=size, linewidth=width)
    if has_spread and len(mean) > 1:
        panel.fill_between(mean.index, low, high, color=colour, alpha=0.15, linewidth=0)
    elif has_spread:
        panel.vlines(mean.index, low, high, color=colour, alpha=0.4, linewidth=5)


def round_axis(panel: Axes, rounds: Sequence[int], *, is_labelled: bool = True) -> None:
    """Give a panel whole rounds as its horizontal axis."""
    panel.set_xlim(min(rounds) - 0.5, max(rounds) + 0.5)
    panel.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=True, min_n_ticks=1))
    if is_labelled:
        panel.set_xlabel("round")


def fraction_axis(panel: Axes, label: str = "") -> None:
    """Give a panel the range 0..1 as its vertical axis, with room for markers on the border."""
    panel.set_ylim(-0.03, 1.03)
    panel.set_ylabel(label)


def from_zero(values: "pd.Series[float]", at_least: float = 0.1) -> tuple[float, float]:
    """Return limits from zero to just above the largest value, and not below `at_least`."""
    largest = float(values.max()) if values.notna().any() else 0.0
    top = max(at_least, 1.1 * largest)
    return -0.03 * top, top


def around_zero(largest: float) -> tuple[float, float]:
    """Return limits around zero that hold a difference, and never so close that noise looks like one."""
    limit = max(0.25, 1.05 * largest)
    return -limit, limit


def heat_map(panel: Axes, values: pd.DataFrame, bar_label: str, digits: int = 2, **options: Any) -> None:
    """Draw a heat map with numbers in its cells where they fit; cells without a value stay grey.

    Args:
        panel: where.
        values: rows and columns as shown.
        bar_label: what the colours mean, with range or unit.
        digits: decimals of the numbers.
        options: passed on to seaborn.heatmap.
    """
    is_annotated = values.size <= _MAX_ANNOTATED
    panel.set_facecolor(MISSING)
    options = {
        "annot": is_annotated,
        "fmt": f".{digits}f",
        "annot_kws": {"size": points(8)},
        "linewidths": 0.5,
    } | options
    if not is_annotated:
        options["linewidths"] = 0
    # Adding zero turns -0.00 into 0.00.
    sns.heatmap(values.astype("float64").round(digits) + 0.0, ax=panel, cbar_kws={"label": bar_label}, **options)
    panel.tick_params(axis="y", rotation=0)
    panel.tick_params(axis="x", rotation=0)
    panel.grid(visible=False)
