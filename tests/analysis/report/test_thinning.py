"""Large runs: what is left out of a page, and that its means stay those of the log."""

import json
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from large_run import large_run

from analysis import load_run, measures
from analysis.report import run_data
from analysis.report.embedding import json_for_html
from analysis.report.page import render
from analysis.report.thinning import grouped_means, rounds_within, thin
from fedcircuits.runlog.writer import RunLog


@pytest.mark.parametrize(
    ("budget", "rounds"), [(50, [1, 2, 3, 4, 5]), (49, [1, 3, 5]), (29, [2, 5]), (19, [5]), (9, [])]
)
def test_rounds_that_fit_are_evenly_spaced_and_end_with_the_last(budget: int, rounds: list[int]) -> None:
    assert rounds_within(budget, dict.fromkeys(range(1, 6), 10)) == rounds


def test_rounds_of_an_empty_log_are_none() -> None:
    assert rounds_within(100, {}) == []


def test_the_rounds_left_out_give_way_to_means_and_their_counts() -> None:
    frame = pd.DataFrame(
        {"round": [1, 1, 1, 2], "a": [0, 1, 2, 0], "class_id": [0, 0, 1, 0], "iou": [0.2, 0.4, np.nan, 0.9]}
    )
    parts = thin(frame, [2], ["a"], ["round", "a", "class_id"])
    assert parts.rows["iou"].tolist() == [0.9]
    means = parts.means.set_index("class_id")
    assert means.loc[0, ["round", "iou", "n:iou"]].tolist() == pytest.approx([1, 0.3, 2])
    assert np.isnan(means.loc[1, "iou"])
    assert means.loc[1, "n:iou"] == 0
    assert "a" not in means


def test_means_keep_keys_that_are_missing() -> None:
    frame = pd.DataFrame({"round": [1, 1], "a": pd.array([None, None], dtype="Int64"), "iou": [0.0, 1.0]})
    assert grouped_means(frame, [], ["round", "a"])["iou"].tolist() == [0.5]


def test_a_page_without_room_says_what_it_lacks(
    write_run: Callable[..., RunLog], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_data, "TABLE_BYTES", 0)
    monkeypatch.setattr(run_data, "GRAPH_BYTES", 120)
    data = run_data.run_data(load_run(write_run().path), 1)
    assert data["tables"]["overlap"][0]["rows"] == 0
    assert data["graphs"]["rounds"] == [2]
    assert data["notes"] == [
        "A large run: single pairs and clients are in this page for 0 of 2 rounds, of others their means.",
        "A large run: circuit graphs are in this page for 1 of 2 rounds.",
        "A large run: circuit graphs are in this page for the first 1 of 2 clients.",
    ]


@pytest.mark.long
def test_fifty_rounds_of_ten_clients_and_classes_fit_whole_into_ten_megabytes() -> None:
    run = large_run(50, 10, 10, np.random.default_rng(0))
    assert len(render([run])) < 10_000_000
    data = run_data.run_data(run, 1)
    assert data["notes"] == []
    assert len(data["graphs"]["rounds"]) == 50


@pytest.mark.long
def test_a_larger_run_is_thinned_to_ten_megabytes_and_keeps_every_round_s_means() -> None:
    run = large_run(12, 40, 10, np.random.default_rng(0))
    data = run_data.run_data(run, 1)
    assert len(json_for_html(data)) < 10_000_000
    assert [note.split(":")[0] for note in data["notes"]] == ["A large run"]
    shown = [row["same_class_iou"] for row in json.loads(json_for_html(data))["measures"]]
    assert shown == pytest.approx(measures.round_measures(run)["same_class_iou"].tolist())
