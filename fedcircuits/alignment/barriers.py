"""Is there a ridge between two models? The loss along the straight line from one's weights to the other's.

The barrier is the most by which the loss on the line exceeds the line between its ends (linear mode connectivity,
Frankle et al. 2020, arXiv 1912.05671).
"""

from dataclasses import dataclass

import numpy as np
import torch.nn.functional as F

from fedcircuits.circuits.scores import whole_logits
from fedcircuits.data.datasets import LabelledImages
from fedcircuits.networks.cnn import SparseCNN, Weights, build_model
from fedcircuits.networks.spec import ModelSpec

ALPHAS = tuple(step / 10 for step in range(11))
"""Shares of the first model at which the loss is taken."""


@dataclass(frozen=True)
class Barrier:
    """The line between two models' weights.

    Args:
        a_partition_id: the first model's client; None for the global model.
        b_partition_id: the second's.
        barrier: most nats by which the loss exceeds the line between both ends, 0 or more.
        alpha: where that is: share of the first model's weights, 0..1; 0 if the loss exceeds the line nowhere.
        loss_a: cross-entropy of the first model, nats.
        loss_b: that of the second.
        loss_peak: that at `alpha`.
        loss_middle: that halfway, of the plain average; below both ends where two models know different classes.
    """

    a_partition_id: int | None
    b_partition_id: int | None
    barrier: float
    alpha: float
    loss_a: float
    loss_b: float
    loss_peak: float
    loss_middle: float


def measure_barrier(
    spec: ModelSpec,
    first: tuple[int | None, Weights],
    second: tuple[int | None, Weights],
    data: LabelledImages,
) -> Barrier:
    """Walk from one model to the other.

    Args:
        spec: the shape of both networks.
        first: partition (None = the global model) and weights.
        second: the same of the other model.
        data: images balanced over classes, at least one, on the device to compute on.
    """
    (a, weights_a), (b, weights_b) = first, second
    model = build_model(spec, weights_a, data.device)
    losses = _line_losses(model, weights_a, weights_b, data)
    excess = _excess(losses)
    peak = int(np.argmax(excess))
    return Barrier(
        a_partition_id=a,
        b_partition_id=b,
        barrier=excess[peak],
        alpha=ALPHAS[peak],
        loss_a=losses[-1],
        loss_b=losses[0],
        loss_peak=losses[peak],
        loss_middle=losses[ALPHAS.index(0.5)],
    )


def _line_losses(model: SparseCNN, first: Weights, second: Weights, data: LabelledImages) -> list[float]:
    """Return the loss at each of `ALPHAS`; `model` serves as scratch."""
    losses = []
    for alpha in ALPHAS:
        # Unlike a weighted sum, lerp returns the ends as they are, and equal weights for every alpha.
        model.load_state_dict({name: second[name].lerp(value, alpha) for name, value in first.items()})
        logits = whole_logits(model, data.images).double()
        losses.append(float(F.cross_entropy(logits, data.labels)))
    return losses


def _excess(losses: list[float]) -> list[float]:
    """Return by how much each loss exceeds the line between the first and the last; at the ends exactly 0."""
    low, high = losses[0], losses[-1]
    line = [low + alpha * (high - low) for alpha in ALPHAS[:-1]] + [high]
    return [loss - expected for loss, expected in zip(losses, line, strict=True)]
