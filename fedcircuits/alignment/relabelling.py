"""Channels of a network under other names: permuting a layer's channels leaves the function as it was.

A permutation moves the filters and biases of its layer and the inputs of the next. The first linear layer sees each
channel as a block of features, which moves as one. Logits belong to classes, so the readout has no permutation.
"""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array
from torch import Tensor

from fedcircuits.networks.cnn import Weights
from fedcircuits.networks.spec import ModelSpec

Permutations = Mapping[str, Int[Array, " _"]]
"""Convolution or hidden layer to its new order: what stands at `r` afterwards is the channel that stood at `order[r]`.
For two networks, channel `r` of the first is matched with channel `order[r]` of the second."""


def identity_permutations(spec: ModelSpec) -> dict[str, Int[Array, " _"]]:
    """Return the permutations that leave every channel where it is."""
    return {name: np.arange(spec.weight_shapes[name][0]) for name in spec.layer_names[:-1]}


def permute_weights(spec: ModelSpec, weights: Weights, permutations: Permutations) -> dict[str, Tensor]:
    """Return the same function with its channels in another order.

    Args:
        spec: the network's shape.
        weights: all its parameters.
        permutations: one for every layer but the readout.
    """
    permuted = {}
    inputs = torch.arange(spec.in_channels)
    for name, blocks in weight_blocks(spec, weights).items():
        outputs = torch.from_numpy(permutations.get(name, np.arange(len(blocks))))
        moved = blocks[outputs.to(blocks.device)][:, inputs.to(blocks.device)]
        permuted[f"{name}.weight"] = moved.reshape(spec.weight_shapes[name])
        permuted[f"{name}.bias"] = weights[f"{name}.bias"][outputs.to(blocks.device)]
        inputs = outputs
    return permuted


def permute_members(
    spec: ModelSpec, members: Bool[Tensor, "*circuit channel"], permutations: Permutations
) -> Bool[Tensor, "*circuit channel"]:
    """Return sets of convolution channels as they are called after the permutation."""
    layers = members.split(list(spec.channels), dim=-1)
    orders = [torch.from_numpy(permutations[name]) for name in spec.conv_names]
    return torch.cat([layer[..., order] for layer, order in zip(layers, orders, strict=True)], dim=-1)


def weight_blocks(spec: ModelSpec, weights: Weights) -> dict[str, Float[Tensor, "output input weight"]]:
    """Return each layer's weight with one block of numbers for each pair of an output and an input channel or unit."""
    blocks, num_inputs = {}, spec.in_channels
    for name, shape in spec.weight_shapes.items():
        blocks[name] = weights[f"{name}.weight"].reshape(shape[0], num_inputs, -1)
        num_inputs = shape[0]
    return blocks
