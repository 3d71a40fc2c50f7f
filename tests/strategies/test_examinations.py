"""Examinations and the validity gate in whole federations."""

import logging
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from federation import InProcessGrid
from flwr.app import Array, ArrayRecord, Message, MessageType
from tiny_runs import ATTRIBUTION, EXAMINED, all_tables, run_tiny, table

from fedcircuits.circuits.check_verdict import CheckResult
from fedcircuits.examination.validity import ValidityRow
from fedcircuits.federation.messages import LARGEST_WEIGHT
from fedcircuits.records import Key, RungName
from fedcircuits.runlog.checkpoints import read_checkpoint
from fedcircuits.runlog.reader import read_info
from strategies import examinations

ROUNDS = {"num_server_rounds": 3, "validity_every": 2, "examination_every": 2}
SPLIT = {"partition": "classes", "client_classes": "0,1;1,2,3;4", "circuit_classes": "1,2,4"}
ONE_ROUND = {"num_server_rounds": 1, "examination_every": 1, "validity_every": 0}
TABLES_OF_ALL = ("curves", "scrutiny", "alignment", "barriers", "swaps", "transfer", "patching", "ladder")
OF_CIRCUITS = ("curves", "scrutiny", "swaps", "transfer", "patching")
CHECKED = ValidityRow(None, None, 0.9, 0.5, 0.1, 0.4, 0.02, 20.0, 3, True)
"""The pooled row of a check that was passed."""

VERDICTS = {
    True: CHECKED,
    False: replace(CHECKED, effect=0.04, z=2.0, passed=False),
    None: replace(CHECKED, effect=None, z=None, passed=None),
}

LEARNS = {
    "train_limit": 300,
    "heldout_limit": 200,
    "local_epochs": 6,
    "learning_rate": 0.01,
    "sparsity": 0.0,
    "gate_steps": 15,
    "gate_batch": 8,
    "gate_learning_rate": 0.5,
    "gate_penalty": 0.1,
}
"""Models and gates that are good enough for circuits to be usable."""


@pytest.fixture(scope="module")
def run(defaults, tmp_path_factory) -> Path:
    """Three rounds: checks in 1 and 3, examinations of two of three clients in 2 and 3; the third has one class."""
    folder = tmp_path_factory.mktemp("examined")
    settings = {**EXAMINED, **ATTRIBUTION, **SPLIT, **ROUNDS}
    with pytest.MonkeyPatch.context() as patch:
        pass_every_check(patch)  # a failed one would be followed by another in the next round
        return run_tiny(InProcessGrid(3, seed=0), folder, defaults, examination_clients=2, **settings)


def pass_every_check(patch: pytest.MonkeyPatch) -> None:
    """Let checks be made, and all be passed."""
    patch.setattr(examinations, "result_of", lambda _, server_round: CheckResult(server_round, 0.4, 20.0))


def rounds_of(run: Path, name: str) -> list[int]:
    return sorted(table(run, name)["round"].unique())


def lost_views(*partitions: int):
    """Lose the answers of some clients to evaluate messages."""

    def tamper(reply: Message, partition_id: int) -> Message | None:
        is_hit = partition_id in partitions and reply.metadata.message_type == MessageType.EVALUATE
        return None if is_hit else reply

    return tamper


def lost_update(partition: int):
    """Lose the answers of one client to train messages."""

    def tamper(reply: Message, partition_id: int) -> Message | None:
        is_hit = partition_id == partition and reply.metadata.message_type == MessageType.TRAIN
        return None if is_hit else reply

    return tamper


def say(monkeypatch: pytest.MonkeyPatch, *verdicts: bool | None) -> None:
    """Let the checks of a run end as given, one after the other."""
    said = iter(verdicts)
    monkeypatch.setattr(examinations, "check_validity", lambda *_: [VERDICTS[next(said)]])


# -- When, and of whom


def test_every_table_of_an_examination_has_rows_in_the_rounds_that_are_due_and_in_the_last(run):
    assert {name: rounds_of(run, name) for name in TABLES_OF_ALL} == {name: [2, 3] for name in TABLES_OF_ALL}
    assert rounds_of(run, "validity") == [1, 3]


