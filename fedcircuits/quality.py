"""How good a circuit is, measured on held-out images.

Sufficiency and necessity are those of arXiv 2512.23043. Recall alone rewards a circuit that always says its class, so
the false-positive rate stands beside it, and so does the empty circuit, which can score through biases alone.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fedcircuits.circuit_scores import circuit_logits, whole_logits
from fedcircuits.circuits import Circuits
from fedcircuits.config_values import ClassIds
from fedcircuits.data import LabelledImages
from fedcircuits.models import GateSite, SparseCNN, in_passes


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
        usable: see `is_usable`.
    """

    class_id: int
    sufficiency: float | None
    necessity: float | None
    false_positive_rate: float | None
    false_positive_rate_all: float | None
    balanced_accuracy: float | None
    empty_circuit_recall: float | None
    usable: bool


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
    trained = torch.isin(test.labels, torch.tensor(sorted(trained_classes), device=test.device))
    rows = []
    for class_id, member, on, off in zip(
        circuits.class_ids, members, *_hits(model, circuits.class_ids, members, ablation, site, test), strict=True
    ):
        own = test.labels == class_id
        sufficiency, fpr, fpr_all = _share(on, own), _share(on, trained & ~own), _share(on, ~own)
        negatives = trained & ~own if fpr is not None else ~own
        rows.append(
            CircuitQuality(
                class_id=class_id,
                sufficiency=sufficiency,
                necessity=_share(off, own),
                false_positive_rate=fpr,
                false_positive_rate_all=fpr_all,
                balanced_accuracy=None if sufficiency is None or fpr is None else (sufficiency + 1 - fpr) / 2,
                empty_circuit_recall=None if not own.any() else float(always_predicts == class_id),
                usable=is_usable(member.cpu(), reachable, on[own], on[negatives]),
            )
        )
    return rows


def is_proper(member: Bool[Tensor, " channel"], reachable: Bool[Tensor, " channel"]) -> bool:
    """Tell whether a circuit keeps some but not all of the channels that carry signal."""
    kept = member & reachable
    return bool(kept.any()) and not torch.equal(kept, reachable)


def is_usable(
    member: Bool[Tensor, " channel"],
    reachable: Bool[Tensor, " channel"],
    hits: Bool[Tensor, " positive"],
    false_alarms: Bool[Tensor, " negative"],
) -> bool:
    """Tell whether a circuit says anything about its class.

    It does not if it has no reachable channel, if it keeps all of them, or if it is no better than the empty circuit.
    The empty circuit's output is constant, so its recall equals its false-positive rate; a circuit is better when
    its recall exceeds its false-positive rate by more than two standard errors. False alarms are counted among the
    classes that the model was trained on or, where those are the circuit's own class alone, among all others.
    """
    if not is_proper(member, reachable) or not len(hits) or not len(false_alarms):
        return False
    recall, false_positive_rate = float(hits.float().mean()), float(false_alarms.float().mean())
    variance = recall * (1 - recall) / len(hits) + false_positive_rate * (1 - false_positive_rate) / len(false_alarms)
    return recall - false_positive_rate > 2 * math.sqrt(variance)


def _hits(
    model: SparseCNN, class_ids: ClassIds, members: Tensor, ablation: Tensor, site: GateSite, test: LabelledImages
) -> tuple[Tensor, Tensor]:
    """Tell which images are taken for each circuit's class with only the circuit on, and with only the circuit off.

    Returns:
        twice `[circuit, image]`; with the circuit off only images of its class are looked at, all others are false.
    """
    subnetworks = model.subnetworks(ablation, site)
    on, off = ([subnetworks.of(kept) for kept in each] for each in (members, ~members))
    hits_on, hits_off = (torch.zeros(len(members), len(test), dtype=torch.bool, device=test.device) for _ in range(2))
    for part in in_passes(torch.arange(len(test), device=test.device), model.spec):
        stem = model.stem(test.images[part])
        for row, class_id in enumerate(class_ids):
            hits_on[row, part] = on[row](stem).argmax(1) == class_id
            own = test.labels[part] == class_id
            hits_off[row, part[own]] = off[row](stem[own]).argmax(1) == class_id
    return hits_on, hits_off


def _share(hit: Tensor, among: Tensor) -> float | None:
    """Return the share of `among` that are hits, or None if there are none to count."""
    return float(hit[among].float().mean()) if among.any() else None
