"""Masks: the largest magnitudes stay, and each convolution's filter keeps four. Twins: fedcircuits/test_sparsity.py."""

import math

import pytest
import torch
from reference.masks import kept, masks
from reference.training import current_sparsity

from fedcircuits.networks.cnn import initial_weights
from fedcircuits.networks.spec import ModelSpec
from fedcircuits.training.sparsity import densities, kept_counts, sparsity_at, weight_masks

PAPER_CNN = ModelSpec(in_channels=1, image_size=28, channels=(32, 64, 128), num_classes=10)


def test_the_reference_keeps_what_the_description_says():
    # A budget of int(0.5 * 8) = 4, but the two of magnitude 6 tie. The second filter is left with one weight.
    filters = [[9.0, -8.0, 6.0, 0.1], [-6.0, 0.5, 0.4, -0.3]]
    assert kept(filters, 0.5) == [[True, True, True, False], [True, False, False, False]]
    assert kept(filters, 0.5, min_alive=2) == [[True, True, True, False], [True, True, False, False]]
    assert kept([[0.1, -0.4], [0.3, 0.2]], 0.999) == [[False, True], [False, False]]
    # The second filter gets both weights of magnitude 0.5 back, though the floor is one; the third is all ties at zero.
    starved = [[9.0, 8.0, 7.0], [-0.5, 0.5, 0.1], [0.0, 0.0, 0.0]]
    assert kept(starved, 0.6, min_alive=1) == [[True, True, True], [True, True, False], [True, True, True]]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.8, 0.9, 0.95, 0.997])
def test_masks_of_a_whole_network_agree_with_the_reference(small, seed, sparsity):
    spec = ModelSpec(in_channels=1, image_size=8, channels=(6, 8, 10), num_classes=10)
    weights = initial_weights(spec, torch.Generator().manual_seed(seed))
    weights["fc.weight"][3] /= 100  # a class that loses every weight, for the linear layer has no floor
    weights["conv2.weight"][5] /= 100  # a filter that lives from the floor
    ours = weight_masks(spec, weights, kept_counts(spec, sparsity, small().sparsity), small().sparsity)
    theirs = masks(weights, sparsity)
    assert set(theirs) == {f"{name}.weight" for name in ours}
    for name, mask in ours.items():
        assert torch.equal(mask, theirs[f"{name}.weight"].bool())
    if sparsity >= 0.8:
        assert not ours["fc"][3].any()
        assert int(ours["conv2"][5].sum()) == 4


@pytest.mark.parametrize("num_levels", [1, 2, 4, 8, 40])
@pytest.mark.parametrize("sparsity", [0.5, 0.8, 0.95, 0.997])
def test_masks_of_weights_that_tie_agree_with_the_reference(small, sparsity, num_levels):
    spec = ModelSpec(in_channels=1, image_size=8, channels=(6, 8, 10), num_classes=10)
    weights = initial_weights(spec, torch.Generator().manual_seed(0))
    for name in spec.layer_names:
        weight = weights[f"{name}.weight"]
        weight.copy_((weight / weight.abs().max() * num_levels).round())  # a few magnitudes only, zero among them
    weights["conv2.weight"][5] = 0  # a filter that has nothing but ties at zero
    settings = small().sparsity
    ours = weight_masks(spec, weights, kept_counts(spec, sparsity, settings), settings)
    theirs = masks(weights, sparsity)
    assert all(torch.equal(mask, theirs[f"{name}.weight"].bool()) for name, mask in ours.items())


@pytest.mark.parametrize("target", [0.8, 0.9, 0.95, 0.97, 0.99, 0.995, 0.997])
def test_every_layer_keeps_as_many_weights_in_every_step_as_the_reference(small, target):
    sizes, settings = [math.prod(shape) for shape in PAPER_CNN.weight_shapes.values()], small().sparsity
    for total in [*range(1, 61), 590]:
        for step in range(total + 1):
            ours = kept_counts(PAPER_CNN, sparsity_at(step, total, target), settings)
            sparsity = current_sparsity(step, total, target)
            assert ours == [max(1, int((1 - sparsity) * size)) for size in sizes]


@pytest.mark.parametrize(
    ("sparsity", "conv1", "conv2", "conv3", "fc"),
    [
        (0.95, "0.444", "0.050", "0.050", "0.050"),
        (0.97, "0.444", "0.030", "0.030", "0.030"),
        (0.99, "0.444", "0.0146", "0.0105", "0.0100"),
        (0.995, "0.444", "0.0139", "0.0075", "0.0049"),
        (0.997, "0.444", "0.0139", "0.0071", "0.0030"),
    ],
)
def test_the_mnist_network_keeps_the_densities_measured_on_the_authors_code(small, sparsity, conv1, conv2, conv3, fc):
    weights = initial_weights(PAPER_CNN, torch.Generator().manual_seed(0))
    settings = small().sparsity
    masks_ = weight_masks(PAPER_CNN, weights, kept_counts(PAPER_CNN, sparsity, settings), settings)
    theirs = masks(weights, sparsity)
    assert all(torch.equal(mask, theirs[f"{name}.weight"].bool()) for name, mask in masks_.items())
    density = densities(masks_)
    # How many filters the floor lifts is chance: four standard deviations over random weights, where not negligible.
    spread = {("conv2", 0.99): 4 * 0.00016, ("conv3", 0.99): 4 * 0.00007, ("conv3", 0.995): 4 * 0.00011}
    for name, measured in {"conv1": conv1, "conv2": conv2, "conv3": conv3, "fc": fc}.items():
        half_a_digit = 0.5 * 10 ** -len(measured.split(".")[1])
        assert density[name] == pytest.approx(float(measured), abs=half_a_digit + spread.get((name, sparsity), 1e-9))
