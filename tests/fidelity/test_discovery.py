"""Discovery and quality of circuits: one class after the other by the description, all at once by this code."""

from dataclasses import replace

import pytest
import torch
from paper import discovery_orders, training_batches
from reference.discovery import circuit_of, first_images_of, gate_logits
from reference.network import channel_means
from reference.quality import necessity, reason, sufficiency, wilson
from reference.training import train

from fedcircuits.circuits.circuit import Circuits
from fedcircuits.circuits.study import client_bench, measure_circuits, prepare_subject, study_model
from fedcircuits.data.datasets import Dataset, LabelledImages
from fedcircuits.networks.cnn import initial_weights
from fedcircuits.seeding import Purpose
from fedcircuits.training.local import RoundPosition

PARTITION = 3


def sparse_network(settings, data, seed):
    """Train a network by the reference."""
    weights = initial_weights(settings.spec, torch.Generator().manual_seed(seed))
    batches = training_batches(settings, len(data), seed, 1)
    return train(weights, data.images, data.labels, batches, settings.sparsity.sparsity, 0.01)


def study(settings, weights, digits):
    """Find and measure the circuits of a network as a client does, on its own images."""
    bench = client_bench(settings, digits, digits.train, PARTITION)
    subject = prepare_subject(settings, settings.spec, weights, bench)
    found = study_model(settings, subject, bench, RoundPosition(1, 2), [0, 1, 2], Purpose.LOCAL_DISCOVERY)
    return subject, bench, found


def side_by_side(by_layer):
    """Return the channels of all convolutions in one row."""
    return torch.cat(list(by_layer.values()))


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("ablation", ["zero", "mean"])
def test_circuits_are_the_same_sets_as_class_by_class(small, double, digits, seed, ablation):
    # Batches of 8: now and then the first one has no image of the class.
    settings = small(ablation=ablation, share_probe=False)
    weights = sparse_network(settings, digits.train, seed)
    small_batches = replace(settings, training=replace(settings.training, batch_size=8))
    _, _, found = study(small_batches, weights, digits)
    data = digits.train
    means = channel_means(weights, data.images) if ablation == "mean" else None
    orders = discovery_orders(settings, data.labels, Purpose.LOCAL_DISCOVERY, PARTITION)
    assert any(data.labels[order[:8]].unique().numel() < 3 for order in orders)
    for class_id, member, score in zip((0, 1, 2), found.circuits.members, found.circuits.scores, strict=True):
        theirs = side_by_side(gate_logits(weights, data.images, data.labels, class_id, orders, 8, means))
        assert torch.equal(member, theirs > 0)
        # Double precision: 1e-16, magnified by Adam, which divides by the size of gradients, over 200 steps.
        torch.testing.assert_close(score, theirs.sigmoid(), rtol=0, atol=1e-9)
    assert 0 < found.circuits.members.sum() < found.circuits.members.numel()


@pytest.mark.parametrize("ablation", ["zero", "mean"])
def test_sufficiency_necessity_and_cross_evaluation_agree_with_one_image_at_a_time(small, double, digits, ablation):
    settings = small(ablation=ablation, share_probe=False, gate_steps=40)
    local, other = (sparse_network(settings, digits.train, seed) for seed in (0, 1))
    _, bench, found = study(settings, local, digits)
    subject, _, _ = study(settings, other, digits)
    transplant = measure_circuits(settings, subject, bench, found.circuits, [0, 1, 2])
    test = digits.test
    rates = []
    for row, class_id in enumerate(found.circuits.class_ids):
        circuit = channels_by_layer(settings, found.circuits.members[row])
        for weights, quality in ((local, found.quality[row]), (other, transplant[row])):
            means = channel_means(weights, digits.train.images) if ablation == "mean" else None
            rates += [(quality.sufficiency, sufficiency(weights, circuit, class_id, test.images, test.labels, means))]
            rates += [(quality.necessity, necessity(weights, circuit, class_id, test.images, test.labels, means))]
    ours, theirs = zip(*rates, strict=True)
    assert ours == pytest.approx(theirs)
    assert len(set(ours)) > 1


