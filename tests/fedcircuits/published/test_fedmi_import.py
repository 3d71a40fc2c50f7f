"""Published logs of arXiv 2512.23043 as run logs of ours."""

import json
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fedcircuits.errors import RunLogError
from fedcircuits.published import fedmi_import
from fedcircuits.published.fedmi_import import write_fedmi_run
from fedcircuits.published.fedmi_logs import read_fedmi_log
from fedcircuits.runlog.checkpoints import CHECKPOINTS
from fedcircuits.runlog.reader import read_info, read_table

Circuit = tuple[list[int], list[int]]

DATA_FOLDER = "FEDCIRCUITS_DATA"
PUBLISHED = "fedmi-logs/circuits_per_round_1_class_per_client.json"


def entry(circuit: Circuit, **metrics: float) -> dict[str, Any]:
    return {"active_nodes": {"conv1": circuit[0], "conv2": circuit[1]}, "metrics": metrics}


LOCAL: dict[int, dict[int, Circuit]] = {0: {0: ([0], [0, 1])}, 1: {0: ([0], [1, 2]), 1: ([1], [3])}}


def newer_round(local: dict[int, dict[int, Circuit]], on_global: Circuit) -> dict[str, Any]:
    """Local circuits reach 0.9, the global model's, all of them `on_global`, 0.8, and transplants 0.4."""
    return {
        "clients_local_model": {
            f"client_{p}": {f"{c} - x": entry(circuit, accuracy=90, necessity=10) for c, circuit in circuits.items()}
            for p, circuits in local.items()
        },
        "clients_global_model": {
            f"client_{p}": {
                f"{c} - x": entry(on_global, accuracy=80, necessity=20, local_mask_on_global_weights_acc=40)
                for c in circuits
            }
            for p, circuits in local.items()
        },
    }


def write(tmp_path: Path, rounds: list[dict[str, Any]]) -> Path:
    path = tmp_path / "published log.json"
    path.write_text(json.dumps({f"round_{i + 1}": content for i, content in enumerate(rounds)}), encoding="utf-8")
    return write_fedmi_run(read_fedmi_log(path, (2, 4)), tmp_path / "runs")


def table(run: Path, name: str) -> pd.DataFrame:
    return read_table(run, name, read_info(run)["last_round"])


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write(tmp_path, [newer_round(LOCAL, ([0], [1]))] * 2)


def test_the_run_is_complete_and_says_where_it_comes_from(run: Path) -> None:
    info = read_info(run)
    assert run.name.endswith("-published-log")
    assert (info["status"], info["last_round"], info["num_clients"]) == ("completed", 2, 2)
    assert info["settings"]["imported-from"] == "published log.json"
    assert len(info["settings"]["imported-sha256"]) == 64
    assert (info["settings"]["channels"], info["settings"]["num-server-rounds"]) == ("2,4", 2)
    assert not list((run / CHECKPOINTS).iterdir())


def test_every_client_is_accepted_and_what_it_holds_is_missing(run: Path) -> None:
    clients = table(run, "clients")
    assert clients["partition_id"].tolist() == [0, 1, 0, 1]
    assert clients["accepted"].all()
    assert clients[["num_examples", "class_counts", "train_loss", "density"]].isna().all(axis=None)


def test_circuits_are_laid_out_by_layer_and_every_channel_counts_as_reachable(run: Path) -> None:
    rows = table(run, "circuits").query("round == 1")
    assert rows.groupby("model").size().to_dict() == {"client": 6, "global": 6}
    row = rows.query("model == 'client' and partition_id == 1 and class_id == 0 and layer == 'conv2'").iloc[0]
    assert (row["num_channels"], row["layer_width"], row["data"]) == (2, 4, "client")
    assert list(row["channels"]) == [1, 2]
    assert list(row["score"]) == [0.0, 1.0, 1.0, 0.0]
    assert list(row["reachable"]) == [0, 1, 2, 3]


def test_edges_of_the_log_become_rows(tmp_path: Path) -> None:
    content = newer_round(LOCAL, ([0], [1]))
    content["clients_local_model"]["client_0"]["0 - x"]["connectivity"] = {"conv1": {"0": [0]}, "conv2": {"1": [0]}}
    rows = table(write(tmp_path, [content]), "edges")
    assert list(rows["layer"]) == ["conv1", "conv2"]
    assert set(rows["model"]) == {"client"}
    last = rows.iloc[-1]
    assert (last["num_edges"], list(last["sources"]), list(last["targets"])) == (1, [0], [1])


def test_rates_become_fractions_and_the_crossed_one_a_transplant(run: Path) -> None:
    rows = table(run, "quality").query("round == 1 and partition_id == 0").set_index("model")
    assert rows["sufficiency"].to_dict() == {"client": 0.9, "global": 0.8, "transplant": 0.4}
    assert rows["necessity"].dropna().to_dict() == {"client": 0.1, "global": 0.2}
    assert rows[["false_positive_rate", "false_positive_rate_all", "usable"]].isna().all(axis=None)


