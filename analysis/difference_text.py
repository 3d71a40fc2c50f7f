"""Differences paired by seed as tables of text."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Final

from analysis.comparison import Difference, baseline_differences, sparsity_differences, within_differences
from analysis.seed_measures import MEASURES
from analysis.seed_study import SeedStudy
from analysis.text_table import bounds, lay_out, number, numbered

_TITLES: Final = ("mean", "other", "difference", "95 % interval", "n")
_DIGITS: Final = {"num_collapsed": 1, "circuit_size": 1}
"""Decimals of measures that count things; the others are fractions or indices and have three."""


def within_experiments(study: SeedStudy) -> str:
    """Compare kinds of pairs within each experiment; empty if none has two kinds."""
    rows = []
    for one in within_differences(study):
        figure = "common" if "_common_" in one.measure else "adj."
        other = one.baseline_measure.split("_class_")[0]
        rows.append([numbered(study, one.experiment), f"− {other}", figure, *_cells(one, 2)])
    if not rows:
        return ""
    title = "Do circuits follow the class? Same class minus other classes, paired by seed, last round"
    return "\n".join([title, lay_out(["", "same", "", *_TITLES], rows, 3)])


def against_dense(study: SeedStudy) -> str:
    """Compare sparse experiments with their dense controls; empty if there are none."""
    blocks = _blocks(study, sparsity_differences(study))
    return "\n".join(["Sparse minus dense control, paired by seed, last round", *blocks]) if blocks else ""


def against_baseline(study: SeedStudy) -> str:
    """Compare every experiment with the baseline; empty if it is the only one."""
    blocks = _blocks(study, baseline_differences(study))
    rounds = sorted({experiment.last_round for experiment in study.experiments})
    note = f" (rounds {', '.join(str(one) for one in rounds)})" if len(rounds) > 1 else ""
    title = f"Minus the baseline, {numbered(study, study.baseline.label)}, paired by seed, last round{note}"
    return "\n".join([title, *blocks]) if blocks else ""


def _blocks(study: SeedStudy, differences: Iterable[Difference]) -> list[str]:
    """Lay out differences, a block for each pair of experiments."""
    return [
        _block(f"  {numbered(study, label)} minus {numbered(study, base)}", list(own))
        for (label, base), own in groupby(differences, key=lambda one: (one.experiment, one.baseline))
    ]


def _block(heading: str, differences: Sequence[Difference]) -> str:
    known = [one for one in differences if one.interval.num_seeds]
    if not known:
        return f"{heading}: no seed in common"
    rows = [[MEASURES[one.measure], *_cells(one, _DIGITS.get(one.measure, 3))] for one in known]
    return f"{heading}\n{lay_out(['', *_TITLES], rows)}"


def _cells(one: Difference, digits: int) -> list[str]:
    found = one.interval
    means = [number(one.experiment_mean, digits), number(one.baseline_mean, digits)]
    # The mark has its place also where it is missing, so that intervals stand below each other.
    between = f"{bounds(found, digits)}{'*' if found.excludes_zero else ' '}"
    return [*means, number(found.mean, digits, is_signed=True), between, str(found.num_seeds)]
