"""Figures of overlap over seeds, always against chance: across clients, and of shared against distinct classes."""

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase

from analysis.comparison.study import SeedStudy
from analysis.comparison.tables import AGAINST_CHANCE
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
from analysis.figures.style import BLUE, GREY, PURPLE, RED, NothingToDrawError, themed
from analysis.measures.by_seed import OVERLAP
from analysis.statistics.seeds import paired_differences
from analysis.text.words import RETEST

_KINDS: Final = {
    "same_class": ("same class", BLUE),
    "different_class": ("different classes", RED),
    "retest": ("retest", GREY),
}
_SHARED: Final = {"same_class": ("shared classes, two clients", BLUE), "distinct_class": ("distinct classes", RED)}
"""Kinds of pairs to their labels and colours."""

_ACROSS: Final = ("same_class_iou", "different_class_iou")


@themed
def late_overlap(study: SeedStudy) -> FigureBase:
    """Draw the overlap of every seed over late rounds, for the same class and for different classes."""
    if study.values[list(_ACROSS)].isna().all(axis=None):
        raise NothingToDrawError("no pairs of usable circuits of two clients were logged")
    late = pd.concat(list(study.late.values()))
    titles = {name: OVERLAP[name] for name in ("adjusted_iou", "common_adjusted_iou", "iou")}
    figure, legend, panels = row_figure(study.labels, list(titles.values()), len(_KINDS))
    for panel, figure_name in zip(panels, titles, strict=True):
        for kind, (pair, (_, colour)) in enumerate(_KINDS.items()):
            draw_rows(panel, study.late_means(f"{pair}_{figure_name}"), colour, kind, len(_KINDS))
            if figure_name == "iou" and pair != "retest":
                _draw_chance(panel, study, pair, kind)
        if figure_name != "iou":
            panel.axvline(0, color=GREY, linewidth=1)
        panel.set_xlim(_lowest(late) if figure_name != "iou" else -0.03, 1.05)
    kinds = [line_handle(label, colour, marker="") for label, colour in _KINDS.values()]
    chance = line_handle("chance, same sizes (right)", GREY, ":", marker="")
    put_legend(legend, [*kinds, *seed_handles(), chance])
    caption = (
        "Circuits follow the class where the same class lies right of different classes: adjusted IoU is 0 at chance, "
        f"1 for equal circuits. Retest: {RETEST}. Common: within the channels that both models "
        "reach; only where this lies below 0 too do circuits avoid each other."
    )
    return label_comparison(
        figure, study, "Overlap of circuits across clients, second half of rounds", caption, _ACROSS
    )


@themed
def adjusted_overlap_by_round(study: SeedStudy) -> FigureBase:
    """Draw the adjusted overlap of every seed by round, a panel for each experiment."""
    measures = {f"{pair}_adjusted_iou": colour for pair, (_, colour) in _KINDS.items()}
    figure, legend, panels = experiment_figure(study, list(measures))
    for label, panel in panels.items():
        own = study.of(label)
        panel.axhline(0, color=GREY, linewidth=1)
        for measure, colour in measures.items():
            draw_seeds_by_round(panel, own, measure, colour)
        panel.set(ylim=(_lowest(study.values), 1.05), ylabel="adjusted IoU" if is_leftmost(panel) else "")
    put_legend(legend, [*(line_handle(label, colour) for label, colour in _KINDS.values()), thin_handle()])
    caption = (
        "0 = chance, 1 = equal circuits. Clients agree on a canonical circuit where the same class rises to the "
        "retest and different classes stay at 0. Thick: mean over seeds."
    )
    return label_comparison(figure, study, "Overlap across clients by round, adjusted for chance", caption, measures)


@themed
def overlap_by_round(study: SeedStudy) -> FigureBase:
    """Draw the overlap of every seed by round beside what chance gives, a panel for each experiment."""
    figure, legend, panels = experiment_figure(study, _ACROSS)
    for label, panel in panels.items():
        own = study.of(label)
        for pair, (_, colour) in _KINDS.items():
            draw_seeds_by_round(panel, own, f"{pair}_iou", colour)
            if pair != "retest":
                draw_by_round(panel, own, f"{pair}_expected_iou", colour, style="--", has_spread=False)
        panel.set(ylim=(-0.03, 1.03), ylabel="IoU (0–1)" if is_leftmost(panel) else "")
    kinds = [line_handle(label, colour) for label, colour in _KINDS.values()]
    put_legend(legend, [*kinds, line_handle("chance, same sizes", GREY, "--", marker=""), thin_handle()])
    caption = (
        "A line says something only by its distance from its own chance (dashed): larger circuits overlap more by "
        "themselves. Thick: mean over seeds."
    )
    return label_comparison(figure, study, "Overlap across clients by round, beside chance", caption, _ACROSS)


@themed
def shared_against_distinct(study: SeedStudy) -> FigureBase:
    """Draw the overlap of shared classes beside that of distinct ones within the same runs, and their difference."""
    labels = [label for label in study.labels if study.late_mean(label, "distinct_class_iou").notna().any()]
    if not labels:
        raise NothingToDrawError("no experiment has classes that clients share beside classes that they do not")
    titles = [*(OVERLAP[name] for name in AGAINST_CHANCE), "difference (common), paired"]
    figure, legend, panels = row_figure(labels, titles, len(_SHARED))
    for panel, name in zip(panels, AGAINST_CHANCE, strict=False):
        for kind, (pair, (_, colour)) in enumerate(_SHARED.items()):
            values = {label: study.late_mean(label, f"{pair}_{name}") for label in labels}
            draw_rows(panel, values, colour, kind, len(_SHARED))
    shared, distinct = (f"{pair}_{AGAINST_CHANCE[-1]}" for pair in _SHARED)
    late = pd.concat([study.late[label] for label in labels])
    gaps = {
        label: paired_differences(study.late_mean(label, shared), study.late_mean(label, distinct)) for label in labels
    }
    draw_rows(panels[-1], gaps, PURPLE, is_interval=True)
    for panel in panels:
        panel.axvline(0, color=GREY, linewidth=1)
        panel.set_xlim(_lowest(late), 1.05)
    kinds = [line_handle(label, colour, marker="") for label, colour in _SHARED.values()]
    gap = line_handle("difference, bar: 95 % interval", PURPLE, marker="")
    put_legend(legend, [*kinds, gap, *seed_handles()])
    caption = (
        "Clients hold one or more classes in common and others alone. Training finds a common circuit for a shared "
        "class, whatever else a client holds, where it lies right of distinct classes and the difference right of 0."
    )
    return label_comparison(figure, study, "Shared class against distinct classes, second half of rounds", caption)


def _draw_chance(panel: Axes, study: SeedStudy, pair: str, kind: int) -> None:
    """Draw the mean chance of each experiment as a dotted mark in the row of its pairs."""
    share = 0.8 / len(_KINDS)
    for row, values in enumerate(study.late_means(f"{pair}_expected_iou").values()):
        middle = row - 0.4 + (kind + 0.5) * share
        ends = (middle - share / 2, middle + share / 2)
        panel.vlines(values.mean(), *ends, color=_KINDS[pair][1], linestyles=":", linewidth=2)


def _lowest(values: pd.DataFrame) -> float:
    """Return the lower limit of axes of adjusted IoU, whose values below 0 depend on the sizes of circuits."""
    drawn = [f"{pair}_{figure}" for pair in (*_KINDS, *_SHARED) for figure in AGAINST_CHANCE]
    return min(-0.2, 1.1 * float(np.nanmin(values[drawn].to_numpy(dtype="float64"), initial=0.0)))
