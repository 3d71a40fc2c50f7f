"""What a network says when only a circuit is on: logits of many circuits, and how well they tell a class from others.

The score that faithfulness is made of is the separation: the mean log-odds of the class over its own images less their
mean over images of other classes, in nats. The empty circuit says the same of every image, so its separation is
exactly 0, and a circuit that always says its class gains nothing by it.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fedcircuits.data.datasets import LabelledImages
from fedcircuits.networks.cnn import GateSite, SparseCNN, in_passes
from fedcircuits.settings.config_values import ClassIds

MIN_SEPARATION = 0.01
"""Nats. A whole network that separates its class by less has nothing of which a circuit could keep a share."""


@dataclass(frozen=True)
class Judgement:
    """How well logits tell one class from others; None where there is no image to count.

    Args:
        separation: mean log-odds of the class over its images less that over images of other classes, nats; None also
            where logits of a diverged network have overflowed.
        recall: share of the class's images that are taken for it.
        false_positive_rate: share of the other images that are taken for it.
    """

    separation: float | None
    recall: float | None
    false_positive_rate: float | None

    @property
    def balanced_accuracy(self) -> float | None:
        """Mean of recall and of one less the false-positive rate."""
        if self.recall is None or self.false_positive_rate is None:
            return None
        return (self.recall + 1 - self.false_positive_rate) / 2


@torch.no_grad()
def circuit_logits(
    model: SparseCNN,
    images: Float[Tensor, "image colour height width"],
    members: Bool[Tensor, "circuit channel"],
    ablation: Float[Tensor, " channel"],
    site: GateSite,
) -> Float[Tensor, "circuit image num_classes"]:
    """Run every image through every circuit.

    Args:
        model: the network.
        images: at least one, on the network's device.
        members: channels that are on, one row per circuit.
        ablation: what a channel that is off becomes, as in discovery.
        site: where gates act, as in discovery.
    """
    subnetworks = model.subnetworks(ablation, site)
    circuits = [subnetworks.of(member) for member in members.to(images.device)]
    logits = torch.zeros(len(circuits), len(images), model.spec.num_classes, device=images.device, dtype=images.dtype)
    for part in in_passes(torch.arange(len(images), device=images.device), model.spec):
        stem = model.stem(images[part])
        for row, circuit in enumerate(circuits):
            logits[row, part] = circuit(stem)
    return logits


@torch.no_grad()
def whole_logits(
    model: SparseCNN, images: Float[Tensor, "image channel height width"]
) -> Float[Tensor, "image num_classes"]:
    """Run every image through the whole network."""
    return torch.cat([model(part) for part in in_passes(images, model.spec)])


def log_odds(logits: Float[Tensor, "*batch num_classes"], class_id: int) -> Float[Tensor, "*batch"]:
    """Return log p_c - log(1 - p_c), computed without cancellation; two classes or more."""
    others = torch.cat([logits[..., :class_id], logits[..., class_id + 1 :]], dim=-1)
    return logits[..., class_id] - others.logsumexp(-1)


def judge(
    logits: Float[Tensor, "image num_classes"], data: LabelledImages, class_id: int, negatives: Collection[int]
) -> Judgement:
    """Judge logits by how well they tell a class from others.

    Args:
        logits: one row per image of `data`.
        data: the images and their classes.
        class_id: the class in question.
        negatives: the classes that it must be told from; the class itself does not count among them.
    """
    own = data.labels == class_id
    other = torch.isin(data.labels, torch.tensor(sorted(negatives), device=data.device)) & ~own
    odds, hit = log_odds(logits, class_id), logits.argmax(-1) == class_id
    return Judgement(separation(odds, own, other), _mean(hit, own), _mean(hit, other))


def separation(
    odds: Float[Tensor, " image"], own: Bool[Tensor, " image"], other: Bool[Tensor, " image"]
) -> float | None:
    """Return the mean of a class's log-odds over its own images less their mean over others, in nats.

    Returns:
        None where there is no image to count, or logits of a diverged network have overflowed.
    """
    if not own.any() or not other.any():
        return None
    difference = float(odds[own].mean() - odds[other].mean())
    return difference if math.isfinite(difference) else None


def faithfulness(circuit: float | None, whole: float | None) -> float | None:
    """Return what share of the whole network's separation a circuit keeps.

    Args:
        circuit: the circuit's separation, in nats; None if it is not known.
        whole: that of the whole network.

    Returns:
        None where either is not known, or the network separates its class by less than `MIN_SEPARATION`.
    """
    if circuit is None or whole is None or whole < MIN_SEPARATION:
        return None
    return circuit / whole


def balanced_sample(
    data: LabelledImages, classes: ClassIds, per_class: int, generator: torch.Generator
) -> LabelledImages:
    """Draw up to `per_class` images of each class without replacement; all of a class that has fewer.

    Returns:
        images sorted by class; none of a class that `data` does not hold.
    """
    labels, chosen = data.labels.cpu(), []
    for class_id in classes:
        held = (labels == class_id).nonzero().flatten()
        chosen.append(held[torch.randperm(len(held), generator=generator)[:per_class]])
    return data.select(torch.cat(chosen).to(data.device))


def _mean(values: Tensor, among: Tensor) -> float | None:
    return float(values[among].float().mean()) if among.any() else None
