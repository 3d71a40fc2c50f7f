"""`summary`: one row of figures per round."""

import argparse
import json
import sys

from analysis.commands import EXIT_OK, Commands, add_run, new_command
from analysis.run import load_run
from analysis.summary import summary_data, summary_text


def add(commands: Commands) -> None:
    """Describe the command."""
    parser = new_command(commands, "summary", "print one row of figures per round", summary)
    add_run(parser)
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: text")


def summary(options: argparse.Namespace) -> int:
    """Print the summary of a run."""
    run = load_run(options.run)
    text = summary_text(run) if options.format == "text" else json.dumps(summary_data(run), indent=2) + "\n"
    sys.stdout.write(text)
    return EXIT_OK
