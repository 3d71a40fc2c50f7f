"""The pieces of figures over seeds: rows of experiments with every seed, and lines by round with every seed."""

import textwrap
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase
from matplotlib.lines import Line2D

from analysis.comparison.study import SeedStudy
from analysis.figures.panels import LineStyle, draw_by_round, panel_grid, round_axis
from analysis.figures.style import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, SKY, NothingToDrawError, put_texts
from analysis.figures.styles import new_figure, num_characters
from analysis.statistics.seeds import Interval, interval

Styles = Mapping[str, tuple[str, LineStyle]]
"""Labels of experiments to the colours and styles of their lines."""

_ROWS_HEIGHT: Final = 0.8
"""Share of an experiment's row that its points may fill."""

PALETTE: Final = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY, GREY)
"""Colours of experiments or families of them, in their order."""

_STYLES: Final[tuple[LineStyle, ...]] = ("-", "--", ":")


def row_figure(labels: Sequence[str], titles: Sequence[str], num_kinds: int = 1) -> tuple[FigureBase, Axes, list[Axes]]:
    """Return a figure of panels side by side in which each experiment has a row, and what `panel_grid` returns."""
    figure = new_figure(height=1.9 + len(labels) * (0.3 + 0.17 * num_kinds))
    legend, panels = panel_grid(figure, titles)
    for number, panel in enumerate(panels):
        names = [_in_lines(label, num_characters(26)) for label in labels] if number == 0 else []
        panel.set_yticks(range(len(labels)), names or [""] * len(labels))
        panel.set_ylim(len(labels) - 0.5, -0.5)
        panel.tick_params(axis="y", length=0)
        panel.grid(visible=False, axis="y")
        for border in range(1, len(labels)):
            panel.axhline(border - 0.5, color="#E5E5E5", linewidth=0.8)
    return figure, legend, panels


def draw_rows(
    panel: Axes,
    values: Mapping[str, "pd.Series[float]"],
    colour: str,
    kind: int = 0,
    num_kinds: int = 1,
    *,
    is_interval: bool = False,
) -> None:
    """Draw every seed of every experiment as a point, and the mean over seeds with a bar.

    A seed has the same height within the row of every experiment, so that points of equal value do not hide each other
    and a seed can be followed.

    Args:
        panel: of `row_figure`.
        values: label of each experiment to one value per seed, indexed by seed.
        colour: of points and bar.
        kind: which of several kinds of values in a row, from the top.
        num_kinds: how many there are.
        is_interval: whether the bar is the 95 % interval of the mean; otherwise mean ± standard deviation.
    """
    share = _ROWS_HEIGHT / num_kinds
    seeds = sorted({seed for one in values.values() for seed in one.index})
    offsets = dict(zip(seeds, np.linspace(-0.3, 0.3, len(seeds)) * share if len(seeds) > 1 else [0.0], strict=True))
    for row, own in enumerate(values.values()):
        middle = row - _ROWS_HEIGHT / 2 + (kind + 0.5) * share
        known = own.dropna()
        heights = [middle + offsets[seed] for seed in known.index]
        sns.scatterplot(
            x=known.to_numpy(), y=heights, color=colour, s=22, alpha=0.75, edgecolor="white", ax=panel, zorder=5
        )
        _draw_mean(panel, interval(own), middle, share, colour, is_interval=is_interval)


def _draw_mean(panel: Axes, found: Interval, middle: float, share: float, colour: str, *, is_interval: bool) -> None:
    if not found.num_seeds:
        return
    panel.vlines(found.mean, middle - 0.38 * share, middle + 0.38 * share, color=colour, linewidth=2.2, zorder=4)
    if found.is_bounded:
        low, high = (found.low, found.high) if is_interval else (found.mean - found.sd, found.mean + found.sd)
        panel.hlines(middle, low, high, color=colour, linewidth=1.4, zorder=4)


