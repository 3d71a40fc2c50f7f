"""Which channel of one network is which channel of another: by what they do on the same images, or by their weights.

Weight matching is that of Git Re-Basin (arXiv 2209.04836): layer after layer, the order of the second network's
channels that brings its weights nearest to the first's, given the orders of the layers around. Among orders that fit
equally well, both matchings prefer channels that keep their place.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from fedcircuits.model_spec import ModelSpec
from fedcircuits.models import EVALUATION_BATCH, SparseCNN, Weights
from fedcircuits.relabelling import Permutations, identity_permutations, weight_blocks

_DEAD_SPREAD = 1e-6
"""A channel whose standard deviation is below this share of its root mean square is constant up to float32 rounding."""

_STAY = 1e-9
"""What keeping its place earns a channel, as a share of the largest similarity: decides ties and nothing else."""

_MAX_SWEEPS = 100


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
    for part in images.split(EVALUATION_BATCH):
        seen_by_second = second.activations(part)
        for name, maps in first.activations(part).items():
            a, b = _columns(maps), _columns(seen_by_second[name])
            moments.setdefault(name, _Moments(a[0], b[0])).add(a, b)
    return {name: layer.correlations() for name, layer in moments.items()}


def match_activations(correlations: Mapping[str, Correlations]) -> dict[str, Int[Array, " _"]]:
    """Return the orders of the second network's channels whose correlations with the first's have the largest sum.

    Dead channels take part on neither side; what is left over stays in place where it can.
    """
    return {name: _assign(layer.matrix, layer.alive_a, layer.alive_b) for name, layer in correlations.items()}


def match_weights(
    spec: ModelSpec, first: Weights, second: Weights, generator: np.random.Generator
) -> dict[str, Int[Array, " _"]]:
    """Return the orders of the second network's channels that bring its weights nearest to the first's.

    Layers are improved in turn until none can be, which is a local optimum. The better of two is returned: one found
    from the identity, where networks that were trained from the same weights should be, and one from a matching of
    incoming weights from front to back, which finds any copy whose channels were permuted.

    Args:
        spec: the shape of both networks.
        first: weights of the network that stays as it is.
        second: weights of the network whose channels are put in order.
        generator: draws the order in which layers are visited.
    """
    pair = _WeightPair.of(spec, first, second)
    best, best_similarity = identity_permutations(spec), -np.inf
    for start in (identity_permutations(spec), _front_to_back(pair)):
        orders = _sweep(pair, start, generator)
        similarity = pair.similarity(orders)
        if similarity > best_similarity + _STAY * pair.scale:
            best, best_similarity = orders, similarity
    return best


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


def _assign(similarity: Array, alive_a: Array, alive_b: Array) -> Array:
    """Match living channels for the largest total similarity; the others stay in place where that is free."""
    bonus = _STAY * max(float(np.abs(similarity).max(initial=0)), np.finfo(np.float64).tiny)
    biased = similarity + bonus * np.eye(*similarity.shape)
    living_a, living_b = np.flatnonzero(alive_a), np.flatnonzero(alive_b)
    rows, columns = linear_sum_assignment(-biased[np.ix_(living_a, living_b)])
    order = np.full(len(similarity), -1)
    order[living_a[rows]] = living_b[columns]
    free = np.setdiff1d(np.arange(len(order)), order)
    staying = free[order[free] < 0]
    order[staying] = staying
    order[order < 0] = np.setdiff1d(free, staying)
    return order


@dataclass(frozen=True)
class _WeightPair:
    """Two networks' weights in float64, as blocks of `[output, input, weight]`, and biases; layers in order."""

    names: tuple[str, ...]
    blocks: tuple[tuple[Array, Array], ...]
    biases: tuple[tuple[Array, Array], ...]

    @classmethod
    def of(cls, spec: ModelSpec, first: Weights, second: Weights) -> "_WeightPair":
        blocks = [weight_blocks(spec, weights) for weights in (first, second)]
        return cls(
            spec.layer_names,
            tuple((_float64(blocks[0][name]), _float64(blocks[1][name])) for name in spec.layer_names),
            tuple((_float64(first[f"{name}.bias"]), _float64(second[f"{name}.bias"])) for name in spec.layer_names),
        )

    @property
    def scale(self) -> float:
        """The largest total similarity that there could be, by Cauchy and Schwarz."""
        pairs = (*self.blocks, *self.biases)
        return float(np.sqrt(sum(np.sum(a * a) for a, _ in pairs) * sum(np.sum(b * b) for _, b in pairs)))

    def incoming(self, layer: int, orders: Permutations) -> Array:
        """Return how alike filters and biases of a layer are, `[channel of a, channel of b]`."""
        a, b = self.blocks[layer]
        if layer:
            b = b[:, orders[self.names[layer - 1]]]
        bias_a, bias_b = self.biases[layer]
        similarity: Array = a.reshape(len(a), -1) @ b.reshape(len(b), -1).T + np.outer(bias_a, bias_b)
        return similarity

    def outgoing(self, layer: int, orders: Permutations) -> Array:
        """Return how alike the weights are that the next layer gives to a layer's channels."""
        a, b = self.blocks[layer + 1]
        similarity: Array = np.tensordot(a, b[self._order(layer + 1, orders)], axes=((0, 2), (0, 2)))
        return similarity

    def similarity(self, orders: Permutations) -> float:
        """Return the inner product of all parameters, with the second network's channels in the given orders."""
        total = 0.0
        for layer in range(len(self.names)):
            similarity = self.incoming(layer, orders)
            total += float(similarity[np.arange(len(similarity)), self._order(layer, orders)].sum())
        return total

    def _order(self, layer: int, orders: Permutations) -> Array:
        """Return a layer's order; that of the readout, whose logits belong to classes, is fixed."""
        is_readout = layer == len(self.names) - 1
        return np.arange(len(self.blocks[layer][0])) if is_readout else orders[self.names[layer]]


def _front_to_back(pair: _WeightPair) -> dict[str, Array]:
    """Match each layer by its incoming weights alone, given the order of the layer before."""
    orders: dict[str, Array] = {}
    for layer, name in enumerate(pair.names[:-1]):
        orders[name] = _assign_all(pair.incoming(layer, orders))
    return orders


def _sweep(pair: _WeightPair, start: Permutations, generator: np.random.Generator) -> dict[str, Array]:
    """Give each layer its best order given the others, in random turns, until no layer gains."""
    orders = dict(start)
    for _ in range(_MAX_SWEEPS):
        has_gained = False
        for layer in generator.permutation(len(orders)).tolist():
            name = pair.names[layer]
            similarity = pair.incoming(layer, orders) + pair.outgoing(layer, orders)
            order, rows = _assign_all(similarity), np.arange(len(similarity))
            gain = similarity[rows, order].sum() - similarity[rows, orders[name]].sum()
            if gain > _STAY * pair.scale:
                orders[name], has_gained = order, True
        if not has_gained:
            break
    return orders


def _assign_all(similarity: Array) -> Array:
    everything = np.ones(len(similarity), dtype=np.bool_)
    return _assign(similarity, everything, everything)


def _float64(tensor: Tensor) -> Array:
    values: Array = tensor.detach().double().cpu().numpy()
    return values
