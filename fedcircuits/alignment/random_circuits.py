"""Random circuits of the size of a given one: what any set of channels can do."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool
from torch import Tensor


def random_circuits(
    member: Bool[Tensor, " channel"],
    reachable: Bool[Tensor, " channel"],
    layer_sizes: Sequence[int],
    num_draws: int,
    generator: torch.Generator,
) -> Bool[Tensor, "draw channel"]:
    """Draw circuits that have as many reachable channels in each layer as the given one.

    Args:
        member: the circuit; channels of it that carry no signal are not counted.
        reachable: channels to draw from.
        layer_sizes: channels of each convolution.
        num_draws: how many circuits.
        generator: draws on the CPU.
    """
    counts = [int(kept.sum()) for kept in (member & reachable).split(list(layer_sizes))]
    return draw_circuits(counts, reachable, layer_sizes, num_draws, generator)


def draw_circuits(
    counts: Sequence[int],
    reachable: Bool[Tensor, " channel"],
    layer_sizes: Sequence[int],
    num_draws: int,
    generator: torch.Generator,
) -> Bool[Tensor, "draw channel"]:
    """Draw circuits that have the given number of reachable channels in each layer, or all of a layer that has fewer.

    Args:
        counts: channels to draw from each convolution.
        reachable: channels to draw from.
        layer_sizes: channels of each convolution.
        num_draws: how many circuits.
        generator: draws on the CPU.
    """
    layers = []
    for count, alive in zip(counts, reachable.split(list(layer_sizes)), strict=True):
        order = torch.rand(num_draws, len(alive), generator=generator).masked_fill(~alive, -1.0)
        chosen = order.topk(min(count, int(alive.sum())), dim=1).indices
        layers.append(torch.zeros(num_draws, len(alive), dtype=torch.bool).scatter_(1, chosen, True))
    return torch.cat(layers, dim=1)
