"""How much two circuits, or two weight masks, have in common, and what chance alone would give.

IoU of small sets is small and IoU of large sets is large whatever the sets mean, so every figure comes with its null:
two sets of sizes a and b drawn at random from a universe of n share a hypergeometric number of elements. The universe
of a pair of circuits is the channels reachable in either model.

Sources: Chung et al. 2019 (arXiv 1903.11372) for the corrected Jaccard index; Kuncheva 2007 for the correlation form.
Conventions: the IoU of two empty sets is missing (NaN), never 1 or 0; with one of them empty it is 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array
from scipy import special

_TAIL_SD = 12.0
"""The null is summed over this many standard deviations each side of its mean; what is left out is below 1e-11."""


@dataclass(frozen=True)
class SetPairs:
    """Sizes that describe pairs of sets layer by layer; every figure below follows from them.

    Args:
        intersection: `[pair, layer]`, elements in both sets.
        size_a: `[pair, layer]`, elements of the first set.
        size_b: `[pair, layer]`, elements of the second set.
        universe: `[pair, layer]`, elements that could have been in them.
    """

    intersection: Int[Array, "pair layer"]
    size_a: Int[Array, "pair layer"]
    size_b: Int[Array, "pair layer"]
    universe: Int[Array, "pair layer"]

    def __len__(self) -> int:
        return len(self.universe)


@dataclass(frozen=True)
class OverlapFigures:
    """Overlap of pairs of sets; the last column pools all layers. NaN = undefined.

    Args:
        iou: `[pair, layer + 1]`, intersection over union, 0..1.
        expected_iou: its mean under the null with the same sizes, 0..1.
        adjusted_iou: (iou - expected) / (1 - expected): 0 = chance, 1 = identical, negative = avoidance.
        phi: Pearson correlation of membership, -1..1, 0 in the mean under the null.
    """

    iou: Float[Array, "pair columns"]
    expected_iou: Float[Array, "pair columns"]
    adjusted_iou: Float[Array, "pair columns"]
    phi: Float[Array, "pair columns"]


def pair_sets(
    members: Bool[Array, "item element"],
    universe: Bool[Array, "item element"],
    layer_sizes: Sequence[int],
    first: Int[Array, " pair"],
    second: Int[Array, " pair"],
    common: bool = False,
) -> SetPairs:
    """Count what pairs of sets share, all pairs at once as matrix products.

    Args:
        members: which elements each item has; elements outside the item's own universe do not count.
        universe: which elements each item could have had.
        layer_sizes: elements per layer, in order.
        first: index of each pair's first item.
        second: index of each pair's second item.
        common: a pair's universe is the union of its items' universes, or, if true, their intersection; the sets are
            then cut to it. The null of equal chances for every element is exact in the intersection only: in the
            union, sets confined to different universes fall below chance for that reason alone.
    """
    columns: list[list[Array]] = [[], [], [], []]
    for part in _layer_slices(layer_sizes):
        allowed = universe[:, part].astype(np.float32)
        kept = members[:, part].astype(np.float32) * allowed
        size, allowed_size = kept.sum(1), allowed.sum(1)
        shared, shared_allowed = (kept @ kept.T)[first, second], (allowed @ allowed.T)[first, second]
        sizes = (size[first], size[second], allowed_size[first] + allowed_size[second] - shared_allowed)
        if common:
            within = kept @ allowed.T
            sizes = (within[first, second], within[second, first], shared_allowed)
        for column, value in zip(columns, (shared, *sizes), strict=True):
            column.append(np.rint(value).astype(np.int64))
    return SetPairs(*(np.stack(column, axis=1) for column in columns))


def overlap_figures(pairs: SetPairs) -> OverlapFigures:
    """Return IoU, its null, the adjusted IoU and phi of every pair, per layer and pooled over layers."""
    k, a, b, n = (v.astype(np.float64) for v in (pairs.intersection, pairs.size_a, pairs.size_b, pairs.universe))
    iou = np.column_stack([_ratio(k, a + b - k), _ratio(k.sum(1), (a + b - k).sum(1))])
    expected = np.column_stack([_expected_by_layer(pairs), _expected_pooled(pairs)])
    excess = k - _ratio(a * b, n, empty=0.0)
    spread_a, spread_b = a - _ratio(a * a, n, empty=0.0), b - _ratio(b * b, n, empty=0.0)
    # Pooled phi: covariances and variances are taken within layers and then added up.
    phi = np.column_stack(
        [
            _ratio(excess, np.sqrt(spread_a * spread_b)),
            _ratio(excess.sum(1), np.sqrt(spread_a.sum(1) * spread_b.sum(1))),
        ]
    )
    return OverlapFigures(iou, expected, _ratio(iou - expected, 1 - expected), phi)


def expected_iou(
    universe: Int[Array, " case"], size_a: Int[Array, " case"], size_b: Int[Array, " case"]
) -> Float[Array, " case"]:
    """Return the mean IoU of two random sets of the given sizes: the hypergeometric sum; NaN if both are empty."""
    shared, probability = _null(universe, size_a, size_b)
    total = np.sum(probability * _ratio(shared, (size_a + size_b)[:, None] - shared, empty=0.0), axis=1)
    return np.where(size_a + size_b > 0, total, np.nan)


def _null(n: Array, a: Array, b: Array) -> tuple[Array, Array]:
    """Return the possible intersections `[case, k]` and their probabilities, cut where they are negligible."""
    mean = _ratio(a * b, n, empty=0.0)
    variance = mean * _ratio((n - a) * (n - b), n * np.maximum(n - 1, 1), empty=0.0)
    reach = np.ceil(_TAIL_SD * np.sqrt(variance)) + 1
    low = np.maximum(np.maximum(0, a + b - n), np.floor(mean - reach)).astype(np.int64)
    high = np.minimum(np.minimum(a, b), np.ceil(mean + reach)).astype(np.int64)
    shared = low[:, None] + np.arange(int((high - low).max(initial=0)) + 1)
    possible = np.minimum(shared, high[:, None])
    log_probability = (
        _log_choose(a[:, None], possible)
        + _log_choose((n - a)[:, None], b[:, None] - possible)
        - _log_choose(n, b)[:, None]
    )
    return shared, np.where(shared <= high[:, None], np.exp(log_probability), 0.0)


def _log_choose(n: Array, k: Array) -> Array:
    """Return log C(n, k). scipy's own hypergeometric law takes 0.1 ms a value where the universe is a weight tensor."""
    result: Array = special.gammaln(n + 1.0) - special.gammaln(k + 1.0) - special.gammaln(n - k + 1.0)
    return result


