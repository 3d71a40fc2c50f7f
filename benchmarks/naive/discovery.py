"""Circuits, one class after the other: gates learned by steps on images of the class."""

from typing import Any

import torch
from torch import Tensor, nn

from naive.network import CONVOLUTIONS, Gates
from naive.training import Loader

PENALTY = 0.01


class StraightThrough(torch.autograd.Function):
    """1 where the logit is positive, else 0; backwards, the slope of the sigmoid."""

    @staticmethod
    def forward(ctx: Any, logit: Tensor) -> Tensor:
        """Return the gate."""
        ctx.save_for_backward(logit)
        return (logit > 0).to(logit.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        """Return the logit's gradient."""
        sigmoid = torch.sigmoid(ctx.saved_tensors[0])
        return grad * sigmoid * (1 - sigmoid)


def discover(model: nn.Module, loader: Loader, class_ids: list[int], steps: int = 200) -> dict[int, dict[str, Tensor]]:
    """Return for each class the gates that are open at the end, as 0 and 1 by layer."""
    return {class_id: discover_class(model, loader, class_id, steps) for class_id in class_ids}


def discover_class(model: nn.Module, loader: Loader, class_id: int, steps: int) -> dict[str, Tensor]:
    """Return the circuit of one class; each step takes the first batch of a new epoch that has the class."""
    device = next(model.parameters()).device
    model.eval()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    logits = {
        name: torch.full((getattr(model, name).out_channels,), 2.0, device=device, requires_grad=True)
        for name in CONVOLUTIONS
    }
    optimizer = torch.optim.Adam(logits.values(), lr=0.1)
    criterion = nn.CrossEntropyLoss()
    for _ in range(steps):
        images, labels = first_batch_of(loader, class_id)
        images, labels = images.to(device), labels.to(device)
        gates: Gates = {name: StraightThrough.apply(logit) for name, logit in logits.items()}
        price = sum(torch.sigmoid(logit).sum() for logit in logits.values())
        loss = criterion(model(images, gates), labels) + PENALTY * price
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {name: (logit > 0).float() for name, logit in logits.items()}


def first_batch_of(loader: Loader, class_id: int) -> tuple[Tensor, Tensor]:
    """Return the images of the class in the first batch that has any."""
    for images, labels in loader:
        own = labels == class_id
        if own.any():
            return images[own], labels[own]
    raise ValueError(f"no image of class {class_id}")
