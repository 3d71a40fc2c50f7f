"""The baseline of the benchmarks does what the reference does: same masks, weights, circuits and rates."""

import math

import pytest
import torch
from naive.discovery import discover
from naive.evaluation import class_recalls, evaluate
from naive.loaders import TensorLoader
from naive.network import CNN, CONVOLUTIONS
from naive.training import apply_masks, current_sparsity, train
from reference import training as reference_training
from reference.discovery import circuit_of, gate_logits
from reference.masks import masks
from reference.quality import necessity, recall, sufficiency

CLASSES = [0, 1, 2]


@pytest.fixture(autouse=True)
def _double():
    """Compute in double precision: sums in another order then differ by 1e-16, which no decision hangs on."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return CNN(channels=(6, 8, 10), image_size=8)


@pytest.fixture
def data():
    """48 images of three classes that differ in which third of the image is bright."""
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(48) % 3
    images = torch.randn(48, 1, 8, 8, generator=generator)
    for class_id in CLASSES:
        images[labels == class_id, :, :, 2 * class_id : 2 * class_id + 3] += 0.8
    return images, labels


class InOrders:
    """A loader whose every epoch has the next of some given orders."""

    def __init__(self, data, orders, batch_size):
        self.data, self.orders, self.batch_size = data, iter(orders), batch_size

    def __len__(self):
        return math.ceil(len(self.data[1]) / self.batch_size)

    def __iter__(self):
        images, labels = self.data
        for batch in torch.tensor(next(self.orders)).split(self.batch_size):
            yield images[batch], labels[batch]


def random_orders(count):
    generator = torch.Generator().manual_seed(2)
    return [torch.randperm(48, generator=generator).tolist() for _ in range(count)]


def weights_of(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def trained(model, data):
    train(model, TensorLoader(*data, batch_size=8, shuffle=False), epochs=6, target=0.7, learning_rate=0.01)
    return model


@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.9, 0.997])
def test_masks_are_those_of_the_reference(model, sparsity):
    expected = masks(weights_of(model), sparsity)
    apply_masks(model, sparsity)
    assert all(torch.equal(model.state_dict()[name] != 0, mask.bool()) for name, mask in expected.items())


def test_the_ramp_is_that_of_the_reference():
    pairs = [(step, total) for total in range(1, 30) for step in range(total + 1)]
    expected = [reference_training.current_sparsity(step, total, 0.997) for step, total in pairs]
    assert [current_sparsity(step, total, 0.997) for step, total in pairs] == expected


def test_training_agrees_with_the_reference(model, data):
    orders, start = random_orders(2), weights_of(model)
    batches = [order[i : i + 10] for order in orders for i in range(0, 48, 10)]
    expected = reference_training.train(start, *data, batches, 0.8, learning_rate=0.01)
    train(model, InOrders(data, orders, 10), epochs=2, target=0.8, learning_rate=0.01)
    for name, value in expected.items():
        # 1e-16, magnified by Adam, which divides by the size of gradients, over 10 steps.
        torch.testing.assert_close(model.state_dict()[name], value, rtol=0, atol=1e-10)
        assert torch.equal(model.state_dict()[name] == 0, value == 0)


def test_circuits_are_those_of_the_reference(model, data):
    weights, orders = weights_of(trained(model, data)), random_orders(60)
    assert any(len(data[1][order[:4]].unique()) < 3 for order in orders)  # a first batch that lacks a class
    sizes = set()
    for class_id in CLASSES:
        found = discover(model, InOrders(data, orders, 4), [class_id], steps=60)[class_id]
        expected = circuit_of(gate_logits(weights, *data, class_id, orders, 4))
        assert {name: set(gates.nonzero().flatten().tolist()) for name, gates in found.items()} == expected
        sizes.add(sum(map(len, expected.values())))
    assert min(sizes) > 0
    assert max(sizes) < 24


def test_figures_of_circuits_agree_with_one_image_at_a_time(model, data):
    weights, (images, labels) = weights_of(trained(model, data)), data
    generator = torch.Generator().manual_seed(3)
    circuits = {
        class_id: {
            name: (torch.rand(len(weights[f"{name}.weight"]), generator=generator) < 0.6).double()
            for name in CONVOLUTIONS
        }
        for class_id in CLASSES
    }
    found = evaluate(model, circuits, TensorLoader(images, labels, 10, shuffle=False), CLASSES[:2])
    for class_id, gates in circuits.items():
        circuit = {name: set(values.nonzero().flatten().tolist()) for name, values in gates.items()}
        negative = images[(labels < 2) & (labels != class_id)]
        taken_for = torch.full((len(negative),), class_id)
        nothing = {name: set() for name in circuit}
        assert found[class_id] == pytest.approx(
            {
                "sufficiency": sufficiency(weights, circuit, class_id, images, labels),
                "necessity": necessity(weights, circuit, class_id, images, labels),
                "false_positive_rate": recall(weights, class_id, negative, taken_for, gates),
                "empty_circuit_recall": sufficiency(weights, nothing, class_id, images, labels),
            }
        )
    assert len({round(rate, 6) for rates in found.values() for rate in rates.values()}) > 3


def test_recalls_of_the_whole_network_agree_with_the_reference(model, data):
    weights = weights_of(trained(model, data))
    found = class_recalls(model, TensorLoader(*data, 10, shuffle=False))[:3]
    assert found == pytest.approx([recall(weights, class_id, *data) for class_id in CLASSES])
