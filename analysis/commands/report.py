"""`report`: one HTML file about one run or several."""

import argparse
from pathlib import Path

from analysis.commands import EXIT_OK, Commands, new_command
from analysis.commands.output import STDOUT, put
from fedcircuits.errors import RunLogError
from fedcircuits.runlog.run import load_run


def add(commands: Commands) -> None:
    """Describe the command."""
    purpose = "write one HTML file about a run, or several, that opens offline, and print its path"
    details = "A folder of runs stands for its newest; name several to have them side by side."
    examples = {
        "": "report.html in the newest run's directory",
        "runs/A runs/B --out both.html": "two runs, a tab for each and one for both",
    }
    parser = new_command(commands, "report", purpose, report, details, examples)
    parser.add_argument("runs", nargs="*", default=["runs"], metavar="RUN", help="default: runs")
    out = "file to write, or - to print; default: report.html in the run directory, or here if there are several"
    parser.add_argument("--out", metavar="FILE", help=out)


def report(options: argparse.Namespace) -> int:
    """Write the page."""
    # Templates and tables take a second to load; the other commands do without.
    from analysis.report.page import render, write_report  # noqa: PLC0415

    by_path = {run.path.resolve(): run for run in map(load_run, options.runs)}
    runs = list(by_path.values())
    if options.out == STDOUT:
        put(render(runs))
        return EXIT_OK
    default = (runs[0].path if len(runs) == 1 else Path()) / "report.html"
    path = Path(options.out).expanduser() if options.out else default
    try:
        write_report(runs, path)
    except OSError as error:
        raise RunLogError(f"{path} cannot be written: {error.strerror}") from error
    put(f"{path}\n")
    return EXIT_OK
