"""What may be said of the differences of a table, on seeds whose values are planted."""

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.comparison.difference_tests import assess, bootstrap_difference, difference_table
from analysis.comparison.study import SeedStudy
from analysis.comparison.tables import baseline_differences, within_differences
from analysis.comparison.text import comparison_text
from analysis.measures.by_seed import MEASURES
from analysis.runs.experiments import Experiment, SeedRun
from analysis.statistics.bootstrap import ENDS

SAME, DIFFERENT = "same_class_adjusted_iou", "different_class_adjusted_iou"

ACCURACIES = {
    "base": (0.50, 0.52, 0.54, 0.56),
    "same": (0.502, 0.519, 0.543, 0.560),
    "better": (0.510, 0.531, 0.551, 0.5695),
    "noisy": (0.45, 0.60, 0.50, 0.62),
    "worse": (0.30, 0.33, 0.34, 0.35),
}
"""By experiment, one for each seed."""


def _study(accuracies: dict[str, tuple[float, ...]]) -> SeedStudy:
    """Plant overlaps of the same class at 0.5, in `worse` 0.2, 0.21, … lower, and of different classes at 0."""
    values, rows, experiments = [], [], []
    for name, by_seed in accuracies.items():
        runs = [
            SeedRun(Path(f"{name}-{seed}"), {"settings": {"seed": seed}, "last_round": 1})
            for seed in range(len(by_seed))
        ]
        experiments.append(Experiment(name, {"sparsity": 0.9, "strategy": name}, tuple(runs)))
        for seed, accuracy in enumerate(by_seed):
            names = {"experiment": name, "seed": seed}
            overlaps = {SAME: 0.5 - (0.2 + 0.01 * seed) * (name == "worse"), DIFFERENT: 0.0}
            values.append({**names, "run": "", "round": 1, "is_late": True, "accuracy": accuracy, **overlaps})
            rows += [
                {**names, "measure": measure, **dict(zip(ENDS, (a, c, b, d), strict=True)), "value": overlaps[measure]}
                for a, b in ((0, 1), (0, 2), (1, 2))
                for c, d, measure in ((0, 0, SAME), (1, 1, SAME), (0, 1, DIFFERENT))
            ]
    table = pd.DataFrame(values, columns=[*values[0], *(one for one in MEASURES if one not in values[0])])
    return SeedStudy(tuple(experiments), experiments[0], table, pd.DataFrame(rows), ())


@pytest.fixture
def study() -> SeedStudy:
    """Return five experiments of four seeds."""
    return _study(ACCURACIES)


def _row(table: pd.DataFrame, experiment: str, measure: str) -> "pd.Series[Any]":
    return table.set_index(["experiment", "measure"]).loc[(experiment, measure)]


def test_a_table_says_what_differs_what_is_equivalent_and_what_is_not_decided(study: SeedStudy) -> None:
    found = {
        (one.difference.experiment, one.difference.measure): one for one in assess(study, baseline_differences(study))
    }
    assert found["same", "accuracy"].decision == "equivalent within ±0.02"
    assert found["better", "accuracy"].decision == "differs within ±0.02"
    assert found["noisy", "accuracy"].decision == "not decided"
    assert found["worse", "accuracy"].decision == "differs"
    assert found["worse", SAME].decision == "differs"
    assert found["same", SAME].decision == ""
    assert found["same", SAME].note == "no test: the same difference in every seed"
    assert found["same", "accuracy"].note == "Wilcoxon: fewer than 5 seeds that differ"


def test_the_family_is_every_test_of_the_table(study: SeedStudy) -> None:
    table = difference_table(study, baseline_differences(study))
    made = table.dropna(subset=["p_value"])
    # Accuracy in four experiments, and one overlap that is not the same in every seed.
    assert len(made) == 5
    assert set(table["family_size"]) == {5}
    least = made.sort_values("p_value").iloc[0]
    assert least["p_holm"] == pytest.approx(5 * least["p_value"])


def test_measures_that_are_means_over_pairs_have_a_bootstrap_interval_and_others_none(study: SeedStudy) -> None:
    table = difference_table(study, baseline_differences(study))
    planted = _row(table, "worse", SAME)
    # All pairs of a run have one value, so only seeds add spread.
    assert -0.23 <= planted["boot_low"] < planted["mean"] < planted["boot_high"] <= -0.2
    assert math.isnan(_row(table, "worse", "accuracy")["boot_low"])


def test_kinds_of_pairs_are_drawn_together_within_a_run(study: SeedStudy) -> None:
    within = next(one for one in within_differences(study) if one.experiment == "base")
    # Same class 0.5, different classes 0, in every pair of every seed.
    assert bootstrap_difference(study, within) == (pytest.approx(0.5), pytest.approx(0.5))


def test_the_text_says_what_survives_and_for_how_many_tests_it_is_adjusted(study: SeedStudy) -> None:
    lines = comparison_text(study).split("Minus the baseline")[1].splitlines()
    accuracies = [line for line in lines if line.startswith("  accuracy, all classes")]
    assert [line.split("  ")[-1].strip() for line in accuracies] == [
        "equivalent within ±0.02",
        "differs within ±0.02",
        "not decided",
        "differs",
    ]
    assert "  adjusted (Holm) for the 5 tests of this table: all its measures and experiments" in lines


def test_one_seed_is_not_tested() -> None:
    study = _study({"a": (0.5,), "b": (0.6,)})
    table = difference_table(study, baseline_differences(study))
    row = _row(table, "b", "accuracy")
    assert row["note"] == "no test: fewer than two seeds"
    assert row["equivalent"] is None
    assert table[["p_value", "p_holm", "boot_low", "boot_high"]].isna().all(axis=None)
    assert "no test: it takes two seeds" in comparison_text(study)
