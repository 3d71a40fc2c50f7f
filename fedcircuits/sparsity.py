"""Weight sparsity by magnitude: the schedule, the masks and their two floors.

Two floors are offered. `reference` agrees with the code behind arXiv 2512.23043: the floor adds weights beyond the
target, so nominal sparsity is not effective sparsity. `inside` protects weights within the target, as in
Gao et al. 2025 (arXiv 2511.13653), and refuses a target that is too small for it. Biases stay dense in both.
"""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fedcircuits.model_spec import ModelSpec
from fedcircuits.settings import SparsitySettings

Masks = dict[str, Tensor]
"""Layer name to a boolean tensor of the shape of its weight; true = kept."""


def sparsity_at(step: int, total_steps: int, target: float) -> float:
    """Return the sparsity that holds after optimiser step `step` (0-based).

    It rises linearly from 0 during the first half of the steps and then stays at `target`, as in the reference.
    """
    anneal = total_steps // 2
    return target * step / anneal if step < anneal else target


def magnitude_mask(weight: Float[Tensor, "filter ..."], sparsity: float, min_alive: int) -> Bool[Tensor, "filter ..."]:
    """Keep the `max(1, int((1 - sparsity) * n))` largest magnitudes, then `min_alive` per filter on top.

    Weights that tie with the smallest kept one stay too. `min_alive` = 0 switches the floor off.
    Agrees with the reference code, Python's float arithmetic in `int` included.
    """
    magnitude = weight.abs().reshape(weight.shape[0], -1)
    num_keep = max(1, int((1 - sparsity) * weight.numel()))
    mask = magnitude >= _kth_largest(magnitude, num_keep)
    if min_alive:
        # A filter with enough survivors has its largest weights among them, so this adds to the others only.
        mask.scatter_(1, magnitude.topk(min_alive, dim=1).indices, True)
    return mask.view(weight.shape)


def exact_mask(weight: Float[Tensor, "filter ..."], sparsity: float, min_alive: int) -> Bool[Tensor, "filter ..."]:
    """Keep exactly `int((1 - sparsity) * n)` weights: `min_alive` per filter first, then the largest magnitudes.

    Ties are broken by position. Agrees with Gao et al. 2025.
    """
    score = weight.abs().reshape(weight.shape[0], -1)
    if min_alive:
        score = score.scatter(1, score.topk(min_alive, dim=1).indices, torch.inf)
    score = score.flatten()
    num_keep = int((1 - sparsity) * score.numel())
    threshold = _kth_largest(score, num_keep)
    mask = score > threshold
    ties = (score == threshold).nonzero().flatten()
    mask[ties[: num_keep - int(mask.sum())]] = True
    return mask.view(weight.shape)


def _kth_largest(values: Tensor, k: int) -> Tensor | float:
    place = values.numel() - k
    if values.is_cuda:
        return values.flatten().kthvalue(place + 1).values
    # The same number from numpy's selection, several times faster on a CPU.
    return float(np.partition(values.flatten().numpy(), place)[place])


def weight_masks(spec: ModelSpec, weights: Mapping[str, Tensor], sparsity: float, settings: SparsitySettings) -> Masks:
    """Return the mask of every layer at the given sparsity. In the `reference` floor linear layers have none."""
    rule: Callable[[Tensor, float, int], Tensor] = magnitude_mask
    if settings.sparsity_floor == "inside":
        rule = exact_mask
    masks = {}
    for name in spec.layer_names:
        has_floor = name in spec.conv_names or settings.sparsity_floor == "inside"
        masks[name] = rule(weights[f"{name}.weight"], sparsity, settings.min_alive if has_floor else 0)
    return masks


def densities(masks: Masks) -> dict[str, float]:
    """Return the fraction of kept weights of each layer, and of `all` layers together."""
    kept = {name: int(mask.sum()) for name, mask in masks.items()}
    sizes = {name: mask.numel() for name, mask in masks.items()}
    shares = {name: kept[name] / sizes[name] for name in masks}
    return {**shares, "all": sum(kept.values()) / sum(sizes.values())}