def test_overlaps_are_measured_against_chance(run: Path) -> None:
    rows = table(run, "overlap").query("round == 1 and comparison == 'same_class_across_clients'").set_index("layer")
    assert rows["intersection"].to_dict() == {"conv1": 1, "conv2": 1, "all": 2}
    assert rows["iou"].tolist() == pytest.approx([1, 1 / 3, 2 / 4])
    # conv1: the one channel of two is hit with chance 1/2. conv2: two of four share 0, 1 or 2 channels with chances
    # 1/6, 4/6 and 1/6, so the mean is 4/6 * 1/3 + 1/6 = 7/18.
    assert rows.loc[["conv1", "conv2"], "expected_iou"].tolist() == pytest.approx([1 / 2, 7 / 18])
    assert rows.loc[["conv1", "conv2"], "adjusted_iou"].tolist() == pytest.approx([1, -1 / 11])
    assert rows["universe"].tolist() == [2, 4, 6]
    assert rows["usable"].isna().all()


def test_all_comparisons_that_the_log_allows_are_made(run: Path) -> None:
    rows = table(run, "overlap").query("layer == 'all'")
    assert rows.groupby(["round", "comparison"]).size().to_dict() == {
        (1, "different_class_across_clients"): 1,
        (1, "different_class_within_client"): 1,
        (1, "local_vs_global"): 3,
        (1, "same_class_across_clients"): 1,
        (2, "different_class_across_clients"): 1,
        (2, "different_class_within_client"): 1,
        (2, "local_vs_global"): 3,
        (2, "round_to_round"): 6,  # three circuits of client models, three of the global model
        (2, "same_class_across_clients"): 1,
    }
    assert rows.query("comparison == 'round_to_round'")["iou"].tolist() == [1.0] * 6


@pytest.mark.parametrize(
    ("circuit", "reason"),
    [
        (([], [0]), "empty"),
        (([0], []), "empty"),
        (([], []), "empty"),
        (([0, 1], [0, 1, 2, 3]), "whole_network"),
        (([0, 1], [0, 1, 2]), "whole_network"),  # five of six channels
    ],
)
def test_a_circuit_with_an_empty_layer_or_nearly_all_channels_is_not_usable(
    tmp_path: Path, circuit: Circuit, reason: str
) -> None:
    run = write(tmp_path, [newer_round({0: {0: circuit}, 1: {0: ([0, 1], [0])}}, ([0], [1]))])
    quality = table(run, "quality").set_index(["model", "partition_id"])["usable"]
    assert (quality["client", 0], quality["transplant", 0]) == (False, False)
    assert quality.drop([("client", 0), ("transplant", 0)]).isna().all()
    reasons = table(run, "quality").set_index(["model", "partition_id"])["reason"]
    assert (reasons["client", 0], reasons["transplant", 0]) == (reason, reason)
    assert reasons.notna().sum() == 2
    pairs = table(run, "overlap").query("layer == 'all'").set_index(["comparison", "a_partition_id"])["usable"]
    assert not pairs["same_class_across_clients", 0]
    assert not pairs["local_vs_global", 0]
    assert pd.isna(pairs["local_vs_global", 1])


def test_a_circuit_that_never_finds_its_class_is_not_usable(tmp_path: Path) -> None:
    content = newer_round({0: {0: ([0], [0])}}, ([0], [1]))
    content["clients_global_model"]["client_0"]["0 - x"]["metrics"]["accuracy"] = 0.0
    quality = table(write(tmp_path, [content]), "quality").set_index("model")
    assert not quality.loc["global", "usable"]
    assert quality.loc["global", "reason"] == "low_recall"
    assert quality.loc[["client", "transplant"], ["usable", "reason"]].isna().all(axis=None)


def test_the_older_form_gives_circuits_without_rates_and_without_the_global_model(tmp_path: Path) -> None:
    classes = {"0": {"conv1": [0], "conv2": [1]}}
    run = write(tmp_path, [{"clients_local_model": {"client_0": classes, "client_1": classes}}])
    assert set(table(run, "circuits")["model"]) == {"client"}
    assert table(run, "quality")["sufficiency"].isna().all()
    assert set(table(run, "overlap")["comparison"]) == {"same_class_across_clients"}


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(fedmi_import.RunLog, "write_round", fail)
    with pytest.raises(RunLogError, match="disk full; the run in it is incomplete"):
        write(tmp_path, [newer_round(LOCAL, ([0], [1]))])


@pytest.fixture
def published() -> Path:
    folder = os.environ.get(DATA_FOLDER)
    path = Path(folder or "", PUBLISHED)
    if not folder or not path.is_file():
        pytest.skip(f"{DATA_FOLDER} names no folder that holds {PUBLISHED}")
    return path


def test_a_published_log_is_read_to_the_last_circuit(published: Path, tmp_path: Path) -> None:
    run = write_fedmi_run(read_fedmi_log(published), tmp_path)
    raw = json.loads(published.read_text(encoding="utf-8"))
    num_rows = {"clients": 10 * 3, "accuracy": 0, "circuits": 10 * 3 * 2 * 3, "quality": 10 * 3 * 3, "interference": 0}
    assert {name: len(table(run, name)) for name in num_rows} == num_rows
    # Their last round: local circuits without any channel in conv1 and conv2, of which the log says 100 % sufficient.
    last = table(run, "quality").query("round == 10 and model == 'client'")
    assert last["sufficiency"].tolist() == [1.0] * 3
    assert not last["usable"].any()
    rows = table(run, "overlap").query("comparison == 'local_vs_global' and layer == 'conv3'")
    for number, partition_id, iou in zip(rows["round"], rows["a_partition_id"], rows["iou"], strict=True):
        sides = (raw[f"round_{number}"][side][f"client_{partition_id}"] for side in raw[f"round_{number}"])
        a, b = (set(next(iter(classes.values()))["active_nodes"]["conv3"]) for classes in sides)
        assert iou == pytest.approx(len(a & b) / len(a | b))
