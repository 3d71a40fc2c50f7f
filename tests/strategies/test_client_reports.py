"""Federations in one process whose clients do not report everything."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from federation import InProcessGrid
from flwr.app import Message, MessageType
from tiny_runs import ATTRIBUTION, EXAMINED, all_tables, run_tiny, table

from fedcircuits.circuits.circuit import unpack_bits
from fedcircuits.records import Key
from fedcircuits.runlog.checkpoints import read_checkpoint
from fedcircuits.runlog.reader import read_info

SPLIT = {"partition": "classes", "client_classes": "0,1;2,3;4,5"}
REPORTS = ("full", "masks", "weights")


@dataclass
class Seen:
    """What crossed the wire: names of records and of values in them, by kind of message."""

    run: Path = Path()
    names: dict[str, set[str]] = field(default_factory=dict)

    def __call__(self, reply: Message, partition_id: int) -> Message:
        found = self.names.setdefault(reply.metadata.message_type, set())
        for name, record in reply.content.items():
            found |= {name, *(f"{name}/{key}" for key in record if name != Key.ARRAYS)}
        return reply


@pytest.fixture(scope="module")
def runs(defaults, tmp_path_factory) -> dict[str, Seen]:
    """One run of every kind of report, with examinations and nothing else changed."""
    seen = {}
    for report in REPORTS:
        seen[report] = Seen()
        folder = tmp_path_factory.mktemp(report)
        changes: dict[str, Any] = {**EXAMINED, **ATTRIBUTION, **SPLIT, "circuit_classes": "0,1,2"}
        seen[report].run = run_tiny(InProcessGrid(3, seen[report]), folder, defaults, client_report=report, **changes)
    return seen


def test_every_report_trains_the_same_model(runs):
    full, *others = (read_checkpoint(runs[report].run, 2) for report in REPORTS)
    for other in others:
        assert all(torch.equal(full[name], value) for name, value in other.items())


@pytest.mark.parametrize(("report", "mask"), [("masks", {"update/parameter-mask"}), ("weights", set())])
def test_nothing_by_class_crosses_the_wire(runs, report, mask):
    train = {"arrays", "metrics", "metrics/num-examples", "metrics/plain-weight", "metrics/train-seconds"}
    facts = ("partition-id", "num-partitions", "code-digest", "has-own-images", "num-examples")
    node = {"node", *(f"node/{fact}" for fact in facts)}
    assert runs[report].names == {
        MessageType.QUERY: node,
        MessageType.TRAIN: train | {"update", "update/partition-id"} | mask,
    }


def test_a_full_report_is_what_the_others_are_less_than(runs):
    names = runs["full"].names
    assert {"node/class-counts"} <= names[MessageType.QUERY]
    assert {"accuracy/recall", "circuits/members", "metrics/train_loss"} <= names[MessageType.TRAIN]
    assert MessageType.EVALUATE in names


@pytest.mark.parametrize("report", ["masks", "weights"])
def test_the_log_has_what_the_server_can_know_and_nothing_else(runs, report):
    run = runs[report].run
    assert read_info(run)["status"] == "completed"
    clients = table(run, "clients")
    assert clients["accepted"].all()
    unknown = ["class_counts", "train_loss", "discovery_seconds", "evaluate_seconds", "negatives"]
    assert clients[unknown].isna().all(axis=None)
    assert clients["num_examples"].tolist() == table(runs["full"].run, "clients")["num_examples"].tolist()
    assert clients["density"].tolist() == table(runs["full"].run, "clients")["density"].tolist()
    for name in ("accuracy", "circuits", "edges", "quality", "validity"):
        assert table(run, name)["partition_id"].isna().all(), name
        assert len(table(run, name)), name
    for name in ("swaps", "transfer", "patching", "stability", "circuit_interference"):
        assert table(run, name).empty, name
    pd.testing.assert_frame_equal(table(run, "interference"), table(runs["full"].run, "interference"))


def test_masks_are_compared_where_they_are_sent(runs):
    comparisons = {report: set(table(runs[report].run, "overlap")["comparison"]) for report in REPORTS}
    of_masks = {"parameter_mask_across_clients", "parameter_mask_local_vs_global"}
    assert comparisons["masks"] == of_masks | {"round_to_round"}
    assert comparisons["weights"] == {"round_to_round"}
    pd.testing.assert_frame_equal(table(runs["masks"].run, "masks"), table(runs["full"].run, "masks"))
    assert table(runs["weights"].run, "masks").empty


@pytest.mark.parametrize("report", ["masks", "weights"])
def test_the_server_takes_every_class_for_trained_where_clients_do_not_say(runs, report):
    quality = table(runs[report].run, "quality")
    assert set(quality["class_id"]) == {0, 1, 2}
    assert (quality["false_positive_rate"] == quality["false_positive_rate_all"]).all()
    ladder = table(runs[report].run, "ladder")
    assert ladder["accuracy"].notna().all()
    assert ladder["accuracy_trained"].isna().all()
    assert "A4" not in set(ladder["rung"])  # it would take to know who holds which images
    assert "A4" in set(table(runs["full"].run, "ladder")["rung"])


def test_the_round_line_does_not_speak_of_what_is_not_known(federate, caplog):
    with caplog.at_level("INFO", logger="fedcircuits"):
        federate(InProcessGrid(2), client_report="masks", num_server_rounds=1)
    (line,) = (record.message for record in caplog.records if record.message.startswith("round 1/1"))
    assert "of 10 classes, trained or not" in line
    assert "global circuits" in line
    assert "collapsed" not in line


def test_noisy_masks_leave_everything_else_as_it_was(federate):
    changes = {"client_report": "masks", "num_server_rounds": 1}
    noisy, clear = (federate(InProcessGrid(3), mask_flip_probability=p, **changes) for p in (0.2, 0.0))
    assert table(noisy, "clients")["accepted"].all()
    tables, expected = all_tables(noisy), all_tables(clear)
    affected = {"masks", "overlap"}
    for name in set(tables) - affected:
        frame = tables[name].drop(columns="reply_bytes", errors="ignore")
        pd.testing.assert_frame_equal(frame, expected[name].drop(columns="reply_bytes", errors="ignore"), obj=name)
    bits = [
        torch.stack([unpack_bits(mask, (492,), "mask") for mask in frames["masks"]["mask"]])
        for frames in (tables, expected)
    ]
    flipped = (bits[0] ^ bits[1]).double().mean()
    assert float(flipped) == pytest.approx(0.2, abs=6 * (0.2 * 0.8 / bits[0].numel()) ** 0.5)  # six standard errors


def test_the_noise_of_two_runs_with_one_seed_differs(federate):
    changes = {"client_report": "masks", "num_server_rounds": 1, "mask_flip_probability": 0.2, "seed": 3}
    one, other = (table(federate(InProcessGrid(2), **changes), "masks")["mask"] for _ in range(2))
    assert (one != other).all()
