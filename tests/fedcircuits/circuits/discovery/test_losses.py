import pytest
import torch

from fedcircuits.circuits.discovery import discovery_images
from fedcircuits.circuits.discovery.images import draw_contrast_set
from fedcircuits.circuits.discovery.losses import SweepLoss, class_losses
from fedcircuits.circuits.scores import circuit_logits, judge
from fedcircuits.networks.cnn import GateSite, Gating

POST = GateSite.POST


def drawn(data, wanted=(0, 1)):
    images = discovery_images(data, None, wanted, "contrast")
    return images, draw_contrast_set(images, 12, torch.Generator().manual_seed(0))


def sweep_loss(model, data, wanted=(0, 1)):
    return SweepLoss.on(model, *drawn(data, wanted), model.channel_means(data.images, POST), POST)


def always_right(model, data):
    """Make the readout a look-up of the brightest of four channels, and the images four constant ones."""
    with torch.no_grad():
        for name, weight in model.state_dict().items():
            weight.zero_()
            if name == "conv1.weight":
                weight[:4, 0, 1, 1] = torch.tensor([1.0, 2.0, 3.0, 4.0])
        model.conv1.bias[:4] = torch.tensor([0.0, -1.5, -4.0, -7.5])
        for channel in range(4):
            model.conv2.weight[channel, channel, 1, 1] = 1.0
            model.conv3.weight[channel, channel, 1, 1] = 1.0
            model.fc.weight[channel, channel] = 1.0
    pixels = torch.tensor([1.0, 2.0, 3.0, 4.0])
    return type(data)(pixels[data.labels][:, None, None, None].expand(-1, 1, 8, 8).contiguous(), data.labels)


def test_a_network_that_tells_its_classes_is_swept_by_errors(data, model):
    data = always_right(model, data)
    loss = sweep_loss(model, data)
    assert all(loss.counts_errors)
    everything = torch.ones(1, 2, 15).bool()
    assert loss.of(everything).tolist() == [[0.0, 0.0]]
    # Without any channel the answer is always the same: half of the errors that are possible, whatever it is.
    assert loss.of(~everything)[0].tolist() == pytest.approx([0.5, 0.5])


def test_the_error_is_one_less_the_balanced_accuracy(data, model):
    data = always_right(model, data)
    loss = sweep_loss(model, data)
    members = torch.rand((1, 2, 15), generator=torch.Generator().manual_seed(0)) < 0.7
    errors, ablation, (images, chosen) = loss.of(members)[0], model.channel_means(data.images, POST), drawn(data)
    for row in (0, 1):
        sample = images.pool.select(chosen.samples.indices[chosen.samples.group == row])
        logits = circuit_logits(model, sample.images, members[0, row : row + 1], ablation, POST)[0]
        assert errors[row].item() == pytest.approx(1 - judge(logits, sample, row, range(4)).balanced_accuracy)


def test_a_network_that_tells_nothing_is_swept_by_its_log_probabilities(data, model):
    loss = sweep_loss(model, data)
    assert not any(loss.counts_errors)
    gates, ablation, (images, chosen) = torch.ones(2, 15), model.channel_means(data.images, POST), drawn(data)
    samples = chosen.samples
    logits = model(images.pool.images[samples.indices], Gating(gates, samples.group, ablation, POST))
    each = class_losses(logits, samples.group, chosen.is_positive)
    expected = [each[samples.group == row].mean() for row in (0, 1)]  # six own images and six others
    torch.testing.assert_close(loss.of(gates.bool()[None])[0], torch.stack(expected))


def test_without_other_classes_there_is_no_error_to_balance(data, model):
    data = always_right(model, data)
    loss = sweep_loss(model, data.select((data.labels == 1).nonzero().flatten()), (1,))
    assert not any(loss.counts_errors)
