"""What may be said of the differences of a table, on seeds whose accuracies and overlaps are planted."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.comparison import baseline_differences, within_differences
from analysis.comparison_text import comparison_text
from analysis.difference_tests import assess, bootstrap_difference, difference_table
from analysis.seed_study import SeedStudy, read_seed_study
from fedcircuits.records import ALL_LAYERS, Comparison
from fedcircuits.run_log import RunLog

Tables = dict[str, list[dict[str, Any]]]
WriteRun = Callable[..., RunLog]

ACCURACIES = {"base": (0.50, 0.52, 0.54, 0.56), "same": (0.502, 0.521, 0.543, 0.561), "worse": (0.30, 0.33, 0.34, 0.35)}
"""By experiment, one for each seed."""


def _plant(accuracy: float, overlap: float) -> Callable[[int, Tables], None]:
    """Give every class one recall, and the pairs of one class one adjusted overlap."""

    def change(_: int, tables: Tables) -> None:
        for row in tables["accuracy"]:
            row["recall"] = accuracy
        for row in tables["overlap"]:
            if row["comparison"] == Comparison.SAME_CLASS_ACROSS_CLIENTS and row["layer"] == ALL_LAYERS:
                row["adjusted_iou"] = overlap

    return change


@pytest.fixture
def study(write_run: WriteRun) -> SeedStudy:
    """Return three experiments of four seeds; the overlap of `worse` is 0.2, 0.21, … below that of the others."""
    paths: list[Path] = []
    for name, accuracies in ACCURACIES.items():
        for seed, accuracy in enumerate(accuracies):
            overlap = 0.5 - (0.2 + 0.01 * seed) * (name == "worse")
            log = write_run(name, num_rounds=1, change=_plant(accuracy, overlap), seed=seed, strategy=name)
            log.complete()
            paths.append(log.path)
    return read_seed_study(paths, "base")


def _row(table: pd.DataFrame, experiment: str, measure: str) -> "pd.Series[Any]":
    return table.set_index(["experiment", "measure"]).loc[(experiment, measure)]


def test_a_table_says_what_differs_what_is_equivalent_and_what_is_not_decided(study: SeedStudy) -> None:
    found = {
        (one.difference.experiment, one.difference.measure): one for one in assess(study, baseline_differences(study))
    }
    assert found["same", "accuracy"].decision == "equivalent within ±0.02"
    assert found["worse", "accuracy"].decision == "differs"
    assert found["worse", "same_class_adjusted_iou"].decision == "differs"
    assert found["same", "drift_gap"].decision == ""
    assert found["same", "drift_gap"].note == "no test: the same difference in every seed"
    assert found["same", "accuracy"].note == "Wilcoxon: fewer than 5 seeds that differ"


def test_the_family_is_every_test_of_the_table(study: SeedStudy) -> None:
    table = difference_table(study, baseline_differences(study))
    made = table.dropna(subset=["p_value"])
    # Accuracy over all and over trained classes in both experiments, and the overlap in one.
    assert len(made) == 5
    assert set(table["family_size"]) == {5}
    least = made.sort_values("p_value").iloc[0]
    assert least["p_holm"] == pytest.approx(5 * least["p_value"])


def test_measures_that_are_means_over_pairs_have_a_bootstrap_interval_and_others_none(study: SeedStudy) -> None:
    table = difference_table(study, baseline_differences(study))
    planted = _row(table, "worse", "same_class_adjusted_iou")
    # The one pair of the shared class has one value in each run, so only seeds add spread.
    assert -0.23 <= planted["boot_low"] < planted["mean"] < planted["boot_high"] <= -0.2
    assert math.isnan(_row(table, "worse", "accuracy")["boot_low"])


def test_kinds_of_pairs_are_drawn_together_within_a_run(study: SeedStudy) -> None:
    within = next(one for one in within_differences(study) if one.experiment == "base")
    # Same class 0.5, different classes 0, in every pair of every seed.
    assert bootstrap_difference(study, within) == (pytest.approx(0.5), pytest.approx(0.5))


def test_the_text_says_what_survives_and_for_how_many_tests_it_is_adjusted(study: SeedStudy) -> None:
    lines = comparison_text(study).split("Minus the baseline")[1].splitlines()
    accuracies = [line for line in lines if line.startswith("  accuracy, all classes")]
    assert [line.split("  ")[-1].strip() for line in accuracies] == ["equivalent within ±0.02", "differs"]
    assert "  adjusted (Holm) for the 5 tests of this table: all its measures and experiments" in lines


def test_one_seed_is_not_tested(write_run: WriteRun) -> None:
    paths = [write_run(name, num_rounds=1, seed=0, strategy=name).path for name in ("a", "b")]
    study = read_seed_study(paths)
    table = difference_table(study, baseline_differences(study))
    row = _row(table, "b", "accuracy")
    assert row["note"] == "no test: fewer than two seeds"
    assert row["equivalent"] is None
    assert table[["p_value", "p_holm", "boot_low", "boot_high"]].isna().all(axis=None)
    assert "no test: it takes two seeds" in comparison_text(study)