def _expected_by_layer(pairs: SetPairs) -> Array:
    """Compute each distinct (universe, sizes) once."""
    cases = np.stack([pairs.universe, pairs.size_a, pairs.size_b], axis=-1).reshape(-1, 3)
    distinct, inverse = np.unique(cases, axis=0, return_inverse=True)
    return expected_iou(*distinct.T)[inverse.reshape(-1)].reshape(pairs.universe.shape)


def _expected_pooled(pairs: SetPairs) -> Array:
    """Return the mean of the pooled IoU: layers are independent, so the shared count's law is their convolution.

    With the sizes fixed, the pooled union is the sum of the sizes less the shared count.
    """
    cases = np.concatenate([pairs.universe, pairs.size_a, pairs.size_b], axis=1)
    distinct, inverse = np.unique(cases, axis=0, return_inverse=True)
    values = np.full(len(distinct), np.nan)
    for row, case in enumerate(distinct):
        n, a, b = case.reshape(3, -1)
        total = int(a.sum() + b.sum())
        if total == 0:
            continue
        shared, probability = _null(n, a, b)
        law, lowest = np.ones(1), int(shared[:, 0].sum())
        for layer in probability:
            law = np.convolve(law, layer)
        pooled = lowest + np.arange(len(law))
        values[row] = np.sum(law * pooled / np.maximum(total - pooled, 1))
    return values[inverse.reshape(-1)]


def _ratio(numerator: Array, denominator: Array, empty: float = np.nan) -> Array:
    """Divide, with `empty` where the denominator is 0 (or rounds to it)."""
    denominator = np.asarray(denominator, dtype=np.float64)
    is_defined = np.abs(denominator) > 1e-12
    return np.where(is_defined, numerator / np.where(is_defined, denominator, 1.0), empty)


def _layer_slices(sizes: Sequence[int]) -> list[slice]:
    ends = np.cumsum(sizes)
    return [slice(int(end - size), int(end)) for end, size in zip(ends, sizes, strict=True)]
