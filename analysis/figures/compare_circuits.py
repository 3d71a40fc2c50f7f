"""Figures of circuits over seeds: how large they are, and what averaging does to their function."""

from collections.abc import Mapping
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import FigureBase

from analysis.comparison.study import SeedStudy
from analysis.figures.compare_panels import (
    draw_rows,
    draw_seeds_by_round,
    experiment_figure,
    label_comparison,
    row_figure,
    seed_handles,
    thin_handle,
)
from analysis.figures.panels import draw_by_round, is_leftmost, line_handle, put_legend
from analysis.figures.style import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, NothingToDrawError, themed

_SIZES: Final = {
    "circuit_size": ("client models", BLUE),
    "circuit_size_global": ("global model, clients' data", ORANGE),
    "circuit_size_server": ("global model, server's data", PURPLE),
}
_RECALLS: Final = {
    "sufficiency_client": ("local circuit, local weights", BLUE),
    "sufficiency_transplant": ("local circuit, global weights", GREEN),
    "sufficiency_global": ("global model's own circuit", ORANGE),
}
_FALSE_POSITIVES: Final = {
    "false_positive_rate": _RECALLS["sufficiency_client"],
    "false_positive_rate_transplant": _RECALLS["sufficiency_transplant"],
}
_GAP: Final = {"drift_gap": ("drift gap: global circuit minus local one, global weights", RED)}
"""Measures to their labels and colours."""


@themed
def circuit_sizes_by_round(study: SeedStudy) -> FigureBase:
    """Draw the channels of client and global circuits by round, a panel for each experiment."""
    figure, legend, panels = experiment_figure(study, list(_SIZES))
    width = float(study.values["num_channels"].max())
    for label, panel in panels.items():
        own = study.of(label)
        for measure, (_, colour) in _SIZES.items():
            draw_seeds_by_round(panel, own, measure, colour)
        draw_by_round(panel, own, "num_channels", GREY, style="--", has_spread=False)
        panel.set(ylim=(-0.03 * width, 1.06 * width), ylabel="channels" if is_leftmost(panel) else "")
    lines = [line_handle(label, colour) for label, colour in _SIZES.values()]
    put_legend(legend, [*lines, line_handle("channels of the model", GREY, "--", marker=""), thin_handle()])
    caption = (
        "All circuits, usable or not, layers summed. Sizes that grow or shrink move the IoU by themselves: compare "
        "overlaps with chance. Thick: mean over seeds."
    )
    return label_comparison(figure, study, "Sizes of circuits by round", caption, _SIZES)


@themed
def late_transplants(study: SeedStudy) -> FigureBase:
    """Draw recall and false positives of local circuits, and the drift gap, over late rounds."""
    if study.values["sufficiency_transplant"].isna().all():
        raise NothingToDrawError("no transplant was logged")
    titles = ["recall, circuit alone", "false positives, circuit alone", "drift gap in recall"]
    figure, legend, (recall, alarms, gap) = row_figure(study.labels, titles, 3)
    _draw_kinds(recall, study, _RECALLS)
    _draw_kinds(alarms, study, _FALSE_POSITIVES)
    _draw_kinds(gap, study, _GAP)
    for panel in (recall, alarms):
        panel.set_xlim(-0.03, 1.03)
    # Never so close that noise looks like a gap.
    gap.set_xlim(min(-0.1, gap.get_xlim()[0]), max(0.25, gap.get_xlim()[1]))
    gap.axvline(0, color=GREY, linewidth=1)
    lines = [line_handle(label, colour, marker="") for label, colour in (_RECALLS | _GAP).values()]
    put_legend(legend, [*lines, *seed_handles()])
    caption = (
        "Averaging keeps local circuits where they are as good on the global weights (green) as on their own (blue), "
        "in recall and in false positives. A gap above 0: the global model does the class through other channels; 0 is "
        "good only where green is high."
    )
    return label_comparison(figure, study, "Local circuits on the global weights, second half of rounds", caption)


@themed
def transplants_by_round(study: SeedStudy) -> FigureBase:
    """Draw recall and false positives of local circuits, and the drift gap, by round, a panel for each experiment."""
    measures = _RECALLS | _GAP
    figure, legend, panels = experiment_figure(study, ["sufficiency_transplant"])
    for label, panel in panels.items():
        own = study.of(label)
        panel.axhline(0, color=GREY, linewidth=1)
        for measure, (_, colour) in measures.items():
            draw_seeds_by_round(panel, own, measure, colour)
        for measure, (_, colour) in _FALSE_POSITIVES.items():
            draw_seeds_by_round(panel, own, measure, colour, style=":", has_seeds=False)
        low = min(0.0, float(own["drift_gap"].min()))
        panel.set(ylim=(1.1 * low - 0.03, 1.03), ylabel="rate, gap" if is_leftmost(panel) else "")
    lines = [line_handle(label, colour) for label, colour in measures.values()]
    put_legend(legend, [*lines, line_handle("false positives", GREY, ":"), thin_handle()])
    caption = (
        "Recall of a class (solid) and false positives (dotted) with only its circuit on. Green below blue: the local "
        "circuit works less well on the averaged weights. A gap that closes while green is high: averaging comes to "
        "keep it. Thick: mean over seeds."
    )
    return label_comparison(figure, study, "Local circuits on the global weights by round", caption)


def _draw_kinds(panel: Axes, study: SeedStudy, measures: Mapping[str, tuple[str, str]]) -> None:
    for kind, (measure, (_, colour)) in enumerate(measures.items()):
        draw_rows(panel, study.late_means(measure), colour, kind, len(measures))
