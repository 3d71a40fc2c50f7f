"""Why a circuit is not usable, each reason at its boundary, with numbers that can be worked out by hand."""

import math
from dataclasses import replace

import pytest
import torch

from fedcircuits.circuits.verdicts import CircuitQuality, difference_bound, rates_reason, size_reason
from fedcircuits.records import UnusableReason, count_reasons

SOUND = CircuitQuality(
    class_id=0,
    sufficiency=0.9,
    necessity=0.1,
    false_positive_rate=0.1,
    false_positive_rate_all=0.2,
    balanced_accuracy=0.9,
    empty_circuit_recall=0.0,
    model_recall=0.9,
    model_false_positive_rate=0.1,
    faithfulness=0.8,
    num_positive=100,
    num_negative=100,
    reason=None,
)


def reason(**changes):
    return rates_reason(replace(SOUND, **changes))


def test_a_circuit_that_does_what_its_model_does_is_usable() -> None:
    assert reason() is None
    assert SOUND.usable is True


def test_fewer_than_ten_images_on_either_side_leave_the_verdict_open() -> None:
    few = UnusableReason.TOO_FEW_IMAGES
    assert [reason(num_positive=9), reason(num_negative=9)] == [few, few]
    # Of ten images on each side, .9 against .1 lies surely more than .2 apart.
    assert reason(num_positive=10, num_negative=10) is None
    assert replace(SOUND, reason=few).usable is None


def test_one_hit_of_one_image_against_none_of_one_is_no_verdict() -> None:
    rates = {"sufficiency": 1.0, "false_positive_rate": 0.0, "model_recall": 1.0, "model_false_positive_rate": 0.0}
    assert reason(**rates, num_positive=1, num_negative=1) is UnusableReason.TOO_FEW_IMAGES


def test_the_bound_of_a_difference_is_newcombes() -> None:
    # Newcombe 1998, table II, method 10: 56/70 - 48/80 has the interval .0524 to .3339, 10/10 - 0/10 .6075 to 1.
    assert difference_bound(56 / 70, 70, 48 / 80, 80) == pytest.approx(0.0524, abs=5e-5)
    assert difference_bound(1.0, 10, 0.0, 10) == pytest.approx(0.6075, abs=5e-5)


def test_a_model_must_surely_tell_the_class_apart_by_more_than_a_fifth() -> None:
    # Of 100 images each, .6 against .25 has the bound .2149 and .6 against .27 has .1940.
    assert difference_bound(0.6, 100, 0.25, 100) == pytest.approx(0.2149, abs=5e-5)
    assert difference_bound(0.6, 100, 0.27, 100) == pytest.approx(0.1940, abs=5e-5)
    circuit = {"sufficiency": 0.6, "false_positive_rate": 0.25}
    assert reason(**circuit, model_recall=0.6, model_false_positive_rate=0.25) is None
    blurred = reason(**circuit, model_recall=0.6, model_false_positive_rate=0.27)
    assert blurred is UnusableReason.MODEL_DOES_NOT_SEPARATE


def test_a_circuit_may_lose_a_tenth_of_recall() -> None:
    assert reason(sufficiency=0.8) is None
    assert reason(sufficiency=0.79) is UnusableReason.LOW_RECALL


def test_a_circuit_may_have_a_tenth_more_false_positives() -> None:
    assert reason(false_positive_rate=0.2) is None
    assert reason(false_positive_rate=0.21) is UnusableReason.FALSE_POSITIVES


@pytest.mark.parametrize("rate", [0.63, 0.86, 0.94, 0.99])
def test_a_circuit_that_takes_most_images_for_its_class_is_not_usable(rate: float) -> None:
    # The four circuits of the authors' method that passed when recall had only to beat this rate.
    assert reason(sufficiency=1.0, false_positive_rate=rate) is UnusableReason.FALSE_POSITIVES
    # Even where the whole model does so, too, and still separates the class.
    assert difference_bound(1.0, 1000, 0.55, 1000) > 0.2
    model = {"model_recall": 1.0, "model_false_positive_rate": 0.55, "num_positive": 1000, "num_negative": 1000}
    assert reason(**model, sufficiency=1.0, false_positive_rate=0.59) is None
    assert reason(**model, sufficiency=1.0, false_positive_rate=0.6) is UnusableReason.FALSE_POSITIVES


