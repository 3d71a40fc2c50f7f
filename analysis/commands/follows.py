"""`follows`: what the overlap of circuits follows, class or client."""

import argparse
from dataclasses import asdict

import pandas as pd

from analysis.commands import EXIT_OK, Commands, add_run, new_command
from analysis.commands.output import add_format, put, put_csv, put_json
from analysis.follows.regression import NUM_PERMUTATIONS, regress_overlap
from analysis.follows.text import regression_text
from fedcircuits.records import ALL_LAYERS
from fedcircuits.runlog.run import load_run


def add(commands: Commands) -> None:
    """Describe the command."""
    purpose = "say whether overlap follows class, client, what clients hold, or the round"
    details = (
        "Are two circuits alike because they are of one class, or because they are of one client? A regression of phi "
        "over all pairs of usable client circuits; p-values from permutations of the labels."
    )
    examples = {
        "": "all layers of the newest run, pooled",
        "runs --layer conv3": "the layer where channels are most specific to a class",
        "runs --permutations 10000 --seed 1": "finer p-values",
        "runs --format csv > terms.csv": "one row per term",
    }
    parser = new_command(commands, "follows", purpose, follows, details, examples)
    add_run(parser)
    parser.add_argument("--layer", default=ALL_LAYERS, metavar="LAYER", help="a convolution; default: all, pooled")
    parser.add_argument("--permutations", type=_count, default=NUM_PERMUTATIONS, metavar="N", help="default: 2000")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the permutations; default: 0")
    add_format(parser, "text", "json", "csv")


def follows(options: argparse.Namespace) -> int:
    """Print the regression of a run."""
    run = load_run(options.run)
    result = regress_overlap(run, options.layer, options.permutations, options.seed)
    if options.format == "json":
        put_json({"run": run.path.name, "layer": options.layer, "seed": options.seed, **asdict(result)})
    elif options.format == "csv":
        put_csv(pd.DataFrame([asdict(term) for term in result.terms], columns=["name", "coefficient", "p_value"]))
    else:
        put(f"Run {run.path.name}, layer {options.layer}\n\n{regression_text(result)}")
    return EXIT_OK


def _count(text: str) -> int:
    """Read a number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least 1")
    return int(text)
