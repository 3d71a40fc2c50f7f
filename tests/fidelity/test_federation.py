"""A whole small federation in the paper's setting against the same federation in plain PyTorch."""

from types import SimpleNamespace

import pytest
import torch
from federation import InProcessGrid
from flwr.app import MessageType
from paper import discovery_orders, small_config, training_batches
from reference.averaging import density, mean
from reference.connectivity import edges
from reference.discovery import circuit_of, gate_logits
from reference.federation import Client, run_rounds
from reference.quality import necessity, sufficiency

from fedcircuits.data.datasets import load_dataset
from fedcircuits.data.partitions import client_images
from fedcircuits.federation.messages import decode_update
from fedcircuits.networks.cnn import initial_weights
from fedcircuits.runlog.checkpoints import read_checkpoint
from fedcircuits.runlog.reader import find_run, read_table
from fedcircuits.seeding import Purpose, torch_generator
from fedcircuits.settings import Settings
from server_app.federation import run_federation

NUM_CLIENTS = 2
ROUNDS = (1, 2)


@pytest.fixture(scope="module")
def ours(defaults, tmp_path_factory):
    """Run the federation through the apps: its settings, run directory, and each round's client weights in order."""
    return federate(small_config(defaults), tmp_path_factory.mktemp("runs"))


def federate(config, folder):
    settings, updates = Settings.from_config({**config, "run-dir": str(folder)}), {r: {} for r in ROUNDS}

    def keep(reply, partition_id):
        if reply.metadata.message_type == MessageType.TRAIN:
            server_round = next(r for r in ROUNDS if partition_id not in updates[r])
            updates[server_round][partition_id] = decode_update(reply.content, settings.spec).weights
        return reply

    run_federation(InProcessGrid(NUM_CLIENTS, keep), settings.config)
    clients = {r: [updates[r][p] for p in range(NUM_CLIENTS)] for r in ROUNDS}
    return SimpleNamespace(settings=settings, run=find_run(folder), clients=clients)


@pytest.fixture(scope="module")
def dataset(ours):
    return load_dataset(ours.settings.data, ours.settings.run.seed)


@pytest.fixture(scope="module")
def held(ours, dataset):
    """The images of each client."""
    settings = ours.settings
    return [client_images(dataset.train, settings.data, NUM_CLIENTS, p, settings.run.seed) for p in range(NUM_CLIENTS)]


@pytest.fixture(scope="module")
def theirs(ours, held):
    """Run the same federation by the reference."""
    settings = ours.settings
    clients = [
        Client(data.images, data.labels, [training_batches(settings, len(data), p, r) for r in ROUNDS])
        for p, data in enumerate(held)
    ]
    start = initial_weights(settings.spec, torch_generator(settings.run.seed, Purpose.INITIAL_WEIGHTS))
    return run_rounds(start, clients, len(ROUNDS), settings.sparsity.sparsity, settings.training.learning_rate)


@pytest.mark.parametrize("server_round", ROUNDS)
def test_the_weights_agree_with_the_reference(ours, theirs, server_round):
    expected = theirs[server_round - 1]
    pairs = [*zip(ours.clients[server_round], expected.clients, strict=True)]
    pairs.append((read_checkpoint(ours.run, server_round), expected.average))
    for weights, reference in pairs:
        for name, value in reference.items():
            # Single precision, 1e-7 for weights of order 1, magnified by Adam over 50 steps.
            torch.testing.assert_close(weights[name], value, rtol=0, atol=1e-5)
            assert torch.equal(weights[name] == 0, value == 0)


@pytest.mark.parametrize("server_round", ROUNDS)
def test_the_global_weights_are_the_plain_mean_and_less_sparse_than_any_client(ours, server_round):
    clients, average = ours.clients[server_round], read_checkpoint(ours.run, server_round)
    for name, value in mean(clients).items():
        # One rounding of single precision.
        torch.testing.assert_close(average[name], value, rtol=1e-6, atol=1e-8)
    assert all(density(average) > 1.1 * density(weights) for weights in clients)


