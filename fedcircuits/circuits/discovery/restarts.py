"""Several discoveries on resampled images, and their vote: how far a circuit depends on the images drawn.

A channel's graded membership is then the share of restarts that kept it, and the circuit is what most of them kept
(stability selection).
"""

from dataclasses import replace

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from fedcircuits.circuits.circuit import Circuits, rank_channels
from fedcircuits.circuits.discovery.images import ContrastSet
from fedcircuits.settings.config_values import ClassIds


def child_generators(generator: torch.Generator, count: int) -> list[torch.Generator]:
    """Return independent generators whose seeds are drawn from `generator`."""
    seeds = torch.randint(2**62, (count,), generator=generator)
    return [torch.Generator().manual_seed(seed) for seed in seeds.tolist()]


def resample_by_class(labels: Int[Tensor, " image"], generator: torch.Generator) -> Int[Tensor, " image"]:
    """Draw, for each place of a sorted list of labels, an image of the same class with replacement."""
    sizes = torch.unique_consecutive(labels, return_counts=True)[1]
    first = (sizes.cumsum(0) - sizes).repeat_interleave(sizes)
    draws = torch.rand(len(labels), generator=generator, dtype=torch.float64)
    places: Tensor = first + (draws * sizes.repeat_interleave(sizes)).long()
    return places


def bootstrap(chosen: ContrastSet, generator: torch.Generator) -> ContrastSet:
    """Draw a set's images anew with replacement, own and other images of each class among themselves.

    Returns:
        The same samples, each with its share times the number of times it was drawn.
    """
    kind = 2 * chosen.samples.group + (~chosen.is_positive).long()
    drawn = resample_by_class(kind.cpu(), generator)
    return replace(chosen, share=chosen.share * drawn.bincount(minlength=len(chosen)).to(chosen.share))


def vote(
    class_ids: ClassIds,
    members: Bool[Tensor, "restart class_row channel"],
    rankings: Int[Tensor, "restart class_row channel"],
) -> Circuits:
    """Return the circuits that an odd number of restarts agree on.

    Args:
        class_ids: the class of each row.
        members: what each restart kept.
        rankings: the channels of each restart from the most to the least important.

    Returns:
        Circuits scored by the share of restarts that kept a channel, of the channels that more than half kept,
        ranked by their mean place in the rankings.
    """
    frequency = members.float().mean(0)
    mean_place = rankings.argsort(dim=2).double().mean(0)
    return Circuits(class_ids, frequency > 0.5, frequency, rank_channels(-mean_place))
