import math
from collections.abc import Mapping
from dataclasses import asdict

import numpy as np
import pytest
import torch
from torch import Tensor

from fedcircuits.alignment.barriers import Barrier, measure_barrier
from fedcircuits.alignment.relabelling import identity_permutations, permute_weights
from fedcircuits.circuits.scores import whole_logits
from fedcircuits.data.datasets import LabelledImages
from fedcircuits.networks.cnn import build_model, initial_weights
from fedcircuits.networks.spec import ModelSpec
from fedcircuits.records import TABLES

PAIR = ModelSpec(1, 2, (2,), 2)  # one feature per channel


def barrier(
    spec: ModelSpec, first: Mapping[str, Tensor], second: Mapping[str, Tensor], data: LabelledImages
) -> Barrier:
    return measure_barrier(spec, (0, first), (None, second), data)


def through_channel(channel: int, slope: float) -> dict[str, Tensor]:
    """The first logit is `slope` times the image's value, by way of one of two channels; the second is 0."""
    weights = {name: torch.zeros(shape) for name, shape in PAIR.state_shapes.items()}
    weights["conv1.weight"][channel, 0, 1, 1] = 1.0
    weights["fc.weight"][0, channel] = slope
    return weights


def bright_image() -> LabelledImages:
    return LabelledImages(torch.ones(1, 1, 2, 2), torch.tensor([0]))


def own_labels(spec: ModelSpec, weights: Mapping[str, Tensor]) -> LabelledImages:
    """Images that a network classifies without a mistake."""
    shape = (60, spec.in_channels, spec.image_size, spec.image_size)
    images = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    return LabelledImages(images, whole_logits(build_model(spec, weights, torch.device("cpu")), images).argmax(1))


def test_two_channels_for_one_function_make_a_barrier():
    found = barrier(PAIR, through_channel(0, 3.0), through_channel(1, 3.0), bright_image())
    # With a share of alpha, the logit is 3 (alpha² + (1 - alpha)²): half of it in the middle.
    loss_end, loss_middle = math.log1p(math.exp(-3.0)), math.log1p(math.exp(-1.5))
    assert found.alpha == 0.5
    assert (found.loss_a, found.loss_b) == pytest.approx((loss_end, loss_end))
    assert found.loss_peak == found.loss_middle == pytest.approx(loss_middle)
    assert found.barrier == pytest.approx(loss_middle - loss_end)


def test_the_barrier_is_measured_from_the_line_between_both_ends():
    found = barrier(PAIR, through_channel(0, 4.0), through_channel(1, 1.0), bright_image())
    loss = {a: math.log1p(math.exp(-(4 * a**2 + (1 - a) ** 2))) for a in (0.0, 0.5, found.alpha, 1.0)}
    expected = loss[found.alpha] - (found.alpha * loss[1.0] + (1 - found.alpha) * loss[0.0])
    assert (found.loss_a, found.loss_b, found.loss_peak) == pytest.approx((loss[1.0], loss[0.0], loss[found.alpha]))
    assert found.loss_middle == pytest.approx(loss[0.5])
    assert found.barrier == pytest.approx(expected)
    assert found.barrier > 0


def test_nothing_lies_between_a_model_and_itself():
    spec = ModelSpec(1, 8, (4, 6), 3)
    weights = initial_weights(spec, torch.Generator().manual_seed(0))
    found = barrier(spec, weights, weights, own_labels(spec, weights))
    assert (found.barrier, found.alpha) == (0.0, 0.0)
    assert found.loss_a == found.loss_b == found.loss_peak


def test_a_permuted_copy_lies_behind_a_barrier():
    spec = ModelSpec(1, 8, (8, 12), 4, hidden_units=(10,))
    weights = initial_weights(spec, torch.Generator().manual_seed(0))
    for name in ("weight", "bias"):
        weights[f"fc.{name}"] *= 50  # sure of its answers
    rng = np.random.default_rng(1)
    orders = {name: rng.permutation(order) for name, order in identity_permutations(spec).items()}
    found = barrier(spec, weights, permute_weights(spec, weights, orders), own_labels(spec, weights))
    assert found.loss_a == pytest.approx(found.loss_b, abs=1e-5)
    assert found.barrier > 0.1


def test_a_barrier_holds_the_columns_of_the_table():
    found = barrier(PAIR, through_channel(0, 3.0), through_channel(1, 3.0), bright_image())
    assert ["round", *asdict(found)] == TABLES["barriers"].names
    assert (found.a_partition_id, found.b_partition_id) == (0, None)
