"""The benchmark of the check in small: a federation of tiny networks, ways to make it worthless, and the table."""

import pandas as pd
import pytest
import torch
from check import GARBAGE, GOOD, error_rates, measure_seed
from federations import (
    Plan,
    always_one_class,
    random_labels,
    settings_of,
    shards_of,
    train_federation,
    untrained,
    zeroed_readout,
)

from fedcircuits.circuits.scores import whole_logits
from fedcircuits.data.datasets import load_dataset
from fedcircuits.networks.cnn import build_model

SMALL = {"channels": "4,8", "train-limit": 200, "heldout-limit": 100, "local-epochs": 2, "examination-draws": 4}
PLAN = Plan("tiny", "digits", 2, 2, 0.5, 1, {**SMALL, "learning-rate": 0.01, "attribution-images": 16})


@pytest.fixture(scope="module")
def federation():
    return train_federation(PLAN, 0)


def logits_of(client):
    settings = settings_of(PLAN, 0, {})
    test = load_dataset(settings.data, 0).test
    return whole_logits(build_model(settings.spec, client.weights, torch.device("cpu")), test.images)


def test_clients_hold_classes_of_their_own_or_a_share_of_all():
    train = load_dataset(settings_of(PLAN, 0, {}).data, 0).train
    assert [classes for _, classes in shards_of(PLAN, train, 0)] == [(0, 1), (2, 3)]
    everything = shards_of(Plan("iid", "digits", 3, 0, 0.0, 1), train, 0)
    assert sum(len(shard) for shard, _ in everything) == len(train)
    assert {classes for _, classes in everything} == {tuple(range(10))}


def test_a_biased_network_names_one_class(federation):
    for client in always_one_class(federation).clients:
        assert (logits_of(client).argmax(1) == client.classes[0]).all()


def test_a_network_without_readout_says_the_same_of_every_image_as_far_as_its_classes_go(federation):
    for client in zeroed_readout(federation).clients:
        assert logits_of(client)[:, list(client.classes)].unique(dim=0).shape[0] == 1


def test_untrained_networks_keep_the_zeros_and_nothing_else(federation):
    for before, after in zip(federation.clients, untrained(federation).clients, strict=True):
        assert torch.equal(before.weights["conv2.weight"] != 0, after.weights["conv2.weight"] != 0)
        assert not torch.equal(before.weights["conv2.weight"], after.weights["conv2.weight"])


def test_random_labels_train_other_networks_for_the_same_classes(federation):
    for before, after in zip(federation.clients, random_labels(federation).clients, strict=True):
        assert before.classes == after.classes
        assert not torch.equal(before.weights["fc.weight"], after.weights["fc.weight"])


def test_every_way_is_checked_once_in_three_seeds_unless_it_is_no_garbage_there():
    # Ways that leave the networks as they are suffice to count.
    unchanged = [type(way)(way.name, is_for_few_classes=way.is_for_few_classes) for way in GARBAGE]
    kinds = [outcome.kind for seed in range(3) for outcome in measure_seed(seed, [PLAN], unchanged)]
    assert sorted(kinds) == sorted([GOOD] * 3 + [way.name for way in GARBAGE if way.is_for_few_classes])


def test_networks_made_worthless_fail_and_the_paper_does(federation):
    for seed in range(3):
        for outcome in measure_seed(seed, [PLAN]):
            assert outcome.kind == GOOD or not outcome.passed


def test_the_table_counts_who_passed_and_leaves_out_who_did_not_learn():
    rows = [
        ("good", "a", 0.95, 0.3, 9.0, True),
        ("good", "a", 0.99, 0.1, 2.0, False),
        ("good", "a", 0.5, 0.0, 0.0, False),
        ("untrained", "a", 0.1, 0.01, 0.5, False),
    ]
    text = error_rates(pd.DataFrame(rows, columns=["kind", "plan", "accuracy", "effect", "z", "passed"]))
    lines = text.splitlines()
    assert lines[2] == "| good: a | 2 | 50 % | 0.10, 0.20, 0.30 | 2.0, 5.5, 9.0 |"
    assert lines[4] == "| garbage: untrained | 1 | 0 % | 0.01, 0.01, 0.01 | 0.5, 0.5, 0.5 |"
    assert lines[-1] == "1 federations did not reach an accuracy of 0.9."
