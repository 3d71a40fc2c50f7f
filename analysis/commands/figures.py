"""`figures`: every figure of a run, as files."""

import argparse
import sys
from pathlib import Path

from analysis.commands import EXIT_OK, Commands, add_run, new_command
from analysis.run import load_run
from fedcircuits.errors import RunLogError


def add(commands: Commands) -> None:
    """Describe the command."""
    parser = new_command(commands, "figures", "draw figures and print the paths written", figures)
    add_run(parser)
    parser.add_argument("--out", metavar="DIR", help="folder to write to; default: figures/ in the run directory")
    parser.add_argument("--format", choices=("png", "svg", "pdf"), default="png", help="default: png")
    sets = (
        "overview: what happened; paper: the figures of arXiv 2512.23043, into the subfolder paper; default: overview"
    )
    parser.add_argument("--set", choices=("overview", "paper", "all"), default="overview", help=sets)


def figures(options: argparse.Namespace) -> int:
    """Draw a set of figures."""
    run = load_run(options.run)
    if run.info["last_round"] == 0:
        raise RunLogError(f"{run.path.name} has no whole round to draw; its status is {run.info.get('status')}")
    # Drawing libraries take a second to load; the other commands do without.
    from analysis.figures import save_figures  # noqa: PLC0415

    folder = Path(options.out).expanduser() if options.out else run.path / "figures"
    for saved in save_figures(run, folder, options.format, options.set):
        sys.stdout.write(f"{saved.path}\n" if saved.path else f"skipped {saved.name}: {saved.reason}\n")
        sys.stdout.flush()
    return EXIT_OK
