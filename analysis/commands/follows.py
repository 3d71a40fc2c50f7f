"""`follows`: what the overlap of circuits follows, class or client."""

import argparse
import sys

from analysis.commands import EXIT_OK, Commands, add_run, new_command
from analysis.overlap_regression import NUM_PERMUTATIONS, regress_overlap
from analysis.overlap_regression_text import regression_text
from analysis.run import load_run
from fedcircuits.records import ALL_LAYERS


def add(commands: Commands) -> None:
    """Describe the command."""
    purpose = "say whether overlap follows class, client, what clients hold, or the round"
    details = "A regression of phi over all pairs of usable client circuits; p-values from permutations of the labels."
    parser = new_command(commands, "follows", purpose, follows, details)
    add_run(parser)
    parser.add_argument("--layer", default=ALL_LAYERS, metavar="LAYER", help="a convolution; default: all, pooled")
    parser.add_argument("--permutations", type=_count, default=NUM_PERMUTATIONS, metavar="N", help="default: 2000")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the permutations; default: 0")


def follows(options: argparse.Namespace) -> int:
    """Print the regression of a run."""
    run = load_run(options.run)
    result = regress_overlap(run, options.layer, options.permutations, options.seed)
    sys.stdout.write(f"Run {run.path.name}, layer {options.layer}\n\n{regression_text(result)}")
    return EXIT_OK


def _count(text: str) -> int:
    """Read a number of at least 1; argparse reports what is none."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number
