"""Differences to the baseline over seeds."""

from typing import Final

import pandas as pd
from matplotlib.figure import FigureBase

from analysis.comparison.study import SeedStudy
from analysis.figures.compare_panels import draw_rows, label_comparison, row_figure, seed_handles
from analysis.figures.panels import put_legend
from analysis.figures.style import BLUE, GREEN, GREY, ORANGE, RED, NothingToDrawError, themed
from analysis.statistics.seeds import paired_differences

_MEASURES: Final = {
    "accuracy_trained": ("accuracy (trained)", ORANGE),
    "same_class_adjusted_iou": ("same class, adj.", BLUE),
    "different_class_adjusted_iou": ("diff. classes, adj.", RED),
    "sufficiency_transplant": ("transplant recall", GREEN),
    "drift_gap": ("drift gap", RED),
}


@themed
def differences(study: SeedStudy) -> FigureBase:
    """Draw how each experiment differs from the baseline, seed by seed, with the 95 % interval of the mean."""
    base = study.baseline.label
    seeds = set(study.baseline.seeds)
    labels = [one.label for one in study.experiments if one.label != base and seeds & set(one.seeds)]
    if not labels:
        raise NothingToDrawError("no other experiment has a seed in common with the baseline")
    found = {measure: _differences(study, measure, labels) for measure in _MEASURES}
    shown = [measure for measure in _MEASURES if not found[measure].isna().all(axis=None)]
    if not shown:
        raise NothingToDrawError("no experiment has a value where the baseline has one")
    figure, legend, panels = row_figure(labels, [_MEASURES[measure][0] for measure in shown])
    for panel, measure in zip(panels, shown, strict=True):
        draw_rows(panel, {label: found[measure][label] for label in labels}, _MEASURES[measure][1], is_interval=True)
        panel.axvline(0, color=GREY, linewidth=1)
        reach = max(0.05, *(abs(end) for end in panel.get_xlim()))
        panel.set_xlim(-reach, reach)
    put_legend(legend, seed_handles("95 % interval"))
    caption = (
        f"Each point: a seed's value minus the same seed's in the baseline, {base}. A bar clear of 0 is a "
        "hint; bars are not corrected for their number (what may be said stands in the table), and one seed has none."
    )
    caption += _left_out(study, labels, [title for measure, (title, _) in _MEASURES.items() if measure not in shown])
    return label_comparison(figure, study, f"Differences to {base} over the second half of rounds", caption)


def _differences(study: SeedStudy, measure: str, labels: list[str]) -> pd.DataFrame:
    """Return a measure minus that of the baseline, seeds as rows and experiments as columns."""
    base = study.late_mean(study.baseline.label, measure)
    return pd.DataFrame({label: paired_differences(study.late_mean(label, measure), base) for label in labels})


def _left_out(study: SeedStudy, labels: list[str], titles: list[str]) -> str:
    """Say which experiments and measures are not drawn, and why."""
    base = study.baseline.label
    others = [label for label in study.labels if label not in labels and label != base]
    without_seed = f" Without a seed in common with it: {', '.join(others)}." if others else ""
    without_value = f" Without a value in both of any two: {', '.join(titles)}." if titles else ""
    return without_seed + without_value
