"""Lines of overlap by round, one panel per layer, each line with what chance gives for the same sizes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pandas as pd
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase

from analysis import measures
from analysis.figures.panels import (
    LineStyle,
    band_handle,
    draw_by_round,
    fraction_axis,
    is_leftmost,
    layer_figure,
    line_handle,
    put_legend,
    round_axis,
)
from analysis.figures.style import GREY, NothingToDrawError
from analysis.text.words import RETEST
from fedcircuits.records import Comparison
from fedcircuits.runlog.run import Run

MOST_MEMBERS: Final = 10
"""More thin lines than this cannot be told apart."""

MEMBER_WIDTH: Final = 0.9
"""Points."""

_CHANCE_ALPHA: Final = 0.08


@dataclass(frozen=True)
class OverlapLine:
    """One line in every panel: usable rows of the overlap table; why there are none, if so.

    A reference line is drawn without its chance and spread, which would bury what it is a reference for. One without
    rows is left out without a word.
    """

    label: str
    colour: str
    rows: pd.DataFrame
    why_empty: str
    is_reference: bool = False
    style: LineStyle = "-"
    width: float | None = None


def overlap_line(
    run: Run, label: str, colour: str, comparison: Comparison, *, is_reference: bool = False
) -> OverlapLine:
    """Return the line of all usable pairs of a comparison."""
    rows = measures.pairs(run, comparison)
    return OverlapLine(label, colour, rows, measures.why_no_pairs(run, comparison), is_reference)


def member_lines(line: OverlapLine) -> list[OverlapLine]:
    """Return a thin line for every class, or for every client if there are too many classes; none if also of these."""
    for column, name in (("a_class_id", "class"), ("a_partition_id", "client")):
        groups = [(int(str(member)), rows) for member, rows in line.rows.groupby(column)]
        if 1 < len(groups) <= MOST_MEMBERS:
            colours = member_colours(len(groups))
            return [
                OverlapLine(f"{name} {member}", colour, rows, "", is_reference=True, width=MEMBER_WIDTH)
                for (member, rows), colour in zip(groups, colours, strict=True)
            ]
    return []


def member_colours(num_members: int) -> list[str]:
    """Return one colour for each of up to `MOST_MEMBERS` classes or clients."""
    colours: list[str] = sns.color_palette("colorblind", num_members).as_hex()
    return colours


def draw_layers(lines: Sequence[OverlapLine], what: str | None) -> FigureBase:
    """Draw one panel per layer; what has no pairs says so in the legend.

    Args:
        lines: the lines, the topmost last.
        what: what the bands around lines are 10–90 % of; None = no bands.

    Raises:
        NothingToDrawError: if only reference lines have rows.
    """
    subjects = [line for line in lines if not line.is_reference]
    if all(line.rows.empty for line in subjects):
        raise NothingToDrawError("; ".join(sorted({line.why_empty for line in subjects})))
    lines = [line for line in lines if not (line.is_reference and line.rows.empty)]
    rows = pd.concat([line.rows for line in lines])
    layers = measures.layers_of(rows)
    figure, legend, panels = layer_figure(layers)
    for layer, panel in zip(layers, panels, strict=True):
        for line in lines:
            own = line.rows[line.rows["layer"] == layer]
            has_spread = what is not None and not line.is_reference
            if not line.is_reference:
                _draw_chance(panel, own, line.colour)
            draw_by_round(panel, own, "iou", line.colour, style=line.style, has_spread=has_spread, width=line.width)
        round_axis(panel, sorted(rows["round"].unique()))
        fraction_axis(panel, "IoU (0–1)" if is_leftmost(panel) else "")
    put_legend(legend, _handles(lines, what))
    return figure


RETEST_NOTE: Final = (
    "The two circuits of every pair were found on different halves of the images, so that overlaps can be held against "
    f"the retest, {RETEST}. Single rounds may lie above it."
)
"""What the line of retests is beside overlaps of two models."""


def left_out_note(run: Run, comparisons: Sequence[Comparison]) -> str:
    """Say how many pairs are not drawn, for a caption."""
    excluded, total = measures.left_out(run, comparisons)
    return f"Left out as not usable: {excluded} of {total} pairs."


def _draw_chance(panel: Axes, rows: pd.DataFrame, colour: str) -> None:
    """Draw what chance gives: its mean by round, and a light band of the spread that chance gives one pair."""
    draw_by_round(panel, rows, "expected_iou", colour, style="--", has_spread=False)
    if not _has_spread(rows):
        return
    by_round = rows[["round", "expected_iou", "expected_sd"]].dropna().astype("float64").groupby("round").mean()
    low, high = by_round["expected_iou"] - by_round["expected_sd"], by_round["expected_iou"] + by_round["expected_sd"]
    if len(by_round) > 1:
        panel.fill_between(by_round.index, low, high, color=colour, alpha=_CHANCE_ALPHA, linewidth=0)
    else:
        panel.vlines(by_round.index, low, high, color=colour, alpha=_CHANCE_ALPHA, linewidth=14)


def _has_spread(rows: pd.DataFrame) -> bool:
    """Tell whether the log says how far chance spreads: older ones do not."""
    return "expected_sd" in rows and bool(rows["expected_sd"].notna().any())


def _handles(lines: Sequence[OverlapLine], what: str | None) -> list[Artist]:
    handles: list[Artist] = []
    for line in lines:
        label = f"{line.label} – {line.why_empty}" if line.rows.empty else line.label
        handles.append(line_handle(label, line.colour, line.style, width=line.width))
    has_band = any(_has_spread(line.rows) for line in lines if not line.is_reference)
    chance = f"chance, same sizes{' (light: ± sd of one pair)' if has_band else ''}"
    handles.append(line_handle(chance, GREY, "--", marker=""))
    return handles if what is None else [*handles, band_handle(what)]
