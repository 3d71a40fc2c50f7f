"""Accuracy and collapsed classes against sparsity, beside the dense control."""

from collections.abc import Sequence
from typing import Final

import pandas as pd
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from analysis.comparison.study import SeedStudy
from analysis.comparison.tables import SparsityFamily, sparsity_families
from analysis.figures.compare_panels import PALETTE, label_comparison, seed_handles
from analysis.figures.panels import from_zero, line_handle, panel_grid, put_legend
from analysis.figures.style import GREY, NothingToDrawError, themed
from analysis.figures.styles import new_figure
from analysis.statistics.seeds import interval

_MEASURES: Final = {"accuracy": "accuracy, all classes (0–1)", "num_collapsed": "collapsed classes"}
_DENSITIES: Final = {"density": "o", "density_global": "^"}
"""Densities of a client's and of the global model, and their markers."""


@themed
def sparsity(study: SeedStudy) -> FigureBase:
    """Draw accuracy and collapsed classes against nominal sparsity and against effective density."""
    families = sparsity_families(study)
    if not families:
        raise NothingToDrawError("no two experiments differ in their sparsity only")
    figure = new_figure(height=6.4)
    titles = ["nominal sparsity", "effective density", "", ""]
    legend, panels = panel_grid(figure, titles, columns=2)
    levels = sorted({float(member.settings["sparsity"]) for family in families for member in family.members})
    for number, measure in enumerate(_MEASURES):
        nominal, effective = panels[2 * number : 2 * number + 2]
        for place, family in enumerate(families):
            colour = PALETTE[place % len(PALETTE)]
            shift = 0.16 * (place - (len(families) - 1) / 2)
            _draw_nominal(nominal, study, family, measure, colour, levels, shift)
            _draw_effective(effective, study, family, measure, colour)
        _limit(nominal, effective, study, measure)
        _label_axes(nominal, effective, levels, is_lowest=number == len(_MEASURES) - 1)
    put_legend(legend, _handles(families))
    without = [family.label for family in families if family.dense is None]
    note = f"No dense control among the runs: {', '.join(without)}. " if without else ""
    caption = (
        "Sparsity costs or spares something where the seeds leave the band of the dense control. What a run really "
        f"keeps can differ from the nominal sparsity, and averaging makes models denser: see the right side. {note}"
    )
    return label_comparison(figure, study, "Sparsity against the dense control", caption.strip())


def _draw_nominal(
    panel: Axes,
    study: SeedStudy,
    family: SparsityFamily,
    measure: str,
    colour: str,
    levels: Sequence[float],
    shift: float,
) -> None:
    """Draw a family over evenly spaced levels; nominal sparsities crowd at their upper end."""
    places = [levels.index(float(member.settings["sparsity"])) + shift for member in family.members]
    values = [study.late_mean(member.label, measure) for member in family.members]
    for place, own in zip(places, values, strict=True):
        _draw_points(panel, [place] * len(own), list(own), colour)
        found = interval(own)
        panel.errorbar(place, found.mean, found.sd if found.is_bounded else None, color=colour, elinewidth=1.4)
    panel.plot(places, [own.mean() for own in values], color=colour, marker="_", markersize=14, markeredgewidth=2)
    _draw_dense(panel, study, family, measure, colour)


def _draw_effective(panel: Axes, study: SeedStudy, family: SparsityFamily, measure: str, colour: str) -> None:
    """Draw every seed of a family at its own density, and a line through the means."""
    for density, marker in _DENSITIES.items():
        means = []
        for member in family.members:
            own, kept = study.late_mean(member.label, measure), study.late_mean(member.label, density)
            _draw_points(panel, list(kept), list(own), colour, marker)
            means.append((kept.mean(), own.mean()))
        style = "-" if density == "density" else ":"
        panel.plot(*zip(*means, strict=True), color=colour, linestyle=style, linewidth=1.4)
    _draw_dense(panel, study, family, measure, colour)


def _draw_points(panel: Axes, places: Sequence[float], values: Sequence[float], colour: str, marker: str = "o") -> None:
    options = {"s": 24, "alpha": 0.75, "edgecolor": "white", "zorder": 5}
    sns.scatterplot(x=places, y=values, color=colour, marker=marker, ax=panel, **options)


def _draw_dense(panel: Axes, study: SeedStudy, family: SparsityFamily, measure: str, colour: str) -> None:
    """Draw the dense control across the panel: its mean, and one standard deviation to each side."""
    if family.dense is None:
        return
    found = interval(study.late_mean(family.dense.label, measure))
    panel.axhline(found.mean, color=colour, linestyle="--", linewidth=1)
    if found.is_bounded:
        panel.axhspan(found.mean - found.sd, found.mean + found.sd, color=colour, alpha=0.13, linewidth=0)


def _limit(nominal: Axes, effective: Axes, study: SeedStudy, measure: str) -> None:
    is_count = measure == "num_collapsed"
    limits = from_zero(pd.concat(list(study.late_means(measure).values())), at_least=1) if is_count else (-0.03, 1.03)
    for panel in (nominal, effective):
        panel.set(ylim=limits, ylabel="")
    nominal.set_ylabel(_MEASURES[measure])


def _label_axes(nominal: Axes, effective: Axes, levels: Sequence[float], *, is_lowest: bool) -> None:
    nominal.set_xticks(range(len(levels)), ["dense" if level == 0 else f"{level:g}" for level in levels])
    nominal.set_xlim(-0.5, len(levels) - 0.5)
    effective.set_xscale("log")
    effective.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    effective.xaxis.set_major_formatter(FuncFormatter(lambda density, _: f"{density:g}"))
    effective.xaxis.set_minor_locator(NullLocator())
    effective.invert_xaxis()
    if is_lowest:
        nominal.set_xlabel("fraction of zeros asked for")
        effective.set_xlabel("fraction of weights kept (log scale), sparser to the right")


def _handles(families: Sequence[SparsityFamily]) -> list[Artist]:
    colours = [PALETTE[place % len(PALETTE)] for place in range(len(families))]
    markers = [
        line_handle("by density of client models", GREY, "-", marker="o"),
        line_handle("by density of the global model", GREY, ":", marker="^"),
    ]
    lines = [line_handle(family.label, colour, marker="") for family, colour in zip(families, colours, strict=True)]
    dense = line_handle("dense control ± standard deviation", GREY, "--", marker="")
    return [*lines, dense, *seed_handles()[:1], *markers]
