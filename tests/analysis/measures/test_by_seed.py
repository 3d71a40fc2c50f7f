"""What a comparison keeps of one run, against numbers worked out by hand from the tiny run of conftest."""

from collections.abc import Callable
from typing import Any

import pytest
from examination_rows import EXAMINATION_TABLES

from analysis import Run, load_run
from analysis.measures.by_seed import MEASURES, seed_measures
from fedcircuits.records import Comparison
from fedcircuits.runlog.writer import RunLog

Tables = dict[str, list[dict[str, Any]]]
WriteRun = Callable[..., RunLog]


def test_every_measure_has_a_value_for_each_round(tiny_run: Run) -> None:
    table = seed_measures(tiny_run)
    assert list(table.columns) == list(MEASURES)
    assert list(table.index) == [1, 2]


def test_measures_are_means_over_clients_and_classes(tiny_run: Run) -> None:
    last = seed_measures(tiny_run).loc[2]
    assert last["accuracy"] == pytest.approx(35 / 50)
    assert last["accuracy_trained"] == pytest.approx(35 / 40)
    assert last["density"] == pytest.approx((0.1 + 0.3) / 2)
    assert (last["circuit_size"], last["circuit_size_global"]) == ((6 + 8 + 8 + 6) / 4, (6 + 8 + 8 + 6) / 4)
    assert (last["circuit_size_server"], last["num_channels"]) == (6, 12)
    assert (last["sufficiency_client"], last["sufficiency_transplant"]) == (pytest.approx(1.0), pytest.approx(0.6))
    assert (last["sufficiency_global"], last["drift_gap"]) == (pytest.approx(0.9), pytest.approx(0.3))
    assert last["false_positive_rate_transplant"] == pytest.approx(0.1)


def test_collapsed_classes_are_counted(tiny_run: Run) -> None:
    assert seed_measures(tiny_run)["num_collapsed"].tolist() == [1, 0]


def test_overlap_within_common_channels_is_averaged_over_pairs(write_run: WriteRun) -> None:
    def add(_: int, tables: Tables) -> None:
        for row in tables["overlap"]:
            if row["comparison"] == Comparison.DIFFERENT_CLASS_ACROSS_CLIENTS:
                row["common_adjusted_iou"] = {0: 0.1, 1: 0.4}[row["a_class_id"]]

    # Pairs of classes: 0 with 1, 0 with 2, 1 with 2.
    table = seed_measures(load_run(write_run(num_rounds=1, change=add).path))
    assert table["different_class_common_adjusted_iou"].item() == pytest.approx((0.1 + 0.1 + 0.4) / 3)


def test_distinct_classes_are_those_that_one_client_holds(write_run: WriteRun) -> None:
    def mark(_: int, tables: Tables) -> None:
        for row in tables["overlap"]:
            if row["comparison"] == Comparison.DIFFERENT_CLASS_ACROSS_CLIENTS:
                row["iou"] = 0.3 if (row["a_class_id"], row["b_class_id"]) == (0, 2) else 0.9

    # Class 1 is held by both clients, so of the pairs 0 with 1, 0 with 2 and 1 with 2 only one is distinct.
    table = seed_measures(load_run(write_run(num_rounds=1, change=mark).path))
    assert table["distinct_class_iou"].item() == pytest.approx(0.3)
    assert table["different_class_iou"].item() == pytest.approx((0.9 + 0.3 + 0.9) / 3)


def test_without_a_shared_class_nothing_is_distinct(write_run: WriteRun) -> None:
    table = seed_measures(load_run(write_run(is_shared=False).path))
    assert table["distinct_class_iou"].isna().all()
    assert table["different_class_iou"].notna().all()


def test_the_density_of_the_global_model_weighs_layers_by_their_weights(write_run: WriteRun) -> None:
    def measure(_: int, tables: Tables) -> None:
        densities = {"conv1": 0.5, "conv2": 0.1}
        tables["interference"] = [
            {**row, "density_global": densities[row["layer"]]}
            for row in tables["interference"]
            if row["layer"] in densities
        ]
        comparison = str(Comparison.PARAMETER_MASK_LOCAL_VS_GLOBAL)
        sizes = {"conv1": 10, "conv2": 30, "all": 40}
        tables["overlap"] += [
            {"round": 1, "comparison": comparison, "a_partition_id": partition, "layer": layer, "universe": size}
            for partition in (0, 1)
            for layer, size in sizes.items()
        ]

    table = seed_measures(load_run(write_run(num_rounds=1, change=measure).path))
    assert table["density_global"].item() == pytest.approx((0.5 * 10 + 0.1 * 30) / 40)


def test_what_was_not_logged_is_undefined(write_run: WriteRun) -> None:
    def drop(_: int, tables: Tables) -> None:
        for name in ("overlap", "quality", "circuits", "interference", *EXAMINATION_TABLES):
            tables[name] = []

    table = seed_measures(load_run(write_run(change=drop).path))
    assert table["accuracy"].notna().all()
    assert table.drop(columns=["accuracy", "accuracy_trained", "num_collapsed", "density"]).isna().all(axis=None)