@pytest.mark.parametrize("ablation", ["zero", "mean"])
def test_verdicts_agree_with_those_reached_one_image_at_a_time(small, double, digits, ablation):
    """Circuits of every kind: those that were found, random ones of every size, none and all channels."""
    settings = small(ablation=ablation, share_probe=False, gate_steps=40)
    weights = sparse_network(settings, digits.train, 1)
    subject, bench, found = study(settings, weights, digits)
    # The test images are few; these are as good for counting.
    test = digits.train.select(torch.arange(90))
    bench = replace(bench, test=test)
    draws = torch.Generator().manual_seed(0)
    drawn = [torch.rand(len(subject.reachable), generator=draws) < share for share in torch.linspace(0, 1, 10)]
    members = torch.cat([found.circuits.members, torch.stack(drawn)])
    reachable = channels_by_layer(settings, subject.reachable)
    means = channel_means(weights, digits.train.images) if ablation == "mean" else None
    reasons = []
    for class_id, trained in ((0, [0, 1, 2]), (1, [1]), (2, [0, 2])):
        for member in members:
            circuit = Circuits.ranked_by_score((class_id,), member[None], member[None].double())
            (quality,) = measure_circuits(settings, subject, bench, circuit, trained)
            sets = channels_by_layer(settings, member)
            theirs = reason(weights, sets, reachable, class_id, trained, test.images, test.labels, means)
            assert quality.reason == theirs
            reasons.append(theirs)
    assert {"empty", "whole_network", "low_recall", None} <= set(reasons)


def test_wilsons_interval_is_where_the_share_is_just_two_standard_errors_away():
    assert wilson(0.0, 10) == pytest.approx((0.0, 0.2775), abs=5e-5)
    assert wilson(56 / 70, 70) == pytest.approx((0.6917, 0.8769), abs=5e-4)


def channels_by_layer(settings, member):
    spec = settings.spec
    parts = member.split(list(spec.channels))
    return {name: set(part.nonzero().flatten().tolist()) for name, part in zip(spec.conv_names, parts, strict=True)}


def test_a_batch_without_the_class_is_passed_over():
    labels = torch.tensor([0, 1, 0, 1, 1])
    assert first_images_of(1, labels, [0, 2, 4, 1, 3], batch_size=2) == [4, 1]
    assert first_images_of(0, labels, [0, 2, 4, 1, 3], batch_size=2) == [0, 2]


# -- A network whose circuits are known: channel 0 is lit by bright images (class 0), channel 1 by dark ones (class 1)


def wired_network():
    weights = {
        "conv1.weight": torch.zeros(2, 1, 3, 3),
        "conv1.bias": torch.zeros(2),
        "fc.weight": torch.tensor([[1.0, 0.0], [0.0, 1.0]]),
        "fc.bias": torch.tensor([-0.5, 0.0]),  # with every channel off, the answer is class 1
    }
    weights["conv1.weight"][0, 0, 1, 1] = 2.0
    weights["conv1.weight"][1, 0, 1, 1] = -2.0
    return weights


def bright_and_dark(num_each):
    images = torch.cat([torch.ones(num_each, 1, 2, 2), -torch.ones(num_each, 1, 2, 2)])
    return images, torch.tensor([0] * num_each + [1] * num_each)


def test_the_reference_finds_the_circuits_of_a_wired_network():
    weights, (images, labels) = wired_network(), bright_and_dark(4)
    orders = [list(range(8))] * 200
    bright, dark = (circuit_of(gate_logits(weights, images, labels, c, orders, 8)) for c in (0, 1))
    assert (bright, dark) == ({"conv1": {0}}, {"conv1": {1}})
    assert [sufficiency(weights, c, i, images, labels) for i, c in enumerate((bright, dark))] == [1.0, 1.0]
    # Without its channel, a bright image is taken for class 1, and so is a dark one: that is the bias.
    assert [necessity(weights, c, i, images, labels) for i, c in enumerate((bright, dark))] == [0.0, 1.0]


def test_all_gates_start_at_two_and_move_by_a_tenth_a_step(small, double):
    """A network that reads nothing has no reason to keep a channel: only the price moves its gates."""
    images, labels = bright_and_dark(4)
    data = LabelledImages(images.repeat(1, 1, 4, 4), labels)
    open_after = []
    for num_steps in (1, 15, 25):
        settings = small(gate_steps=num_steps)
        weights = {name: torch.zeros(shape) for name, shape in settings.spec.state_shapes.items()}
        _, _, found = study(settings, weights, Dataset(data, data, data))
        open_after.append(float(found.circuits.members.double().mean()))
        if num_steps == 1:
            assert found.circuits.scores.min().item() == pytest.approx(torch.tensor(1.9).sigmoid().item(), abs=1e-5)
    assert open_after == [1.0, 1.0, 0.0]
