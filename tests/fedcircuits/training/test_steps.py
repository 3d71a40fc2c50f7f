"""Steps that a GPU replays, taken on the CPU: the same as steps in turn, and nothing in them forbids a recording."""

import pytest
import torch
from recorders import play_gpu

from fedcircuits.data.datasets import LabelledImages
from fedcircuits.networks.cnn import initial_weights
from fedcircuits.networks.spec import ModelSpec
from fedcircuits.training.local import RoundPosition, TrainedModel, train_sparse

SPEC = ModelSpec(in_channels=1, image_size=8, channels=(4, 6), num_classes=3, hidden_units=(5,))


def train(settings, num_images=22) -> TrainedModel:
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(num_images, 1, 8, 8, generator=generator)
    data = LabelledImages(images, torch.randint(0, 3, (num_images,), generator=generator))
    start, position = initial_weights(SPEC, torch.Generator().manual_seed(2)), RoundPosition(2, 3)
    shuffle = torch.Generator().manual_seed(3)
    return train_sparse(SPEC, start, data, settings.training, settings.sparsity, position, shuffle)


def both_ways(settings, monkeypatch) -> tuple[TrainedModel, TrainedModel]:
    in_turn = train(settings)
    recorder = play_gpu(monkeypatch)
    replayed = train(settings)
    assert recorder.events[0] == "warm-up"
    return in_turn, replayed


@pytest.mark.parametrize("floor", ["reference", "inside"])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("schedule", ["round", "run"])
@pytest.mark.parametrize("batch_size", [5, 22, 64])
def test_replayed_steps_are_steps_in_turn(make_settings, monkeypatch, double, floor, optimizer, schedule, batch_size):
    changes = {"sparsity": 0.7, "min-alive": 2, "sparsity-floor": floor, "sparsity-schedule": schedule}
    settings = make_settings({**changes, "optimizer": optimizer, "batch-size": batch_size})
    in_turn, replayed = both_ways(settings, monkeypatch)
    for name, value in in_turn.weights.items():
        # 1e-16, magnified by Adam, which divides by the size of gradients, over 25 steps.
        torch.testing.assert_close(replayed.weights[name], value, rtol=0, atol=1e-11)
    assert all(torch.equal(replayed.masks[name], mask) for name, mask in in_turn.masks.items())
    assert replayed.train_loss == pytest.approx(in_turn.train_loss, rel=1e-12)


@pytest.mark.parametrize("changes", [{"strategy": "fedprox", "proximal-mu": 0.5}, {"sparsity": 0.0}])
def test_so_they_are_with_the_proximal_term_and_without_sparsity(make_settings, monkeypatch, double, changes):
    in_turn, replayed = both_ways(make_settings({"sparsity": 0.7, "batch-size": 5, **changes}), monkeypatch)
    for name, value in in_turn.weights.items():
        torch.testing.assert_close(replayed.weights[name], value, rtol=0, atol=1e-11)


@pytest.mark.parametrize("floor", ["reference", "inside"])
def test_so_they_are_in_single_precision(make_settings, monkeypatch, floor):
    settings = make_settings({"sparsity": 0.7, "min-alive": 2, "sparsity-floor": floor, "batch-size": 5})
    in_turn, replayed = both_ways(settings, monkeypatch)
    for name, value in in_turn.weights.items():
        torch.testing.assert_close(replayed.weights[name], value, rtol=0, atol=1e-6)


def test_so_they_are_in_half_precision(make_settings, monkeypatch):
    changes = {"precision": "bfloat16", "optimizer": "sgd", "local-epochs": 1}
    in_turn, replayed = both_ways(make_settings({"sparsity": 0.5, "batch-size": 5, **changes}), monkeypatch)
    for name, value in in_turn.weights.items():
        # Steps of 0.002, whose gradients have eight bits.
        torch.testing.assert_close(replayed.weights[name], value, rtol=0, atol=1e-4)


def test_steps_are_recorded_once(make_settings, monkeypatch):
    recorder = play_gpu(monkeypatch)
    train(make_settings({"batch-size": 5}))
    assert recorder.events == ["warm-up"] * 3 + ["record"]
