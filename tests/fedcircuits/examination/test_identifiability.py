"""Controls of overlap, on wired networks with and without channels that do the same."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from planted import SPEC, Planted, planted_images, planted_network

from fedcircuits.circuits.connectivity import alive_kernels, reachable_channels
from fedcircuits.circuits.found import FoundCircuits, Question
from fedcircuits.circuits.study import Bench, find_circuits, prepare_subject
from fedcircuits.comparisons.circuits import compare_circuits
from fedcircuits.examination.identifiability import circuits_of_copy, with_other_negatives
from fedcircuits.examination.round_models import ClientModel
from fedcircuits.networks.cnn import detached_weights
from fedcircuits.records import Comparison, DataKind, ModelKind
from fedcircuits.seeding import SERVER, Purpose
from fedcircuits.settings import Settings
from fedcircuits.training.local import RoundPosition

MakeSettings = Callable[[dict[str, Any]], Settings]

CLASSES = (0, 1, 2)
QUESTION = Question(DataKind.SERVER, None, (0, 1, 2, 3))


@pytest.fixture(scope="module")
def bench() -> Bench:
    first, second, test = (planted_images(20, torch.Generator().manual_seed(seed)) for seed in range(3))
    return Bench(SERVER, first, second, first, None, test, CLASSES)


def doubled(planted: Planted) -> dict[str, torch.Tensor]:
    """Give every wired path a twin that does the same, in place of distractors."""
    weights = {name: value.clone() for name, value in detached_weights(planted.model).items()}
    block, width = SPEC.feature_size**2, SPEC.channels[0]
    wired = planted.members.any(0)
    spare_1, spare_2 = (part.logical_not().nonzero().flatten().tolist() for part in wired.split(list(SPEC.channels)))
    for place, second in enumerate(wired[width:].nonzero().flatten().tolist()):
        first, twin_1, twin_2 = int(weights["conv2.weight"][second, :, 1, 1].argmax()), spare_1[place], spare_2[place]
        weights["conv1.weight"][twin_1], weights["conv1.bias"][twin_1] = weights["conv1.weight"][first], -7.0
        weights["conv2.weight"][twin_2], weights["conv2.bias"][twin_2] = 0.0, 0.0
        weights["conv2.weight"][twin_2, twin_1, 1, 1] = 1.0
        own, other = (slice(channel * block, (channel + 1) * block) for channel in (second, twin_2))
        weights["fc.weight"][:, other] = weights["fc.weight"][:, own]
    return weights


def found_in(
    settings: Settings, bench: Bench, weights: dict[str, torch.Tensor], position: RoundPosition
) -> FoundCircuits:
    subject = prepare_subject(settings, SPEC, weights, bench)
    circuits, retest, _ = find_circuits(settings, subject, bench, position, CLASSES, Purpose.LOCAL_DISCOVERY)
    reachable = reachable_channels(SPEC, alive_kernels(SPEC, weights))
    return FoundCircuits(
        ModelKind.CLIENT, 3, position.server_round, circuits, reachable, (True,) * len(CLASSES), QUESTION, retest
    )


def client_of(weights: dict[str, torch.Tensor], found: FoundCircuits) -> ClientModel:
    return ClientModel(3, weights, {}, 1, CLASSES, found, None)


def correlations(settings: Settings, bench: Bench, weights: dict[str, torch.Tensor]) -> tuple[float, float]:
    """Return the reliability of circuits, and their correlation with those of copies, means over classes and copies."""
    reliability, phi = [], []
    for server_round in range(1, 4):
        position = RoundPosition(server_round, 3)
        found = found_in(settings, bench, weights, position)
        copy = circuits_of_copy(settings, SPEC, bench, position, client_of(weights, found), found)
        couples = {Comparison.PERTURBED_COPY: [(found, copy)]}
        rows = (
            compare_circuits(SPEC.conv_names, SPEC.channels, [], couples, np.random.default_rng(0))
            .to_pandas()
            .query("layer == 'all'")
        )
        reliability += rows["reliability"].tolist()
        phi += ((rows["phi"] + rows["phi_swapped"]) / 2).tolist()
    return float(np.nanmean(reliability)), float(np.nanmean(phi))


def test_copies_of_a_network_whose_channels_have_twins_look_like_different_networks(
    make_settings: MakeSettings, bench: Bench
) -> None:
    settings = make_settings({"size-rule": "budget", "circuit-budget": 0.1})
    planted = planted_network(torch.Generator().manual_seed(0))
    # Every wired channel has a place of its own, and noise does not move it.
    assert correlations(settings, bench, detached_weights(planted.model)) == pytest.approx((1, 1))
    reliability, phi = correlations(settings, bench, doubled(planted))
    assert reliability > 0.8
    assert phi < 0.8 * reliability  # any of two twins may be named


def test_other_negatives_are_both_halves_of_the_other_classes(make_settings: MakeSettings, bench: Bench) -> None:
    settings, position = make_settings({}), RoundPosition(1, 1)
    weights = detached_weights(planted_network(torch.Generator().manual_seed(0)).model)
    found = found_in(settings, bench, weights, position)
    couples = list(with_other_negatives(settings, SPEC, bench, position, client_of(weights, found), found))
    asked = [(one.circuits.class_ids, one.question.classes, other.question.classes) for one, other in couples]
    assert asked == [((0,), (0, 1, 3), (0, 2)), ((1,), (0, 1, 3), (1, 2)), ((2,), (0, 2, 3), (1, 2))]
    assert all(one.retest is not None and other.retest is not None for one, other in couples)