def test_costs_name_every_measure_of_a_round_once(run):
    measures = table(run, "costs").groupby("round")["measure"].apply(sorted)
    taken = ["scrutiny", "alignment", "barriers", "swaps", "transfer", "patching", "ladder", "controls of overlap"]
    taken = sorted(taken)
    assert measures.to_dict() == {1: ["validity"], 2: taken, 3: sorted([*taken, "validity"])}
    assert (table(run, "costs")["seconds"] >= 0).all()


def test_activation_retention_is_there_in_rounds_with_examinations_only(run):
    convolutions = table(run, "interference").query("layer != 'fc'")
    known = convolutions["activation_retention"].notna().groupby(convolutions["round"]).all()
    assert known.to_dict() == {1: False, 2: True, 3: True}
    assert table(run, "interference").query("layer == 'fc'")["activation_retention"].isna().all()


def test_the_first_clients_are_looked_at_but_the_ladder_sees_all(run):
    for name in ("swaps", "patching"):
        assert set(table(run, name)["partition_id"]) == {0, 1}
    assert set(table(run, "scrutiny").query("model == 'client'")["partition_id"]) == {0, 1}
    pairs = table(run, "alignment")[["a_partition_id", "b_partition_id"]].drop_duplicates()
    assert [tuple(pair) for pair in pairs.fillna(-1).astype(int).to_numpy()] == [(0, 1), (0, -1), (1, -1)]
    rungs = table(run, "ladder").query(f"rung == '{RungName.CLIENT_READOUT}' and round == 2")
    assert sorted(rungs["partition_id"].dropna()) == [0, 1, 2]
    assert set(table(run, "ladder")["rung"]) == {str(rung) for rung in RungName}


def test_only_the_circuits_that_are_looked_for_are_looked_at(run):
    scrutiny = table(run, "scrutiny")
    assert set(scrutiny.query("model == 'client'").groupby("partition_id")["class_id"].apply(tuple)) == {
        (1, 1),
        (1, 2, 1, 2),
    }
    assert set(scrutiny.query("model == 'global'")["class_id"]) == {1, 2, 4}


def test_the_discovery_is_checked_on_the_clients_that_know_the_most_classes(run):
    validity = table(run, "validity").query("round == 1")
    checked = list(zip(validity["partition_id"].fillna(-1), validity["class_id"].fillna(-1), strict=True))
    # Client 1 also holds class 3, and client 0 class 0, which are not looked for; client 2 has a single class.
    assert checked == [(1, 1), (1, 2), (0, 1), (-1, -1)]
    assert validity["num_circuits"].tolist() == [1, 1, 1, 3]


def test_the_check_judges_the_circuits_that_the_log_holds(federate, monkeypatch):
    judged = {}

    def keep(_settings, models, _test, position):
        judged[position.server_round] = models
        return [CHECKED]

    monkeypatch.setattr(examinations, "check_validity", keep)
    run = federate(
        InProcessGrid(2), **{**EXAMINED, **ATTRIBUTION, **ONE_ROUND, "validity_every": 1, "circuit_classes": "0,1"}
    )
    logged = table(run, "circuits").query("model == 'client'")
    for model in judged[1]:
        own = logged[logged["partition_id"] == model.partition_id]
        sizes = own.groupby("class_id")["num_channels"].sum()
        assert sizes.to_dict() == dict(
            zip(model.circuits.class_ids, model.circuits.members.sum(1).tolist(), strict=True)
        )


# -- What they must not change


def test_examinations_change_neither_weights_nor_circuits(run, federate, monkeypatch):
    pass_every_check(monkeypatch)  # as for `run`
    without = federate(
        InProcessGrid(3, seed=5), **{**EXAMINED, **ATTRIBUTION, **SPLIT, **ROUNDS, "examination_every": 0}
    )
    assert all(table(without, name).empty for name in TABLES_OF_ALL)
    first, second = all_tables(run), all_tables(without)
    for name in ("accuracy", "circuits", "edges", "quality", "overlap", "circuit_interference", "validity"):
        pd.testing.assert_frame_equal(first[name], second[name])
    one, other = read_checkpoint(run, 3), read_checkpoint(without, 3)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_checks_change_neither_weights_nor_circuits(run, federate):
    settings = {**EXAMINED, **ATTRIBUTION, **SPLIT, **ROUNDS, "examination_every": 0, "validity_every": 0}
    without = federate(InProcessGrid(3), **settings)
    assert table(without, "validity").empty
    assert table(without, "costs").empty
    pd.testing.assert_frame_equal(table(run, "circuits"), table(without, "circuits"))
    one, other = read_checkpoint(run, 3), read_checkpoint(without, 3)
    assert all(torch.equal(one[name], other[name]) for name in one)


