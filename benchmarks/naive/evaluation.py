"""How good circuits are: one pass over the test set for each circuit and each figure."""

from collections.abc import Collection

import torch
from torch import Tensor, nn

from naive.network import Gates
from naive.training import Loader


def evaluate(
    model: nn.Module, circuits: dict[int, dict[str, Tensor]], loader: Loader, trained_classes: Collection[int]
) -> dict[int, dict[str, float]]:
    """Return the figures of every circuit, by class."""
    results = {}
    for class_id, circuit in circuits.items():
        without = {name: 1 - gates for name, gates in circuit.items()}
        nothing = {name: torch.zeros_like(gates) for name, gates in circuit.items()}
        others = [c for c in trained_classes if c != class_id]
        results[class_id] = {
            "sufficiency": share_taken_for(model, loader, class_id, [class_id], circuit),
            "necessity": share_taken_for(model, loader, class_id, [class_id], without),
            "false_positive_rate": share_taken_for(model, loader, class_id, others, circuit),
            "empty_circuit_recall": share_taken_for(model, loader, class_id, [class_id], nothing),
        }
    return results


@torch.no_grad()
def share_taken_for(model: nn.Module, loader: Loader, class_id: int, among: list[int], gates: Gates) -> float:
    """Return the share of the images of some classes that are taken for `class_id`."""
    device = next(model.parameters()).device
    model.eval()
    wanted = torch.tensor(among, dtype=torch.int64)
    hits, total = 0, 0
    for images, labels in loader:
        chosen = images[torch.isin(labels, wanted.to(labels.device))].to(device)
        if len(chosen) == 0:
            continue
        hits += (model(chosen, gates).argmax(1) == class_id).sum().item()
        total += len(chosen)
    return hits / total if total else float("nan")


@torch.no_grad()
def class_recalls(model: nn.Module, loader: Loader) -> list[float]:
    """Return the recall of every class of the whole network."""
    device = next(model.parameters()).device
    model.eval()
    hits, totals = torch.zeros(10), torch.zeros(10)
    for images, labels in loader:
        predicted = model(images.to(device)).argmax(1).cpu()
        classes = labels.cpu()
        totals += torch.bincount(classes, minlength=10)
        hits += torch.bincount(classes[predicted == classes], minlength=10)
    return (hits / totals).tolist()
