"""Whether averaged weights still move the channels: activation retention, the variance collapse of arXiv 2211.08403."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from fedcircuits.networks.cnn import SparseCNN, Weights, build_model, in_passes
from fedcircuits.networks.spec import ModelSpec

ROUNDING = 1e-12
"""Variance in units of the mean square below which a channel counts as constant."""


def activation_retention(
    spec: ModelSpec,
    clients: Sequence[Weights],
    average: Weights,
    images: Float[Tensor, "image channel height width"],
    device: torch.device,
) -> dict[str, float | None]:
    """Return how much of the clients' spread of activations is left in the average, by convolution.

    Args:
        spec: the network's shape.
        clients: each client's weights, at least one client.
        average: the global weights.
        images: at least one; the same for all models.
        device: where to compute.

    Returns:
        layer to the spread in the average over the mean spread in the clients, the spread being the standard deviation
        of a channel's activations over images and positions, averaged over channels; None where no client's move.
    """
    images = images.to(device)
    before = torch.stack([_spreads(build_model(spec, weights, device), images) for weights in clients]).mean(0)
    after = _spreads(build_model(spec, average, device), images)
    pairs = zip(spec.conv_names, after.tolist(), before.tolist(), strict=True)
    return {layer: new / old if old > 0 else None for layer, new, old in pairs}


@torch.no_grad()
def _spreads(model: SparseCNN, images: Tensor) -> Float[Tensor, " layer"]:
    """Return the mean over channels of their standard deviation, by convolution, float64."""
    moments = [torch.zeros(2, width, dtype=torch.float64, device=images.device) for width in model.spec.channels]
    for part in in_passes(images, model.spec):
        maps = model.activations(part)
        for i, name in enumerate(model.spec.conv_names):
            values = maps[name].double()
            means = torch.stack([values.mean((0, 2, 3)), values.square().mean((0, 2, 3))])
            moments[i] += means * (len(part) / len(images))
    return torch.stack([_deviation(*moment).mean() for moment in moments])


def _deviation(mean: Tensor, mean_square: Tensor) -> Tensor:
    """Return standard deviations; 0 where what is left of the difference is rounding."""
    variance = mean_square - mean.square()
    return torch.where(variance > ROUNDING * mean_square, variance, 0.0).sqrt()
