"""Figures of accuracy over seeds: at the last round and by round."""

from typing import Final

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures.compare_panels import (
    draw_rows,
    draw_seeds_by_round,
    experiment_styles,
    label_comparison,
    row_figure,
    seed_handles,
    thin_handle,
)
from analysis.figures.panels import fraction_axis, from_zero, line_handle, panel_grid, put_legend, round_axis
from analysis.seed_study import SeedStudy
from analysis.style import BLUE, ORANGE, RED, NothingToDrawError, new_figure, themed

_PANELS: Final = {
    "accuracy": ("accuracy, all classes (0–1)", ORANGE),
    "accuracy_trained": ("accuracy, trained classes (0–1)", BLUE),
    "num_collapsed": ("collapsed classes", RED),
}


@themed
def last_accuracy(study: SeedStudy) -> Figure:
    """Draw accuracy and collapsed classes of every seed at the last round."""
    _require_accuracy(study)
    figure, legend, panels = row_figure(study.labels, [title for title, _ in _PANELS.values()])
    for panel, (measure, (_, colour)) in zip(panels, _PANELS.items(), strict=True):
        draw_rows(panel, study.all_at_last(measure), colour)
        panel.set_xlim(-0.03, 1.03)
    panels[2].set_xlim(*_count_limits(study))
    put_legend(legend, seed_handles())
    caption = (
        "Experiments differ where their seeds lie apart, not where single seeds do. Trained: classes that any client "
        "holds. Collapsed: trained on, but recognised in less than 5 % of their images."
    )
    return label_comparison(figure, study, "The global model at the last round", caption)


@themed
def accuracy_by_round(study: SeedStudy) -> Figure:
    """Draw accuracy and collapsed classes of every seed by round."""
    _require_accuracy(study)
    figure = new_figure(height=4.2 + 0.1 * len(study.labels))
    legend, panels = panel_grid(figure, [title for title, _ in _PANELS.values()])
    styles = experiment_styles(study)
    for panel, measure in zip(panels, _PANELS, strict=True):
        for label, (colour, style) in styles.items():
            draw_seeds_by_round(panel, study.of(label), measure, colour, style=style)
        round_axis(panel, list(study.values["round"]))
        fraction_axis(panel)
    panels[2].set_ylim(*from_zero(study.values["num_collapsed"], at_least=1))
    put_legend(legend, [*(line_handle(label, *style) for label, style in styles.items()), thin_handle()])
    caption = (
        "Thick: mean over seeds; thin: every seed. Lines that still rise at the end had too few rounds to compare."
    )
    return label_comparison(figure, study, "The global model by round", caption)


def _count_limits(study: SeedStudy) -> tuple[float, float]:
    return from_zero(pd.concat(list(study.all_at_last("num_collapsed").values())), at_least=1)


def _require_accuracy(study: SeedStudy) -> None:
    if study.values["accuracy"].isna().all():
        raise NothingToDrawError("no accuracy of a global model was logged")
