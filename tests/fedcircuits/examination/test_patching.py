from dataclasses import asdict

import numpy as np
import pytest
import torch
from torch import Tensor

from fedcircuits.circuits.circuit import Circuits
from fedcircuits.circuits.scores import judge, whole_logits
from fedcircuits.data.datasets import LabelledImages
from fedcircuits.examination.patching import Patch, num_patched_weights, patch_circuits
from fedcircuits.networks.cnn import build_model
from fedcircuits.networks.spec import ModelSpec
from fedcircuits.records import TABLES

SPEC = ModelSpec(1, 2, (12,), 2)
EVERYTHING = torch.ones(12, dtype=torch.bool)


def client_weights() -> dict[str, Tensor]:
    """Channel 0 fires on bright images and speaks for class 0, channel 1 on dark ones and against it.

    Ten others fire on bright images, and no logit listens much.
    """
    weights = {name: torch.zeros(shape) for name, shape in SPEC.state_shapes.items()}
    weights["conv1.weight"][:, 0, 1, 1] = 1.0
    weights["conv1.weight"][1, 0, 1, 1] = -1.0
    weights["conv1.bias"][:2] = 0.5
    weights["fc.weight"][0] = 0.001
    weights["fc.weight"][0, :2] = torch.tensor([2.0, -2.0])
    return weights


def without_circuit() -> dict[str, Tensor]:
    """The global model: what makes the first two channels is gone."""
    weights = {name: value.clone() for name, value in client_weights().items()}
    weights["conv1.weight"][:2] = 0.0
    weights["conv1.bias"][:2] = 0.0
    return weights


def circuit_of(*channels: int) -> Circuits:
    member = torch.zeros(1, 12, dtype=torch.bool)
    member[0, list(channels)] = True
    return Circuits.ranked_by_score((0,), member, member.float())


def bright_and_dark() -> LabelledImages:
    images = torch.cat([torch.ones(3, 1, 2, 2), -torch.ones(2, 1, 2, 2)])
    return LabelledImages(images, torch.tensor([0, 0, 0, 1, 1]))


def patch(
    circuits: Circuits, reachable: Tensor = EVERYTHING, test: LabelledImages | None = None, draws: int = 50
) -> Patch:
    test = bright_and_dark() if test is None else test
    local = (client_weights(), circuits, reachable)
    (entry,) = patch_circuits(SPEC, 4, local, without_circuit(), test, (0, 1), draws, torch.Generator().manual_seed(0))
    return entry


def test_the_weights_of_a_circuit_that_averaging_lost_bring_it_back():
    entry = patch(circuit_of(0, 1))
    # Bright: 2 (1.5 - 0) against dark: 2 (0 - 1.5); the ten others add 0.01 for bright images with or without them.
    assert entry.separation == pytest.approx(0.01)
    assert entry.patched_separation == pytest.approx(6.01)
    assert entry.gain == pytest.approx(6.0)
    # The global model took every image for class 0.
    assert entry.balanced_accuracy_gain == 0.5
    assert entry.num_weights == 2 * (9 + 1)


def test_random_circuits_of_the_same_size_do_not():
    entry = patch(circuit_of(0, 1))
    # Each of two channels is one of the two that matter with 1/6, and then gains 3: 1 in the mean, sd 1.27.
    assert entry.random_gain == pytest.approx(1.0, abs=4 * 1.27 / np.sqrt(50))
    assert 0 < entry.random_gain_sd < 3
    assert entry.random_balanced_accuracy_gain < 0.25
    # One of 66 random pairs is the circuit itself.
    assert entry.p_value <= 5 / 51


def test_a_circuit_that_averaging_left_alone_gains_nothing():
    entry = patch(circuit_of(5, 6, 7))
    assert entry.gain == entry.balanced_accuracy_gain == 0.0
    assert entry.p_value == 1.0


@pytest.mark.parametrize("circuits", [circuit_of(), circuit_of(*range(12))], ids=["empty", "whole"])
def test_a_circuit_that_random_ones_cannot_differ_from_proves_nothing(circuits: Circuits):
    entry = patch(circuits)
    assert entry.p_value == 1.0
    assert entry.gain == pytest.approx(entry.random_gain)
    assert entry.random_gain_sd == pytest.approx(0.0)


def test_channels_without_signal_are_neither_patched_nor_drawn():
    reachable = EVERYTHING.clone()
    reachable[:2] = False
    entry = patch(circuit_of(0, 1, 5), reachable)
    assert entry.num_weights == 10
    assert entry.gain == entry.random_gain == 0.0


def test_without_images_of_the_class_there_is_no_verdict():
    dark = LabelledImages(-torch.ones(2, 1, 2, 2), torch.ones(2, dtype=torch.int64))
    entry = patch(circuit_of(0, 1), test=dark)
    assert {
        value for name, value in asdict(entry).items() if name not in ("partition_id", "class_id", "num_weights")
    } == {None}


def test_kept_channels_take_their_kernels_in_full_and_nothing_else_moves():
    spec = ModelSpec(1, 4, (3, 4), 2, hidden_units=(5,))
    generator = torch.Generator().manual_seed(0)
    local, average = (
        {name: torch.randn(shape, generator=generator) for name, shape in spec.state_shapes.items()} for _ in range(2)
    )
    member = torch.tensor([[False, True, False, True, False, False, True]])
    circuits = Circuits.ranked_by_score((1,), member, member.float())
    images = torch.randn(20, 1, 4, 4, generator=generator)
    test = LabelledImages(images, torch.arange(20) % 2)
    reachable = torch.ones(7, dtype=torch.bool)
    (entry,) = patch_circuits(
        spec, 0, (local, circuits, reachable), average, test, (0,), 2, torch.Generator().manual_seed(0)
    )
    by_hand = {name: value.clone() for name, value in average.items()}
    for name, channels in (("conv1", [1]), ("conv2", [0, 3])):
        for parameter in (f"{name}.weight", f"{name}.bias"):
            by_hand[parameter][channels] = local[parameter][channels]
    expected = judge(whole_logits(build_model(spec, by_hand, torch.device("cpu")), images), test, 1, (0,))
    assert entry.patched_separation == pytest.approx(expected.separation)
    assert entry.num_weights == num_patched_weights(spec, member[0]) == (9 + 1) + 2 * (27 + 1)


def test_a_patch_holds_the_columns_of_the_table():
    entry = patch(circuit_of(0, 1), draws=1)
    assert ["round", *asdict(entry)] == TABLES["patching"].names
    assert (entry.partition_id, entry.class_id) == (4, 0)
