"""The network: convolutions with padding 1, each with ReLU and then 2x2 max pooling, and one linear layer."""

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor

from reference.masks import Weights

ByLayer = Mapping[str, Tensor]
"""Name of a convolution to one number per channel."""


def conv_names(weights: Weights) -> list[str]:
    """Return the names of the convolutions, input to output."""
    return [name.removesuffix(".weight") for name in weights if name.startswith("conv") and name.endswith(".weight")]


def logits(weights: Weights, images: Tensor, gates: ByLayer | None = None, means: ByLayer | None = None) -> Tensor:
    """Return the output for every image.

    Args:
        weights: of the network.
        images: `[image, channel, height, width]`.
        gates: what each channel's map is multiplied by, before ReLU.
        means: what a closed channel becomes; None = zero.
    """
    maps = images
    for name in conv_names(weights):
        maps = F.conv2d(maps, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=1)
        if gates is not None:
            gate = gates[name].view(1, -1, 1, 1)
            maps = gate * maps if means is None else gate * maps + (1 - gate) * means[name].view(1, -1, 1, 1)
        maps = F.max_pool2d(F.relu(maps), 2)
    return F.linear(maps.flatten(1), weights["fc.weight"], weights["fc.bias"])


def channel_means(weights: Weights, images: Tensor) -> dict[str, Tensor]:
    """Return the mean of every convolution's output, over images and positions, before ReLU."""
    means, maps = {}, images
    for name in conv_names(weights):
        maps = F.conv2d(maps, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=1)
        means[name] = maps.mean((0, 2, 3))
        maps = F.max_pool2d(F.relu(maps), 2)
    return means
