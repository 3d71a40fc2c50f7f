"""What `python -m analysis compare` does: reads, prints, writes tables and draws."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from analysis.collection import is_folder_of_runs
from analysis.comparison_files import write_tables
from analysis.comparison_text import comparison_data, comparison_text
from analysis.seed_study import SeedStudy, read_seed_study


def compare(
    paths: Sequence[Path], baseline: str | None, out: Path | None, image_format: str | None, *, is_json: bool
) -> Iterator[str]:
    """Compare runs and yield what to print, piece by piece.

    Args:
        paths: run directories and folders of them; see `collection.find_runs`.
        baseline: label of the experiment to compare with; None = the first with IID clients, or else the first.
        out: folder to write to; None = `comparison` in the folder of runs if there is one, or else here.
        image_format: png, svg or pdf; None = no figures.
        is_json: whether to print JSON instead of text.

    Raises:
        RunLogError: if there is nothing to compare, a run is damaged, there is no such baseline, or the folder
            cannot be written.
    """
    study = read_seed_study(paths, baseline)
    beside = paths[0] if len(paths) == 1 and is_folder_of_runs(paths[0]) else Path()
    results = _write(study, out or beside / "comparison", image_format)
    if is_json:
        yield json.dumps({**comparison_data(study), "files": list(results)}, indent=2) + "\n"
        return
    yield comparison_text(study) + "\n"
    for result in results:
        yield f"{result}\n"


def _write(study: SeedStudy, folder: Path, image_format: str | None) -> Iterator[str]:
    """Write tables and, if a format is given, figures; yield the path of each, or why it was skipped."""
    for path in write_tables(study, folder):
        yield str(path)
    if image_format is None:
        return
    from analysis.figures.comparison import save_comparison_figures  # noqa: PLC0415

    for saved in save_comparison_figures(study, folder, image_format):
        yield str(saved.path) if saved.path else f"skipped {saved.name}: {saved.reason}"
