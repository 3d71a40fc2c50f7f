from collections.abc import Callable

import pytest
import torch
from additive_network import additive_subject, members, pixel_images
from torch import nn

from fedcircuits.circuits.circuit import Circuits
from fedcircuits.circuits.quality import circuit_qualities, class_accuracies
from fedcircuits.data.datasets import LabelledImages
from fedcircuits.networks.cnn import GateSite, Gating, SparseCNN, build_model, initial_weights
from fedcircuits.networks.spec import ModelSpec
from fedcircuits.records import UnusableReason

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


MANY = numbered_images([0] * 10 + [1] * 10 + [2] * 10)
TRUE = [0] * 10 + [1] * 10 + [2] * 10
"""What a model says of these images that recognises all of them."""


def verdict(whole, on, off=None, trained=(0, 1, 2), empty=2):
    gated = {(1, 0, 1, 0): on, (0, 1, 0, 1): off or [1] * 30, EMPTY: [empty] * 30}
    return measure(Lookup(whole, gated), [1, 0, 1, 0], trained, MANY)


def test_the_whole_model_is_measured_on_the_same_images() -> None:
    quality = verdict(whole=[0] * 9 + [1] + [0] * 2 + [1] * 8 + [0] * 5 + [2] * 5, on=TRUE, trained=[0, 1])
    assert (quality.model_recall, quality.model_false_positive_rate) == (0.9, 0.2)
    assert (quality.num_positive, quality.num_negative) == (10, 10)
    one_class = verdict(whole=TRUE, on=TRUE, trained=[0])
    assert (one_class.model_false_positive_rate, one_class.num_negative) == (0.0, 20)


def test_a_circuit_that_tells_its_class_apart_as_its_model_does_is_usable() -> None:
    quality = verdict(whole=TRUE, on=[0] * 10 + [1] * 20)
    assert quality.usable is True
    assert quality.reason is None
    # Both answer with a logit of 1 against 0 and 0: log-odds 1 - log 2, and of other classes -log(1 + e).
    assert quality.faithfulness == pytest.approx(1.0)


@pytest.mark.parametrize("trained", [(0,), (0, 1, 2)])
def test_a_circuit_that_always_says_its_class_is_not_usable(trained) -> None:
    quality = verdict(whole=TRUE, on=[0] * 30, trained=trained)
    assert quality.reason is UnusableReason.FALSE_POSITIVES
    assert quality.faithfulness == 0


def test_a_model_that_answers_the_class_to_everything_has_no_usable_circuit_of_it() -> None:
    quality = verdict(whole=[0] * 30, on=[0] * 30, off=[0] * 30, empty=0)
    assert quality.reason is UnusableReason.MODEL_DOES_NOT_SEPARATE
    assert quality.faithfulness is None


def test_a_class_that_is_named_without_its_circuit_is_not_usable() -> None:
    assert verdict(whole=TRUE, on=TRUE, off=[0] * 10 + [1] * 20, empty=0).reason is UnusableReason.DEFAULT_CLASS
    assert verdict(whole=TRUE, on=TRUE, off=[1] * 30, empty=0).reason is None


def test_few_test_images_leave_the_verdict_open() -> None:
    model = Lookup([0] * 8, {(1, 0, 1, 0): [0] * 8, (0, 1, 0, 1): [1] * 8, EMPTY: [0] * 8})
    quality = measure(model, [1, 0, 1, 0], trained=[0, 1, 2])
    assert quality.usable is None
    assert quality.reason is UnusableReason.TOO_FEW_IMAGES


def test_sizes_come_before_rates() -> None:
    model = Lookup(TRUE, {(1, 1, 1, 1): TRUE, EMPTY: [1] * 30})
    assert measure(model, [1, 1, 1, 1], [0, 1, 2], MANY).reason is UnusableReason.WHOLE_NETWORK
    assert measure(model, [0, 0, 0, 0], [0, 1, 2], MANY).reason is UnusableReason.EMPTY


def test_a_branch_that_another_cancels_is_no_circuit_of_the_model() -> None:
    """Of channels 0 and 2 the first adds 4 to the class for each step of the image, and channel 1 takes 4 - w away.

    With w = 1 the model still separates the class, but the branch does so four times as strongly; with w = 0 the model
    does not separate it at all, and there is nothing of which the branch could be the circuit.
    """
    images = pixel_images([1.0] * 10 + [-1.0] * 10, [0] * 10 + [1] * 10)
    circuits = Circuits.ranked_by_score((0,), members([1, 0, 1, 0]), torch.zeros(1, 4))

    def of(strengths):
        subject = additive_subject(strengths)
        return circuit_qualities(
            subject.model, circuits, subject.reachable, subject.ablation, GateSite.POST, images, [0, 1]
        )[0]

    cancelled, gone = of([4.0, -3.0, 0.0, 0.0]), of([4.0, -4.0, 0.0, 0.0])
    assert cancelled.sufficiency == cancelled.model_recall == 1.0
    assert cancelled.faithfulness == pytest.approx(4.0)
    assert cancelled.reason is UnusableReason.CANCELLED_ELSEWHERE
    assert (gone.sufficiency, gone.reason) == (1.0, UnusableReason.MODEL_DOES_NOT_SEPARATE)


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
