"""Logits of circuits, and how well they tell one class from others."""

import math

import pytest
import torch

from fedcircuits.circuits.scores import balanced_sample, judge, log_odds
from fedcircuits.data.datasets import LabelledImages


def images_of(labels: list[int]) -> LabelledImages:
    """Return images whose only pixel is their number."""
    pixels = torch.arange(float(len(labels))).reshape(-1, 1, 1, 1)
    return LabelledImages(pixels, torch.tensor(labels))


def test_log_odds_compare_a_class_with_all_others_together() -> None:
    logits = torch.tensor([[math.log(2.0), math.log(3.0), math.log(5.0)]])
    # Probabilities .2, .3 and .5.
    assert log_odds(logits, 0).tolist() == pytest.approx([math.log(0.2 / 0.8)])
    assert log_odds(logits, 2).tolist() == pytest.approx([0.0])


def test_log_odds_of_near_certainty_do_not_cancel() -> None:
    assert log_odds(torch.tensor([[60.0, 0.0]]), 0).tolist() == [60.0]


def test_a_circuit_that_always_says_its_class_separates_nothing() -> None:
    judgement = judge(torch.tensor([[4.0, 0.0]] * 4), images_of([0, 0, 1, 1]), 0, (0, 1))
    assert judgement.separation == 0
    assert (judgement.recall, judgement.false_positive_rate, judgement.balanced_accuracy) == (1.0, 1.0, 0.5)


def test_separation_is_the_difference_of_mean_log_odds() -> None:
    logits = torch.tensor([[3.0, 0.0], [1.0, 0.0], [0.0, 2.0]])
    judgement = judge(logits, images_of([0, 0, 1]), 0, (0, 1))
    assert judgement.separation == pytest.approx(2.0 + 2.0)
    assert (judgement.recall, judgement.false_positive_rate) == (1.0, 0.0)


def test_only_the_classes_that_count_as_others_are_others() -> None:
    logits = torch.tensor([[3.0, 0.0, 0.0], [0.0, 2.0, 0.0], [9.0, 0.0, 0.0]])
    assert judge(logits, images_of([0, 1, 2]), 0, (0, 1)).false_positive_rate == 0.0
    assert judge(logits, images_of([0, 1, 2]), 0, (0, 1, 2)).false_positive_rate == 0.5


def test_without_images_of_the_class_or_of_others_nothing_can_be_said() -> None:
    judgement = judge(torch.zeros(2, 2), images_of([1, 1]), 0, (0, 1))
    assert (judgement.separation, judgement.recall, judgement.balanced_accuracy) == (None, None, None)


@pytest.mark.parametrize("overflow", [math.inf, math.nan])
def test_logits_that_overflowed_leave_the_separation_undefined(overflow: float) -> None:
    judgement = judge(torch.tensor([[overflow, 0.0], [0.0, 1.0]]), images_of([0, 1]), 0, (0, 1))
    assert judgement.separation is None
    assert judgement.false_positive_rate == 0


def test_a_balanced_sample_has_as_many_images_of_each_class_as_there_are_up_to_a_limit() -> None:
    sample = balanced_sample(
        images_of([0] * 30 + [1] * 5 + [3] * 10), (0, 1, 2, 3), 8, torch.Generator().manual_seed(0)
    )
    assert sample.class_counts(4) == [8, 5, 0, 8]
    assert len(set(sample.images.flatten().tolist())) == 21


def test_a_balanced_sample_follows_from_its_generator() -> None:
    first, again, other = (
        balanced_sample(images_of([0] * 40), (0,), 5, torch.Generator().manual_seed(seed)).images.flatten().tolist()
        for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other
