"""`compare`: experiments over seeds."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow

from analysis.commands import EXIT_OK, Commands, new_command
from analysis.commands.figure_options import add_figure_options, chosen_formats, written_paths
from analysis.commands.output import add_format, put, put_csv, put_json, remark
from analysis.runs.collection import is_folder_of_runs

if TYPE_CHECKING:
    from analysis.comparison.study import SeedStudy


def add(commands: Commands) -> None:
    """Describe the command."""
    purpose = "compare experiments over seeds: means, intervals, differences paired by seed, figures"
    details = (
        "Do experiments differ, or only their seeds? Runs with the same settings but for the seed are one experiment. "
        "A run directory counts as it is; of a folder only completed runs count, in a sweep those that its sweep.json "
        "lists. Tables are written as CSV files too; --format csv prints the means over seeds."
    )
    examples = {
        "": "all completed runs in ./runs, into runs/comparison",
        "runs/digits --baseline digits-iid": "differences to that experiment",
        "runs/A runs/B --tables-only": "two runs, without figures",
        "runs/digits --format json --tables-only | jq .trends": "for programs",
    }
    parser = new_command(commands, "compare", purpose, compare, details, examples)
    runs = "runs or folders of runs; default: runs"
    parser.add_argument("runs", nargs="*", default=["runs"], metavar="RUN", help=runs)
    parser.add_argument("--baseline", metavar="LABEL", help="experiment to compare with; default: the first IID one")
    out = "folder to write to; default: comparison/ in the one folder or here"
    parser.add_argument("--out", metavar="DIR", help=out)
    add_format(parser, "text", "json", "csv")
    add_figure_options(parser)
    parser.add_argument("--tables-only", action="store_true", help="write tables but draw no figures")


def compare(options: argparse.Namespace) -> int:
    """Read runs, print tables, and write them as files with the figures."""
    # Arrow's own pool keeps some 50 MB for a next time, and its tables become pandas' at once.
    pyarrow.set_memory_pool(pyarrow.system_memory_pool())
    # Statistics take a second to load; the other commands do without.
    from analysis.comparison.study import read_seed_study  # noqa: PLC0415
    from analysis.comparison.tables import interval_table, seed_intervals  # noqa: PLC0415
    from analysis.comparison.text import comparison_data, comparison_text  # noqa: PLC0415

    paths = [Path(path).expanduser() for path in options.runs]
    study = read_seed_study(paths, options.baseline)
    beside = paths[0] if len(paths) == 1 and is_folder_of_runs(paths[0]) else Path()
    out = Path(options.out).expanduser() if options.out else beside / "comparison"
    if options.format == "text":
        put(comparison_text(study) + "\n")
    written = []
    for path in _write(study, out, options):
        written.append(str(path))
        if options.format == "text":
            put(f"{path}\n")
    if options.format == "json":
        put_json({**comparison_data(study), "files": written})
    elif options.format == "csv":
        put_csv(interval_table(seed_intervals(study)))
        remark(f"more tables in {out}")
    return EXIT_OK


def _write(study: "SeedStudy", folder: Path, options: argparse.Namespace) -> Iterator[Path]:
    """Write tables and, unless they are not wanted, figures; yield the path of each, and remark on those skipped."""
    from analysis.comparison.files import write_tables  # noqa: PLC0415

    yield from write_tables(study, folder)
    if options.tables_only:
        return
    from analysis.figures.comparison import save_comparison_figures  # noqa: PLC0415

    yield from written_paths(save_comparison_figures(study, folder, chosen_formats(options), options.style))
