"""Figures of a run: each is a function from a run to a matplotlib figure, for notebooks and for `save_figures`."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

from analysis.figures.agreement import client_stability
from analysis.figures.alignment import matched_overlap
from analysis.figures.circuit_graph import circuit_graph_global, circuit_graph_local
from analysis.figures.circuits import circuit_quality, circuit_sizes, transplants
from analysis.figures.curves import faithfulness_curves
from analysis.figures.ladder import ladder
from analysis.figures.model import global_accuracy, who_holds_what
from analysis.figures.overlap import local_vs_global, overlap_across_clients, stability, weight_masks
from analysis.figures.pairs import class_overlap, client_pairs
from analysis.figures.paper_accuracy import cross_accuracy, drift_gap
from analysis.figures.paper_maps import global_class_overlap, pairwise_heat_map
from analysis.figures.paper_overlap import (
    consistency_across_clients,
    local_against_global,
    overlap_between_classes,
    stability_within_client,
)
from analysis.figures.patching import weight_patching
from analysis.figures.saving import SavedFigure, save_drawings, save_figure
from analysis.figures.style import Draw
from analysis.figures.validity import discovery_validity
from analysis.figures.weights import interference, supports
from analysis.formats import StyleName
from fedcircuits.errors import FedCircuitsError
from fedcircuits.runlog.run import Run

__all__ = [
    "FIGURES",
    "PAPER_FIGURES",
    "FigureSet",
    "SavedFigure",
    "circuit_graph_global",
    "circuit_graph_local",
    "circuit_quality",
    "circuit_sizes",
    "class_overlap",
    "client_pairs",
    "client_stability",
    "consistency_across_clients",
    "cross_accuracy",
    "discovery_validity",
    "drift_gap",
    "faithfulness_curves",
    "global_accuracy",
    "global_class_overlap",
    "interference",
    "ladder",
    "local_against_global",
    "local_vs_global",
    "matched_overlap",
    "overlap_across_clients",
    "overlap_between_classes",
    "pairwise_heat_map",
    "save_drawings",
    "save_figure",
    "save_figures",
    "stability",
    "stability_within_client",
    "supports",
    "transplants",
    "weight_masks",
    "weight_patching",
    "who_holds_what",
]

FigureSet = Literal["overview", "paper", "all"]

FIGURES: Final[dict[str, Draw[Run]]] = {
    "01-who-holds-what": who_holds_what,
    "02-global-accuracy": global_accuracy,
    "03-overlap-across-clients": overlap_across_clients,
    "04-local-vs-global": local_vs_global,
    "05-stability": stability,
    "06-class-overlap": class_overlap,
    "07-transplants": transplants,
    "08-circuit-sizes": circuit_sizes,
    "09-client-pairs": client_pairs,
    "10-circuit-quality": circuit_quality,
    "11-interference": interference,
    "12-supports": supports,
    "13-weight-masks": weight_masks,
    "14-ladder": ladder,
    "15-faithfulness-curves": faithfulness_curves,
    "16-stability": client_stability,
    "17-validity": discovery_validity,
    "18-alignment": matched_overlap,
    "19-patching": weight_patching,
}
"""The overview of a run: file name without its ending to the function that draws it."""

PAPER_FIGURES: Final[dict[str, Draw[Run]]] = {
    "paper/overlap-between-classes": overlap_between_classes,
    "paper/stability-within-client": stability_within_client,
    "paper/consistency-across-clients": consistency_across_clients,
    "paper/local-vs-global": local_against_global,
    "paper/pairwise-heat-map": pairwise_heat_map,
    "paper/class-overlap": global_class_overlap,
    "paper/cross-accuracy": cross_accuracy,
    "paper/drift-gap": drift_gap,
    "paper/circuit-graph-local": circuit_graph_local,
    "paper/circuit-graph-global": circuit_graph_global,
}
"""The figures of arXiv 2512.23043, under its authors' names, as `FIGURES`."""


def save_figures(
    run: Run,
    folder: Path,
    formats: Sequence[str] = ("png",),
    figure_set: FigureSet = "overview",
    style: StyleName = "screen",
    only: Sequence[str] = (),
) -> Iterator[SavedFigure]:
    """Draw and write every figure of a set, one at a time; a figure whose data was not logged is skipped.

    Args:
        run: the run.
        folder: where to; made if missing.
        formats: of png, svg and pdf; each figure is written in all of them.
        figure_set: `FIGURES`, `PAPER_FIGURES` or both.
        style: `screen` or `paper`; see `save_drawings`.
        only: names of `FIGURES` and `PAPER_FIGURES` to draw in place of a set.

    Raises:
        FedCircuitsError: if there is no figure of such a name.
        RunLogError: if the folder cannot be written.
    """
    every = FIGURES | PAPER_FIGURES
    chosen = _named(only, every) if only else {"overview": FIGURES, "paper": PAPER_FIGURES, "all": every}[figure_set]
    yield from save_drawings(chosen, run, folder, formats, style)


def _named(names: Sequence[str], every: Mapping[str, Draw[Run]]) -> dict[str, Draw[Run]]:
    """Return the figures of these names."""
    unknown = [name for name in names if name not in every]
    if unknown:
        raise FedCircuitsError(f"there is no figure {', '.join(unknown)}; there are {', '.join(every)}")
    return {name: every[name] for name in names}
