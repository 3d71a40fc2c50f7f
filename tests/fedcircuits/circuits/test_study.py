from dataclasses import replace

import numpy as np
import pytest
import torch

from fedcircuits.circuits.study import (
    client_bench,
    find_circuits,
    measure_circuits,
    prepare_subject,
    probe_halves,
    server_bench,
)
from fedcircuits.data.datasets import Dataset, LabelledImages, load_dataset
from fedcircuits.networks.cnn import initial_weights
from fedcircuits.overlap import overlap_values, pair_sets
from fedcircuits.seeding import SERVER, Purpose
from fedcircuits.training.local import RoundPosition, train_sparse

POSITION = RoundPosition(1, 1)


@pytest.fixture(scope="module")
def digits(make_settings):
    return load_dataset(make_settings({}).data, 0)


def rows_of(images: LabelledImages) -> set[bytes]:
    return {image.numpy().tobytes() for image in images.images}


def test_the_probe_sets_halves_share_no_image_and_have_every_class(digits: Dataset) -> None:
    first, second = probe_halves(digits.probe, seed=3)
    assert not rows_of(first) & rows_of(second)
    assert rows_of(first) | rows_of(second) == rows_of(digits.probe)
    difference = np.array(first.class_counts(10)) - np.array(second.class_counts(10))
    assert abs(difference).max() <= 1
    assert rows_of(probe_halves(digits.probe, seed=4)[0]) != rows_of(first)


def test_every_client_is_asked_on_the_same_images(make_settings, digits: Dataset) -> None:
    settings = make_settings({"partition": "classes", "client-classes": "0,1;2,3"})
    benches = [
        client_bench(settings, digits, digits.train.of_classes(held), i) for i, held in enumerate([(0, 1), (2, 3)])
    ]
    asked = [bench.asking([0, 1, 2, 3]) for bench in benches]
    assert [bench.classes for bench in asked] == [(0, 1), (2, 3)]
    assert {bench.partition_id for bench in asked} == {SERVER}  # draws do not depend on the client
    assert rows_of(asked[0].source) == rows_of(asked[1].source)
    assert set(asked[0].source.labels.tolist()) == set(asked[0].second_source.labels.tolist()) == {0, 1, 2, 3}


def test_a_clients_own_images_are_not_halved_nor_narrowed(make_settings, digits: Dataset) -> None:
    settings = make_settings({"discovery-data": "client"})
    train = digits.train.of_classes([4, 5])
    bench = client_bench(settings, digits, train, 7).asking([0, 1])
    assert (bench.source, bench.second_source, bench.partition_id) == (train, None, 7)


def test_a_class_with_a_single_image_has_no_retest(make_settings, digits: Dataset) -> None:
    settings = make_settings({"channels": "4,6", "attribution-images": 8, "attribution-points": 2})
    labels = digits.probe.labels
    few = torch.cat([(labels == 3).nonzero()[:1], (labels == 5).nonzero()[:6]]).flatten()
    dataset = replace(digits, probe=digits.probe.select(few))
    bench = replace(server_bench(settings, dataset), classes=(3, 5))
    subject = prepare_subject(settings, spec := settings.spec, initial_weights(spec, torch.Generator()), bench)
    circuits, retest, _ = find_circuits(settings, subject, bench, POSITION, bench.classes, Purpose.GLOBAL_DISCOVERY)
    assert (circuits.class_ids, retest) == ((3, 5), None)


def test_the_size_of_a_circuit_is_judged_on_the_classes_that_its_model_knows(make_settings, digits: Dataset) -> None:
    settings = make_settings({"local-epochs": 12})
    spec, known = settings.spec, (0, 1, 2)
    start, draws = initial_weights(spec, torch.Generator().manual_seed(0)), torch.Generator().manual_seed(1)
    own = digits.train.of_classes(known)
    trained = train_sparse(spec, start, own, settings.training, settings.sparsity, POSITION, draws)
    bench = replace(server_bench(settings, digits), classes=known)
    subject = prepare_subject(settings, spec, trained.weights, bench)
    sized = [
        find_circuits(settings, subject, bench, POSITION, classes, Purpose.LOCAL_DISCOVERY)[0]
        for classes in (known, range(10))
    ]
    assert torch.equal(sized[0].ranking, sized[1].ranking)
    recalls = [
        np.mean([one.sufficiency for one in measure_circuits(settings, subject, bench, circuits, known)])
        for circuits in sized
    ]
    # Judged on classes that it can only guess at, a circuit misses images of its own in order to guess less.
    assert recalls[0] > recalls[1] + 0.05


def test_copies_of_one_model_on_independent_images_have_a_true_correlation_of_one(
    make_settings, digits: Dataset
) -> None:
    """Calibration: the correction for the noise of images returns 1 where there is nothing but that noise."""
    settings = make_settings({"channels": "16,24", "local-epochs": 6})
    spec = settings.spec
    start = initial_weights(spec, torch.Generator().manual_seed(0))
    trained = train_sparse(
        spec, start, digits.train, settings.training, settings.sparsity, POSITION, torch.Generator().manual_seed(1)
    )
    everything = digits.probe.joined(digits.test).joined(digits.train)
    estimates = []
    for draw in range(6):
        order = torch.randperm(len(everything), generator=torch.Generator().manual_seed(draw))
        phis = []
        for part in order[:1200].chunk(2):  # a probe set for either copy
            dataset = replace(digits, probe=everything.select(part))
            settings = make_settings({"channels": "16,24", "seed": draw})
            bench = replace(server_bench(settings, dataset), classes=(0, 1, 2, 3))
            subject = prepare_subject(settings, spec, trained.weights, bench)
            circuits, retest, _ = find_circuits(
                settings, subject, bench, POSITION, bench.classes, Purpose.GLOBAL_DISCOVERY
            )
            phis.append((circuits.members, retest.members))
        (a1, a2), (b1, b2) = phis
        between, within = [(a1, b2), (a2, b1)], [(a1, a2), (b1, b2)]
        estimates.append(
            np.mean([phi(*pair, subject) for pair in between]) / np.mean([phi(*pair, subject) for pair in within])
        )
    error = np.std(estimates, ddof=1) / len(estimates) ** 0.5
    assert error < 0.1
    assert np.mean(estimates) == pytest.approx(1, abs=3 * error)


def phi(first, second, subject) -> float:
    members = torch.cat([first, second]).numpy()
    universe = np.broadcast_to(subject.reachable.numpy(), members.shape)
    ends = np.arange(len(first))
    pairs = pair_sets(members, universe, subject.model.spec.channels, ends, ends + len(first))
    return float(np.nanmean(overlap_values(pairs).phi[:, -1]))
