"""Local training: the ramp of the sparsity, and masks after every step of the optimiser."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from reference.masks import MIN_ALIVE, Weights, masks
from reference.network import logits

LEARNING_RATE = 1e-3


def current_sparsity(step: int, total_steps: int, target: float) -> float:
    """Return the sparsity after step `step`, counted from 0 in every round: a ramp over the first half, then flat."""
    anneal = int(total_steps / 2)
    if step < anneal:
        return target * (step / anneal)
    return target


def train(
    weights: Weights,
    images: Tensor,
    labels: Tensor,
    batches: Sequence[Sequence[int]],
    sparsity: float,
    learning_rate: float = LEARNING_RATE,
    min_alive: int = MIN_ALIVE,
) -> Weights:
    """Train on the batches, all epochs one after the other, with an optimiser of this round's own."""
    trained = {name: value.clone().requires_grad_() for name, value in weights.items()}
    optimiser = torch.optim.Adam(list(trained.values()), lr=learning_rate)
    for step, batch in enumerate(batches):
        optimiser.zero_grad()
        F.cross_entropy(logits(trained, images[batch]), labels[batch]).backward()
        optimiser.step()
        apply_masks(trained, current_sparsity(step, len(batches), sparsity), min_alive)
    apply_masks(trained, sparsity, min_alive)
    return {name: value.detach() for name, value in trained.items()}


def apply_masks(weights: Weights, sparsity: float, min_alive: int) -> None:
    """Set the weights that do not stay to zero, in place."""
    with torch.no_grad():
        for name, mask in masks(weights, sparsity, min_alive).items():
            weights[name] *= mask
