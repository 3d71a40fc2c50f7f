"""How many channels of a ranking make the circuit.

Only channels that carry signal count: a ranking ends with those that do not, and no rule keeps them.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fedcircuits.circuits.circuit import SCORE_STEPS, rank_channels

_SIZES = (0, 1, 2, 3, 5, 8, 13, 20, 32, 50, 80, 128, 224)
"""Sizes of nested circuits that curves are taken at: dense where circuits are small; 224 is the paper's network."""

_GROWTH = 1.6
"""From one size to the next, beyond the last of `_SIZES`."""

_SWEEP_STEPS = 50
"""Sizes that a sweep tries at most before it bisects."""

Losses = Callable[
    [Bool[Tensor, "restart class_row channel"], Bool[Tensor, "restart class_row"]], Float[Tensor, "restart class_row"]
]
"""From circuits, and which of them are asked about, to what each of these loses on the images of its class."""


def nested_sizes(n: int) -> list[int]:
    """Return ascending sizes of nested circuits from 0 to exactly `n`, each about 1.6 times the one before."""
    sizes = list(_SIZES)
    while sizes[-1] < n:
        sizes.append(round(sizes[-1] * _GROWTH))
    return [*(size for size in sizes if size < n), n]


def rank_reachable_first(
    importance: Float[Tensor, "*row channel"], reachable: Bool[Tensor, " channel"]
) -> Int[Tensor, "*row channel"]:
    """Return each row's channels by falling importance, those that carry no signal after all others."""
    rows = importance.masked_fill(~reachable, -torch.inf).flatten(0, -2)
    return rank_channels(rows).view(importance.shape)


def largest(ranking: Int[Tensor, "*row channel"], sizes: Int[Tensor, "*row"]) -> Bool[Tensor, "*row channel"]:
    """Return the circuits of the first `sizes` channels of each ranking."""
    return ranking.argsort(dim=-1) < sizes[..., None]


def budget_size(budget: float, num_reachable: int) -> int:
    """Return the number of channels that a share of those that carry signal comes to, rounded up."""
    # A share such as 0.07 of 100 comes to a hair above 7 in floating point, and must not cost a channel.
    return min(num_reachable, math.ceil(budget * num_reachable - 1e-9))


def sweep_sizes(
    ranking: Int[Tensor, "restart class_row channel"], num_reachable: int, target: float, losses: Losses
) -> Int[Tensor, "restart class_row"]:
    """Return the size at which a ranking's circuits first recover `target` of the loss range.

    The range is what the whole network wins over the empty circuit. The loss need not fall steadily, so "first" is
    defined by the search: sizes are tried upwards in steps of a fiftieth of the channels that carry signal, and the
    last step is then bisected. The circuit that is returned recovers the target, the one a channel smaller does not,
    and neither does any tried before. The whole network always recovers it; a network that wins nothing over the empty
    circuit has the empty circuit.

    Args:
        ranking: channels from the most to the least important, those that carry no signal last.
        num_reachable: channels that carry signal.
        target: share of the range, 0 < target <= 1.
        losses: of circuits, on a fixed set of images.
    """

    def at(size: Tensor, is_asked: Tensor) -> Tensor:
        return losses(largest(ranking, size), is_asked)

    high = torch.full(ranking.shape[:-1], num_reachable, device=ranking.device)
    low = torch.zeros_like(high)
    everything = torch.ones_like(high, dtype=torch.bool)
    empty, whole = at(low, everything), at(high, everything)
    ceiling = torch.maximum(whole, empty - target * (empty - whole))
    high[empty <= ceiling] = 0
    step = max(1, -(-num_reachable // _SWEEP_STEPS))
    for size in range(step, num_reachable, step):
        is_open = high > size
        if not is_open.any():
            break
        meets = at(torch.full_like(high, size), is_open) <= ceiling
        high[is_open & meets] = size
        low[is_open & ~meets] = size
    while (high - low > 1).any():
        is_open = high - low > 1
        middle = (low + high) // 2
        meets = at(middle, is_open) <= ceiling
        high = torch.where(is_open & meets, middle, high)
        low = torch.where(is_open & ~meets, middle, low)
    return high


def graded_scores(
    importance: Float[Tensor, "*row channel"], members: Bool[Tensor, "*row channel"]
) -> Float[Tensor, "*row channel"]:
    """Return scores in 0..1 that grow with importance, and are above 0.5 for members alone.

    With x the importance as a share of the row's largest (0 where it is negative), a member scores (1 + x) / 2 and any
    other channel x / 2; both stay half a 255th off 0.5, so that they are told apart where scores travel as bytes.
    """
    positive = importance.clamp(min=0)
    share = positive / positive.amax(-1, keepdim=True).clamp(min=torch.finfo(positive.dtype).tiny)
    margin = 0.5 / SCORE_STEPS
    return torch.where(members, ((1 + share) / 2).clamp(min=0.5 + margin), (share / 2).clamp(max=0.5 - margin))
