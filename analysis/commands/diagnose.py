"""`diagnose`: one page on a round with heavy measures."""

import argparse
import json
import sys

from analysis.commands import EXIT_OK, Commands, add_run, new_command
from analysis.diagnosis import diagnose as diagnose_run
from analysis.diagnosis import diagnosis_data
from analysis.diagnosis_text import diagnosis_text
from analysis.run import load_run


def add(commands: Commands) -> None:
    """Describe the command."""
    parser = new_command(commands, "diagnose", "print one page on a round with heavy measures", diagnose)
    add_run(parser)
    parser.add_argument("--round", type=int, metavar="N", help="default: the newest with heavy measures")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="default: text")


def diagnose(options: argparse.Namespace) -> int:
    """Print the diagnosis of a round."""
    diagnosis = diagnose_run(load_run(options.run), options.round)
    as_text = options.format == "text"
    text = diagnosis_text(diagnosis) if as_text else json.dumps(diagnosis_data(diagnosis), indent=2) + "\n"
    sys.stdout.write(text)
    return EXIT_OK
