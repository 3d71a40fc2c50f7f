"""A round: clients train and look at their models, the server takes the mean, and everyone looks at that."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from naive.discovery import discover
from naive.evaluation import class_recalls, evaluate
from naive.training import Loader, train


@dataclass(frozen=True)
class Client:
    """What a client holds."""

    images: Loader
    classes: list[int]


def run_round(
    model: nn.Module,
    clients: Sequence[Client],
    probe: Loader,
    test: Loader,
    epochs: int,
    sparsity: float,
    gate_steps: int,
) -> None:
    """Run one round; `model` is the global model, before and after."""
    all_classes = sorted({class_id for client in clients for class_id in client.classes})
    states, circuits = [], []
    for client in clients:
        local = copy.deepcopy(model).requires_grad_(True)
        train(local, client.images, epochs, sparsity)
        class_recalls(local, test)
        found = discover(local, client.images, client.classes, gate_steps)
        evaluate(local, found, test, client.classes)
        states.append(local.state_dict())
        circuits.append(found)
    model.load_state_dict(average(states))
    for client, local_circuits in zip(clients, circuits, strict=True):
        found = discover(model, client.images, client.classes, gate_steps)
        evaluate(model, found, test, all_classes)
        evaluate(model, local_circuits, test, all_classes)
    class_recalls(model, test)
    evaluate(model, discover(model, probe, all_classes, gate_steps), test, all_classes)


def average(states: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return the mean of the clients' weights."""
    return {name: torch.stack([state[name] for state in states]).mean(0) for name in states[0]}
