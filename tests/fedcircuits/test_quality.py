from collections.abc import Callable

import pytest
import torch
from torch import nn

from fedcircuits.circuits import Circuits
from fedcircuits.data import LabelledImages
from fedcircuits.model_spec import ModelSpec
from fedcircuits.models import GateSite, Gating, SparseCNN, build_model, initial_weights
from fedcircuits.quality import circuit_qualities, class_accuracies, is_usable

CPU = torch.device("cpu")
SPEC = ModelSpec(in_channels=1, image_size=4, channels=(2, 2), num_classes=3)


class Lookup(SparseCNN):
    """A stand-in for a network: predicts what it is told for each image, with other answers for each gating."""

    def __init__(self, whole: list[int], gated: dict[tuple[int, ...], list[int]]) -> None:
        super().__init__(SPEC)
        self._whole = whole
        self._gated = gated

    def forward(self, images: torch.Tensor, gating: Gating | None = None) -> torch.Tensor:
        assert gating is None
        return self._look_up(self._whole, images)

    def stem(self, images: torch.Tensor) -> torch.Tensor:
        return images

    def subnetworks(self, ablation: torch.Tensor, site: GateSite) -> "Lookup":
        return self

    def of(self, member: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
        return lambda images: self._look_up(self._gated[tuple(member.int().tolist())], images)

    def _look_up(self, answers: list[int], images: torch.Tensor) -> torch.Tensor:
        predicted = torch.tensor([answers[int(i)] for i in images[:, 0, 0, 0]], dtype=torch.int64)
        return nn.functional.one_hot(predicted, 3).float()


def numbered_images(labels: list[int]) -> LabelledImages:
    images = torch.arange(len(labels)).float()[:, None, None, None].expand(-1, 1, 4, 4).clone()
    return LabelledImages(images, torch.tensor(labels))


TEST = numbered_images([0, 0, 0, 0, 1, 1, 2, 2])
ALL = torch.ones(4, dtype=torch.bool)
EMPTY = (0, 0, 0, 0)


def measure(model, member, trained, test=TEST):
    circuits = Circuits.ranked_by_score((0,), torch.tensor([member], dtype=torch.bool), torch.zeros(1, 4))
    return circuit_qualities(model, circuits, ALL, torch.zeros(4), GateSite.POST, test, trained)[0]


def test_accuracy_counts_hits_and_false_alarms_by_class():
    rows = class_accuracies(Lookup([0, 0, 0, 1, 1, 0, 1, 2], {}), TEST)
    assert [row.recall for row in rows] == [0.75, 0.5, 0.5]
    assert [row.false_positive_rate for row in rows] == pytest.approx([1 / 4, 2 / 6, 0])
    assert [row.num_examples for row in rows] == [4, 2, 2]


def test_a_class_without_images_has_no_recall():
    rows = class_accuracies(Lookup([0, 1], {}), numbered_images([0, 1]))
    assert rows[2].recall is None
    assert rows[2].false_positive_rate == 0.0


def test_quality_figures_are_those_counted_by_hand():
    on, off = [0, 0, 0, 1, 0, 1, 0, 0], [0, 1, 1, 1, 9, 9, 9, 9]
    model = Lookup([0] * 8, {(1, 0, 1, 0): on, (0, 1, 0, 1): off, EMPTY: [2] * 8})
    quality = measure(model, [1, 0, 1, 0], trained=[0, 1])
    assert quality.sufficiency == 0.75
    assert quality.necessity == 0.25
    assert quality.false_positive_rate == 0.5  # of the two images of class 1
    assert quality.false_positive_rate_all == 0.75  # of the four images of classes 1 and 2
    assert quality.balanced_accuracy == pytest.approx((0.75 + 1 - 0.5) / 2)
    assert quality.empty_circuit_recall == 0.0


def test_a_client_of_a_single_class_has_no_negatives_that_it_was_trained_on():
    model = Lookup([0] * 8, {(1, 0, 1, 0): [0] * 8, (0, 1, 0, 1): [1] * 8, EMPTY: [0] * 8})
    quality = measure(model, [1, 0, 1, 0], trained=[0])
    assert quality.false_positive_rate is None
    assert quality.balanced_accuracy is None
    assert quality.false_positive_rate_all == 1.0
    assert quality.empty_circuit_recall == 1.0


def test_a_circuit_that_always_says_its_class_is_not_usable():
    model = Lookup([0] * 8, {(1, 0, 1, 0): [0] * 8, (0, 1, 0, 1): [1] * 8, EMPTY: [0] * 8})
    for trained in ([0], [0, 1, 2]):
        assert not measure(model, [1, 0, 1, 0], trained=trained).usable


def test_a_circuit_that_tells_its_class_apart_is_usable():
    perfect = [0, 0, 0, 0, 1, 1, 1, 1]
    model = Lookup([0] * 8, {(1, 0, 1, 0): perfect, (0, 1, 0, 1): [1] * 8, EMPTY: [0] * 8})
    assert measure(model, [1, 0, 1, 0], trained=[0, 1, 2]).usable


def test_the_empty_and_the_whole_circuit_are_not_usable():
    hits, none = torch.ones(20, dtype=torch.bool), torch.zeros(20, dtype=torch.bool)
    reachable = torch.tensor([True, True, False, True])
    assert not is_usable(torch.tensor([False, False, True, False]), reachable, hits, none)
    assert not is_usable(torch.tensor([True, True, False, True]), reachable, hits, none)
    assert is_usable(torch.tensor([True, False, False, True]), reachable, hits, none)


def test_a_circuit_must_beat_chance_by_two_standard_errors():
    member, reachable = torch.tensor([True, False]), torch.tensor([True, True])

    def rate(hits: int, of: int) -> torch.Tensor:
        return torch.arange(of) < hits

    # 0.6 against 0.5 on 50 images each: the difference is one standard error; on 5,000 each it is ten.
    assert not is_usable(member, reachable, rate(30, 50), rate(25, 50))
    assert is_usable(member, reachable, rate(3000, 5000), rate(2500, 5000))


def test_figures_on_a_true_network_agree_with_one_pass_per_image():
    generator = torch.Generator().manual_seed(0)
    model = build_model(SPEC, initial_weights(SPEC, generator), CPU)
    test = LabelledImages(
        torch.randn(30, 1, 4, 4, generator=generator), torch.randint(0, 3, (30,), generator=generator)
    )
    member, ablation = torch.tensor([[True, False, True, True]]), torch.rand(4, generator=generator)
    quality = circuit_qualities(
        model, Circuits.ranked_by_score((1,), member, member.float()), ALL, ablation, GateSite.POST, test, [0, 1]
    )[0]

    def says_one(image: torch.Tensor, gates: torch.Tensor) -> bool:
        gating = Gating(gates.float()[None], torch.zeros(1, dtype=torch.int64), ablation, GateSite.POST)
        return int(model(image[None], gating).argmax()) == 1

    own = [image for image, label in zip(test.images, test.labels, strict=True) if label == 1]
    zeros = [image for image, label in zip(test.images, test.labels, strict=True) if label == 0]
    assert quality.sufficiency == pytest.approx(sum(says_one(i, member[0]) for i in own) / len(own))
    assert quality.necessity == pytest.approx(sum(says_one(i, ~member[0]) for i in own) / len(own))
    assert quality.false_positive_rate == pytest.approx(sum(says_one(i, member[0]) for i in zeros) / len(zeros))
    assert quality.empty_circuit_recall == float(says_one(test.images[7], torch.zeros(4)))
