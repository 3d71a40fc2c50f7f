"""`diagnose`: one page on a round with examinations."""

import argparse

from analysis.commands import EXIT_OK, Commands, add_run, new_command
from analysis.commands.output import add_format, put, put_json
from analysis.diagnosis import diagnose as diagnose_run
from analysis.diagnosis import diagnosis_data
from analysis.diagnosis.text import diagnosis_text
from fedcircuits.runlog.run import load_run


def add(commands: Commands) -> None:
    """Describe the command."""
    details = (
        "Can the circuits be believed? Seven questions, each with its numbers and a sentence: is the discovery valid, "
        "are circuits good, do clients agree, is it only relabelling, what does averaging do to circuits, where does "
        "the accuracy go, and what did measuring cost. Examinations are taken every examination-every rounds."
    )
    examples = {
        "": "the newest round with examinations of the newest run",
        "runs --round 6": "that round",
        "runs --format json": "every figure, unrounded",
    }
    parser = new_command(
        commands, "diagnose", "print one page on a round with examinations", diagnose, details, examples
    )
    add_run(parser)
    parser.add_argument("--round", type=int, metavar="N", help="default: the newest with examinations")
    add_format(parser, "text", "json")


def diagnose(options: argparse.Namespace) -> int:
    """Print the diagnosis of a round."""
    diagnosis = diagnose_run(load_run(options.run), options.round)
    if options.format == "json":
        put_json(diagnosis_data(diagnosis))
    else:
        put(diagnosis_text(diagnosis))
    return EXIT_OK
