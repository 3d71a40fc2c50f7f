"""Which channel of one network is which channel of another, by their weights: Git Re-Basin (arXiv 2209.04836).

Layer by layer, the order of the second network's channels is sought that brings its weights nearest to the first's,
given the orders of the layers around it.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from numpy import ndarray as Array
from torch import Tensor

from fedcircuits.alignment.matching import TIE, match_channels
from fedcircuits.alignment.relabelling import Permutations, identity_permutations, weight_blocks
from fedcircuits.networks.cnn import Weights
from fedcircuits.networks.spec import ModelSpec

_MAX_SWEEPS = 100


def match_weights(
    spec: ModelSpec, first: Weights, second: Weights, generator: torch.Generator
) -> dict[str, Int[Array, " _"]]:
    """Return the orders of the second network's channels that bring its weights nearest to the first's.

    Layers are improved in turn until none can be, which is a local optimum. The better of two is returned: one found
    from the identity, where networks that were trained from the same weights should be, and one from a matching of
    incoming weights from front to back, which finds any copy whose channels were permuted. In a tie, the former.

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
        if similarity > best_similarity + TIE * pair.scale:
            best, best_similarity = orders, similarity
    return best


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
        orders[name] = match_channels(pair.incoming(layer, orders))
    return orders


def _sweep(pair: _WeightPair, start: Permutations, generator: torch.Generator) -> dict[str, Array]:
    """Give each layer its best order given the others, in random turns, until no layer gains."""
    orders = dict(start)
    for _ in range(_MAX_SWEEPS):
        has_gained = False
        for layer in torch.randperm(len(orders), generator=generator).tolist():
            name = pair.names[layer]
            similarity = pair.incoming(layer, orders) + pair.outgoing(layer, orders)
            order, rows = match_channels(similarity), np.arange(len(similarity))
            gain = similarity[rows, order].sum() - similarity[rows, orders[name]].sum()
            if gain > TIE * pair.scale:
                orders[name], has_gained = order, True
        if not has_gained:
            break
    return orders


def _float64(tensor: Tensor) -> Array:
    values: Array = tensor.detach().double().cpu().numpy()
    return values
