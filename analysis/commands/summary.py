"""`summary`: one row of figures per round."""

import argparse

from analysis.commands import EXIT_OK, Commands, add_run, new_command
from analysis.commands.output import add_format, put, put_csv, put_json
from analysis.measures import round_measures
from analysis.summary import summary_data, summary_text
from fedcircuits.runlog.run import load_run


def add(commands: Commands) -> None:
    """Describe the command."""
    details = (
        "How did it go? Accuracy and collapsed classes of the global model, how large circuits are and how many can be "
        "used, how much they overlap across clients beside what chance gives, and what averaging costs them. Also who "
        "holds what, and which replies were set aside. An unfinished run is shown up to its last whole round."
    )
    examples = {
        "": "the newest run in ./runs",
        "runs/20260101T120000Z-digits-iid": "that run",
        "runs --format json": "with settings and holdings, for programs",
        "runs --format csv > rounds.csv": "one row per round, without abbreviations",
    }
    parser = new_command(commands, "summary", "print one row of figures per round", summary, details, examples)
    add_run(parser)
    add_format(parser, "text", "json", "csv")


def summary(options: argparse.Namespace) -> int:
    """Print the summary of a run."""
    run = load_run(options.run)
    if options.format == "json":
        put_json(summary_data(run))
    elif options.format == "csv":
        put_csv(round_measures(run).reset_index())
    else:
        put(summary_text(run))
    return EXIT_OK
