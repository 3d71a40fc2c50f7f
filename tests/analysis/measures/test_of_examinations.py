"""Measures from the tables of examinations, against numbers worked out by hand."""

from collections.abc import Callable
from typing import Any

import pytest
from examination_rows import drop_examination_tables

from analysis import load_run
from analysis.measures.by_seed import MEASURES, seed_measures
from analysis.measures.of_examinations import EXAMINED_MEASURES, examined_measures
from fedcircuits.records import ALL_LAYERS, Comparison
from fedcircuits.runlog.writer import RunLog

Tables = dict[str, list[dict[str, Any]]]
WriteRun = Callable[..., RunLog]


def _deep(write_run: WriteRun, change: Callable[[int, Tables], None], num_rounds: int = 2) -> dict[str, Any]:
    """Return the measures of examinations of the last round."""
    table = seed_measures(load_run(write_run(num_rounds=num_rounds, change=change).path))
    return dict(table.iloc[-1])


def test_gaps_of_the_ladder_are_differences_of_accuracies_over_trained_classes(write_run: WriteRun) -> None:
    accuracies = {"A0": 0.5, "A2": 0.7, "A3": 0.75, "A4": 0.95, "E_logits": 0.8, "R": 0.3}

    def add(server_round: int, tables: Tables) -> None:
        rows = [{"rung": rung, "partition_id": None, "accuracy_trained": one} for rung, one in accuracies.items()]
        # One client's rung is no mean, and accuracy over all classes is not what the gaps are of.
        rows.append({"rung": "A3", "partition_id": 0, "accuracy_trained": 0.1})
        tables["ladder"] = [{"round": server_round, "accuracy": 0.0, **row} for row in rows]

    last = _deep(write_run, add)
    assert last["ladder_readout"] == pytest.approx(0.2)
    assert last["ladder_body"] == pytest.approx(0.05)
    assert last["ladder_negatives"] == pytest.approx(0.15)


def test_a_rung_that_is_missing_leaves_its_gaps_undefined(write_run: WriteRun) -> None:
    def add(server_round: int, tables: Tables) -> None:
        tables["ladder"] = [{"round": server_round, "rung": rung, "accuracy_trained": 0.5} for rung in ("A0", "A2")]

    last = _deep(write_run, add)
    assert last["ladder_readout"] == 0
    assert last["ladder_body"] != last["ladder_body"]


def test_stability_pools_layers_and_is_a_mean_over_classes(write_run: WriteRun) -> None:
    def add(server_round: int, tables: Tables) -> None:
        values = [(0, ALL_LAYERS, 0.4), (1, ALL_LAYERS, 0.8), (0, "conv1", 0.0)]
        tables["stability"] = [
            {"round": server_round, "class_id": class_id, "layer": layer, "stability": value}
            for class_id, layer, value in values
        ]

    assert _deep(write_run, add)["stability"] == pytest.approx(0.6)


def test_scrutiny_counts_for_client_models_only(write_run: WriteRun) -> None:
    def add(server_round: int, tables: Tables) -> None:
        rows = [("client", 0, 0.9, 0.7), ("client", 1, 0.7, None), ("global", 0, 0.1, 0.1)]
        tables["scrutiny"] = [
            {"round": server_round, "model": model, "partition_id": partition, "class_id": 1}
            | {"faithfulness": faithfulness, "cpr": cpr}
            for model, partition, faithfulness, cpr in rows
        ]

    last = _deep(write_run, add)
    assert (last["faithfulness"], last["cpr"]) == (pytest.approx(0.8), pytest.approx(0.7))


def test_patching_counts_what_it_gains_over_random_weights(write_run: WriteRun) -> None:
    def add(server_round: int, tables: Tables) -> None:
        gains = [(0, 0.5, 0.1), (1, 0.3, 0.2)]
        tables["patching"] = [
            {"round": server_round, "partition_id": partition, "class_id": 1, "gain": gain, "random_gain": by_chance}
            for partition, gain, by_chance in gains
        ]

    assert _deep(write_run, add)["patch_gain_excess"] == pytest.approx((0.4 + 0.1) / 2)


def test_barriers_are_those_between_clients(write_run: WriteRun) -> None:
    def add(server_round: int, tables: Tables) -> None:
        ends = [(0, 1, 0.3), (0, None, 5.0)]
        tables["barriers"] = [
            {"round": server_round, "a_partition_id": a, "b_partition_id": b, "barrier": value} for a, b, value in ends
        ]

    assert _deep(write_run, add)["barrier"] == pytest.approx(0.3)


def test_phi_is_averaged_over_pairs(write_run: WriteRun) -> None:
    def add(_: int, tables: Tables) -> None:
        for row in tables["overlap"]:
            if row["comparison"] == Comparison.DIFFERENT_CLASS_ACROSS_CLIENTS:
                row["phi"] = {0: 0.1, 1: 0.4}[row["a_class_id"]]

    # Pairs of classes: 0 with 1, 0 with 2, 1 with 2.
    assert _deep(write_run, add)["different_class_phi"] == pytest.approx((0.1 + 0.1 + 0.4) / 3)


def test_a_round_counts_by_the_newest_check_before_it(write_run: WriteRun) -> None:
    verdicts = {1: [True], 3: [False]}

    def add(server_round: int, tables: Tables) -> None:
        tables["validity"] = [{"round": server_round, "passed": one} for one in verdicts.get(server_round, [])]

    table = seed_measures(load_run(write_run(num_rounds=4, change=add).path))
    assert table["validity_passed"].tolist() == pytest.approx([1.0, 1.0, 2 / 3, 1 / 2])


def test_runs_without_examinations_have_these_measures_undefined(write_run: WriteRun) -> None:
    def drop(server_round: int, tables: Tables) -> None:
        drop_examination_tables(server_round, tables)
        tables["overlap"] = []  # the correlations among these measures

    run = load_run(write_run(change=drop).path)
    assert set(examined_measures(run)) == set(EXAMINED_MEASURES) <= set(MEASURES)
    assert seed_measures(run)[list(EXAMINED_MEASURES)].isna().all(axis=None)