@pytest.mark.parametrize("server_round", ROUNDS)
def test_the_circuits_and_their_quality_agree_with_the_reference(ours, theirs, held, dataset, server_round):
    expected = theirs[server_round - 1]
    for partition_id, data in enumerate(held):
        local = expected.clients[partition_id]
        circuits = found_by_reference(ours.settings, local, data, Purpose.LOCAL_DISCOVERY, partition_id, server_round)
        of_global = found_by_reference(
            ours.settings, expected.average, data, Purpose.GLOBAL_DISCOVERY, partition_id, server_round
        )
        assert logged_circuits(ours.run, server_round, "client", partition_id) == circuits
        assert logged_circuits(ours.run, server_round, "global", partition_id) == of_global
        for model, weights, found in (
            ("client", local, circuits),
            ("global", expected.average, of_global),
            ("transplant", expected.average, circuits),
        ):
            test = dataset.test
            assert logged_quality(ours.run, server_round, model, partition_id) == {
                class_id: pytest.approx(
                    (
                        sufficiency(weights, circuit, class_id, test.images, test.labels),
                        necessity(weights, circuit, class_id, test.images, test.labels),
                    )
                )
                for class_id, circuit in found.items()
            }


def test_the_edges_agree_with_the_reference(ours, theirs):
    num_edges = 0
    for model, weights in (("client", theirs[1].clients[0]), ("global", theirs[1].average)):
        found = {
            class_id: edges(weights, circuit, class_id)
            for class_id, circuit in logged_circuits(ours.run, 2, model, 0).items()
        }
        assert logged_edges(ours.run, 2, model, 0) == found
        num_edges += sum(len(ends) for by_layer in found.values() for ends in by_layer.values())
    assert num_edges > 50


def found_by_reference(settings, weights, data, purpose, partition_id, server_round):
    """Return the reference's circuits of every class that the data holds."""
    orders = discovery_orders(settings, data.labels, purpose, partition_id, server_round)
    size = settings.training.batch_size
    return {
        class_id: circuit_of(gate_logits(weights, data.images, data.labels, class_id, orders, size))
        for class_id in data.labels.unique().tolist()
    }


def rows_of(run, table, server_round, model, partition_id):
    rows = read_table(run, table, ROUNDS[-1])
    return rows[(rows["round"] == server_round) & (rows["model"] == model) & (rows["partition_id"] == partition_id)]


def logged_circuits(run, server_round, model, partition_id):
    circuits = {}
    for row in rows_of(run, "circuits", server_round, model, partition_id).itertuples():
        circuits.setdefault(row.class_id, {})[row.layer] = {int(channel) for channel in row.channels}
    return circuits


def logged_edges(run, server_round, model, partition_id):
    by_class = {}
    for row in rows_of(run, "edges", server_round, model, partition_id).itertuples():
        by_class.setdefault(row.class_id, {})[row.layer] = set(zip(row.sources, row.targets, strict=True))
    return by_class


def logged_quality(run, server_round, model, partition_id):
    rows = rows_of(run, "quality", server_round, model, partition_id)
    return {row.class_id: (row.sufficiency, row.necessity) for row in rows.itertuples()}


def test_the_example_is_not_trivial(ours):
    """Circuits are neither empty nor everything, and differ between the local and the global model."""
    local, of_global = (logged_circuits(ours.run, 2, model, 0) for model in ("client", "global"))
    assert local != of_global
    for circuits in (local, of_global):
        assert all(0 < sum(map(len, circuit.values())) < 8 + 8 + 12 for circuit in circuits.values())


def test_looking_for_circuits_does_not_change_training(ours, defaults, tmp_path):
    rarely = federate({**small_config(defaults), "circuit-every": 2, "gate-steps": 3, "retest-every": 1}, tmp_path)
    assert len(read_table(rarely.run, "circuits", 2)["round"].unique()) == 1
    for server_round in ROUNDS:
        one, other = (read_checkpoint(result.run, server_round) for result in (ours, rarely))
        assert all(torch.equal(one[name], other[name]) for name in one)
