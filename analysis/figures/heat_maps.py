"""Heat maps of overlap in one round: all layers pooled, beside the deepest layer."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase

from analysis.figures.layer_lines import left_out_note
from analysis.figures.panels import heat_map
from analysis.figures.style import INK, RED
from analysis.figures.styles import new_figure, points
from fedcircuits.records import ALL_LAYERS, Comparison
from fedcircuits.runlog.run import Run

_MOST_NAMES: Final = 60
"""More rows than this are too thin for names."""

_MOST_BLOCKS: Final = 12
"""More numbers than this do not fit below a map."""

IOU_SCALE = {"cmap": "viridis", "vmin": 0, "vmax": 1, "bar_label": "IoU (0–1)"}
ADJUSTED_SCALE = {"cmap": "RdBu_r", "vmin": -1, "vmax": 1, "bar_label": "adjusted IoU (0 = chance)"}


def two_maps(
    rows: pd.DataFrame, matrix: Callable[[pd.DataFrame], pd.DataFrame], axis: str, scale: dict[str, Any]
) -> tuple[FigureBase, list[Axes]]:
    """Draw all layers pooled beside the deepest layer, where channels are most specific to a class.

    Args:
        rows: rows of the overlap table.
        matrix: turns the rows of one layer into the map's rows and columns.
        axis: what rows and columns are.
        scale: colours and label of the bar, `IOU_SCALE` or `ADJUSTED_SCALE`.

    Returns:
        the figure and its panels.
    """
    deepest = [layer for layer in rows["layer"].unique() if layer != ALL_LAYERS][-1:]
    figure = new_figure(height=4.6)
    panels = list(figure.subplots(1, 1 + len(deepest), squeeze=False)[0])
    for panel, layer in zip(panels, [ALL_LAYERS, *deepest], strict=True):
        heat_map(panel, matrix(rows[rows["layer"] == layer]), square=True, **scale)
        panel.set(xlabel=axis, ylabel=axis)
        panel.set_title("all layers" if layer == ALL_LAYERS else layer, loc="left")
    return figure, panels


def iou_and_chance(pairs: pd.DataFrame, keys: Sequence[str], members: Sequence[tuple[int, ...]]) -> pd.DataFrame:
    """Return mean IoU below the diagonal and its chance above; on the diagonal the IoU of repeated discoveries.

    The IoU is symmetric, so the upper half is free for what the lower half has to be compared with.

    Args:
        pairs: rows of one layer of the overlap table.
        keys: columns that identify a member, without their `a_` or `b_`.
        members: the values of `keys` of each row and column, in the order shown.
    """
    places = pd.MultiIndex.from_tuples(members)
    a, b = (
        places.get_indexer(pd.MultiIndex.from_frame(pairs[[f"{end}_{key}" for key in keys]].astype("int64")))
        for end in ("a", "b")
    )
    low, high = np.maximum(a, b), np.minimum(a, b)
    below = pd.DataFrame({"row": low, "column": high, "value": pairs["iou"].to_numpy()})
    above = pd.DataFrame({"row": high, "column": low, "value": pairs["expected_iou"].to_numpy()})
    cells = pd.concat([below, above[above["row"] != above["column"]]]).astype({"value": "float64"})
    everyone = range(len(members))
    table = cells.pivot_table(index="row", columns="column", values="value")
    return table.reindex(index=everyone, columns=everyone)


def label_members(panel: Axes, names: Sequence[str], is_unusable: Sequence[bool]) -> None:
    """Name rows and columns of a square map, and mark those that are not usable with a red cross.

    Args:
        panel: the map.
        names: one per row; left out, but for the crosses, where there are too many to be read.
        is_unusable: one per row.
    """
    is_crowded = len(names) > _MOST_NAMES
    labels = {
        row + 0.5: f"{'' if is_crowded else name}{'×' if unusable else ''}"
        for row, (name, unusable) in enumerate(zip(names, is_unusable, strict=True))
        if unusable or not is_crowded
    }
    panel.set_xticks(list(labels), list(labels.values()))
    panel.set_yticks(list(labels), list(labels.values()))
    panel.tick_params(length=0, labelsize=points(9 if len(names) <= 20 else 5))
    for label in (*panel.get_xticklabels(), *panel.get_yticklabels()):
        label.set_color(RED if label.get_text().endswith("×") else INK)


def label_blocks(panel: Axes, blocks: Sequence[int], axis: str) -> None:
    """Draw borders between runs of equal numbers on a square map, and the numbers along its sides.

    Args:
        panel: the map.
        blocks: one per row, ascending.
        axis: what the numbers are.
    """
    numbers = sorted(set(blocks))
    starts = [blocks.index(number) for number in numbers]
    width = min(1.2, 20 / len(numbers))
    for start, (colour, line_width) in product(starts[1:], (("white", 2.5 * width), (INK, width))):
        panel.axhline(start, color=colour, linewidth=line_width)
        panel.axvline(start, color=colour, linewidth=line_width)
    step = -(-len(numbers) // _MOST_BLOCKS)
    centres = [start + blocks.count(number) / 2 for start, number in zip(starts, numbers, strict=True)]
    for outer, label in ((panel.secondary_xaxis(-0.08), "set_xlabel"), (panel.secondary_yaxis(-0.1), "set_ylabel")):
        ticks = outer.xaxis if label == "set_xlabel" else outer.yaxis
        ticks.set_ticks(centres[::step], [str(number) for number in numbers[::step]])
        outer.tick_params(length=0, labelsize=points(10))
        outer.spines[:].set_visible(False)
        getattr(outer, label)(axis)


def last_round(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the newest round."""
    newest: pd.DataFrame = rows[rows["round"] == rows["round"].max()]
    return newest


def left_out_of_round(run: Run, rows: pd.DataFrame, comparisons: Sequence[Comparison]) -> str:
    """Say how many pairs of some comparisons are not usable in the round of the drawn rows."""
    server_round = rows["round"].iloc[0]
    return left_out_note(replace(run, overlap=run.overlap[run.overlap["round"] == server_round]), comparisons)
