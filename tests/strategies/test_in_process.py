"""Whole federations in one process: the real apps, the real strategies, no Ray."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from federation import InProcessGrid, lost
from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, MessageType, RecordDict
from tiny_runs import ATTRIBUTION, EXAMINED, TINY, all_tables, table

from analysis.summary import summary_text
from fedcircuits import load_run
from fedcircuits.circuits.circuit import unpack_bits
from fedcircuits.comparisons import circuits as comparisons
from fedcircuits.comparisons import masks as mask_comparisons
from fedcircuits.errors import FedCircuitsError, FederationError, SettingsError
from fedcircuits.federation.messages import decode_update
from fedcircuits.records import Comparison, Key
from fedcircuits.runlog.checkpoints import read_checkpoint
from fedcircuits.runlog.reader import read_info
from strategies.registry import STRATEGIES

PROPER = {"gate_steps": 15, "gate_learning_rate": 1.0}
"""Gates that close some channels: after four small steps, every circuit still is the whole network."""


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_runs_under_the_observer(federate, make_settings, strategy):
    changes = {"fedprox": {"proximal_mu": 0.1}, "fedtrimmedavg": {"trim_fraction": 0.34}}.get(strategy, {})
    run = federate(InProcessGrid(3), strategy=strategy, **changes)
    info = read_info(run)
    assert (info["status"], info["last_round"], info["num_clients"]) == ("completed", 2, 3)
    weights = read_checkpoint(run, 2)
    assert all(value.dtype == torch.float32 and value.isfinite().all() for value in weights.values())
    assert table(run, "clients")["accepted"].all()


def test_one_run_logs_every_table_and_every_comparison(federate):
    run = federate(InProcessGrid(3))
    for name in (
        "clients",
        "accuracy",
        "circuits",
        "edges",
        "quality",
        "overlap",
        "interference",
        "circuit_interference",
    ):
        assert sorted(table(run, name)["round"].unique()) == [1, 2], name
    overlap = table(run, "overlap")
    examined = {Comparison.OTHER_NEGATIVES, Comparison.PERTURBED_COPY}
    assert set(overlap["comparison"]) == {str(comparison) for comparison in {*Comparison} - examined}
    assert set(overlap["layer"]) == {"conv1", "conv2", "fc", "all"}
    assert studied(run) == {("client", "server"): 3, ("global", "server"): 1, ("transplant", "server"): 3}


def studied(run):
    """Return how many models of each kind had their circuits looked at, by whose images those were."""
    models = table(run, "quality").groupby(["model", "data"])["partition_id"].nunique(dropna=False)
    return models.to_dict()


def test_circuits_are_compared_like_with_like(federate):
    run = federate(InProcessGrid(3), partition="classes", client_classes="0,1,2;0,3,4;0,5,6", num_server_rounds=1)
    circuits, overlap = table(run, "circuits"), table(run, "overlap")
    # Every model was asked to tell a class from all others that any client holds.
    assert all(sorted([*row.negatives, row.class_id]) == list(range(7)) for row in circuits.itertuples())
    pairs = overlap[~overlap["comparison"].str.startswith("parameter")]
    assert set(pairs["data"]) == {"server"}
    assert pairs["same_question"].all()
    assert (
        overlap.loc[overlap["comparison"].str.startswith("parameter"), ["data", "same_question"]].isna().all(axis=None)
    )


def test_clients_that_may_not_see_the_probe_set_have_their_models_asked_by_the_server(federate):
    changes = {**ATTRIBUTION, "partition": "classes", "client_classes": "0,1,2;0,3,4", "num_server_rounds": 1}
    shared = federate(InProcessGrid(2), **changes)
    private = federate(InProcessGrid(2), share_probe=False, **changes)
    assert studied(private) == {
        ("client", "client"): 2,
        ("client", "server"): 2,
        ("global", "client"): 2,
        ("global", "server"): 1,
        ("transplant", "client"): 2,
    }
    # Scores are rounded where they travel.
    of_clients = [
        table(run, "circuits")
        .query("model == 'client' and data == 'server'")
        .drop(columns="score")
        .reset_index(drop=True)
        for run in (shared, private)
    ]
    pd.testing.assert_frame_equal(*of_clients)
    overlap = table(private, "overlap").query("comparison == 'same_class_across_clients' and layer == 'all'")
    assert overlap.groupby("data")["same_question"].agg(list).to_dict() == {"client": [False], "server": [True]}
    own = table(private, "circuits").query("model == 'client' and data == 'client' and partition_id == 1")
    assert {(row.class_id, tuple(row.negatives)) for row in own.itertuples()} == {(0, (3, 4)), (3, (0, 4)), (4, (0, 3))}


def test_retests_leave_circuits_as_they_are(federate):
    with_retests, without = (federate(InProcessGrid(2), retest_every=every, **ATTRIBUTION) for every in (1, 0))
    found = [table(run, "circuits").drop(columns="retest_channels") for run in (with_retests, without)]
    pd.testing.assert_frame_equal(*found)
    assert table(with_retests, "circuits")["retest_channels"].notna().all()
    assert table(without, "circuits")["retest_channels"].isna().all()


def test_an_examined_round_compares_other_questions_and_slightly_changed_copies(federate):
    overlap = table(
        federate(InProcessGrid(3), **{**EXAMINED, **ATTRIBUTION, "retest_every": 1, "circuit_classes": "0,1,2"}),
        "overlap",
    )
    pooled = overlap[overlap["layer"] == "all"]
    other = pooled[pooled["comparison"] == "other_negatives"]
    assert set(zip(other["a_partition_id"], other["a_class_id"], strict=True)) == {(0, 0), (0, 1), (0, 2)}
    assert not other["same_question"].any()
    copies = pooled[pooled["comparison"] == "perturbed_copy"]
    assert copies["same_question"].all()
    assert (copies["a_partition_id"] == copies["b_partition_id"]).all()


def test_a_split_that_rotates_is_logged_as_it_was_written_and_as_it_was_held(federate, caplog):
    by_class = {"partition": "classes", "client_classes": "0,1;0,9", "circuit_classes": "0", "rotate_classes": True}
    with caplog.at_level("INFO", logger="fedcircuits"):
        run = federate(InProcessGrid(2), seed=3, num_server_rounds=1, **by_class)
    settings = read_info(run)["settings"]
    assert (settings["client-classes"], settings["circuit-classes"]) == ("0,1;0,9", "0")
    clients = table(run, "clients").set_index("partition_id")["class_counts"]
    assert [list(counts.nonzero()[0]) for counts in clients.sort_index().map(np.asarray)] == [[3, 4], [2, 3]]
    assert set(table(run, "circuits")["class_id"]) == {3}
    assert "digits, classes 3,4;3,2 | sparsity" in caplog.text


def test_the_test_images_that_the_global_model_recognises_are_those_of_its_recall(federate):
    rows = table(federate(InProcessGrid(3)), "accuracy")
    average = rows[rows["model"] == "global"]
    counted = [
        int(unpack_bits(row.hits, (int(row.num_examples),), "hits").sum()) / row.num_examples
        for row in average.itertuples()
    ]
    assert counted == pytest.approx(average["recall"].tolist())
    assert rows.loc[rows["model"] == "client", "hits"].isna().all()


def test_every_overlap_of_circuits_comes_with_chance_and_noise(federate):
    overlap = table(federate(InProcessGrid(3), **PROPER), "overlap")
    masks = overlap["comparison"].str.startswith("parameter")
    assert overlap.loc[masks, ["reliability", "phi_true"]].isna().all(axis=None)
    known = overlap[overlap["iou"].notna()]
    assert known["expected_sd"].notna().all()
    circuits = overlap[~masks]
    noise = circuits.groupby("comparison")["reliability"].apply(lambda values: values.notna().any())
    assert noise.drop(str(Comparison.RETEST)).all()
    assert not noise[str(Comparison.RETEST)]
    assert circuits.loc[circuits["reliability"].isna(), "phi_true"].isna().all()


def test_clients_agreement_on_each_class_is_logged_as_one_figure(federate):
    trained = {"train_limit": 300, "heldout_limit": 0, "local_epochs": 6, "learning_rate": 0.01, "sparsity": 0.0}
    search = {"discovery": "attribution", "size_rule": "sweep", "sweep_target": 0.99, "channels": "8,12"}
    classes = {"partition": "classes", "client_classes": "0,1,2,3;0,1,2,3"}
    run = federate(InProcessGrid(2), num_server_rounds=1, **classes, **trained, **search)
    usable = table(run, "quality").query("model == 'client' and usable")
    shared = usable.groupby(["round", "class_id"]).size()
    stability = table(run, "stability")
    assert set(stability["layer"]) <= {"conv1", "conv2", "all"}
    counted = stability[stability["layer"] == "all"].set_index(["round", "class_id"])["num_circuits"]
    assert len(counted) > 0
    assert counted.to_dict() == shared[shared > 1].to_dict()
    assert (stability["stability"].dropna() <= 1 + 1e-9).all()


def test_the_same_seed_gives_the_same_bits_whatever_order_replies_come_in(federate):
    changes = {**EXAMINED, **ATTRIBUTION, "circuit_classes": "0,1,2"}
    first, second = (federate(InProcessGrid(3, seed=seed), **changes) for seed in (1, 2))
    for name, frame in all_tables(first).items():
        pd.testing.assert_frame_equal(frame, all_tables(second)[name])
    one, other = read_checkpoint(first, 2), read_checkpoint(second, 2)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_another_seed_gives_another_run(federate):
    one, other = (read_checkpoint(federate(InProcessGrid(2), seed=seed), 2) for seed in (0, 1))
    assert not torch.equal(one["fc.weight"], other["fc.weight"])


@pytest.mark.parametrize("weighting", ["examples", "plain"])
def test_the_average_is_the_mean_of_the_clients(federate, make_settings, weighting):
    spec, replies = make_settings(TINY).spec, []

    def keep(reply: Message, partition_id: int) -> Message:
        if reply.metadata.message_type == MessageType.TRAIN:
            replies.append(decode_update(reply.content, spec))
        return reply

    run = federate(InProcessGrid(3, keep), num_server_rounds=1, partition="dirichlet", weighting=weighting)
    counts = [1.0 if weighting == "plain" else reply.num_examples for reply in replies]
    assert weighting == "plain" or len(set(counts)) > 1
    average = read_checkpoint(run, 1)
    for name in average:
        expected = sum(c * r.weights[name].double() for c, r in zip(counts, replies, strict=True)) / sum(counts)
        # Float32 sums of three terms.
        torch.testing.assert_close(average[name].double(), expected, rtol=1e-5, atol=1e-7)


def test_krum_takes_one_client_as_it_is(federate, make_settings):
    spec, replies = make_settings(TINY).spec, []

    def keep(reply: Message, partition_id: int) -> Message:
        if reply.metadata.message_type == MessageType.TRAIN:
            replies.append(decode_update(reply.content, spec).weights)
        return reply

    average = read_checkpoint(federate(InProcessGrid(4, keep), num_server_rounds=1, strategy="krum"), 1)
    assert any(all(torch.equal(average[name], weights[name]) for name in average) for weights in replies)


def test_clients_without_a_shared_class_have_no_pair_of_the_same_class(federate):
    run = federate(InProcessGrid(3), partition="classes", client_classes="0,1,2;3,4,5;6,7,8")
    overlap = table(run, "overlap")
    assert Comparison.SAME_CLASS_ACROSS_CLIENTS not in set(overlap["comparison"])
    assert Comparison.DIFFERENT_CLASS_ACROSS_CLIENTS in set(overlap["comparison"])
    held = table(run, "clients").query("round == 1")["class_counts"]
    assert [[c for c, n in enumerate(counts) if n] for counts in held] == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]


def test_a_single_class_per_client_says_where_its_negatives_are_from(federate):
    changes = {"partition": "classes", "client_classes": "0;1", "num_server_rounds": 1}
    with_probe = federate(InProcessGrid(2), discovery_data="client", **changes)
    without = federate(InProcessGrid(2), share_probe=False, **changes)
    assert set(table(with_probe, "clients")["negatives"]) == {"probe"}
    assert set(table(without, "clients")["negatives"]) == {"none"}
    quality = table(without, "quality").query("model == 'client'")
    assert quality["false_positive_rate"].isna().all()
    assert quality["false_positive_rate_all"].notna().all()


def test_only_a_sample_of_clients_takes_part(federate):
    run = federate(InProcessGrid(6), fraction_train=0.5, num_server_rounds=4)
    clients = table(run, "clients").groupby("round")["partition_id"].apply(tuple)
    assert all(len(set(chosen)) == 3 for chosen in clients)
    assert len(set(clients)) > 1


def test_rounds_without_circuits_skip_them_but_the_last_has_them(federate):
    run = federate(InProcessGrid(2), circuit_every=2, num_server_rounds=3)
    assert sorted(table(run, "circuits")["round"].unique()) == [2, 3]
    assert sorted(table(run, "accuracy")["round"].unique()) == [1, 2, 3]
    assert sorted(table(run, "interference")["round"].unique()) == [1, 2, 3]


def test_a_run_without_circuits_logs_everything_else(federate):
    run = federate(InProcessGrid(2), circuit_every=0)
    assert all(table(run, name).empty for name in ("circuits", "edges", "quality", "circuit_interference"))
    assert set(table(run, "overlap")["comparison"].str.split("_").str[0]) == {"parameter"}
    assert sorted(table(run, "accuracy")["round"].unique()) == [1, 2]
    assert table(run, "clients")["accepted"].all()


def test_hidden_layers_have_masks_and_interference_but_no_circuits(federate):
    run = federate(InProcessGrid(2), kernel_size=5, hidden_units="7,6", num_server_rounds=1)
    layers = ["conv1", "conv2", "hidden1", "hidden2", "fc"]
    assert read_info(run)["model"]["layers"] == layers
    assert list(table(run, "interference")["layer"]) == layers
    assert set(table(run, "circuits")["layer"]) == {"conv1", "conv2"}
    assert set(table(run, "edges")["layer"]) == {"conv1", "conv2", "fc"}
    assert table(run, "edges").query("layer == 'fc'")["num_edges"].sum() > 0
    masks = table(run, "overlap").query("comparison == 'parameter_mask_across_clients'")
    assert list(masks["layer"]) == [*layers, "all"]
    assert {len(density) for density in table(run, "clients")["layer_density"]} == {len(layers)}


def test_the_edges_of_every_circuit_join_channels_that_it_keeps(federate):
    run = federate(InProcessGrid(2), num_server_rounds=1)
    key = ["model", "partition_id", "data", "class_id", "layer"]
    kept = table(run, "circuits").set_index(key)["channels"]
    edges = table(run, "edges")
    assert set(edges["model"]) == {"client", "global"}
    joined = edges[edges["layer"] == "conv2"].set_index(key)
    assert len(joined) == len(kept[kept.index.get_level_values("layer") == "conv2"])
    assert joined["num_edges"].sum() > 0
    for identity, row in joined.iterrows():
        assert set(row["targets"]) <= set(kept[identity])
        assert set(row["sources"]) <= set(kept[(*identity[:-1], "conv1")])


def test_discovery_on_the_servers_data_is_logged_as_such(federate):
    run = federate(InProcessGrid(2), num_server_rounds=1)
    assert set(table(run, "circuits")["data"]) == {"server"}


# -- Faults: one client misbehaves, the round goes on, the log says so


def in_train(change: Callable[[Message], Message | None]):
    """Misbehave as partition 1, when answering a train message."""

    def tamper(reply: Message, partition_id: int) -> Message | None:
        if partition_id == 1 and reply.metadata.message_type == MessageType.TRAIN:
            return change(reply)
        return reply

    return tamper


def nan_weights(reply):
    arrays = dict(reply.content[Key.ARRAYS].items())
    arrays["fc.bias"] = Array(torch.full((10,), math.nan).numpy())
    reply.content[Key.ARRAYS] = ArrayRecord(arrays)
    return reply


def wrong_shape(reply):
    arrays = dict(reply.content[Key.ARRAYS].items())
    arrays["fc.bias"] = Array(torch.zeros(1).numpy())
    reply.content[Key.ARRAYS] = ArrayRecord(arrays)
    return reply


def truncated_circuit(reply):
    record = reply.content[Key.CIRCUITS]
    reply.content[Key.CIRCUITS] = ConfigRecord({**record, Key.MEMBERS: record[Key.MEMBERS][:-1]})
    return reply


def another_partition(reply):
    reply.content[Key.UPDATE][Key.PARTITION_ID] = 0
    return reply


def exception(reply):
    return Message(Error(code=2, reason="ClientApp raised: boom"), reply_to=_question(reply))


def lost_node(reply):
    return lost(_question(reply))


def _question(reply: Message) -> Message:
    """Build a message whose reply has the sender of `reply`."""
    question = Message(reply.content, dst_node_id=reply.metadata.src_node_id, message_type=MessageType.TRAIN)
    question.metadata._message_id = reply.metadata.reply_to_message_id
    return question


FAULTS = {
    "raises": (exception, "client failed: ClientApp raised: boom"),
    "NaN": (nan_weights, "fc.bias has values that are not finite"),
    "wrong shape": (wrong_shape, "float32[1], expected float32[10]"),
    "truncated circuit": (truncated_circuit, "bytes of bits"),
    "wrong partition": (another_partition, "claims to be partition 0"),
    "silent": (lambda reply: None, "no reply"),
    "lost": (lost_node, "no reply: Node Unavailable"),
}


@pytest.mark.parametrize(("change", "reason"), FAULTS.values(), ids=FAULTS)
def test_a_faulty_client_is_set_aside_and_the_round_goes_on(federate, change, reason):
    run = federate(InProcessGrid(3, in_train(change)))
    assert read_info(run)["status"] == "completed"
    clients = table(run, "clients")
    faulty = clients[clients["partition_id"] == 1]
    assert not faulty["accepted"].any()
    assert faulty["reason"].str.contains(reason, regex=False).all()
    assert clients[clients["partition_id"] != 1]["accepted"].all()
    assert all(value.isfinite().all() for value in read_checkpoint(run, 2).values())
    assert set(table(run, "accuracy").query("model == 'client'")["partition_id"]) == {0, 2}


def test_the_average_leaves_a_faulty_client_out(federate):
    with_fault = federate(InProcessGrid(3, in_train(nan_weights)), num_server_rounds=1)
    silent = federate(InProcessGrid(3, in_train(lambda reply: None)), num_server_rounds=1)
    one, other = read_checkpoint(with_fault, 1), read_checkpoint(silent, 1)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_an_exotic_decoding_error_is_a_rejection(federate):
    def zip_bytes(reply):
        arrays = dict(reply.content[Key.ARRAYS].items())
        arrays["fc.bias"] = Array("float32", (10,), "numpy.ndarray", b"PK\x03\x04" + bytes(60))
        reply.content[Key.ARRAYS] = ArrayRecord(arrays)
        return reply

    run = federate(InProcessGrid(3, in_train(zip_bytes)), num_server_rounds=1)
    assert "cannot be decoded" in table(run, "clients").query("partition_id == 1")["reason"].iloc[0]


def test_an_empty_value_that_flower_cannot_count_is_a_rejection(federate):
    def with_empty(reply):
        reply.content[Key.UPDATE]["extra"] = b""
        return reply

    run = federate(InProcessGrid(3, in_train(with_empty)), num_server_rounds=1)
    assert table(run, "clients")["accepted"].tolist() == [True, False, True]


def test_a_client_cannot_claim_more_images_than_it_said_it_holds(federate):
    def boast(reply):
        reply.content[Key.METRICS][Key.NUM_EXAMPLES] = 10**9
        return reply

    run = federate(InProcessGrid(3, in_train(boast)), num_server_rounds=1)
    row = table(run, "clients").query("partition_id == 1").iloc[0]
    assert row["reason"] == "metrics: num-examples = 1000000000, but the client holds 50 images"


def test_clients_that_hold_none_of_the_wanted_classes_take_part_without_circuits(federate):
    changes = {"partition": "classes", "client_classes": "0,1;2,3", "circuit_classes": "0"}
    run = federate(InProcessGrid(2), **changes)
    assert table(run, "clients")["accepted"].all()
    assert set(table(run, "circuits").query("model == 'client'")["partition_id"]) == {0}


def test_losing_every_answer_of_the_evaluate_phase_ends_the_run(federate):
    def tamper(reply: Message, partition_id: int) -> Message | None:
        return None if reply.metadata.message_type == MessageType.EVALUATE else reply

    with pytest.raises(FederationError, match="evaluate phase of round 1: only 0 of 2"):
        federate(InProcessGrid(2, tamper))


def test_a_fault_in_the_evaluate_phase_costs_that_view_only(federate):
    def tamper(reply: Message, partition_id: int) -> Message | None:
        is_hit = partition_id == 1 and reply.metadata.message_type == MessageType.EVALUATE
        return exception(reply) if is_hit else reply

    run = federate(InProcessGrid(3, tamper), num_server_rounds=1)
    row = table(run, "clients").query("partition_id == 1").iloc[0]
    assert row["accepted"]
    assert row["reason"] == "evaluate: client failed: ClientApp raised: boom"
    assert set(table(run, "quality").query("model == 'transplant'")["partition_id"]) == {0, 2}


def test_too_few_usable_replies_end_the_run_as_failed(federate):
    with pytest.raises(FederationError, match=r"only 1 of 2 replies.*min-accepted-fraction = 0.9") as caught:
        federate(InProcessGrid(2, in_train(nan_weights)), min_accepted_fraction=0.9)
    assert "partition 1: weights: fc.bias" in str(caught.value)
    info = read_info(federate.directory)
    assert info["status"] == "failed"
    assert "only 1 of 2" in info["reason"]


def test_a_learning_rate_that_makes_training_diverge_is_named(federate):
    with pytest.raises(FederationError, match=r"(?s)only 0 of 2 replies .* try a smaller learning-rate") as caught:
        federate(InProcessGrid(2), learning_rate=1000.0)
    assert "partition 0: train_loss" in str(caught.value)


def test_all_replies_unusable_ends_the_run_even_if_no_fraction_is_asked_for(federate):
    def nothing(reply: Message, partition_id: int) -> Message | None:
        return None if reply.metadata.message_type == MessageType.TRAIN else reply

    with pytest.raises(FederationError, match="only 0 of 2"):
        federate(InProcessGrid(2, nothing), min_accepted_fraction=0.0)


def test_a_failure_in_a_later_round_keeps_the_earlier_rounds(federate):
    rounds = []

    def tamper(reply: Message, partition_id: int) -> Message | None:
        if reply.metadata.message_type == MessageType.TRAIN:
            rounds.append(partition_id)
        return None if len(rounds) > 2 else reply

    with pytest.raises(FederationError, match="round 2"):
        federate(InProcessGrid(2, tamper), num_server_rounds=3)
    run = federate.directory
    assert read_info(run)["last_round"] == 1
    assert set(table(run, "overlap")["round"]) == {1}
    assert read_checkpoint(run, 1)


def test_missing_clients_are_named_after_a_bounded_wait(federate):
    with pytest.raises(FederationError, match=r"only 2 of 4 clients.*partitions \[2, 3\] are missing"):
        federate(InProcessGrid(2, num_missing=2), node_timeout_s=0.5)
    assert "only 2 of 4" in read_info(federate.directory)["reason"]


def test_no_client_at_all_is_said_after_a_bounded_wait(federate):
    with pytest.raises(FederationError, match="no SuperNode answered"):
        federate(InProcessGrid(0), node_timeout_s=0.5)


def test_other_code_on_a_client_is_refused(federate):
    def tamper(reply: Message, partition_id: int) -> Message:
        if partition_id == 1 and reply.metadata.message_type == MessageType.QUERY:
            reply.content[Key.NODE][Key.CODE_DIGEST] = "0" * 64
        return reply

    with pytest.raises(FederationError, match="partition 1 runs other code"):
        federate(InProcessGrid(2, tamper))


def test_two_nodes_for_one_partition_are_refused(federate):
    grid = InProcessGrid(2)
    for context in grid.contexts.values():
        context.node_config["partition-id"] = 0
    with pytest.raises(FederationError, match="two nodes serve partition 0"):
        federate(grid)


def test_a_node_without_a_partition_is_told_how_to_get_one(federate):
    grid = InProcessGrid(1)
    next(iter(grid.contexts.values())).node_config.clear()
    with pytest.raises(FederationError, match="--node-config 'partition-id=<number>"):
        federate(grid)


def test_clients_that_cannot_start_say_why_once(federate):
    with pytest.raises(FederationError, match="clients cannot start") as caught:
        federate(InProcessGrid(3), partition="dirichlet", min_partition_size=140)
    assert str(caught.value).count("partition = 'dirichlet'") == 1
    assert "Traceback" not in str(caught.value)


def test_a_node_that_is_replaced_takes_over_its_partition(federate):
    def restart(grid):
        """Partition 0 comes back under a new node id, and without its state."""
        node, context = next((n, c) for n, c in grid.contexts.items() if c.node_config["partition-id"] == 0)
        del grid.contexts[node]
        context.state.clear()
        grid.contexts[node + 1] = context

    run = federate(Changing(2, restart))
    clients = table(run, "clients")
    assert len(clients) == 4
    assert clients["accepted"].all()


class Changing(InProcessGrid):
    """Lets `change` alter the nodes once, before the second round."""

    def __init__(self, num_clients, change):
        super().__init__(num_clients)
        self.looks, self.change = 0, change

    def get_node_ids(self):
        self.looks += 1
        if self.looks == 3:
            self.change(self)
        return super().get_node_ids()


def test_clients_that_vanish_are_logged_and_count_against_the_minimum(federate):
    def lose(grid, number):
        for node in list(grid.contexts)[:number]:
            del grid.contexts[node]

    run = federate(Changing(4, lambda grid: lose(grid, 2)))
    second = table(run, "clients").query("round == 2")
    assert len(second) == 4
    assert (second["reason"] == "no node serves this partition").sum() == 2
    with pytest.raises(FederationError, match="round 2: only 1 of 4"):
        federate(Changing(4, lambda grid: lose(grid, 3)))


def test_a_client_that_comes_back_while_its_old_node_is_still_listed_takes_over(federate):
    def double(grid):
        node, context = next((n, c) for n, c in grid.contexts.items() if c.node_config["partition-id"] == 0)
        grid.contexts[node + 1] = context

    run = federate(Changing(2, double))
    assert table(run, "clients")["accepted"].tolist() == [True] * 4


def test_a_stray_node_that_joins_later_is_left_out(federate):
    def stray(grid):
        context = next(iter(grid.contexts.values()))
        grid.contexts[7] = replace(context, node_config={}, state=RecordDict())

    run = federate(Changing(2, stray))
    assert table(run, "clients")["accepted"].tolist() == [True] * 4


def test_a_passing_error_at_the_start_is_asked_again(federate):
    answers = []

    def tamper(reply: Message, partition_id: int) -> Message:
        answers.append(partition_id)
        return lost_node(reply) if len(answers) == 1 else reply

    assert read_info(federate(InProcessGrid(2, tamper)))["status"] == "completed"


def test_the_classes_that_the_global_model_knows_are_not_forgotten(federate):
    changes = {"partition": "classes", "client_classes": "0,1;2,3;4,5", "fraction_train": 0.34}
    run = federate(InProcessGrid(3), num_server_rounds=6, **changes)
    assert set(table(run, "clients")["partition_id"]) == {0, 1, 2}
    assert (table(run, "clients").groupby("round").size() == 1).all()
    studied = table(run, "quality").query("model == 'global' and data == 'server' and round == 6")
    assert set(studied["class_id"]) == {0, 1, 2, 3, 4, 5}


def test_krum_needs_enough_clients(federate):
    with pytest.raises(SettingsError, match=r"num-malicious = 1: krum needs .* 5 here, but the federation has 3"):
        federate(InProcessGrid(3), strategy="krum", num_malicious=1)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"strategy": "krum"}, "num-malicious = 0: krum needs .* 3 here"),
        ({"strategy": "fedtrimmedavg", "trim_fraction": 0.34}, "trim-fraction = 0.34: cuts nobody among 2 clients"),
    ],
)
def test_strategies_against_bad_replies_need_enough_of_them_in_every_round(federate, changes, problem):
    with pytest.raises(SettingsError, match=rf"{problem}.* has 5, of which a round asks 2 .fraction-train.$"):
        federate(InProcessGrid(5), fraction_train=0.4, **changes)
    with pytest.raises(FederationError, match=rf"round 1: only 2 of 3 replies can be used, {problem}") as caught:
        federate(InProcessGrid(3, in_train(nan_weights)), **changes)
    assert "partition 1: weights: fc.bias" in str(caught.value)


def test_a_trimmed_mean_must_trim(federate):
    with pytest.raises(SettingsError, match=r"trim-fraction = 0\.2: cuts nobody among 3 clients"):
        federate(InProcessGrid(3), strategy="fedtrimmedavg")


def test_the_server_looks_for_no_circuit_of_a_class_that_nobody_trained_on(federate, caplog):
    run = federate(InProcessGrid(2), partition="classes", client_classes="0,1;2,3", num_server_rounds=1)
    assert set(table(run, "circuits").query("data == 'server'")["class_id"]) == {0, 1, 2, 3}
    assert "no client holds" not in caplog.text  # all classes are looked for, wherever they are
    by_class = {"partition": "classes", "client_classes": "0,1;2,3", "circuit_classes": "3,7"}
    run = federate(InProcessGrid(2), num_server_rounds=1, **by_class)
    assert set(table(run, "circuits")["class_id"]) == {3}
    assert "circuit-classes: no client holds class 7, so it has no circuit" in caplog.text


def test_client_classes_must_fit_the_number_of_clients(federate):
    with pytest.raises(SettingsError, match="lists 3 clients but the federation has 2"):
        federate(InProcessGrid(2), partition="classes", client_classes="0;1;2")
    assert read_info(federate.directory)["status"] == "failed"


def test_a_run_that_cannot_begin_leaves_a_failed_run_and_not_the_last_good_one(federate, tmp_path):
    federate(InProcessGrid(2), num_server_rounds=1)
    for changes, problem in (
        ({"sparsity": 1.2, "gate_batch": 3}, "2 problems"),
        ({"dataset": "mnist", "data_dir": str(tmp_path / "nowhere")}, "mnist is not in"),
        ({"heldout_limit": 5}, "heldout-limit = 5"),
    ):
        with pytest.raises(FedCircuitsError, match=problem):
            federate(InProcessGrid(2), **changes)
        assert read_info(federate.directory)["status"] == "failed"
        assert problem in read_info(federate.directory)["reason"]


def test_more_clients_than_images_is_said(federate):
    with pytest.raises(SettingsError, match="12 clients cannot share 10 training images"):
        federate(InProcessGrid(12), train_limit=10)


def test_run_json_says_how_to_repeat_the_run(federate):
    info = json.loads((federate(InProcessGrid(2)) / "run.json").read_text())
    assert info["settings"]["channels"] == "4,6"
    assert info["versions"]["flwr"]
    assert len(info["code_digest"]) == 64
    assert info["model"]["layers"] == ["conv1", "conv2", "fc"]


def test_with_many_clients_a_sample_of_their_pairs_is_compared_and_the_summary_says_of_how_many(federate, monkeypatch):
    every = table(federate(InProcessGrid(4), **PROPER), "overlap")
    for module in (comparisons, mask_comparisons):
        monkeypatch.setattr(module, "MAX_PAIR_CLIENTS", 3)
    monkeypatch.setattr(mask_comparisons, "SAMPLED_MASK_PAIRS", 2)
    draws = {kind: partial(draw, most=20) for kind, draw in comparisons._DRAWS.items()}
    monkeypatch.setattr(comparisons, "_DRAWS", draws)
    run = federate(InProcessGrid(4), **PROPER)
    sample = table(run, "overlap")
    counts = sample[sample["layer"] == "all"].groupby(["round", "comparison"]).size()
    assert counts[2]["parameter_mask_across_clients"] == 2
    assert counts[2]["same_class_across_clients"] == 20
    assert counts[2]["different_class_across_clients"] <= 20
    for comparison in ("local_vs_global", "retest", "round_to_round", "parameter_mask_local_vs_global"):
        pd.testing.assert_frame_equal(
            *(rows[rows["comparison"] == comparison].reset_index(drop=True) for rows in (sample, every))
        )
    assert "of one class in two clients 20 of 57 in round 2" in summary_text(load_run(run)).replace("\n ", "")


def test_every_accepted_clients_weight_mask_is_logged(federate):
    run = federate(InProcessGrid(3))
    masks, density = table(run, "masks"), table(run, "clients").set_index(["round", "partition_id"])["density"]
    assert [tuple(key) for key in masks[["round", "partition_id"]].to_numpy()] == list(density.index)
    num_weights = table(run, "overlap").query("comparison == 'parameter_mask_across_clients' and layer == 'all'")
    size = int(num_weights["universe"].iloc[0])
    for packed, share in zip(masks["mask"], density, strict=True):
        assert int(unpack_bits(packed, (size,), "mask").sum()) == pytest.approx(share * size)
