"""Differences paired by seed as tables of text, each row with what may be said of it."""

from collections.abc import Sequence
from itertools import groupby
from typing import Final

from analysis.comparison.difference_tests import AssessedDifference, assess
from analysis.comparison.labels import named_without, numbered
from analysis.comparison.study import SeedStudy
from analysis.comparison.tables import Difference, baseline_differences, sparsity_differences, within_differences
from analysis.measures.by_seed import MEASURES
from analysis.text.table import UNDEFINED, bounds, lay_out, number

_TITLES: Final = ("mean", "other", "diff.", "95 % interval", "n", "may be said")
_DIGITS: Final = {"num_collapsed": 1, "circuit_size": 1}
"""Decimals of measures that count things; the others are fractions or indices and have three."""

_SHORT: Final = {
    "false_positive_rate": "false positives",
    "sufficiency_client": "sufficiency, local on local",
    "sufficiency_transplant": "sufficiency, local on global",
    "same_class_common_adjusted_iou": "same class, common adj. IoU",
    "different_class_adjusted_iou": "diff. classes, adj. IoU",
    "different_class_common_adjusted_iou": "diff. classes, common adj. IoU",
    "distinct_class_adjusted_iou": "distinct classes, adj. IoU",
    "distinct_class_common_adjusted_iou": "distinct classes, common adj. IoU",
}
"""Titles of measures that are too long for these tables elsewhere."""


def within_experiments(study: SeedStudy) -> str:
    """Compare kinds of pairs within each experiment; empty if none has two kinds."""
    found = assess(study, within_differences(study))
    blocks = []
    for (one, other), own in groupby(sorted(found, key=_measures), key=_measures):
        rows = [[numbered(study, row.difference.experiment), *_cells(row, 2)] for row in own]
        blocks.append(f"  {_title(one)} minus {_title(other)}\n{lay_out(['', *_TITLES], rows)}")
    title = "Do circuits follow the class? Same class minus other classes, paired by seed, second half of rounds"
    without = named_without(study, {one.difference.experiment for one in found}, "pairs of both kinds")
    return "\n".join([title, *blocks, *without, _family(found)]) if blocks else ""


def against_dense(study: SeedStudy) -> str:
    """Compare sparse experiments with their dense controls; empty if there are none."""
    found = assess(study, sparsity_differences(study))
    title = "Sparse minus dense control, paired by seed, second half of rounds"
    return "\n".join([title, *_blocks(study, found), _family(found)]) if found else ""


def against_baseline(study: SeedStudy) -> str:
    """Compare every experiment with the baseline; empty if it is the only one."""
    found = assess(study, baseline_differences(study))
    rounds = sorted({experiment.last_round for experiment in study.experiments})
    note = f" (of {', '.join(str(one) for one in rounds)})" if len(rounds) > 1 else ""
    title = f"Minus the baseline, {numbered(study, study.baseline.label)}, paired by seed, second half of rounds{note}"
    return "\n".join([title, *_blocks(study, found), _family(found)]) if found else ""


def _blocks(study: SeedStudy, found: Sequence[AssessedDifference]) -> list[str]:
    """Lay out differences, a block for each pair of experiments."""
    return [
        _block(f"  {numbered(study, label)} minus {numbered(study, base)}", list(own))
        for (label, base), own in groupby(found, key=lambda one: (one.difference.experiment, one.difference.baseline))
    ]


def _block(heading: str, found: Sequence[AssessedDifference]) -> str:
    known = [one for one in found if one.difference.interval.num_seeds]
    if not known:
        return f"{heading}: no seed in common"
    rows = [[_title(one.difference.measure), *_cells(one, _digits(one.difference))] for one in known]
    return f"{heading}\n{lay_out(['', *_TITLES], rows)}"


def _cells(assessed: AssessedDifference, digits: int) -> list[str]:
    one, found = assessed.difference, assessed.difference.interval
    means = [number(one.experiment_mean, digits), number(one.baseline_mean, digits)]
    # The mark has its place also where it is missing, so that intervals stand below each other.
    between = f"{bounds(found, digits)}{'*' if found.excludes_zero else ' '}"
    spread = [number(found.mean, digits, is_signed=True), between, str(found.num_seeds)]
    return [*means, *spread, assessed.decision or UNDEFINED]


def _family(found: Sequence[AssessedDifference]) -> str:
    """Say for how many tests the last column is adjusted."""
    family_size = found[0].family_size
    if not family_size:
        return "  no test: it takes two seeds and some spread between them"
    return f"  adjusted (Holm) for the {family_size} tests of this table: all its measures and experiments"


def _title(measure: str) -> str:
    return _SHORT.get(measure, MEASURES[measure])


def _digits(one: Difference) -> int:
    return _DIGITS.get(one.measure, 3)


def _measures(one: AssessedDifference) -> tuple[str, str]:
    return one.difference.measure, one.difference.baseline_measure
