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
    sizes = list(layer_sizes)
    layers = []
    for kept, alive in zip((member & reachable).split(sizes), reachable.split(sizes), strict=True):
        order = torch.rand(num_draws, len(alive), generator=generator).masked_fill(~alive, -1.0)
        chosen = order.topk(int(kept.sum()), dim=1).indices
        layers.append(torch.zeros(num_draws, len(alive), dtype=torch.bool).scatter_(1, chosen, True))
    return torch.cat(layers, dim=1)
