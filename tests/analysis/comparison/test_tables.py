"""Experiments side by side: values, means and paired differences, against numbers worked out by hand."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from analysis.comparison.difference_tests import difference_table
from analysis.comparison.study import SeedStudy, read_seed_study
from analysis.comparison.tables import (
    baseline_differences,
    difference,
    seed_intervals,
    sparsity_differences,
    sparsity_families,
    within_differences,
)
from analysis.measures.by_seed import MEASURES
from fedcircuits.errors import RunLogError
from fedcircuits.runlog.writer import RunLog

Tables = dict[str, list[dict[str, Any]]]
WriteRun = Callable[..., RunLog]


def _recall(value: float) -> Callable[[int, Tables], None]:
    """Set the global model's recall of class 0, so that its accuracy in round 2 is (10 · value + 25) / 50."""

    def change(_: int, tables: Tables) -> None:
        for row in tables["accuracy"]:
            if row["model"] == "global" and row["class_id"] == 0:
                row["recall"] = value

    return change


def _write(write_run: WriteRun, name: str, seed: int, recall: float = 1.0, **options: Any) -> Path:
    log = write_run(name, change=_recall(recall), seed=seed, **options)
    log.complete()
    return log.path


@pytest.fixture(scope="module")
def runs(write_module_run: WriteRun) -> Path:
    """Return runs of classes: accuracies 0.5, 0.6, 0.7 for seeds 0, 1, 2; iid: 0.7, 0.7 for seeds 1, 2."""
    for seed, recall in enumerate((0.0, 0.5, 1.0)):
        path = _write(write_module_run, "classes", seed, recall)
    for seed in (1, 2):
        _write(write_module_run, "iid", seed, partition="iid")
    return path.parent


@pytest.fixture(scope="module")
def study(runs: Path) -> SeedStudy:
    return read_seed_study([runs])


def test_every_seed_and_round_has_its_values(study: SeedStudy) -> None:
    assert study.labels == ["classes", "iid"]
    assert study.size == "2 experiments × 2–3 seeds"
    assert study.late_mean("classes", "accuracy").to_dict() == pytest.approx({0: 0.5, 1: 0.6, 2: 0.7})
    assert len(study.values) == (3 + 2) * 2


def test_the_tidy_table_has_a_row_for_each_experiment_seed_round_and_measure(study: SeedStudy) -> None:
    tidy = study.tidy()
    assert len(tidy) == 5 * 2 * len(MEASURES)
    row = tidy.query("experiment == 'classes' and seed == 1 and is_late and measure == 'accuracy'")
    assert row["value"].item() == pytest.approx(0.6)
    assert row["round"].item() == 2


def test_the_mean_is_over_seeds(study: SeedStudy) -> None:
    found = seed_intervals(study)["classes", "accuracy"]
    assert (found.mean, found.sd, found.num_seeds) == (pytest.approx(0.6), pytest.approx(0.1), 3)


def test_the_baseline_is_the_first_iid_experiment_unless_one_is_named(study: SeedStudy, runs: Path) -> None:
    assert study.baseline.label == "iid"
    assert read_seed_study([runs], "classes").baseline.label == "classes"


def test_without_iid_clients_the_first_experiment_is_the_baseline(write_run: WriteRun) -> None:
    paths = [_write(write_run, name, 0, **{"strategy": name}) for name in ("krum", "fedavg")]
    assert read_seed_study(paths).baseline.label == "krum"


def test_an_unknown_baseline_is_an_error_that_lists_the_labels(runs: Path) -> None:
    with pytest.raises(RunLogError, match="no experiment is called 'dense'; there are 'classes', 'iid'"):
        read_seed_study([runs], "dense")


def test_differences_to_the_baseline_pair_the_seeds_that_both_have(study: SeedStudy) -> None:
    found = next(one for one in baseline_differences(study) if one.measure == "accuracy")
    assert (found.experiment, found.baseline) == ("classes", "iid")
    assert (found.experiment_mean, found.baseline_mean) == (pytest.approx(0.65), pytest.approx(0.7))
    # Seeds 1 and 2: -0.1 and 0; seed 0 is missing from the baseline. t of 1 degree of freedom at 0.975 is 12.7062.
    assert (found.interval.mean, found.interval.num_seeds, found.interval.num_missing) == (pytest.approx(-0.05), 2, 1)
    assert found.interval.high == pytest.approx(-0.05 + 12.7062 * 0.05, abs=1e-5)


def test_only_rounds_that_all_seeds_have_are_compared(write_run: WriteRun) -> None:
    paths = [_write(write_run, "a", 0, num_rounds=2), _write(write_run, "a", 1, num_rounds=1)]
    study = read_seed_study(paths)
    assert set(study.values["round"]) == {1}
    # In round 1 recalls are 1, 0.5, 0, 0 for 10, 20, 10 and 10 images.
    assert study.late_mean("a", "accuracy").to_dict() == pytest.approx({0: 0.4, 1: 0.4})


