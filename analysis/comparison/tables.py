"""The figures of a comparison: means over seeds, and differences paired by seed, over the second half of rounds."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import pandas as pd

from analysis.comparison.study import SeedStudy
from analysis.measures.by_seed import MEASURES
from analysis.measures.of_examinations import EXAMINED_MEASURES
from analysis.runs.experiments import Experiment
from analysis.statistics.seeds import Interval, interval, paired_interval

AGAINST_CHANCE: Final = ("adjusted_iou", "common_adjusted_iou")
"""The figures of overlap that may be subtracted: those that have chance taken out."""

COMPARED: Final = (
    *("accuracy", "accuracy_trained", "num_collapsed", "density"),
    *("circuit_size", "usable_share", "false_positive_rate"),
    *("sufficiency_client", "sufficiency_transplant", "drift_gap"),
    *(f"{pair}_{figure}" for pair in ("same_class", "different_class") for figure in AGAINST_CHANCE),
    *("local_vs_global_adjusted_iou", "retest_adjusted_iou"),
    *EXAMINED_MEASURES,
)
"""The measures in which an experiment is compared with the baseline."""

COMPARED_BY_SPARSITY: Final = ("accuracy", "accuracy_trained", "num_collapsed", "same_class_adjusted_iou", "drift_gap")
"""The measures in which a sparse experiment is compared with its dense control."""

COMPARED_WITHIN: Final = (("same_class", "different_class"), ("same_class", "distinct_class"))
"""The kinds of pairs that are compared within each experiment."""


@dataclass(frozen=True)
class Difference:
    """One experiment's measure minus another's (or minus another measure of its own), paired by seed.

    Args:
        experiment: label of the experiment.
        measure: key of `MEASURES`.
        baseline: label of the experiment that is subtracted.
        baseline_measure: its measure.
        experiment_mean: mean over the paired seeds; NaN if there is no pair.
        baseline_mean: likewise.
        interval: of the differences.
    """

    experiment: str
    measure: str
    baseline: str
    baseline_measure: str
    experiment_mean: float
    baseline_mean: float
    interval: Interval


@dataclass(frozen=True)
class SparsityFamily:
    """Experiments that differ in their nominal sparsity only.

    Args:
        label: the name of its members, or of one of them where they have several.
        members: by nominal sparsity.
    """

    label: str
    members: tuple[Experiment, ...]

    @property
    def dense(self) -> Experiment | None:
        """The dense control, if there is one."""
        return self.members[0] if self.members[0].settings["sparsity"] == 0 else None


def seed_intervals(study: SeedStudy) -> dict[tuple[str, str], Interval]:
    """Return the interval over seeds of each label and measure, over the second half of rounds."""
    return {
        (label, measure): interval(study.late_mean(label, measure)) for label in study.labels for measure in MEASURES
    }


def baseline_differences(study: SeedStudy) -> list[Difference]:
    """Return how each experiment differs from the baseline over the second half of rounds."""
    base = study.baseline.label
    others = [label for label in study.labels if label != base]
    return [difference(study, (label, name), (base, name)) for label in others for name in COMPARED]


def sparsity_differences(study: SeedStudy) -> list[Difference]:
    """Return how each sparse experiment differs from its dense control over the second half of rounds."""
    return [
        difference(study, (member.label, name), (family.dense.label, name))
        for family in sparsity_families(study)
        if family.dense
        for member in family.members[1:]
        for name in COMPARED_BY_SPARSITY
    ]


def within_differences(study: SeedStudy) -> list[Difference]:
    """Return how kinds of pairs differ within each experiment that has both, over the second half of rounds."""
    return [
        found
        for one, other in COMPARED_WITHIN
        for label in study.labels
        for figure in AGAINST_CHANCE
        if (found := difference(study, (label, f"{one}_{figure}"), (label, f"{other}_{figure}"))).interval.num_seeds
    ]


def difference(study: SeedStudy, one: tuple[str, str], other: tuple[str, str]) -> Difference:
    """Return one minus other over the second half of their rounds, paired by seed.

    Args:
        study: the experiments.
        one: label of an experiment, and a measure.
        other: what is subtracted.
    """
    values, baseline = study.late_mean(*one), study.late_mean(*other)
    paired = pd.DataFrame({"one": values, "other": baseline}).dropna()
    means = float(paired["one"].mean()), float(paired["other"].mean())
    return Difference(*one, *other, *means, paired_interval(values, baseline))


def sparsity_families(study: SeedStudy) -> list[SparsityFamily]:
    """Return the sets of experiments that differ in sparsity only, of two members or more."""
    families: dict[str, list[Experiment]] = {}
    for experiment in study.experiments:
        others = {key: value for key, value in experiment.settings.items() if key != "sparsity"}
        families.setdefault(repr(sorted(others.items())), []).append(experiment)
    return [
        SparsityFamily(_common_name(members), _by_sparsity(members))
        for members in families.values()
        if len(members) > 1
    ]


def interval_table(intervals: dict[tuple[str, str], Interval]) -> pd.DataFrame:
    """Return one row per experiment and measure with the fields of `Interval`."""
    rows: list[dict[str, Any]] = [
        {"experiment": label, "measure": measure, **asdict(one)} for (label, measure), one in intervals.items()
    ]
    return pd.DataFrame(rows)


def _common_name(members: Sequence[Experiment]) -> str:
    names = list(dict.fromkeys(_name(member) for member in members))
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _name(experiment: Experiment) -> str:
    """Return an experiment's label without its sparsity, which varies in a family."""
    sparsity = experiment.settings["sparsity"]
    label = experiment.label.replace(f", sparsity {sparsity}", "").replace(f"sparsity {sparsity}, ", "")
    return label.replace(f" (sparsity {sparsity})", "")


def _by_sparsity(members: Sequence[Experiment]) -> tuple[Experiment, ...]:
    return tuple(sorted(members, key=lambda one: float(one.settings["sparsity"])))
