"""`figures`: every figure of a run, as files."""

import argparse
from pathlib import Path

from analysis.commands import EXIT_ERROR, EXIT_OK, Commands, add_run, new_command
from analysis.commands.figure_options import add_figure_options, chosen_formats, written_paths
from analysis.commands.output import put
from fedcircuits.errors import RunLogError
from fedcircuits.runlog.run import load_run


def add(commands: Commands) -> None:
    """Describe the command."""
    details = (
        "What does it look like? Accuracy, overlap by round and layer, heat maps of classes and clients, circuits, "
        "weights, and the examinations where there are any; each with a caption that says what to look for. A figure "
        "whose data was not logged is skipped, saying why."
    )
    examples = {
        "": "into figures/ in the newest run's directory",
        "runs --set paper": "the ten figures of arXiv 2512.23043",
        "runs --only paper/drift-gap 14-ladder": "two figures",
        "runs --out plots --as png svg pdf": "each figure three times",
        "runs --set all --style paper --out tex/plots": "PDFs for a two-column page",
    }
    parser = new_command(commands, "figures", "draw figures and print the paths written", figures, details, examples)
    add_run(parser)
    parser.add_argument("--out", metavar="DIR", help="folder to write to; default: figures/ in the run directory")
    sets = (
        "overview: what happened; paper: the figures of arXiv 2512.23043, into the subfolder paper; default: overview"
    )
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--set", choices=("overview", "paper", "all"), default="overview", help=sets)
    only = "these alone, named as their files, such as paper/drift-gap, and an error if one cannot be; put RUN before"
    choice.add_argument("--only", nargs="+", default=[], metavar="NAME", help=only)
    add_figure_options(parser)


def figures(options: argparse.Namespace) -> int:
    """Draw a set of figures."""
    run = load_run(options.run)
    if run.info["last_round"] == 0:
        raise RunLogError(f"{run.path.name} has no whole round to draw; its status is {run.info.get('status')}")
    # Drawing libraries take a second to load; the other commands do without.
    from analysis.figures import save_figures  # noqa: PLC0415

    folder = Path(options.out).expanduser() if options.out else run.path / "figures"
    saved = save_figures(run, folder, chosen_formats(options), options.set, options.style, options.only)
    written = set()
    for path in written_paths(saved):
        put(f"{path}\n")
        written.add(path.relative_to(folder).with_suffix("").as_posix())
    return EXIT_OK if written.issuperset(options.only) else EXIT_ERROR
