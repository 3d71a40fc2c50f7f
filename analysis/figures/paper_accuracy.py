"""The accuracy figures of arXiv 2512.23043: local circuits on local and on global weights, and the drift gap.

Its accuracy of a circuit is the recall of one class. False positives stand beside it here, because a circuit that
always says its class has a recall of 1.
"""

from collections.abc import Sequence
from typing import Final

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase

from analysis import measures
from analysis.figures.layer_lines import MEMBER_WIDTH, MOST_MEMBERS, member_colours
from analysis.figures.panels import (
    LineStyle,
    Marker,
    around_zero,
    band_handle,
    draw_by_round,
    fraction_axis,
    is_leftmost,
    line_handle,
    panel_grid,
    put_legend,
    round_axis,
)
from analysis.figures.style import BLUE, GREEN, GREY, INK, ORANGE, NothingToDrawError, label_figure, themed
from analysis.figures.styles import new_figure
from fedcircuits.records import ModelKind
from fedcircuits.runlog.run import Run

_RECALL, _FALSE_POSITIVES = "sufficiency", "false_positive_rate"

_LINES: Final = {
    ModelKind.CLIENT: ("local circuit, local weights", BLUE),
    ModelKind.TRANSPLANT: ("local circuit, global weights", GREEN),
    ModelKind.GLOBAL: ("global model's own circuit", ORANGE),
}

_MOST_CLASSES: Final = 11
"""With the mean, three rows of four panels."""


@themed
def cross_accuracy(run: Run) -> FigureBase:
    """Draw recall and false positives of circuits at home and on the global weights, class by class."""
    recall, false_positives = _scores(run, _RECALL), measures.drift_gaps(run, _FALSE_POSITIVES)
    classes = sorted(recall["class_id"].unique())
    shown: list[int | None] = [None, *classes[:_MOST_CLASSES]] if len(classes) > 1 else [*classes]
    figure = new_figure(height=1.9 + 2.1 * -(-len(shown) // 4))
    legend, panels = panel_grid(figure, [_panel_title(class_id) for class_id in shown], columns=4)
    for class_id, panel in zip(shown, panels, strict=True):
        _draw_scores(panel, _of_class(recall, class_id), "-", "o")
        _draw_scores(panel, _of_class(false_positives, class_id), ":", "x")
        is_labelled = panel in panels[-4:]
        round_axis(panel, list(recall["round"]), is_labelled=is_labelled)
        fraction_axis(panel, "rate (0–1)" if is_leftmost(panel) else "")
    handles: list[Artist] = [line_handle(label, colour) for label, colour in _LINES.values()]
    kinds = [line_handle("recall", GREY), line_handle("false-positive rate", GREY, ":", "x")]
    put_legend(legend, [*handles, *kinds])
    hidden = f"The first {_MOST_CLASSES} of {len(classes)} classes. " if len(classes) > _MOST_CLASSES else ""
    unknown = "False positives were not logged: recall alone cannot tell. " if false_positives.empty else ""
    caption = (
        f"{unknown}A circuit works where its recall (solid) lies far above its false positives (dotted, on the other "
        "classes that its model was trained on); where they meet, recall says nothing. A class of several clients is "
        f"their mean. {hidden}{_unusable_note(run)}"
    )
    return label_figure(figure, run, "Cross-accuracy of circuits", caption)


@themed
def drift_gap(run: Run) -> FigureBase:
    """Draw what local circuits lose on the global weights against the global model's own, class by class."""
    recall, false_positives = _scores(run, _RECALL), measures.drift_gaps(run, _FALSE_POSITIVES)
    classes = sorted(recall["class_id"].unique())
    has_classes = 1 < len(classes) <= MOST_MEMBERS
    colours = dict(zip(classes, member_colours(len(classes)), strict=True)) if has_classes else {}
    limits = _gap_limits([recall, false_positives], by=["round", "class_id"] if has_classes else ["round"])
    figure = new_figure(height=4.4)
    legend, panels = panel_grid(figure, ["drift gap in recall", "the same in false positives"])
    for panel, rows in zip(panels, (recall, false_positives), strict=True):
        panel.axhline(0, color=GREY, linewidth=1)
        for class_id, colour in colours.items():
            draw_by_round(panel, _of_class(rows, class_id), "drift_gap", colour, has_spread=False, width=MEMBER_WIDTH)
        draw_by_round(panel, rows, "drift_gap", INK, has_spread=not has_classes)
        if rows["drift_gap"].isna().all():
            panel.text(0.5, 0.7, "not logged", transform=panel.transAxes, ha="center", color=GREY)
        panel.set(ylim=limits, ylabel="global minus local circuit (−1–1)")
        round_axis(panel, list(recall["round"]))
    handles: list[Artist] = [
        line_handle(f"class {class_id}", colour, width=MEMBER_WIDTH) for class_id, colour in colours.items()
    ]
    handles.append(line_handle("mean", INK))
    put_legend(legend, handles if has_classes else [*handles, band_handle("circuits")])
    caption = (
        "Both on the global weights: the global model's own circuit minus the client's. Above 0 on the left, the "
        "class has moved to other channels – unless the right rises with it: then the global circuit only says its "
        f"class more often. A gap of 0 also means that both fail: see cross-accuracy. {_unusable_note(run)}"
    )
    return label_figure(figure, run, "Drift gap", caption)


def _scores(run: Run, score: str) -> pd.DataFrame:
    gaps = measures.drift_gaps(run, score)
    if gaps.empty:
        raise NothingToDrawError("no transplant was logged")
    return gaps


def _gap_limits(tables: Sequence[pd.DataFrame], by: list[str]) -> tuple[float, float]:
    """Return one pair of limits for all tables, so that their gaps can be compared by eye."""
    means = pd.concat([rows.groupby(by)["drift_gap"].mean().abs() for rows in tables])
    return around_zero(float(means.max()) if means.notna().any() else 0.0)


def _of_class(rows: pd.DataFrame, class_id: int | None) -> pd.DataFrame:
    return rows if class_id is None else rows[rows["class_id"] == class_id]


def _unusable_note(run: Run) -> str:
    """Say how many of the drawn circuits are not usable; here they stay, for their false positives show it."""
    quality = measures.on_own_images(run).quality
    drawn = quality[quality["partition_id"].notna()]
    counted, why = measures.is_counted(run, drawn["usable"]), measures.reasons_in_words(drawn)
    return f"Not usable, but drawn: {int((~counted).sum())} of {len(drawn)} circuits{f': {why}' if why else ''}."


def _panel_title(class_id: int | None) -> str:
    return "mean of all" if class_id is None else f"class {class_id}"


def _draw_scores(panel: Axes, rows: pd.DataFrame, style: LineStyle, marker: Marker) -> None:
    for column, (_, colour) in _LINES.items():
        draw_by_round(panel, rows, str(column), colour, style=style, has_spread=False, width=1.3, marker=marker)
