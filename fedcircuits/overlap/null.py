"""What chance alone gives: the exact law of the overlap of two random sets with the sizes of a given pair.

In a layer the number of shared elements is hypergeometric. Layers are independent, so over all of them it follows the
convolution of the layers' laws; with the sizes fixed, the union is the sum of the sizes less the shared elements.

Each layer's law is cut 12 standard deviations (and one element) from its mean. What is left out weighs less than 1e-10
a layer, and means are that good.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array
from scipy import special

from fedcircuits.overlap.arithmetic import ratio
from fedcircuits.overlap.set_pairs import SetPairs

_TAIL_SD = 12.0

_BLOCK_PAIRS = 512
"""Pairs whose laws are held at once: a few MB, which stay in the processor's cache."""


@dataclass(frozen=True)
class NullIou:
    """What random sets of the same sizes would show; the last column pools all layers. NaN if both sets are empty.

    Args:
        mean: `[pair, layer + 1]`, mean IoU, 0..1.
        sd: its standard deviation.
    """

    mean: Float[Array, "pair columns"]
    sd: Float[Array, "pair columns"]


@dataclass(frozen=True)
class _Law:
    """Laws of a number of shared elements: `probability[case, j]` is that of `lowest[case] + j` elements."""

    lowest: Array
    probability: Array


def null_iou(pairs: SetPairs) -> NullIou:
    """Return the null of every pair, per layer and pooled over layers."""
    moments = np.empty((2, len(pairs), pairs.universe.shape[1] + 1))
    for start in range(0, len(pairs), _BLOCK_PAIRS):
        rows = slice(start, start + _BLOCK_PAIRS)
        columns, of_pair = _laws(pairs.part(rows))
        moments[:, rows] = np.stack([_moments(law, total)[:, of_pair] for law, total in columns], axis=-1)
    return NullIou(*moments)


def _laws(pairs: SetPairs) -> tuple[list[tuple[_Law, Array]], Array]:
    """Work out the laws and the summed sizes of each distinct set of sizes once, layer by layer and pooled.

    Returns:
        (laws, summed sizes) for each column, `[case]`; and the case of each pair.
    """
    cases = np.stack([pairs.universe, pairs.size_a, pairs.size_b], axis=1)
    distinct, of_pair = np.unique(cases, axis=0, return_inverse=True)
    layers = [_shared_law(*distinct[:, :, layer].T) for layer in range(cases.shape[2])]
    pooled = layers[0]
    for law in layers[1:]:
        pooled = _convolve(pooled, law)
    totals = distinct[:, 1:].sum(axis=1)
    columns = [(law, totals[:, layer]) for layer, law in enumerate(layers)]
    return [*columns, (pooled, totals.sum(axis=1))], of_pair.reshape(-1)


def _moments(law: _Law, total: Array) -> Array:
    """Return mean and standard deviation of the IoU of each case, `[2, case]`, given its summed sizes."""
    count = law.lowest[:, None] + np.arange(law.probability.shape[1])
    iou = count / np.maximum(total[:, None] - count, 1)
    mean = (law.probability * iou).sum(axis=1)
    # About the mean: the difference of two moments would lose the digits of a small spread.
    sd = np.sqrt((law.probability * (iou - mean[:, None]) ** 2).sum(axis=1))
    return np.where(total > 0, np.stack([mean, sd]), np.nan)


def _shared_law(universe: Array, size_a: Array, size_b: Array) -> _Law:
    """Return the law of the number of elements that random sets share, cut where it is negligible."""
    n, a, b = universe, size_a, size_b
    mean = ratio(a * b, n, empty=0.0)
    variance = mean * ratio((n - a) * (n - b), n * np.maximum(n - 1, 1), empty=0.0)
    reach = np.ceil(_TAIL_SD * np.sqrt(variance)) + 1
    lowest = np.maximum(np.maximum(0, a + b - n), np.floor(mean - reach)).astype(np.int64)
    highest = np.minimum(np.minimum(a, b), np.ceil(mean + reach)).astype(np.int64)
    count = lowest[:, None] + np.arange(int((highest - lowest).max()) + 1)
    is_possible = count <= highest[:, None]
    count = np.minimum(count, highest[:, None])
    # log C(a, k) C(n - a, b - k) / C(n, b) from a table: the logarithms themselves would take most of the time.
    log_factorial = special.gammaln(np.arange(int(n.max()) + 1) + 1.0)
    fixed = (log_factorial[v] for v in (a, n - a, b, n - b))
    parts = (count, a[:, None] - count, b[:, None] - count, (n - a - b)[:, None] + count)
    logarithm = (sum(fixed) - log_factorial[n])[:, None] - sum(log_factorial[part] for part in parts)
    return _Law(lowest, np.where(is_possible, np.exp(logarithm), 0.0))


def _convolve(one: _Law, other: _Law) -> _Law:
    """Return the laws of the sums, case by case."""
    width = other.probability.shape[1]
    padded = np.pad(one.probability, ((0, 0), (width - 1, width - 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, width, axis=1)
    probability = np.einsum("csw,cw->cs", windows, other.probability[:, ::-1])
    return _Law(one.lowest + other.lowest, probability)