def test_where_the_model_knows_a_single_class_all_others_are_the_negatives() -> None:
    assert reason(false_positive_rate=None, false_positive_rate_all=0.2) is None
    rest = reason(false_positive_rate=None, false_positive_rate_all=0.3)
    assert rest is UnusableReason.FALSE_POSITIVES


def test_a_circuit_that_separates_more_than_its_model_is_cancelled_elsewhere() -> None:
    assert reason(faithfulness=1.1) is None
    assert reason(faithfulness=1.11) is UnusableReason.CANCELLED_ELSEWHERE
    assert reason(faithfulness=None) is None


def test_the_default_class_counts_if_the_rest_of_the_network_does_not_name_it() -> None:
    assert reason(empty_circuit_recall=1.0, necessity=0.79) is None
    assert reason(empty_circuit_recall=1.0, necessity=0.8) is UnusableReason.DEFAULT_CLASS
    assert reason(empty_circuit_recall=0.0, necessity=0.9) is None
    assert reason(empty_circuit_recall=1.0, necessity=0.94, model_recall=1.0, sufficiency=1.0) is (
        UnusableReason.DEFAULT_CLASS
    )


def test_of_several_reasons_the_most_fundamental_is_given() -> None:
    bad = {"sufficiency": 0.1, "false_positive_rate": 0.9, "faithfulness": 3.0}
    assert reason(**bad) is UnusableReason.LOW_RECALL
    assert reason(**bad, empty_circuit_recall=1.0, necessity=1.0) is UnusableReason.DEFAULT_CLASS
    assert reason(**bad, model_recall=0.2) is UnusableReason.MODEL_DOES_NOT_SEPARATE
    assert reason(**bad, model_recall=0.2, num_positive=3) is UnusableReason.TOO_FEW_IMAGES


def test_a_circuit_keeps_some_and_at_most_four_fifths_of_the_channels_that_carry_signal() -> None:
    reachable = torch.arange(12) < 10

    def of(*channels: int) -> UnusableReason | None:
        return size_reason(torch.isin(torch.arange(12), torch.tensor(channels)), reachable)

    assert of() is UnusableReason.EMPTY
    assert of(10, 11) is UnusableReason.EMPTY
    assert of(0) is None
    assert of(*range(8)) is None
    assert of(*range(8), 10, 11) is None
    assert of(*range(9)) is UnusableReason.WHOLE_NETWORK


def test_180_of_183_channels_are_the_whole_network() -> None:
    assert size_reason(torch.arange(183) < 180, torch.ones(183, dtype=torch.bool)) is UnusableReason.WHOLE_NETWORK
    assert size_reason(torch.arange(183) < 146, torch.ones(183, dtype=torch.bool)) is None  # 79.8 %


def test_without_any_rate_there_is_no_verdict() -> None:
    for missing in ("sufficiency", "model_recall", "model_false_positive_rate"):
        assert reason(**{missing: None}) is UnusableReason.TOO_FEW_IMAGES
    assert reason(false_positive_rate=None, false_positive_rate_all=None) is UnusableReason.TOO_FEW_IMAGES


def test_reasons_are_counted_in_words_and_in_their_order() -> None:
    assert count_reasons([None, "low_recall", "empty", None, "low_recall"]) == "1 empty, 2 with too low a recall"
    assert count_reasons([None]) == ""
    assert all(count_reasons([name]) for name in UnusableReason)


def test_a_bound_of_equal_shares_lies_below_zero() -> None:
    assert difference_bound(0.5, 40, 0.5, 40) < 0
    assert math.isfinite(difference_bound(0.0, 1, 1.0, 1))
