"""The rows behind measures: their means are the measures."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis import load_run
from analysis.comparison.study import UNREAD
from analysis.measures.by_seed import MEASURES, seed_measures
from analysis.measures.unit_rows import unit_rows
from fedcircuits.runlog.writer import RunLog

Tables = dict[str, list[dict[str, Any]]]
WriteRun = Callable[..., RunLog]

ROWLESS = {"accuracy", "accuracy_trained", "num_collapsed", "density"}


def _scatter(server_round: int, tables: Tables) -> None:
    """Give every circuit and pair figures of its own, some of them none, and a row to each table of an examination."""
    generator = np.random.default_rng(server_round)
    for name, columns in {
        "overlap": ("adjusted_iou", "common_adjusted_iou", "phi"),
        "quality": ("sufficiency", "false_positive_rate"),
    }.items():
        for row in tables[name]:
            row |= {column: float(generator.random()) if generator.random() > 0.1 else None for column in columns}
    circuits = [{"round": server_round, "partition_id": partition, "class_id": 1} for partition in (0, 1)]
    tables["scrutiny"] = [
        {**row, "model": "client", "faithfulness": float(generator.random()), "cpr": 0.5} for row in circuits
    ]
    tables["patching"] = [{**row, "gain": float(generator.random()), "random_gain": 0.1} for row in circuits]
    tables["barriers"] = [{"round": server_round, "a_partition_id": 0, "b_partition_id": 1, "barrier": 0.25}]


def test_the_mean_of_a_measures_rows_is_the_measure(write_run: WriteRun) -> None:
    run = load_run(write_run(num_rounds=2, change=_scatter).path)
    means = unit_rows(run, 2).groupby("measure")["value"].mean()
    expected = seed_measures(run).loc[2]
    assert dict(means) == pytest.approx({measure: expected[measure] for measure in means.index})
    assert set(means.index) <= set(MEASURES) - ROWLESS
    assert {"same_class_adjusted_iou", "drift_gap", "circuit_size", "barrier", "same_class_phi"} <= set(means.index)


def test_every_row_names_two_circuits_by_client_and_class(write_run: WriteRun) -> None:
    rows = unit_rows(load_run(write_run(num_rounds=1, change=_scatter).path), 1)
    same = rows[rows["measure"] == "same_class_adjusted_iou"]
    assert same.iloc[0, 1:5].tolist() == [0, 1, 1, 1]
    circuit = rows[rows["measure"] == "circuit_size"]
    assert (circuit["a_partition_id"] == circuit["b_partition_id"]).all()
    assert (circuit["a_class_id"] == circuit["b_class_id"]).all()
    barrier = rows[rows["measure"] == "barrier"]
    assert barrier.iloc[0, 1:5].tolist() == [0, -1, 1, -1]


def test_verdicts_that_are_not_all_known_have_no_rows_as_they_have_no_measure(write_run: WriteRun) -> None:
    def forget(_: int, tables: Tables) -> None:
        tables["quality"][0]["usable"] = None

    run = load_run(write_run(num_rounds=1, change=forget).path)
    assert math.isnan(seed_measures(run).loc[1, "usable_share"])
    assert "usable_share" not in set(unit_rows(run, 1)["measure"])


def test_tables_that_a_comparison_does_not_read_change_nothing(write_run: WriteRun) -> None:
    folder = write_run(change=_scatter).path
    whole, part = load_run(folder), load_run(folder, UNREAD)
    assert all(getattr(part, name).empty for name in UNREAD)
    pd.testing.assert_frame_equal(seed_measures(part), seed_measures(whole))
    pd.testing.assert_frame_equal(unit_rows(part, 2), unit_rows(whole, 2))
