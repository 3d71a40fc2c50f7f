"""True runs: `flwr run` with its SuperLink, Ray and real images."""

import os
from pathlib import Path

import pandas as pd
import pytest
import torch

from analysis.__main__ import main
from fedcircuits.records import TABLES, Comparison
from fedcircuits.runlog.checkpoints import read_checkpoint
from fedcircuits.runlog.reader import read_info, read_table

SMALL = {
    "num-server-rounds": 2,
    "channels": "16,32",
    "local-epochs": 4,
    "learning-rate": 0.01,
    "sparsity": 0.6,
    "sweep-target": 0.8,
    "attribution-images": 32,
    "attribution-points": 3,
    "examination-images": 20,
    "examination-draws": 5,
}
"""Learned well enough, and circuits small enough, for the discovery to pass its check in the first round."""

EXAMINED = ("curves", "scrutiny", "alignment", "barriers", "swaps", "transfer", "patching", "ladder")
TIMINGS = ["train_seconds", "discovery_seconds", "evaluate_seconds", "seconds"]
DATA_FOLDER = "FEDCIRCUITS_DATA"


def tables(run: Path) -> dict[str, pd.DataFrame]:
    last = read_info(run)["last_round"]
    return {name: read_table(run, name, last).drop(columns=TIMINGS, errors="ignore") for name in TABLES}


@pytest.fixture(scope="module")
def digits_run(flower, tmp_path_factory):
    return flower.run({**SMALL, "run-dir": str(tmp_path_factory.mktemp("runs"))}, num_clients=3)


def test_a_run_on_digits_completes_and_logs_whole_rounds(digits_run):
    assert digits_run.status == "finished:completed", digits_run.output
    info = read_info(digits_run.directory)
    assert (info["status"], info["last_round"], info["num_clients"]) == ("completed", 2, 3)
    logged = tables(digits_run.directory)
    rounds = {name: sorted(frame["round"].unique()) for name, frame in logged.items()}
    assert rounds.pop("validity") == [1]
    assert {name: rounds.pop(name) for name in EXAMINED} == {name: [2] for name in EXAMINED}
    assert set(rounds.pop("stability")) <= {1, 2}  # of usable circuits, of which a small network has few
    assert set(map(tuple, rounds.values())) == {(1, 2)}
    assert set(logged["overlap"]["comparison"]) == {str(comparison) for comparison in Comparison}
    assert logged["clients"]["num_examples"].groupby(logged["clients"]["round"]).sum().tolist() == [899, 899]
    accuracy = logged["accuracy"].query("model == 'global' and round == 2")
    assert (accuracy["recall"] * accuracy["num_examples"]).sum() / accuracy["num_examples"].sum() > 0.3


def test_the_console_shows_the_run_directory_one_line_per_round_and_what_to_type_next(digits_run):
    lines = digits_run.output.splitlines()
    assert sum(line == f"run directory: {digits_run.directory}" for line in lines) == 1
    assert [line.split(" | ")[0] for line in lines if line.startswith("round ")] == ["round 1/2", "round 2/2"]
    assert f"next: python -m analysis summary {digits_run.directory}" in lines
    assert digits_run.directory.is_absolute()


def test_the_command_line_reads_a_true_run(digits_run, tmp_path, capsys):
    assert main(["status", str(digits_run.directory)]) == 0
    assert main(["summary", str(digits_run.directory)]) == 0
    assert "2 of 2 rounds" in capsys.readouterr().out
    assert main(["figures", str(digits_run.directory), "--out", str(tmp_path)]) == 0
    assert len(list(tmp_path.glob("*.png"))) >= 11


@pytest.mark.long
def test_one_worker_gives_the_bits_that_two_give(flower, digits_run, tmp_path):
    again = flower.run({**SMALL, "run-dir": str(tmp_path)}, num_clients=3, cpus_per_client=os.cpu_count() or 1)
    assert again.status == "finished:completed", again.output
    for name, frame in tables(digits_run.directory).items():
        pd.testing.assert_frame_equal(frame, tables(again.directory)[name])
    first, second = read_checkpoint(digits_run.directory, 2), read_checkpoint(again.directory, 2)
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.long
def test_another_of_flowers_strategies_runs(flower, tmp_path):
    run = flower.run({**SMALL, "run-dir": str(tmp_path), "strategy": "fedadam"}, num_clients=2)
    assert run.status == "finished:completed", run.output
    assert read_info(run.directory)["last_round"] == 2


