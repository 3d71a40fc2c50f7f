"""Weight sparsity by magnitude: the schedule, the masks and their two floors.

Two floors are offered. `reference` agrees with the code behind arXiv 2512.23043: the floor adds weights beyond the
target, so nominal sparsity is not effective sparsity. `inside` protects weights within the target, as in
Gao et al. 2025 (arXiv 2511.13653), and refuses a target that is too small for it. Biases stay dense in both.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fedcircuits.networks.spec import ModelSpec
from fedcircuits.settings import SparsitySettings

Masks = dict[str, Tensor]
"""Layer name to a boolean tensor of the shape of its weight; true = kept."""

Count = int | Int[Tensor, ""]
"""A number of weights. A Python number lets the CPU take the fastest way for its size. A tensor is never read: shapes
do not depend on its value, so the CPU need not wait for a GPU, and the GPU's work can be recorded."""


def sparsity_at(step: int, total_steps: int, target: float) -> float:
    """Return the sparsity that holds after optimiser step `step` (0-based).

    It rises linearly from 0 during the first half of the steps and then stays at `target`, as in the reference.
    """
    anneal = total_steps // 2
    # The ratio first, as the reference does: the other order differs in the last bit, and so in a few counts.
    return target * (step / anneal) if step < anneal else target


def num_kept(num_weights: int, sparsity: float, settings: SparsitySettings) -> int:
    """Return how many of a layer's weights its target leaves; the `reference` floor leaves one at least.

    Agrees with the reference code, Python's float arithmetic in `int` included.
    """
    budget = int((1 - sparsity) * num_weights)
    return budget if settings.sparsity_floor == "inside" else max(1, budget)


def magnitude_mask(weight: Float[Tensor, "filter ..."], num_keep: Count, min_alive: int) -> Bool[Tensor, "filter ..."]:
    """Keep the `num_keep` largest magnitudes, then `min_alive` per filter on top; 0 switches this floor off.

    Weights that tie with the smallest kept one stay too, and so do those that tie with a filter's `min_alive`-th.
    """
    magnitude = weight.abs().reshape(weight.shape[0], -1)
    mask = magnitude >= _kth_largest(magnitude, num_keep)
    if min_alive:
        # A filter with enough survivors has all of these among them, so this adds to the others only.
        mask |= magnitude >= magnitude.topk(min_alive, dim=1).values[:, -1:]
    return mask.view(weight.shape)


def exact_mask(weight: Float[Tensor, "filter ..."], num_keep: Count, min_alive: int) -> Bool[Tensor, "filter ..."]:
    """Keep exactly `num_keep` weights: `min_alive` per filter first, then the largest magnitudes.

    Ties are broken by position. Agrees with Gao et al. 2025.
    """
    score = weight.abs().reshape(weight.shape[0], -1)
    if min_alive:
        score = score.scatter(1, score.topk(min_alive, dim=1).indices, torch.inf)
    score = score.flatten()
    mask = _largest_by_rank(score, num_keep) if isinstance(num_keep, Tensor) else _largest_by_value(score, num_keep)
    return mask.view(weight.shape)


def _kth_largest(values: Tensor, k: Count) -> Tensor | float:
    place = values.numel() - k
    if isinstance(place, Tensor):
        return values.flatten().sort().values.index_select(0, place.view(1))
    # The same number from numpy's selection, several times faster on a CPU.
    return float(np.partition(values.flatten().numpy(force=True), place)[place])


def _largest_by_rank(score: Tensor, num_keep: Tensor) -> Tensor:
    """Mark the `num_keep` largest scores, the earlier one of two that are equal."""
    order = score.argsort(descending=True, stable=True)
    is_kept = torch.arange(len(score), device=score.device) < num_keep
    return torch.zeros_like(is_kept).scatter(0, order, is_kept)


def _largest_by_value(score: Tensor, num_keep: int) -> Tensor:
    """Mark the same without sorting, which takes a look at how many are equal."""
    threshold = _kth_largest(score, num_keep)
    mask = score > threshold
    ties = (score == threshold).nonzero().flatten()
    mask[ties[: num_keep - int(mask.sum())]] = True
    return mask


def kept_counts(spec: ModelSpec, sparsity: float, settings: SparsitySettings) -> list[int]:
    """Return how many weights each layer keeps at the given sparsity, what the `reference` floor adds not counted."""
    return [num_kept(math.prod(shape), sparsity, settings) for shape in spec.weight_shapes.values()]


def weight_masks(
    spec: ModelSpec,
    weights: Mapping[str, Tensor],
    counts: Sequence[int] | Int[Tensor, " layer"],
    settings: SparsitySettings,
) -> Masks:
    """Return the mask of every layer. In the `reference` floor linear layers have none.

    Args:
        spec: the network's shape.
        weights: its parameters.
        counts: from `kept_counts`; as a tensor, on the weights' device, nothing waits for a GPU to look at its numbers.
        settings: the floor.
    """
    rule: Callable[[Tensor, Count, int], Tensor] = magnitude_mask
    if settings.sparsity_floor == "inside":
        rule = exact_mask
    masks = {}
    for name, num_keep in zip(spec.layer_names, counts, strict=True):
        has_floor = name in spec.conv_names or settings.sparsity_floor == "inside"
        masks[name] = rule(weights[f"{name}.weight"], num_keep, settings.min_alive if has_floor else 0)
    return masks


def densities(masks: Masks) -> dict[str, float]:
    """Return the fraction of kept weights of each layer, and of `all` layers together."""
    kept = {name: int(mask.sum()) for name, mask in masks.items()}
    sizes = {name: mask.numel() for name, mask in masks.items()}
    shares = {name: kept[name] / sizes[name] for name in masks}
    return {**shares, "all": sum(kept.values()) / sum(sizes.values())}
