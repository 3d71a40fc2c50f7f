"""Names of what is measured: values of columns, and the thresholds that go by a name."""

from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from typing import Final


class ModelKind(StrEnum):
    """Which model a row is about."""

    GLOBAL = "global"
    "The average, after the round's aggregation."
    CLIENT = "client"
    "A client's model after its local training, before aggregation."
    TRANSPLANT = "transplant"
    "A client's local circuit run on the new global weights."


class DataKind(StrEnum):
    """Whose images a circuit was found on."""

    CLIENT = "client"
    SERVER = "server"


class UnusableReason(StrEnum):
    """Why a circuit is not usable; of several reasons the first of this list is the one that is given."""

    EMPTY = "empty"
    "No channel of it carries signal."
    WHOLE_NETWORK = "whole_network"
    "It keeps more than 80 % of the channels that carry signal, so that it selects next to nothing."
    TOO_FEW_IMAGES = "too_few_images"
    "Fewer than ten test images of its class or of others: there is no verdict, and `usable` is missing."
    MODEL_DOES_NOT_SEPARATE = "model_does_not_separate"
    "The whole model does not surely tell the class from others, so that no part of it can be asked to."
    DEFAULT_CLASS = "default_class"
    "The model names the class with every channel off, and without the circuit it names it as well as with it."
    LOW_RECALL = "low_recall"
    "It recognises clearly fewer images of its class than the whole model does."
    FALSE_POSITIVES = "false_positives"
    "It takes clearly more other images for its class than the whole model does, or most of them."
    CANCELLED_ELSEWHERE = "cancelled_elsewhere"
    "It separates its class clearly more strongly than the whole model does: the rest works against it."
    CHECK_FAILED = "check_failed"
    "Nothing is wrong with the circuit itself, but the run's discovery has failed its last check."


class Comparison(StrEnum):
    """What a row of the overlap table compares."""

    SAME_CLASS_ACROSS_CLIENTS = "same_class_across_clients"
    DIFFERENT_CLASS_ACROSS_CLIENTS = "different_class_across_clients"
    DIFFERENT_CLASS_WITHIN_CLIENT = "different_class_within_client"
    ROUND_TO_ROUND = "round_to_round"
    LOCAL_VS_GLOBAL = "local_vs_global"
    PARAMETER_MASK_ACROSS_CLIENTS = "parameter_mask_across_clients"
    PARAMETER_MASK_LOCAL_VS_GLOBAL = "parameter_mask_local_vs_global"
    RETEST = "retest"
    "One model's circuits of either half of the images: how far images alone change them."
    OTHER_NEGATIVES = "other_negatives"
    "One model's circuits, and those that it has if they must be told from some of the classes only: another question."
    PERTURBED_COPY = "perturbed_copy"
    "A model's circuits and those of a copy with 1 % of noise on its weights: whether a circuit can be identified."


class MatchingMethod(StrEnum):
    """How channels of two models were matched."""

    ACTIVATIONS = "activations"
    "By the correlation of what they do on the same images."
    WEIGHTS = "weights"
    "By the likeness of their weights."


class AlignmentVerdict(StrEnum):
    """What a matching of channels says about two models' circuits of one class."""

    DIFFERENT = "genuinely different"
    "They share few channels, however the channels are named."
    RELABELLING = "relabelling"
    "They are alike once channels are matched, and more so than the matching does by itself."
    IRRELEVANT = "alignment irrelevant"
    "The matching leaves channels where they are, or circuits are alike without it."
    UNDECIDED = "undecided"


class RungName(StrEnum):
    """A rung of the collapse ladder: what a model is given before it is scored, so that gaps between rungs tell where
    accuracy went. Every fit is on the same few probe images, as many of each class.
    """

    FEDAVG = "A0"
    "The average as it is."
    RESCALED = "A1"
    "The average with a new scale and a new bias for each class's logit."
    NEW_READOUT = "A2"
    "A new linear readout on the average's features: what its body still encodes."
    CLIENT_READOUT = "A3"
    "A new linear readout on a client's own features: what bodies encoded before averaging. Without a client: the mean."
    JOINT_READOUT = "A3c"
    "A new linear readout on the features of all clients side by side."
    CENTRAL = "A4"
    "Training in one place, for as many steps, on the images of all clients: the ceiling."
    ENSEMBLE_LOGITS = "E_logits"
    "The clients' models kept intact, their logits averaged: what averaging weights could keep at best."
    ENSEMBLE_PROBABILITIES = "E_probabilities"
    "The same with probabilities averaged."
    UNTRAINED = "R"
    "A new linear readout on the features of the untrained network: the floor of readouts on features."
    OVERLAP_COUNT = "overlap_count"
    "The mean of each weight over the clients that keep it: without dilution, otherwise as A0."


ALL_LAYERS: Final = "all"
"""Stands for all layers pooled, in columns named `layer`."""

COLLAPSED_RECALL: Final = 0.05
"""A class that clients trained on, but of which a model recognises less than this share, has collapsed."""

DEFAULT_ANSWER_RATE: Final = 0.5
"""A class that a model takes this share of all other classes' images for is its default answer: that it names the
class's own images as well says nothing."""

MIN_RELIABILITY: Final = 0.3
"""Below this retest correlation a circuit is not measurable: correlations with it are not corrected for noise."""


REASON_WORDS: Final = {
    UnusableReason.EMPTY: "empty",
    UnusableReason.WHOLE_NETWORK: "nearly the whole network",
    UnusableReason.TOO_FEW_IMAGES: "with too few test images for a verdict",
    UnusableReason.MODEL_DOES_NOT_SEPARATE: "of a class that the whole model does not tell apart",
    UnusableReason.DEFAULT_CLASS: "of a class that the model names by default",
    UnusableReason.LOW_RECALL: "with too low a recall",
    UnusableReason.FALSE_POSITIVES: "with too many false positives",
    UnusableReason.CANCELLED_ELSEWHERE: "cancelled by the rest of the model",
    UnusableReason.CHECK_FAILED: "of a discovery that failed its check",
}
"""What can be said of a circuit, or of several after their number."""


def count_reasons(reasons: Iterable[str | None]) -> str:
    """Say how many circuits are not usable for which reason, in the order of the reasons; empty if all are usable.

    Args:
        reasons: of each circuit, a value of `UnusableReason`; None where it is usable.
    """
    counted = Counter(reason for reason in reasons if reason is not None)
    return ", ".join(f"{counted[reason]} {words}" for reason, words in REASON_WORDS.items() if counted[reason])