def test_wrong_settings_end_the_run_as_failed_and_list_every_mistake(flower, tmp_path):
    wrong = {"sparsity": 1.2, "num-server-rounds": 0, "client-classes": "0,12", "run-dir": str(tmp_path)}
    run = flower.run({**SMALL, **wrong}, num_clients=2)
    assert run.status == "finished:failed", run.output
    for problem in ("sparsity = 1.2", "num-server-rounds = 0", "no class [12] in digits"):
        assert problem in run.output
    assert main(["status", str(tmp_path)]) == 1


def test_a_federation_of_a_wrong_size_fails_and_says_what_to_type(flower, tmp_path):
    split = {"partition": "classes", "client-classes": "0,1;2,3;4,5", "run-dir": str(tmp_path)}
    run = flower.run({**SMALL, **split}, num_clients=2)
    assert run.status == "finished:failed", run.output
    assert '--federation-config "num-supernodes=3"' in run.output
    assert read_info(run.directory)["status"] == "failed"


@pytest.mark.long
@pytest.mark.parametrize("num_clients", [2, 5])
def test_the_default_run_learns_and_finds_usable_circuits_that_follow_the_class(flower, tmp_path, num_clients):
    run = flower.run({"run-dir": str(tmp_path)}, num_clients=num_clients)
    assert run.status == "finished:completed", run.output
    last = {name: frame[frame["round"] == 6] for name, frame in tables(run.directory).items()}
    accuracy = last["accuracy"].query("model == 'global'")
    assert (accuracy["recall"] * accuracy["num_examples"]).sum() / accuracy["num_examples"].sum() > 0.85
    # About half: the others do not hold on test images, are nearly the whole network, or name the default class.
    assert last["quality"].query("model == 'client'")["usable"].mean() > 0.35
    pooled = last["overlap"].query("layer == 'all' and usable")
    same = pooled.query("comparison == 'same_class_across_clients'")
    other = pooled.query("comparison == 'different_class_across_clients'")
    retest = pooled.query("comparison == 'retest' and a_model == 'client'")
    assert other["adjusted_iou"].mean() < 0.5 * same["adjusted_iou"].mean()
    # On average the most that noise allows, of the same classes: few of them are usable in both of two clients.
    alike = retest[retest["a_class_id"].isin(same["a_class_id"])]
    assert same["adjusted_iou"].mean() <= alike["adjusted_iou"].mean() + 0.1


@pytest.mark.long
def test_mnist_by_class(flower, tmp_path):
    folder = os.environ.get(DATA_FOLDER)
    if not folder or not (Path(folder) / "MNIST").is_dir():
        pytest.skip(f"{DATA_FOLDER} names no folder with MNIST")
    settings = {
        "num-server-rounds": 2,
        "dataset": "mnist",
        "data-dir": str(Path(folder).resolve()),
        "partition": "classes",
        "client-classes": "0,1,2;3,4,5;6,7,8",
        "train-limit": 1500,
        "heldout-limit": 500,
        "local-epochs": 2,
        "attribution-images": 32,
        "attribution-points": 3,
        "examination-images": 10,
        "examination-draws": 5,
        "retest-every": 0,
        "run-dir": str(tmp_path),
    }
    run = flower.run(settings, num_clients=3)
    assert run.status == "finished:completed", run.output
    logged = tables(run.directory)
    held = logged["clients"].query("round == 1")["class_counts"]
    assert [[c for c, n in enumerate(counts) if n] for counts in held] == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    own = logged["accuracy"].query("model == 'client' and round == 2")
    trained = [row.recall for row in own.itertuples() if row.class_id // 3 == row.partition_id]
    # Each client learns its own three classes, whatever averaging does to them afterwards.
    assert sum(trained) / len(trained) > 0.8
