"""Local training: the ramp, the masks after every step, and a fresh optimiser in every round."""

import pytest
import torch
from paper import training_batches
from reference.network import logits
from reference.training import current_sparsity, train

from fedcircuits.networks.cnn import build_model, initial_weights
from fedcircuits.seeding import Purpose, torch_generator
from fedcircuits.training.local import RoundPosition, train_sparse
from fedcircuits.training.sparsity import sparsity_at


def test_the_ramp_agrees_with_the_reference_bit_for_bit():
    assert [current_sparsity(step, 5, 0.6) for step in range(6)] == [0.0, 0.3, 0.6, 0.6, 0.6, 0.6]
    assert current_sparsity(5, 12, 0.8) == 0.8 * (5 / 6) != 0.8 * 5 / 6  # the other order is one bit off
    for target in (0.0, 0.8, 0.95, 0.997):
        for total in range(1, 60):
            for step in range(total + 1):  # the masks after the last step included
                assert sparsity_at(step, total, target) == current_sparsity(step, total, target)


def test_the_network_agrees_with_the_reference_which_pools_after_relu(small, double, digits):
    spec = small().spec
    weights = initial_weights(spec, torch.Generator().manual_seed(0))
    images = digits.test.images
    torch.testing.assert_close(build_model(spec, weights, images.device)(images), logits(weights, images))


@pytest.mark.parametrize(("sparsity", "batch_size"), [(0.8, 16), (0.95, 16), (0.95, 256)])
def test_two_rounds_of_training_agree_with_the_reference(small, double, digits, sparsity, batch_size):
    settings = small(sparsity=sparsity, batch_size=batch_size)
    spec, data = settings.spec, digits.train
    ours = theirs = initial_weights(spec, torch.Generator().manual_seed(1))
    for server_round in (1, 2):
        batches = training_batches(settings, len(data), 7, server_round)
        assert batch_size == 256 or len(batches[-1]) < batch_size  # the last batch of an epoch is a short one
        theirs = train(theirs, data.images, data.labels, batches, sparsity, settings.training.learning_rate)
        generator = torch_generator(settings.run.seed, Purpose.TRAINING, 7, server_round)
        position = RoundPosition(server_round, settings.run.num_server_rounds)
        trained = train_sparse(spec, ours, data, settings.training, settings.sparsity, position, generator)
        ours = trained.weights
        for name, value in theirs.items():
            # Double precision: 1e-16, magnified by Adam, which divides by the size of gradients, over 80 steps.
            torch.testing.assert_close(ours[name], value, rtol=0, atol=1e-10)
            assert torch.equal(ours[name] == 0, value == 0)
    assert all(torch.equal(mask, ours[f"{name}.weight"] != 0) for name, mask in trained.masks.items())


def test_the_first_step_of_the_reference_can_be_followed_by_hand(small, double):
    spec = small(channels="4").spec
    weights = initial_weights(spec, torch.Generator().manual_seed(0))
    images, labels = torch.ones(2, 1, 8, 8), torch.tensor([0, 0])
    trained = train(weights, images, labels, [[0, 1]], sparsity=0.0, learning_rate=0.5)
    # Towards class 0 and away from the others; Adam's first step is 0.5 * g / (|g| + 1e-8).
    moved = (trained["fc.bias"] - weights["fc.bias"]).tolist()
    assert moved == pytest.approx([0.5] + [-0.5] * 9, rel=1e-5)
