"""Which channel of one network is which channel of another, by what they do on the same images.

Channels are matched one to one for the largest sum of correlations. Among matchings that are equally good, channels
that keep their place are preferred.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from fedcircuits.networks.cnn import SparseCNN, in_passes

_DEAD_SPREAD = 1e-6
"""A channel whose standard deviation is below this share of its root mean square is constant up to float32 rounding."""

TIE = 1e-9
"""Relative difference of two similarities that counts as none: rounding leaves less, real differences are larger."""


@dataclass(frozen=True)
class Correlations:
    """How channels of one layer go together in two networks, over images and positions.

    Args:
        matrix: `[channel of a, channel of b]`, Pearson correlation, -1..1; 0 where either is dead.
        alive_a: `[channel]`, channels of the first network that are not constant.
        alive_b: `[channel]`, the same of the second.
    """

    matrix: Float[Array, "a b"]
    alive_a: Bool[Array, " a"]
    alive_b: Bool[Array, " b"]


@torch.no_grad()
def channel_correlations(
    first: SparseCNN, second: SparseCNN, images: Float[Tensor, "image channel height width"]
) -> dict[str, Correlations]:
    """Correlate the activations of two networks of one shape on the same images, in one pass over the images.

    Args:
        first: the network whose channels are rows.
        second: the network whose channels are columns.
        images: at least one, on the networks' device; they go through in batches, and only moments are kept.

    Returns:
        Convolution or hidden layer to its correlations. Maps are taken as the next layer sees them: after pooling.
    """
    moments: dict[str, _Moments] = {}
    for part in in_passes(images, first.spec):
        seen_by_second = second.activations(part)
        for name, maps in first.activations(part).items():
            a, b = _columns(maps), _columns(seen_by_second[name])
            moments.setdefault(name, _Moments(a[0], b[0])).add(a, b)
    return {name: layer.correlations() for name, layer in moments.items()}


def match_activations(correlations: Mapping[str, Correlations]) -> dict[str, Int[Array, " _"]]:
    """Return the orders of the second network's channels whose correlations with the first's have the largest sum.

    Dead channels take part on neither side; what is left over stays in place where it can.
    """
    return {name: match_channels(layer.matrix, layer.alive_a, layer.alive_b) for name, layer in correlations.items()}


def match_channels(
    similarity: Float[Array, "a b"],
    alive_a: Bool[Array, " a"] | None = None,
    alive_b: Bool[Array, " b"] | None = None,
) -> Int[Array, " a"]:
    """Match the channels of one layer one to one for the largest total similarity.

    Args:
        similarity: `[channel of a, channel of b]`, as many channels on both sides.
        alive_a: channels of the first network that take part; None = all.
        alive_b: channels of the second network that take part; None = all.

    Returns:
        the channel of b for each channel of a; those that are left over stay in place where that is free.
    """
    bonus = TIE * max(float(np.abs(similarity).max(initial=0)), np.finfo(np.float64).tiny)
    biased = similarity + bonus * np.eye(len(similarity))
    order = np.full(len(similarity), -1)
    everything = np.ones(len(order), dtype=np.bool_)
    living_a, living_b = (np.flatnonzero(everything if alive is None else alive) for alive in (alive_a, alive_b))
    rows, columns = linear_sum_assignment(-biased[np.ix_(living_a, living_b)])
    order[living_a[rows]] = living_b[columns]
    free = np.setdiff1d(np.arange(len(order)), order)
    staying = free[order[free] < 0]
    order[staying] = staying
    order[order < 0] = np.setdiff1d(free, staying)
    return order


class _Moments:
    """Sums over images and positions, less each channel's first value: a constant channel has a variance of exactly 0.

    Sums are float64: in float32, the variance of a channel would drown in the square of its mean.
    """

    def __init__(self, origin_a: Tensor, origin_b: Tensor) -> None:
        self.origin_a, self.origin_b, self.count = origin_a, origin_b, 0
        width = len(origin_a)
        self.sum_a, self.sum_b, self.square_a, self.square_b = origin_a.new_zeros(4, width)
        self.product = origin_a.new_zeros(width, len(origin_b))

    def add(self, a: Tensor, b: Tensor) -> None:
        """Take in a batch, `[image and position, channel]` of each network."""
        a, b = a - self.origin_a, b - self.origin_b
        self.count += len(a)
        self.sum_a += a.sum(0)
        self.sum_b += b.sum(0)
        self.square_a += a.square().sum(0)
        self.square_b += b.square().sum(0)
        self.product += a.T @ b

    def correlations(self) -> Correlations:
        """Return what the sums say."""
        mean_a, mean_b = self.sum_a / self.count, self.sum_b / self.count
        spread_a, alive_a = _spread(mean_a, self.square_a / self.count, self.origin_a)
        spread_b, alive_b = _spread(mean_b, self.square_b / self.count, self.origin_b)
        covariance = self.product / self.count - mean_a[:, None] * mean_b
        matrix = torch.where(alive_a[:, None] & alive_b, covariance / (spread_a[:, None] * spread_b), 0.0)
        return Correlations(matrix.cpu().numpy(), alive_a.cpu().numpy(), alive_b.cpu().numpy())


def _spread(mean: Tensor, mean_square: Tensor, origin: Tensor) -> tuple[Tensor, Tensor]:
    """Return standard deviations (1 for dead channels) and which channels are alive."""
    deviation = (mean_square - mean.square()).clamp(min=0).sqrt()
    root_mean_square = (deviation.square() + (mean + origin).square()).sqrt()
    alive = deviation > _DEAD_SPREAD * root_mean_square
    return torch.where(alive, deviation, 1.0), alive


def _columns(maps: Tensor) -> Tensor:
    """Lay maps `[image, channel, ...]` out as `[image and position, channel]` in float64."""
    return maps.double().movedim(1, -1).flatten(0, -2)
