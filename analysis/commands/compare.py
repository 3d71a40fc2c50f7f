"""`compare`: experiments over seeds."""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.collection import is_folder_of_runs
from analysis.commands import EXIT_OK, Commands, new_command

if TYPE_CHECKING:
    from analysis.seed_study import SeedStudy


def add(commands: Commands) -> None:
    """Describe the command."""
    purpose = "compare experiments over seeds: means, intervals, differences paired by seed, figures"
    details = (
        "Runs with the same settings but for the seed are one experiment. A run directory counts as it is; of a folder "
        "only completed runs count, in a sweep those that its sweep.json lists."
    )
    parser = new_command(commands, "compare", purpose, compare, details)
    runs = "runs or folders of runs; default: runs"
    parser.add_argument("runs", nargs="*", default=["runs"], metavar="RUN", help=runs)
    parser.add_argument("--baseline", metavar="LABEL", help="experiment to compare with; default: the first IID one")
    out = "folder to write to; default: comparison/ in the one folder or here"
    parser.add_argument("--out", metavar="DIR", help=out)
    parser.add_argument("--format", choices=("text", "json"), default="text", help="of what is printed; default: text")
    parser.add_argument("--figure-format", choices=("png", "svg", "pdf"), default="png", help="default: png")
    parser.add_argument("--tables-only", action="store_true", help="write tables but draw no figures")


def compare(options: argparse.Namespace) -> int:
    """Read runs, print tables, and write them as files with the figures."""
    # Statistics take a second to load; the other commands do without.
    from analysis.comparison_text import comparison_data, comparison_text  # noqa: PLC0415
    from analysis.seed_study import read_seed_study  # noqa: PLC0415

    paths = [Path(path).expanduser() for path in options.runs]
    study = read_seed_study(paths, options.baseline)
    beside = paths[0] if len(paths) == 1 and is_folder_of_runs(paths[0]) else Path()
    out = Path(options.out).expanduser() if options.out else beside / "comparison"
    results = _write(study, out, None if options.tables_only else options.figure_format)
    if options.format == "json":
        sys.stdout.write(json.dumps({**comparison_data(study), "files": list(results)}, indent=2) + "\n")
        return EXIT_OK
    sys.stdout.write(comparison_text(study) + "\n")
    for result in results:
        sys.stdout.write(f"{result}\n")
        sys.stdout.flush()
    return EXIT_OK


def _write(study: "SeedStudy", folder: Path, image_format: str | None) -> Iterator[str]:
    """Write tables and, if a format is given, figures; yield the path of each, or why it was skipped."""
    from analysis.comparison_files import write_tables  # noqa: PLC0415

    for path in write_tables(study, folder):
        yield str(path)
    if image_format is None:
        return
    from analysis.figures.comparison import save_comparison_figures  # noqa: PLC0415

    for saved in save_comparison_figures(study, folder, image_format):
        yield str(saved.path) if saved.path else f"skipped {saved.name}: {saved.reason}"
