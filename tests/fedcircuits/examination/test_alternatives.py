from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from fedcircuits.data.datasets import LabelledImages
from fedcircuits.examination import alternatives
from fedcircuits.examination.alternatives import CentralTraining, overlap_count_mean, train_centrally
from fedcircuits.networks.cnn import initial_weights
from fedcircuits.networks.spec import ModelSpec
from fedcircuits.settings import Settings
from fedcircuits.training.local import RoundPosition, train_sparse

SPEC = ModelSpec(in_channels=1, image_size=2, channels=(1,), num_classes=2)


@pytest.fixture
def central(make_settings: Callable[..., Settings]) -> CentralTraining:
    """100 images, 25 of them at each client, two epochs in batches of 16."""
    settings = make_settings({"local-epochs": 2, "batch-size": 16, "sparsity": 0.0, "proximal-mu": 0.0})
    generator = torch.Generator().manual_seed(0)
    images = LabelledImages(torch.randn(100, 1, 2, 2, generator=generator), torch.arange(100) % 2)
    start = initial_weights(SPEC, generator)
    return CentralTraining(start, images, 25, settings.training, settings.sparsity, RoundPosition(1, 2))


def test_the_overlap_count_mean_is_over_the_clients_that_keep_a_weight() -> None:
    def client(fc: list[float], bias: float) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        weights = {"conv1.weight": torch.ones(1, 1, 3, 3), "conv1.bias": torch.zeros(1)}
        weights |= {"fc.weight": torch.tensor(fc)[:, None], "fc.bias": torch.full((2,), bias)}
        return weights, {layer: weights[f"{layer}.weight"] != 0 for layer in SPEC.layer_names}

    clients = [client([4.0, 0.0], 1.0), client([0.0, 0.0], 3.0), client([8.0, 0.0], 5.0)]
    mean = overlap_count_mean(SPEC, clients, [0.5, 0.3, 0.2])
    assert mean["fc.weight"].flatten().tolist() == pytest.approx([(0.5 * 4 + 0.2 * 8) / 0.7, 0.0])
    assert mean["fc.bias"].tolist() == pytest.approx([0.5 + 0.9 + 1.0] * 2)
    assert torch.allclose(mean["conv1.weight"], torch.ones(1, 1, 3, 3))


def test_central_training_takes_as_many_steps_as_the_mean_client_over_different_images(
    central: CentralTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def train(spec, weights, data, training, *others):
        seen.append((data, training))
        return train_sparse(spec, weights, data, training, *others)

    monkeypatch.setattr(alternatives, "train_sparse", train)
    train_centrally(SPEC, central, torch.Generator().manual_seed(0))
    ((data, training),) = seen
    # A client has 25 images: two steps in each of two epochs.
    assert (training.local_epochs, len(data) / training.batch_size) == (1, 4)
    assert len(data.images.flatten(1).unique(dim=0)) == 64


def test_a_single_client_sees_all_images_in_each_pass(
    central: CentralTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def train(spec, weights, data, *others):
        seen.append(data)
        return train_sparse(spec, weights, data, *others)

    monkeypatch.setattr(alternatives, "train_sparse", train)
    train_centrally(SPEC, replace(central, images_per_client=100), torch.Generator().manual_seed(0))
    # Fourteen steps of 16 images: two passes and 24 images of a third.
    _, counts = seen[0].images.flatten(1).unique(dim=0, return_counts=True)
    assert sorted(counts.tolist()) == [2] * 76 + [3] * 24


def test_clients_that_share_images_do_not_shorten_central_training(
    central: CentralTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(alternatives, "train_sparse", lambda *given: seen.append(given[2]) or train_sparse(*given))
    train_centrally(SPEC, replace(central, images_per_client=70.5), torch.Generator().manual_seed(0))
    assert len(seen[0]) == 2 * 5 * 16  # two epochs of five steps


def test_central_training_has_no_proximal_term_and_follows_from_its_generator(central: CentralTraining) -> None:
    held_back = replace(central, training=replace(central.training, proximal_mu=100.0))
    first, again = (train_centrally(SPEC, given, torch.Generator().manual_seed(0)) for given in (central, held_back))
    other = train_centrally(SPEC, central, torch.Generator().manual_seed(1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["fc.weight"], other["fc.weight"])
