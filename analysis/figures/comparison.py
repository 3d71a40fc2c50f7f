"""The figures of a comparison: each is a function from experiments over seeds to a matplotlib figure."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from analysis.comparison.study import SeedStudy
from analysis.figures.compare_accuracy import accuracy_by_round, late_accuracy
from analysis.figures.compare_circuits import circuit_sizes_by_round, late_transplants, transplants_by_round
from analysis.figures.compare_differences import differences
from analysis.figures.compare_overlap import (
    adjusted_overlap_by_round,
    late_overlap,
    overlap_by_round,
    shared_against_distinct,
)
from analysis.figures.compare_sparsity import sparsity
from analysis.figures.saving import SavedFigure, save_drawings
from analysis.figures.style import Draw
from analysis.formats import StyleName

COMPARISON_FIGURES: Final[dict[str, Draw[SeedStudy]]] = {
    "01-accuracy": late_accuracy,
    "02-accuracy-by-round": accuracy_by_round,
    "03-sparsity": sparsity,
    "04-overlap": late_overlap,
    "05-overlap-by-round": adjusted_overlap_by_round,
    "06-overlap-beside-chance": overlap_by_round,
    "07-shared-class": shared_against_distinct,
    "08-circuit-sizes-by-round": circuit_sizes_by_round,
    "09-transplants": late_transplants,
    "10-transplants-by-round": transplants_by_round,
    "11-differences": differences,
}
"""File name without its ending to the function that draws it."""


def save_comparison_figures(
    study: SeedStudy, folder: Path, formats: Sequence[str] = ("png",), style: StyleName = "screen"
) -> Iterator[SavedFigure]:
    """Draw and write every figure, one at a time; a figure whose data was not logged is skipped.

    Args:
        study: the experiments.
        folder: where to; made if missing.
        formats: of png, svg and pdf; each figure is written in all of them.
        style: `screen` or `paper`; see `save_drawings`.

    Raises:
        RunLogError: if the folder cannot be written.
    """
    yield from save_drawings(COMPARISON_FIGURES, study, folder, formats, style)
