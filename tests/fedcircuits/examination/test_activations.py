import pytest
import torch
from torch import Tensor

from fedcircuits.examination.activations import activation_retention
from fedcircuits.networks import cnn as models
from fedcircuits.networks.cnn import initial_weights
from fedcircuits.networks.spec import ModelSpec

SPEC = ModelSpec(in_channels=1, image_size=4, channels=(2, 2), num_classes=2, kernel_size=1)
CPU = torch.device("cpu")
IMAGES = torch.rand(9, 1, 4, 4, generator=torch.Generator().manual_seed(0)) + 0.1


def weights_of(first: list[float], second: list[list[float]]) -> dict[str, Tensor]:
    """Return a network of 1x1 kernels without biases: each channel is a sum of those before it."""
    zeros = {name: torch.zeros(shape) for name, shape in SPEC.state_shapes.items()}
    kernels = {
        "conv1.weight": torch.tensor(first).view(2, 1, 1, 1),
        "conv2.weight": torch.tensor(second)[..., None, None],
    }
    return zeros | kernels


FULL = weights_of([1.0, 2.0], [[1.0, 0.0], [0.0, 1.0]])


def test_an_average_of_equal_clients_keeps_all_spread() -> None:
    retained = activation_retention(SPEC, [FULL, FULL], FULL, IMAGES, CPU)
    assert retained == pytest.approx({"conv1": 1.0, "conv2": 1.0})


def test_halving_the_weights_of_each_layer_halves_its_spread_once_more() -> None:
    halved = {name: value / 2 for name, value in FULL.items()}
    retained = activation_retention(SPEC, [FULL], halved, IMAGES, CPU)
    assert retained == pytest.approx({"conv1": 0.5, "conv2": 0.25})


def test_clients_with_channels_of_their_own_are_diluted() -> None:
    left = weights_of([1.0, 0.0], [[1.0, 0.0], [0.0, 0.0]])
    right = weights_of([0.0, 1.0], [[0.0, 0.0], [0.0, 1.0]])
    average = {name: (left[name] + right[name]) / 2 for name in left}
    # Both channels move half as much as one did: the mean over channels is what it was, and half that one layer on.
    retained = activation_retention(SPEC, [left, right], average, IMAGES, CPU)
    assert retained == pytest.approx({"conv1": 1.0, "conv2": 0.5})


def test_layers_in_which_no_client_moves_have_no_figure() -> None:
    dead = weights_of([1.0, 1.0], [[0.0, 0.0], [0.0, 0.0]])
    dead["conv2.bias"] = torch.tensor([0.3, 0.7])
    assert activation_retention(SPEC, [dead], dead, IMAGES, CPU) == {"conv1": pytest.approx(1.0), "conv2": None}


def test_more_images_than_fit_into_a_batch_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (initial_weights(SPEC, torch.Generator().manual_seed(seed)) for seed in (0, 1))
    whole = activation_retention(SPEC, [first], second, IMAGES, CPU)
    monkeypatch.setitem(models._PASS_VALUES, "cpu", 4 * SPEC.largest_map)
    assert activation_retention(SPEC, [first], second, IMAGES, CPU) == pytest.approx(whole)