# -- Rounds in which something is missing


def test_a_run_without_circuits_has_what_needs_none(federate):
    run = federate(InProcessGrid(2), **{**EXAMINED, **ONE_ROUND, "validity_every": 1}, circuit_every=0)
    for name in (*OF_CIRCUITS, "validity"):
        assert table(run, name).empty, name
    assert len(table(run, "ladder")) == 11 + 1  # one more for the second client
    assert len(table(run, "barriers")) == 3
    alignment = table(run, "alignment")
    assert alignment["matched_correlation"].notna().any()
    assert alignment["phi"].isna().all()
    assert "validity" not in set(table(run, "costs")["measure"])


def test_a_round_with_examinations_but_without_circuits_has_what_needs_none(federate):
    changes = {**EXAMINED, **ATTRIBUTION, "num_server_rounds": 2, "examination_every": 1, "validity_every": 0}
    run = federate(InProcessGrid(2), **changes, circuit_every=2, circuit_classes="0")
    assert rounds_of(run, "scrutiny") == [2]
    assert rounds_of(run, "ladder") == [1, 2]


def test_clients_that_do_not_answer_about_the_global_model_cost_what_needs_their_view(federate):
    grid = InProcessGrid(3, lost_views(0, 2))
    changes = {**EXAMINED, **ATTRIBUTION, **ONE_ROUND, "discovery_data": "client"}
    run = federate(grid, **changes, circuit_classes="0,1", min_accepted_fraction=0.3)
    assert set(table(run, "swaps")["partition_id"]) == {1}
    assert set(table(run, "patching")["partition_id"]) == {0, 1, 2}
    assert len(table(run, "barriers")) == 6


def test_a_client_that_was_rejected_is_not_looked_at(federate):
    run = federate(InProcessGrid(3, lost_update(1)), **{**EXAMINED, **ATTRIBUTION, **ONE_ROUND}, circuit_classes="0")
    assert set(table(run, "patching")["partition_id"]) == {0, 2}
    assert set(table(run, "ladder")["partition_id"].dropna()) == {0, 2}


def test_a_single_client_is_examined(federate):
    run = federate(
        InProcessGrid(1), **{**EXAMINED, **ATTRIBUTION, **ONE_ROUND, "validity_every": 1}, circuit_classes="0"
    )
    assert [name for name in (*TABLES_OF_ALL, "validity") if table(run, name).empty] == [
        "transfer"
    ]  # nobody else is there
    assert table(run, "barriers")["barrier"].tolist() == [0.0]  # the average is the client's own model


def test_a_sample_of_clients_is_examined(federate):
    changes = {**EXAMINED, **ATTRIBUTION, **ONE_ROUND, "num_server_rounds": 2}
    run = federate(InProcessGrid(4), **changes, circuit_classes="0", fraction_train=0.5)
    took_part = table(run, "clients").groupby("round")["partition_id"].apply(set).to_dict()
    looked_at = table(run, "patching").groupby("round")["partition_id"].apply(set).to_dict()
    assert looked_at == took_part


def test_clients_of_a_single_class_are_told_from_everybodys_classes(federate):
    changes = {**EXAMINED, **ATTRIBUTION, **ONE_ROUND, "validity_every": 1}
    run = federate(InProcessGrid(2), **changes, partition="classes", client_classes="0;1")
    for name in ("curves", "swaps", "patching"):
        assert len(table(run, name)) > 0, name
    assert table(run, "curves").query("model == 'client'")["balanced_accuracy"].notna().all()


# -- The gate


