"""How well a network knows a class with only a circuit on, and with only the circuit off, and whether that will do."""

import math
from collections.abc import Collection

import torch
from torch import Tensor

from reference.discovery import Circuit
from reference.masks import Weights
from reference.network import ByLayer, logits


def sufficiency(
    weights: Weights, circuit: Circuit, class_id: int, images: Tensor, labels: Tensor, means: ByLayer | None = None
) -> float:
    """Return the recall of the class with only the circuit on.

    Cross-evaluation is the same with a client's own circuit and the global weights.
    """
    return recall(weights, class_id, images, labels, _indicators(weights, circuit), means)


def necessity(
    weights: Weights, circuit: Circuit, class_id: int, images: Tensor, labels: Tensor, means: ByLayer | None = None
) -> float:
    """Return the recall of the class with only the circuit off."""
    gates = {name: 1 - values for name, values in _indicators(weights, circuit).items()}
    return recall(weights, class_id, images, labels, gates, means)


def recall(
    weights: Weights,
    class_id: int,
    images: Tensor,
    labels: Tensor,
    gates: ByLayer | None = None,
    means: ByLayer | None = None,
) -> float:
    """Return the share of the class's images that are recognised."""
    hits = []
    for image, label in zip(images, labels, strict=True):
        if label == class_id:
            output = logits(weights, image[None], gates, means)[0].tolist()
            hits.append(output.index(max(output)) == class_id)
    return sum(hits) / len(hits)


def reason(
    weights: Weights,
    circuit: Circuit,
    reachable: Circuit,
    class_id: int,
    trained: Collection[int],
    images: Tensor,
    labels: Tensor,
    means: ByLayer | None = None,
) -> str | None:
    """Return the first reason why a circuit is not usable, one image after the other; None if there is none.

    Args:
        weights: of the network that the circuit is run in.
        circuit: the circuit.
        reachable: channels of the network that carry signal.
        class_id: the circuit's class.
        trained: classes that the network was trained on.
        images: test images.
        labels: their classes.
        means: what a closed channel becomes; None = zero.
    """
    kept = sum(len(circuit[name] & channels) for name, channels in reachable.items())
    others = {int(label) for label in labels} - {class_id}
    negatives = (others & set(trained)) or others
    own = [image for image, label in zip(images, labels, strict=True) if label == class_id]
    rest = [image for image, label in zip(images, labels, strict=True) if int(label) in negatives]

    def odds(image: Tensor, gates: ByLayer | None) -> float:
        """Return the log-odds of the class; above 0 is not the same as being named."""
        probabilities = torch.softmax(logits(weights, image[None], gates, means)[0].double(), 0)
        return math.log(probabilities[class_id] / (probabilities.sum() - probabilities[class_id]))

    def named(part: list[Tensor], gates: ByLayer | None) -> float:
        names = [int(logits(weights, image[None], gates, means)[0].argmax()) for image in part]
        return names.count(class_id) / len(names)

    def separation(gates: ByLayer | None) -> float:
        return sum(odds(i, gates) for i in own) / len(own) - sum(odds(i, gates) for i in rest) / len(rest)

    on = _indicators(weights, circuit)
    off = {name: 1 - values for name, values in on.items()}
    none = {name: 0 * values for name, values in on.items()}
    model, model_rest, tiny = named(own, None), named(rest, None), 1e-9
    bound = math.sqrt((model - wilson(model, len(own))[0]) ** 2 + (wilson(model_rest, len(rest))[1] - model_rest) ** 2)
    faults = {
        "empty": kept == 0,
        "whole_network": kept / sum(map(len, reachable.values())) > 0.8,
        "too_few_images": len(own) < 10 or len(rest) < 10,
        "model_does_not_separate": model - model_rest - bound <= 0.2,
        "default_class": named(own, none) == 1 and named(own, off) > model - 0.1 - tiny,
        "low_recall": named(own, on) < model - 0.1 - tiny,
        "false_positives": named(rest, on) > model_rest + 0.1 + tiny or named(rest, on) >= 0.6,
        "cancelled_elsewhere": separation(None) >= 0.01 and separation(on) / separation(None) > 1.1,
    }
    return next((name for name, is_so in faults.items() if is_so), None)


def wilson(share: float, number: int) -> tuple[float, float]:
    """Return the shares from which the observed one is just 1.96 standard errors away, found by halving intervals."""

    def end(near: float, far: float) -> float:
        for _ in range(60):
            middle = (near + far) / 2
            is_inside = abs(share - middle) <= 1.959963984540054 * math.sqrt(middle * (1 - middle) / number)
            near, far = (middle, far) if is_inside else (near, middle)
        return near

    return end(share, 0.0), end(share, 1.0)


def _indicators(weights: Weights, circuit: Circuit) -> dict[str, Tensor]:
    """Return 1 for the channels of the circuit and 0 for the others."""
    return {
        name: torch.tensor([float(i in channels) for i in range(len(weights[f"{name}.weight"]))])
        for name, channels in circuit.items()
    }
