"""How good a circuit is, measured on held-out images.

Sufficiency and necessity are those of arXiv 2512.23043. Recall alone rewards a circuit that always says its class, so
the false-positive rate stands beside it, and so does the empty circuit, which can score through biases alone.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fedcircuits.circuits.circuit import Circuits
from fedcircuits.circuits.scores import circuit_logits, faithfulness, log_odds, separation, whole_logits
from fedcircuits.circuits.verdicts import CircuitQuality, rates_reason, size_reason
from fedcircuits.data.datasets import LabelledImages
from fedcircuits.networks.cnn import GateSite, SparseCNN, in_passes
from fedcircuits.settings.config_values import ClassIds


@dataclass(frozen=True)
class ClassAccuracy:
    """One class of one model on the test set; rates are fractions, None where there is no image to count.

    Args:
        class_id: the class.
        recall: share of the class's images that are recognised.
        false_positive_rate: share of all other images that are taken for the class.
        num_examples: images of the class.
    """

    class_id: int
    recall: float | None
    false_positive_rate: float | None
    num_examples: int


@torch.no_grad()
def predicted_classes(model: SparseCNN, test: LabelledImages) -> Int[Tensor, " image"]:
    """Return what the whole network takes each image for."""
    return whole_logits(model, test.images).argmax(1)


def class_accuracies(model: SparseCNN, test: LabelledImages) -> list[ClassAccuracy]:
    """Return recall and false-positive rate of every class of the whole network."""
    return accuracies_of(predicted_classes(model, test), test, model.spec.num_classes)


def accuracies_of(predicted: Int[Tensor, " image"], test: LabelledImages, num_classes: int) -> list[ClassAccuracy]:
    """Return recall and false-positive rate of every class of what a network takes the test images for."""
    rows = []
    for class_id, count in enumerate(test.class_counts(num_classes)):
        hit, own = predicted == class_id, test.labels == class_id
        rows.append(ClassAccuracy(class_id, _share(hit, own), _share(hit, ~own), count))
    return rows


@torch.no_grad()
def circuit_qualities(
    model: SparseCNN,
    circuits: Circuits,
    reachable: Bool[Tensor, " channel"],
    ablation: Float[Tensor, " channel"],
    site: GateSite,
    test: LabelledImages,
    trained_classes: Collection[int],
) -> list[CircuitQuality]:
    """Measure every circuit of a model.

    Args:
        model: the network that the circuits are run in; for a transplant, not the one they were found in.
        circuits: the circuits to measure.
        reachable: channels of `model` that carry signal, for the verdict.
        ablation: the values of off channels, as in discovery.
        site: where gates act, as in discovery.
        test: held-out images, at least one.
        trained_classes: classes that the weights of `model` were trained on.
    """
    members = circuits.members.to(test.device)
    nothing = torch.zeros_like(ablation, dtype=torch.bool)[None]
    always_predicts = int(circuit_logits(model, test.images[:1], nothing, ablation, site).argmax())
    whole = whole_logits(model, test.images)
    trained = torch.isin(test.labels, torch.tensor(sorted(trained_classes), device=test.device))
    answers = _answers(model, circuits.class_ids, members, ablation, site, test)
    rows = []
    for class_id, member, answer in zip(circuits.class_ids, members.cpu(), answers, strict=True):
        whole_answer = _Answers(whole.argmax(1) == class_id, answer.off, log_odds(whole, class_id))
        quality = _measured(class_id, answer, whole_answer, test.labels == class_id, trained, always_predicts)
        rows.append(replace(quality, reason=size_reason(member, reachable) or rates_reason(quality)))
    return rows


class _Answers(NamedTuple):
    """What one circuit says about the images, `[image]` each.

    Args:
        on: taken for the circuit's class with only the circuit on.
        off: the same with only the circuit off; only images of its class are looked at, all others are false.
        odds: log-odds of the class with only the circuit on.
    """

    on: Bool[Tensor, " image"]
    off: Bool[Tensor, " image"]
    odds: Float[Tensor, " image"]


def _answers(
    model: SparseCNN, class_ids: ClassIds, members: Tensor, ablation: Tensor, site: GateSite, test: LabelledImages
) -> list[_Answers]:
    """Run every image through every circuit, and images of its class through what is left without it."""
    subnetworks = model.subnetworks(ablation, site)
    on, off = ([subnetworks.of(kept) for kept in each] for each in (members, ~members))
    blank = torch.zeros(len(test), device=test.device)
    answers = [_Answers(blank.bool(), blank.bool(), blank.to(test.images.dtype, copy=True)) for _ in members]
    for part in in_passes(torch.arange(len(test), device=test.device), model.spec):
        stem = model.stem(test.images[part])
        for row, class_id in enumerate(class_ids):
            logits, own = on[row](stem), test.labels[part] == class_id
            answers[row].on[part] = logits.argmax(1) == class_id
            answers[row].odds[part] = log_odds(logits, class_id)
            answers[row].off[part[own]] = off[row](stem[own]).argmax(1) == class_id
    return answers


def _measured(
    class_id: int,
    circuit: _Answers,
    whole: _Answers,
    own: Bool[Tensor, " image"],
    trained: Bool[Tensor, " image"],
    always_predicts: int,
) -> CircuitQuality:
    """Count what a circuit and the whole model say, without a verdict.

    Args:
        class_id: the circuit's class.
        circuit: what the circuit says.
        whole: what the whole model says.
        own: images of the class.
        trained: images of the classes that the model was trained on.
        always_predicts: the class that the empty circuit names.
    """
    known = trained & ~own
    negatives = known if known.any() else ~own
    sufficiency, rate = _share(circuit.on, own), _share(circuit.on, known)
    separations = [separation(answers.odds, own, negatives) for answers in (circuit, whole)]
    return CircuitQuality(
        class_id=class_id,
        sufficiency=sufficiency,
        necessity=_share(circuit.off, own),
        false_positive_rate=rate,
        false_positive_rate_all=_share(circuit.on, ~own),
        balanced_accuracy=None if sufficiency is None or rate is None else (sufficiency + 1 - rate) / 2,
        empty_circuit_recall=None if not own.any() else float(always_predicts == class_id),
        model_recall=_share(whole.on, own),
        model_false_positive_rate=_share(whole.on, negatives),
        faithfulness=faithfulness(*separations),
        num_positive=int(own.sum()),
        num_negative=int(negatives.sum()),
        reason=None,
    )


def _share(hit: Tensor, among: Tensor) -> float | None:
    """Return the share of `among` that are hits, or None if there are none to count."""
    return int((hit & among).sum()) / int(among.sum()) if among.any() else None
