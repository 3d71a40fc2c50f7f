"""The verdict on one circuit: whether it says anything about its class and, if not, why.

A circuit is asked for no more than the whole model that it is run in can do, on the same images. Its overlaps are
counted only if it passes: a mask that always names its class, or that is nearly the network, agrees with anything.
"""

import math
from dataclasses import dataclass, field
from typing import Final

from jaxtyping import Bool
from torch import Tensor

from fedcircuits.records import UnusableReason

MIN_IMAGES: Final = 10
"""Test images of the class, and of others, below which there is no verdict."""

MAX_PERCENT: Final = 80
"""Percent of the reachable channels above which a circuit is the whole network."""

MIN_DIFFERENCE: Final = 0.2
"""The whole model separates a class if its recall surely exceeds its false-positive rate by more than this."""

MAX_LOSS: Final = 0.1
"""What a circuit's recall may fall below the whole model's, and its false-positive rate exceed it."""

MAX_FALSE_POSITIVES: Final = 0.6
"""A false-positive rate from which a circuit is not usable, whatever the whole model's is."""

MAX_FAITHFULNESS: Final = 1.1
"""A circuit that separates its class by more than this share of what the model does is cancelled by the rest of it."""

_ROUNDING: Final = 1e-9
"""Differences of shares such as .8 - .1 are off by some 1e-16; shares of a million images differ by 1e-6."""

_NORMAL_95: Final = 1.959963984540054
"""A normal variable lies within this many standard deviations of its mean with a probability of 95 %."""


@dataclass(frozen=True)
class CircuitQuality:
    """One circuit on the test set; rates are fractions, None where there is no image to count.

    Args:
        class_id: the circuit's class.
        sufficiency: recall of the class with only the circuit's channels on.
        necessity: recall of the class with the circuit's channels off and all others on (low = the circuit is needed).
        false_positive_rate: with only the circuit on, share of images taken for the class among the other classes
            that the model was trained on; None if there are none.
        false_positive_rate_all: the same among all other classes.
        balanced_accuracy: (sufficiency + 1 - false_positive_rate) / 2.
        empty_circuit_recall: recall of the class with every channel off; the output is then constant, so 0 or 1.
        model_recall: recall of the class by the whole model.
        model_false_positive_rate: of the whole model, among the negatives: images of the other classes that it was
            trained on or, where it knows a single class, of all others.
        faithfulness: the circuit's separation of the class from the negatives, as a share of the whole model's; None
            where the model separates it by next to nothing, or logits have overflowed.
        num_positive: test images of the class.
        num_negative: test images of the negatives.
        reason: why the circuit is not usable; None if it is.
    """

    class_id: int
    sufficiency: float | None
    necessity: float | None
    false_positive_rate: float | None
    false_positive_rate_all: float | None
    balanced_accuracy: float | None
    empty_circuit_recall: float | None
    model_recall: float | None
    model_false_positive_rate: float | None
    faithfulness: float | None = field(metadata={"is_share": False})
    num_positive: int
    num_negative: int
    reason: UnusableReason | None

    @property
    def usable(self) -> bool | None:
        """Whether the circuit says anything about its class; None if too few images leave that open."""
        return None if self.reason is UnusableReason.TOO_FEW_IMAGES else self.reason is None


def size_reason(member: Bool[Tensor, " channel"], reachable: Bool[Tensor, " channel"]) -> UnusableReason | None:
    """Return why a circuit of this size selects nothing; None if it keeps some of the channels that carry signal.

    Args:
        member: channels in the circuit.
        reachable: channels of the model that carry signal.
    """
    num_kept, num_reachable = int((member & reachable).sum()), int(reachable.sum())
    if num_kept == 0:
        return UnusableReason.EMPTY
    return UnusableReason.WHOLE_NETWORK if 100 * num_kept > MAX_PERCENT * num_reachable else None


def rates_reason(quality: CircuitQuality) -> UnusableReason | None:
    """Return why a circuit with these rates is not usable; None if they allow it.

    Reasons are tried in the order of `UnusableReason`, the most fundamental first; the circuit's own `reason` and its
    size are not looked at.
    """
    recall, model_recall, model_rate = quality.sufficiency, quality.model_recall, quality.model_false_positive_rate
    rate = quality.false_positive_rate if quality.false_positive_rate is not None else quality.false_positive_rate_all
    is_scarce = min(quality.num_positive, quality.num_negative) < MIN_IMAGES
    if is_scarce or recall is None or model_recall is None or rate is None or model_rate is None:
        return UnusableReason.TOO_FEW_IMAGES
    bound = difference_bound(model_recall, quality.num_positive, model_rate, quality.num_negative)
    least, most = model_recall - MAX_LOSS - _ROUNDING, model_rate + MAX_LOSS + _ROUNDING
    necessity, share = quality.necessity, quality.faithfulness
    # Biases alone name the default class: its circuit is needed only where the other channels alone undo that.
    is_named_without = quality.empty_circuit_recall == 1 and necessity is not None and necessity >= least
    holds = {
        UnusableReason.MODEL_DOES_NOT_SEPARATE: bound <= MIN_DIFFERENCE,
        UnusableReason.DEFAULT_CLASS: is_named_without,
        UnusableReason.LOW_RECALL: recall < least,
        UnusableReason.FALSE_POSITIVES: rate > most or rate >= MAX_FALSE_POSITIVES,
        UnusableReason.CANCELLED_ELSEWHERE: share is not None and share > MAX_FAITHFULNESS,
    }
    return next((reason for reason, does_hold in holds.items() if does_hold), None)


def difference_bound(first: float, num_first: int, second: float, num_second: int) -> float:
    """Return the lower end of the 95 % interval of a difference of two independent shares.

    Newcombe 1998 (Statistics in Medicine 17), method 10: made of the two shares' Wilson intervals, it holds for few
    images and for shares of 0 and 1.

    Args:
        first: the share that should be the larger.
        num_first: what it is a share of, at least 1.
        second: the other share.
        num_second: what that is a share of, at least 1.
    """
    low, high = _wilson(first, num_first)[0], _wilson(second, num_second)[1]
    return first - second - math.hypot(first - low, high - second)


def _wilson(share: float, number: int) -> tuple[float, float]:
    """Return both ends of a share's 95 % interval (Wilson 1927)."""
    weight = _NORMAL_95**2 / number
    centre = (share + weight / 2) / (1 + weight)
    reach = math.sqrt(weight * share * (1 - share) + weight**2 / 4) / (1 + weight)
    return centre - reach, centre + reach
