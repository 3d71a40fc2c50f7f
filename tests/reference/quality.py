"""How well a network knows a class with only a circuit on, and with only the circuit off."""

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


def _indicators(weights: Weights, circuit: Circuit) -> dict[str, Tensor]:
    """Return 1 for the channels of the circuit and 0 for the others."""
    return {
        name: torch.tensor([float(i in channels) for i in range(len(weights[f"{name}.weight"]))])
        for name, channels in circuit.items()
    }
