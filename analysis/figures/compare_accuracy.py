"""Figures of accuracy over seeds: over the second half of rounds, and by round."""

from collections.abc import Sequence
from typing import Final

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase

from analysis.comparison.study import SeedStudy
from analysis.figures.compare_panels import (
    Styles,
    draw_rows,
    draw_seeds_by_round,
    experiment_styles,
    label_comparison,
    row_figure,
    seed_handles,
    thin_handle,
)
from analysis.figures.panels import fraction_axis, from_zero, line_handle, panel_grid, put_legend, round_axis
from analysis.figures.style import BLUE, ORANGE, RED, NothingToDrawError, themed
from analysis.figures.styles import new_figure

_PANELS: Final = {
    "accuracy": ("accuracy, all classes (0–1)", ORANGE),
    "accuracy_trained": ("accuracy, trained classes (0–1)", BLUE),
    "num_collapsed": ("collapsed classes", RED),
}


@themed
def late_accuracy(study: SeedStudy) -> FigureBase:
    """Draw accuracy and collapsed classes of every seed over the second half of rounds."""
    _require_accuracy(study)
    figure, legend, panels = row_figure(study.labels, [title for title, _ in _PANELS.values()])
    for panel, (measure, (_, colour)) in zip(panels, _PANELS.items(), strict=True):
        draw_rows(panel, study.late_means(measure), colour)
        panel.set_xlim(-0.03, 1.03)
    panels[2].set_xlim(*_count_limits(study))
    put_legend(legend, seed_handles())
    caption = (
        "Experiments differ where their seeds lie apart, not where single seeds do. Trained: classes that any client "
        "holds. Collapsed: trained on, but recognised in less than 5 % of their images."
    )
    return label_comparison(figure, study, "The global model, second half of rounds", caption)


@themed
def accuracy_by_round(study: SeedStudy) -> FigureBase:
    """Draw accuracy and collapsed classes of every seed by round, a row of panels for each length of experiments."""
    _require_accuracy(study)
    lengths = sorted({experiment.last_round for experiment in study.experiments})
    figure = new_figure(height=1.6 + 2.6 * len(lengths) + 0.1 * len(study.labels))
    titles = [title for title, _ in _PANELS.values()] + [""] * len(_PANELS) * (len(lengths) - 1)
    legend, panels = panel_grid(figure, titles, columns=len(_PANELS))
    styles = experiment_styles(study)
    for place, length in enumerate(lengths):
        own = [experiment.label for experiment in study.experiments if experiment.last_round == length]
        row = panels[place * len(_PANELS) : (place + 1) * len(_PANELS)]
        _draw_lines(row, study, {label: styles[label] for label in own}, length)
        if len(lengths) > 1:
            row[0].set_ylabel(f"experiments up to round {length}")
    put_legend(legend, [*(line_handle(label, *style) for label, style in styles.items()), thin_handle()])
    caption = (
        "Thick: mean over seeds; thin: every seed. Lines that still rise at the end had too few rounds to compare."
    )
    return label_comparison(figure, study, "The global model by round", caption)


def _draw_lines(row: Sequence[Axes], study: SeedStudy, styles: Styles, length: int) -> None:
    for panel, measure in zip(row, _PANELS, strict=True):
        for label, (colour, style) in styles.items():
            draw_seeds_by_round(panel, study.of(label), measure, colour, style=style)
        round_axis(panel, range(1, length + 1))
        fraction_axis(panel)
    row[-1].set_ylim(*from_zero(study.values["num_collapsed"], at_least=1))


def _count_limits(study: SeedStudy) -> tuple[float, float]:
    return from_zero(pd.concat(list(study.late_means("num_collapsed").values())), at_least=1)


def _require_accuracy(study: SeedStudy) -> None:
    if study.values["accuracy"].isna().all():
        raise NothingToDrawError("no accuracy of a global model was logged")