def test_a_failed_check_makes_no_circuit_usable_until_another_is_passed(federate, monkeypatch, caplog):
    say(monkeypatch, False, False, True)
    caplog.set_level(logging.INFO, "fedcircuits")
    changes = {**LEARNS, "heldout_limit": 600, "num_server_rounds": 3, "validity_every": 2, "circuit_classes": "0,1,2"}
    run = federate(InProcessGrid(2), **changes)
    quality, overlap, stability = (table(run, name) for name in ("quality", "overlap", "stability"))
    usable = quality.groupby(["round", "model"])["usable"].any().unstack()
    assert not usable.loc[[1, 2]].any(axis=None)
    assert usable.loc[3, ["client", "transplant", "global"]].all()
    circuits = overlap[~overlap["comparison"].str.startswith("parameter")]
    by_round = circuits.groupby(["round", "comparison"])["usable"].any().unstack()
    assert not by_round.loc[[1, 2]].any(axis=None)
    assert by_round.loc[3, ["retest", "same_class_across_clients", "local_vs_global"]].all()
    assert not by_round.loc[3, "round_to_round"]  # the earlier ones stay unusable
    assert set(stability["round"]) == {3}
    lines = [record.getMessage() for record in caplog.records if record.getMessage().startswith("round ")]
    failed = [
        f"discovery failed its check in round {n}: circuits beat random ones of their sizes by only 0.04 "
        f"balanced accuracy (needed 0.10; z 2.0, needed 3.0), so no circuit of round {n} counts as usable"
        for n in (1, 2)
    ]
    assert [sum(text in line for text in failed) for line in lines] == [1, 1, 0]


@pytest.mark.parametrize("first", [True, False])
def test_a_check_that_says_nothing_leaves_the_last_verdict(federate, monkeypatch, first):
    say(monkeypatch, first, None)
    run = federate(InProcessGrid(2), **LEARNS, validity_every=1, circuit_classes="0,1")
    assert rounds_of(run, "validity") == [1, 2]
    usable = table(run, "quality").groupby("round")["usable"].any()
    assert usable.to_dict() == {1: first, 2: first}


def test_where_nobody_knows_two_classes_nothing_is_checked_and_circuits_may_be_usable(federate):
    changes = {**LEARNS, "partition": "classes", "client_classes": "0;1", "num_server_rounds": 1}
    checked = federate(InProcessGrid(2), **changes, validity_every=1)
    unchecked = federate(InProcessGrid(2), **changes, validity_every=0)
    assert table(checked, "validity").empty
    assert table(checked, "costs").empty
    pd.testing.assert_frame_equal(table(checked, "quality"), table(unchecked, "quality"))


def test_a_check_that_could_not_be_made_is_made_in_the_next_round(federate, monkeypatch):
    rows = iter([[], [CHECKED], [CHECKED]])
    monkeypatch.setattr(examinations, "check_validity", lambda *_: next(rows))
    run = federate(InProcessGrid(2), num_server_rounds=4, validity_every=2, circuit_classes="0")
    assert rounds_of(run, "validity") == [2, 4]


def test_clients_without_circuits_are_not_checked(federate):
    split = {"partition": "classes", "client_classes": "0,1;2,3,4", "circuit_classes": "0"}
    run = federate(
        InProcessGrid(2), **{**EXAMINED, **ATTRIBUTION, "examination_every": 0}, **split, num_server_rounds=1
    )
    assert set(table(run, "validity")["partition_id"].dropna()) == {0}
    assert set(table(run, "validity")["class_id"].dropna()) == {0}


# -- Settings at their ends


def test_few_held_out_images_and_large_samples_are_enough(federate):
    changes = {
        **EXAMINED,
        **ATTRIBUTION,
        **ONE_ROUND,
        "validity_every": 1,
        "examination_images": 5000,
        "examination_draws": 1,
    }
    run = federate(InProcessGrid(2), **changes, heldout_limit=20, circuit_classes="0,1")
    assert read_info(run)["status"] == "completed"
    assert all(len(table(run, name)) for name in (*TABLES_OF_ALL, "validity"))


@pytest.mark.parametrize("scale", [0.0, 1e20])
def test_neither_dead_nor_diverged_models_end_the_run(federate, scale):
    def rescaled(reply: Message, partition_id: int) -> Message:
        if reply.metadata.message_type == MessageType.TRAIN:
            scaled = {n: scale * array.numpy() for n, array in reply.content[Key.ARRAYS].items()}
            values = {n: Array(array.clip(-LARGEST_WEIGHT, LARGEST_WEIGHT)) for n, array in scaled.items()}
            reply.content[Key.ARRAYS] = ArrayRecord(values)
        return reply

    changes = {**EXAMINED, **ATTRIBUTION, **ONE_ROUND, "validity_every": 1, "circuit_classes": "0,1"}
    run = federate(InProcessGrid(2, rescaled), **changes)
    assert read_info(run)["status"] == "completed"
    assert table(run, "clients")["accepted"].all()
    assert len(table(run, "ladder")) == 12
