"""Differences to the baseline over seeds."""

from typing import Final

from matplotlib.figure import FigureBase

from analysis.figures.compare_panels import draw_rows, label_comparison, row_figure, seed_handles
from analysis.figures.panels import put_legend
from analysis.seed_study import SeedStudy
from analysis.seeds import paired_differences
from analysis.style import BLUE, GREEN, GREY, ORANGE, RED, NothingToDrawError, themed

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
    figure, legend, panels = row_figure(labels, [title for title, _ in _MEASURES.values()])
    for panel, (measure, (_, colour)) in zip(panels, _MEASURES.items(), strict=True):
        values = {
            label: paired_differences(study.late_mean(label, measure), study.late_mean(base, measure))
            for label in labels
        }
        draw_rows(panel, values, colour, is_interval=True)
        panel.axvline(0, color=GREY, linewidth=1)
        reach = max(0.05, *(abs(end) for end in panel.get_xlim()))
        panel.set_xlim(-reach, reach)
    put_legend(legend, seed_handles("95 % interval"))
    caption = (
        f"Each point: a seed's value minus the same seed's in the baseline, {base}. A bar clear of 0 is a "
        "hint; bars are not corrected for their number (what may be said stands in the table), and one seed has none."
    )
    return label_comparison(figure, study, f"Differences to {base} over the second half of rounds", caption)
