"""Figures of a run: each is a function from a run to a matplotlib figure, for notebooks and for `save_figures`."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from matplotlib.figure import Figure

from analysis.figures.circuits import circuit_quality, circuit_sizes, transplants
from analysis.figures.model import global_accuracy, who_holds_what
from analysis.figures.overlap import local_vs_global, overlap_across_clients, stability, weight_masks
from analysis.figures.pairs import class_overlap, client_pairs
from analysis.figures.weights import interference, supports
from analysis.run import Run
from analysis.style import DPI, Draw, NothingToDrawError, Subject
from fedcircuits.errors import RunLogError

FIGURES: Final[dict[str, Draw]] = {
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
}
"""File name without its ending to the function that draws it."""


@dataclass(frozen=True)
class SavedFigure:
    """What became of one figure.

    Args:
        name: its key in `FIGURES`.
        path: the file written; None if it was skipped.
        reason: why it was skipped; None if it was written.
    """

    name: str
    path: Path | None
    reason: str | None


def save_figures(run: Run, folder: Path, image_format: str = "png") -> Iterator[SavedFigure]:
    """Draw and write every figure, one at a time; a figure whose data was not logged is skipped.

    Args:
        run: the run.
        folder: where to; made if missing.
        image_format: png, svg or pdf.

    Raises:
        RunLogError: if the folder cannot be written.
    """
    yield from save_drawings(FIGURES, run, folder, image_format)


def save_drawings(
    drawings: Mapping[str, Callable[[Subject], Figure]], subject: Subject, folder: Path, image_format: str
) -> Iterator[SavedFigure]:
    """Draw and write figures of a subject, as `save_figures` does of a run.

    Args:
        drawings: file name without its ending to the function that draws it.
        subject: what is drawn.
        folder: where to; made if missing.
        image_format: png, svg or pdf.

    Raises:
        RunLogError: if the folder cannot be written.
    """
    for name, draw in drawings.items():
        try:
            yield SavedFigure(name, _save(draw(subject), folder / f"{name}.{image_format}"), None)
        except NothingToDrawError as error:
            yield SavedFigure(name, None, str(error))
        except OSError as error:
            raise RunLogError(f"cannot write figures to {folder}: {error}") from error


def _save(figure: Figure, path: Path) -> Path:
    """Write a figure beside its place and rename it, so that no viewer sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        figure.savefig(temporary, dpi=DPI, format=path.suffix.removeprefix("."))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path
