import numpy as np
import pytest
import torch
from permutations import inverse_permutations

from fedcircuits.alignment.relabelling import (
    Permutations,
    identity_permutations,
    permute_members,
    permute_weights,
)
from fedcircuits.networks.cnn import build_model, initial_weights
from fedcircuits.networks.spec import ModelSpec

SPECS = {
    "plain": ModelSpec(1, 8, (4, 6), 3),
    "features": ModelSpec(3, 9, (5,), 2),  # a block of 16 features per channel
    "hidden": ModelSpec(1, 12, (3, 4), 3, kernel_size=3, padding="valid", hidden_units=(7, 5)),
}


def random_permutations(spec: ModelSpec, seed: int) -> Permutations:
    rng = np.random.default_rng(seed)
    return {name: rng.permutation(order) for name, order in identity_permutations(spec).items()}


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
def test_permuting_channels_leaves_the_function_as_it_was(spec: ModelSpec):
    weights = initial_weights(spec, torch.Generator().manual_seed(0))
    permuted = permute_weights(spec, weights, random_permutations(spec, 1))
    images = torch.randn(
        5, spec.in_channels, spec.image_size, spec.image_size, generator=torch.Generator().manual_seed(2)
    )
    before, after = (build_model(spec, w, torch.device("cpu"))(images) for w in (weights, permuted))
    assert any(not torch.equal(permuted[name], weights[name]) for name in weights)
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-6)  # float32 sums in another order


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
def test_the_inverse_brings_every_weight_back(spec: ModelSpec):
    weights = initial_weights(spec, torch.Generator().manual_seed(0))
    orders = random_permutations(spec, 1)
    back = permute_weights(spec, permute_weights(spec, weights, orders), inverse_permutations(orders))
    assert back.keys() == weights.keys()
    assert all(torch.equal(back[name], weights[name]) for name in weights)


def test_sets_of_channels_move_with_the_channels_of_their_layer():
    spec = ModelSpec(1, 8, (3, 2), 2)
    orders = {"conv1": np.array([2, 0, 1]), "conv2": np.array([1, 0])}
    members = torch.tensor([[True, False, False, True, False], [False, False, True, False, False]])
    moved = permute_members(spec, members, orders)
    assert moved.tolist() == [[False, True, False, False, True], [True, False, False, False, False]]
    assert torch.equal(permute_members(spec, moved, inverse_permutations(orders)), members)
    assert torch.equal(permute_members(spec, members[0], orders), moved[0])
