"""Weight-sparse training: after every step, the largest magnitudes of each layer and four of each filter stay."""

from collections.abc import Iterator
from typing import Protocol

import torch
from torch import Tensor, nn

MIN_ALIVE = 4


class Loader(Protocol):
    """What a DataLoader offers: batches of (images, labels), as often as one likes."""

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Start an epoch."""

    def __len__(self) -> int:
        """Return the number of batches."""


def train(model: nn.Module, loader: Loader, epochs: int, target: float, learning_rate: float = 1e-3) -> float:
    """Train in place and return the mean loss of the last epoch's batches."""
    device = next(model.parameters()).device
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    criterion = nn.CrossEntropyLoss()
    total_steps = epochs * len(loader)
    step, running_loss = 0, 0.0
    for _ in range(epochs):
        running_loss = 0.0
        for batch, classes in loader:
            images, labels = batch.to(device), classes.to(device)
            optimizer.zero_grad()
            loss = criterion(model(images), labels)
            loss.backward()
            optimizer.step()
            apply_masks(model, current_sparsity(step, total_steps, target))
            running_loss += loss.item()
            step += 1
    apply_masks(model, target)
    return running_loss / len(loader)


def current_sparsity(step: int, total_steps: int, target: float) -> float:
    """Return the sparsity after a step: a ramp over the first half of the steps, then flat."""
    anneal = int(total_steps / 2)
    return target * (step / anneal) if step < anneal else target


@torch.no_grad()
def apply_masks(model: nn.Module, sparsity: float) -> None:
    """Set the smallest weights of every layer to zero."""
    for module in model.modules():
        if not isinstance(module, nn.Conv2d | nn.Linear):
            continue
        weight = module.weight
        magnitude = weight.abs()
        k = max(1, int((1 - sparsity) * weight.numel()))
        threshold = torch.topk(magnitude.flatten(), k).values[-1]
        mask = magnitude >= threshold
        if isinstance(module, nn.Conv2d):
            for i in range(weight.shape[0]):
                if mask[i].sum() < MIN_ALIVE:
                    mask[i] |= magnitude[i] >= torch.topk(magnitude[i].flatten(), MIN_ALIVE).values[-1]
        weight.mul_(mask)
