"""The circuit of one class: which gates are left open by steps on images of that class, 200 in the paper."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from reference.masks import Weights
from reference.network import ByLayer, conv_names, logits

INITIAL_LOGIT = 2.0
LEARNING_RATE = 0.1
PENALTY = 0.01

Circuit = dict[str, set[int]]
"""Name of a convolution to the channels that the circuit keeps."""


class Gate(torch.autograd.Function):
    """1 where the logit is above 0, else 0; backwards, the slope of the sigmoid."""

    @staticmethod
    def forward(ctx: Any, logit: Tensor) -> Tensor:
        ctx.save_for_backward(logit)
        return (logit > 0).to(logit.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (logit,) = ctx.saved_tensors
        return gradient * torch.sigmoid(logit) * (1 - torch.sigmoid(logit))


def gate_logits(
    weights: Weights,
    images: Tensor,
    labels: Tensor,
    class_id: int,
    orders: Sequence[Sequence[int]],
    batch_size: int,
    means: ByLayer | None = None,
) -> dict[str, Tensor]:
    """Return the gate logits that are learned for a class, by layer.

    Args:
        weights: of the network, frozen.
        images: all images of the client.
        labels: their classes.
        class_id: the class, which must be among them.
        orders: the order into which the images are shuffled for each step.
        batch_size: images per batch.
        means: what a closed channel becomes; None = zero.
    """
    found = {
        name: torch.full((len(weights[f"{name}.weight"]),), INITIAL_LOGIT, requires_grad=True)
        for name in conv_names(weights)
    }
    optimiser = torch.optim.Adam(list(found.values()), lr=LEARNING_RATE)
    for order in orders:
        chosen = first_images_of(class_id, labels, order, batch_size)
        gates = {name: Gate.apply(logit) for name, logit in found.items()}
        loss = F.cross_entropy(logits(weights, images[chosen], gates, means), labels[chosen])
        for logit in found.values():
            loss = loss + PENALTY * torch.sigmoid(logit).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return {name: logit.detach() for name, logit in found.items()}


def first_images_of(class_id: int, labels: Tensor, order: Sequence[int], batch_size: int) -> list[int]:
    """Return the images of the class in the first batch that has any."""
    for start in range(0, len(order), batch_size):
        chosen = [i for i in order[start : start + batch_size] if labels[i] == class_id]
        if chosen:
            return chosen
    raise ValueError(f"no image of class {class_id}")


def circuit_of(found: Mapping[str, Tensor]) -> Circuit:
    """Return the channels whose gate is open."""
    return {name: {i for i, logit in enumerate(values.tolist()) if logit > 0} for name, values in found.items()}
