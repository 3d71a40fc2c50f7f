"""What averaging does to the weights of clients, layer by layer: cancellation, conflict, dilution.

Updates are taken as w_i - m_i * w_0, with m_i the client's mask: with the plain difference, every weight that all
clients prune alike would count as agreement and inflate it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fedcircuits.model_spec import ModelSpec
from fedcircuits.models import Weights
from fedcircuits.sparsity import Masks

TRIM_FRACTION = 0.2
"""Share of each client's largest updates that take part in the sign conflict (TIES, arXiv 2306.01708)."""


@dataclass(frozen=True)
class LayerInterference:
    """Interference in one layer's weights; figures are None where they divide by zero.

    Args:
        layer: the layer.
        num_clients: clients that were averaged.
        cancellation: norm of the mean update over the mean norm of updates, 0..1; 1 = all pull one way,
            1/sqrt(clients) = unrelated, below that = they oppose each other.
        sign_conflict: share of update mass on weights where clients' largest updates differ in sign, 0..1.
        support_solo: share of the union of supports that exactly one client keeps: the average dilutes them.
        support_agree: share that several clients keep with one sign.
        support_conflict: share that several clients keep with both signs.
        norm_retention: norm of the new global weights over the mean norm of clients' weights.
        density_clients: mean share of weights that a client keeps.
        density_union: share of weights that any client keeps.
        density_global: share of the new global weights that are not zero.
    """

    layer: str
    num_clients: int
    cancellation: float | None
    sign_conflict: float | None
    support_solo: float | None
    support_agree: float | None
    support_conflict: float | None
    norm_retention: float | None
    density_clients: float
    density_union: float
    density_global: float


def measure_interference(
    spec: ModelSpec,
    start: Weights,
    clients: Sequence[tuple[Weights, Masks]],
    shares: Sequence[float],
    average: Weights,
) -> list[LayerInterference]:
    """Measure one aggregation.

    Args:
        spec: the network's shape.
        start: the global weights that the round started from.
        clients: each client's weights and masks, at least one client.
        shares: each client's weight in the average; they sum to 1.
        average: the new global weights.
    """
    rows = []
    for layer in spec.layer_names:
        key = f"{layer}.weight"
        weights = [client[key] for client, _ in clients]
        masks = [mask[layer] for _, mask in clients]
        rows.append(_measure_layer(layer, start[key], weights, masks, shares, average[key]))
    return rows


def _measure_layer(
    layer: str,
    start: Tensor,
    weights: Sequence[Tensor],
    masks: Sequence[Tensor],
    shares: Sequence[float],
    average: Tensor,
) -> LayerInterference:
    """Go through the clients once, keeping sums only, so that memory does not grow with their number."""
    mean_update, update_mass = torch.zeros_like(start), torch.zeros_like(start)
    raised, lowered = (torch.zeros_like(start, dtype=torch.bool) for _ in range(2))
    holders, positive, negative = (torch.zeros_like(start, dtype=torch.int32) for _ in range(3))
    update_norm = weight_norm = 0.0
    for weight, mask, share in zip(weights, masks, shares, strict=True):
        update = weight - mask * start
        mean_update += share * update
        update_mass += update.abs()
        update_norm += share * float(update.norm())
        weight_norm += share * float(weight.norm())
        largest = _largest(update)
        raised |= largest & (update > 0)
        lowered |= largest & (update < 0)
        holders += mask
        positive += mask & (weight > 0)
        negative += mask & (weight < 0)
    union, shared = holders > 0, holders > 1
    conflict = shared & (positive > 0) & (negative > 0)
    return LayerInterference(
        layer=layer,
        num_clients=len(weights),
        cancellation=_ratio(float(mean_update.norm()), update_norm),
        sign_conflict=_ratio(float(update_mass[raised & lowered].sum()), float(update_mass.sum())),
        support_solo=_ratio(int((holders == 1).sum()), int(union.sum())),
        support_agree=_ratio(int((shared & ~conflict).sum()), int(union.sum())),
        support_conflict=_ratio(int(conflict.sum()), int(union.sum())),
        norm_retention=_ratio(float(average.norm()), weight_norm),
        density_clients=float(holders.sum()) / (holders.numel() * len(weights)),
        density_union=float(union.float().mean()),
        density_global=float(average.ne(0).float().mean()),
    )


def _largest(update: Tensor) -> Tensor:
    """Tell which of the non-zero updates are among the largest `TRIM_FRACTION` in magnitude."""
    magnitude = update.abs()
    alive = magnitude[magnitude > 0]
    if not len(alive):
        return torch.zeros_like(update, dtype=torch.bool)
    num_kept = max(1, round(TRIM_FRACTION * len(alive)))
    return magnitude >= alive.kthvalue(len(alive) - num_kept + 1).values


def _ratio(numerator: float, denominator: float) -> float | None:
    return numerator / denominator if denominator > 0 else None