def draw_seeds_by_round(
    panel: Axes, rows: pd.DataFrame, column: str, colour: str, *, style: LineStyle = "-", has_seeds: bool = True
) -> None:
    """Draw the mean over seeds by round, and a thin line for every seed.

    Args:
        panel: where.
        rows: of `SeedStudy.values`, of one experiment.
        column: the measure.
        colour: of the lines.
        style: of the mean's line.
        has_seeds: whether to draw the thin lines.
    """
    if has_seeds and rows[column].notna().any():
        known, labels = rows.dropna(subset=[column]), {"xlabel": panel.get_xlabel(), "ylabel": panel.get_ylabel()}
        options: dict[str, Any] = {"estimator": None, "linewidth": 0.7, "alpha": 0.45, "legend": False}
        sns.lineplot(known, x="round", y=column, units="seed", color=colour, linestyle=style, ax=panel, **options)
        panel.set(**labels)  # seaborn has put the names of the columns there
    draw_by_round(panel, rows, column, colour, style=style, has_spread=False)


def experiment_figure(study: SeedStudy, measures: Sequence[str]) -> tuple[FigureBase, Axes, dict[str, Axes]]:
    """Return a figure with a panel for each experiment that has a value of any of the measures.

    Raises:
        NothingToDrawError: if no experiment has one.
    """
    without = study.without(measures)
    labels = [label for label in study.labels if label not in without]
    if not labels:
        raise NothingToDrawError("no experiment has logged what this figure shows")
    columns = min(len(labels), 4)
    titles = [_in_lines(label, num_characters(92) // columns) for label in labels]
    num_rows = -(-len(labels) // columns)
    figure = new_figure(height=1.8 + 2.3 * num_rows)
    legend, panels = panel_grid(figure, titles, columns=columns)
    for number, (label, panel) in enumerate(zip(labels, panels, strict=True)):
        own = study.values.loc[study.values["experiment"] == label, "round"]
        round_axis(panel, list(own), is_labelled=number >= len(labels) - columns)
    return figure, legend, dict(zip(labels, panels, strict=True))


def experiment_styles(study: SeedStudy) -> Styles:
    """Return one colour and line style per experiment; styles change when colours run out."""
    num_colours = len(PALETTE)
    return {
        label: (PALETTE[number % num_colours], _STYLES[number // num_colours % len(_STYLES)])
        for number, label in enumerate(study.labels)
    }


def seed_handles(bar: str = "± standard deviation") -> list[Artist]:
    """Return the legend entries that explain points, mean and bar of `draw_rows`."""
    point = Line2D([], [], color=GREY, linestyle="", marker="o", markersize=4, alpha=0.6, label="one seed")
    return [
        point,
        Line2D([], [], color=GREY, marker="|", markersize=9, markeredgewidth=2, label=f"mean over seeds, {bar}"),
    ]


def thin_handle() -> Line2D:
    """Return the legend entry that explains the thin lines of `draw_seeds_by_round`."""
    return Line2D([], [], color=GREY, linewidth=0.7, alpha=0.7, label="one seed")


def label_comparison(
    figure: FigureBase, study: SeedStudy, title: str, caption: str, measures: Collection[str] = ()
) -> FigureBase:
    """Put title and caption on a figure, and return it.

    Args:
        figure: the figure.
        study: how many experiments and seeds it has is said.
        title: of the figure.
        caption: what to look for.
        measures: that are drawn; experiments that have a value of none are named. None = all experiments are drawn.
    """
    without = study.without(measures) if measures else []
    note = f" Without a value: {', '.join(without)}." if without else ""
    return put_texts(figure, title, f"{caption}{note} Runs: {study.size}.")


def _in_lines(label: str, width: int) -> str:
    """Break a long label before its brackets, and elsewhere only where that is not enough."""
    if len(label) <= width:
        return label
    lines = label.replace(" (", "\n(").splitlines()
    return "\n".join(textwrap.fill(line, width, break_on_hyphens=False) for line in lines)