def test_compared_are_means_over_the_second_half_of_rounds(write_run: WriteRun) -> None:
    def change(server_round: int, tables: Tables) -> None:
        _recall({1: 0.0, 2: 0.0, 3: 0.0, 4: 1.0}[server_round])(server_round, tables)

    log = write_run("a", change=change, seed=0, num_rounds=4)
    study = read_seed_study([log.path])
    # Accuracies 0.5 and 0.7 in rounds 3 and 4.
    assert study.late_mean("a", "accuracy").to_dict() == pytest.approx({0: 0.6})
    assert study.values.query("is_late")["round"].tolist() == [3, 4]
    assert set(study.tidy_late().columns) == {"experiment", "seed", "measure", "value"}


def test_a_seed_without_a_value_is_counted_as_missing(write_run: WriteRun) -> None:
    def drop(_: int, tables: Tables) -> None:
        tables["quality"] = []

    whole = _write(write_run, "a", 0)
    log = write_run("a", change=drop, seed=1)
    found = seed_intervals(read_seed_study([whole, log.path]))["a", "drift_gap"]
    assert (found.mean, found.num_seeds, found.num_missing) == (pytest.approx(0.3), 1, 1)


def test_one_seed_has_a_difference_but_no_interval(write_run: WriteRun) -> None:
    study = read_seed_study([_write(write_run, "a", 0, 0.5), _write(write_run, "b", 0, partition="iid")])
    found = difference(study, ("a", "accuracy"), ("b", "accuracy"))
    assert found.interval.mean == pytest.approx(-0.1)
    assert not found.interval.is_bounded


def test_without_a_common_seed_the_difference_is_undefined(write_run: WriteRun) -> None:
    study = read_seed_study([_write(write_run, "a", 0), _write(write_run, "b", 1, partition="iid")])
    found = difference(study, ("a", "accuracy"), ("b", "accuracy"))
    assert math.isnan(found.interval.mean)
    assert (found.interval.num_seeds, found.interval.num_missing) == (0, 2)


def test_sparsities_are_compared_with_the_dense_control_of_the_same_settings(write_run: WriteRun) -> None:
    paths = [
        _write(write_run, "iid", seed, recall, sparsity=sparsity)
        for sparsity, recalls in ((0.9, (0.5, 0.5)), (0.0, (1.0, 1.0)))
        for seed, recall in enumerate(recalls)
    ]
    study = read_seed_study([*paths, _write(write_run, "other", 0, sparsity=0.5, strategy="krum")])
    (family,) = sparsity_families(study)
    assert (family.label, [one.settings["sparsity"] for one in family.members]) == ("iid", [0.0, 0.9])
    found = next(one for one in sparsity_differences(study) if one.measure == "accuracy")
    assert (found.experiment, found.baseline) == ("iid (sparsity 0.9)", "iid (sparsity 0.0)")
    assert found.interval.mean == pytest.approx(0.6 - 0.7)


def test_a_family_whose_members_have_names_of_their_own_goes_by_the_first(write_run: WriteRun) -> None:
    runs = [_write(write_run, name, 0, sparsity=sparsity) for name, sparsity in (("dense", 0.0), ("half", 0.5))]
    assert [family.label for family in sparsity_families(read_seed_study(runs))] == ["dense and 1 more"]


def test_without_a_dense_control_sparsities_are_a_family_but_not_compared(write_run: WriteRun) -> None:
    study = read_seed_study([_write(write_run, "iid", 0, sparsity=sparsity) for sparsity in (0.9, 0.95)])
    assert [family.dense for family in sparsity_families(study)] == [None]
    assert sparsity_differences(study) == []


def test_kinds_of_pairs_are_compared_within_each_seed(study: SeedStudy) -> None:
    found = {
        (one.experiment, one.measure, one.baseline_measure): one.interval.mean for one in within_differences(study)
    }
    # Same class 0.5 above chance; different and distinct classes at chance; common channels were not logged.
    for label in ("classes", "iid"):
        assert found.pop((label, "same_class_adjusted_iou", "different_class_adjusted_iou")) == pytest.approx(0.5)
        assert found.pop((label, "same_class_adjusted_iou", "distinct_class_adjusted_iou")) == pytest.approx(0.5)
    assert not found


def test_the_table_of_differences_holds_the_interval_beside_who_was_compared(study: SeedStudy) -> None:
    table = difference_table(study, baseline_differences(study)).set_index("measure")
    assert table.loc["accuracy", "num_seeds"] == 2
    assert not table.loc["accuracy", "excludes_zero"]
    assert difference_table(study, []).empty
