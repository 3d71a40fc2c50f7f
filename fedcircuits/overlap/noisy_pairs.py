"""Overlap of pairs of sets whose elements came with randomised response: estimates from noisy counts.

Sizes and intersections are unbiased and are not clipped, so that their means over many pairs stay right. A ratio of
estimates is no unbiased estimate of the ratio; it gets better with the number of elements. Where it needs sizes of real
sets, for chance and for the spread of membership, these are clipped to what a set can have.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array

from fedcircuits.overlap.arithmetic import ratio, with_total
from fedcircuits.overlap.null import null_iou
from fedcircuits.overlap.randomised_response import estimated_intersection, estimated_size
from fedcircuits.overlap.set_pairs import SetPairs


@dataclass(frozen=True)
class EstimatedPairs:
    """What pairs of sets are estimated to share, layer by layer.

    Args:
        intersection: `[pair, layer]`, elements in both sets.
        size_a: `[pair, layer]`, elements of the first set.
        size_b: `[pair, layer]`, elements of the second set.
        universe: `[pair, layer]`, elements that could have been in them, which is known.
    """

    intersection: Float[Array, "pair layer"]
    size_a: Float[Array, "pair layer"]
    size_b: Float[Array, "pair layer"]
    universe: Int[Array, "pair layer"]


@dataclass(frozen=True)
class EstimatedValues:
    """Estimated overlap of pairs; the last column pools all layers. NaN = undefined.

    Args:
        iou: `[pair, layer + 1]`, intersection over union.
        expected_iou: the mean IoU of random sets of the estimated sizes, rounded.
        adjusted_iou: (iou - expected) / (1 - expected).
        phi: correlation of membership.
    """

    iou: Float[Array, "pair columns"]
    expected_iou: Float[Array, "pair columns"]
    adjusted_iou: Float[Array, "pair columns"]
    phi: Float[Array, "pair columns"]


def estimate_pairs(observed: SetPairs, flip_probability: float, is_noisy_b: Bool[Array, " pair"]) -> EstimatedPairs:
    """Put the counts of pairs right whose first set is noisy, and whose second one may be.

    Args:
        observed: what the sets share as they came; every element of the universe may have been flipped.
        flip_probability: of every element of a noisy set.
        is_noisy_b: whether the second set is noisy; otherwise it is known.
    """
    n, p, noisy = observed.universe, flip_probability, is_noisy_b[:, None]
    of_two = estimated_intersection(observed.intersection, observed.size_a, observed.size_b, n, p)
    # Within a known set, the elements of the noisy one are a count like any other.
    of_one = estimated_size(observed.intersection, observed.size_b, p)
    return EstimatedPairs(
        intersection=np.where(noisy, of_two, of_one),
        size_a=estimated_size(observed.size_a, n, p),
        size_b=np.where(noisy, estimated_size(observed.size_b, n, p), observed.size_b),
        universe=n,
    )


def estimated_values(pairs: EstimatedPairs) -> EstimatedValues:
    """Return the estimated overlap of every pair, per layer and pooled over layers."""
    shared, union = with_total(pairs.intersection), with_total(pairs.size_a + pairs.size_b - pairs.intersection)
    iou = ratio(shared, np.maximum(union, 0))
    size_a, size_b = (np.clip(size, 0, pairs.universe) for size in (pairs.size_a, pairs.size_b))
    nearest_a, nearest_b = (np.rint(size).astype(np.int64) for size in (size_a, size_b))
    expected = null_iou(SetPairs(np.zeros_like(pairs.universe), nearest_a, nearest_b, pairs.universe)).mean
    covariance = pairs.intersection - ratio(pairs.size_a * pairs.size_b, pairs.universe, empty=0.0)
    spread_a, spread_b = (with_total(size - ratio(size**2, pairs.universe, empty=0.0)) for size in (size_a, size_b))
    return EstimatedValues(
        iou=iou,
        expected_iou=expected,
        adjusted_iou=ratio(iou - expected, 1 - expected),
        phi=ratio(with_total(covariance), np.sqrt(spread_a * spread_b)),
    )
