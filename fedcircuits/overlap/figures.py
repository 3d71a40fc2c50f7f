"""The figures of an overlap: IoU and correlation of membership, each against chance."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from fedcircuits.overlap.null import expected_ious, null_figures
from fedcircuits.overlap.ratio import ratio
from fedcircuits.overlap.set_pairs import SetPairs


@dataclass(frozen=True)
class OverlapFigures:
    """Overlap of pairs of sets; the last column pools all layers. NaN = undefined.

    Args:
        iou: `[pair, layer + 1]`, intersection over union, 0..1.
        expected_iou: its mean under the null with the same sizes, 0..1.
        expected_sd: its standard deviation under the null.
        adjusted_iou: (iou - expected) / (1 - expected): 0 = chance, 1 = identical, negative = avoidance.
        size_adjusted_iou: (iou - expected) / (highest - expected), where `highest` is the IoU of nested sets of the
            same sizes: 1 = nested.
        p_over: probability under the null of sharing as many elements, or more.
        p_under: probability under the null of sharing as many, or fewer.
        phi: Pearson correlation of membership, -1..1, 0 in the mean under the null.
    """

    iou: Float[Array, "pair columns"]
    expected_iou: Float[Array, "pair columns"]
    expected_sd: Float[Array, "pair columns"]
    adjusted_iou: Float[Array, "pair columns"]
    size_adjusted_iou: Float[Array, "pair columns"]
    p_over: Float[Array, "pair columns"]
    p_under: Float[Array, "pair columns"]
    phi: Float[Array, "pair columns"]


def overlap_figures(pairs: SetPairs) -> OverlapFigures:
    """Return the overlap of every pair and its null, per layer and pooled over layers."""
    shared, sizes = _with_total(pairs.intersection), _with_total(pairs.size_a + pairs.size_b)
    nested = _with_total(np.minimum(pairs.size_a, pairs.size_b))
    iou, highest = ratio(shared, sizes - shared), ratio(nested, sizes - nested)
    null = null_figures(pairs)
    return OverlapFigures(
        iou=iou,
        expected_iou=null.mean,
        expected_sd=null.sd,
        adjusted_iou=ratio(iou - null.mean, 1 - null.mean),
        size_adjusted_iou=ratio(iou - null.mean, highest - null.mean),
        p_over=null.p_over,
        p_under=null.p_under,
        phi=membership_phi(pairs),
    )


def adjusted_iou(pairs: SetPairs) -> Float[Array, "pair columns"]:
    """Return `OverlapFigures.adjusted_iou` alone, which takes half as long as all figures."""
    shared, sizes = _with_total(pairs.intersection), _with_total(pairs.size_a + pairs.size_b)
    expected = expected_ious(pairs)
    return ratio(ratio(shared, sizes - shared) - expected, 1 - expected)


def membership_phi(pairs: SetPairs) -> Float[Array, "pair columns"]:
    """Return the correlation of membership of every pair, per layer and pooled; NaN where a set cannot vary.

    Pooled, covariances and variances are taken within layers and then added up.
    """
    k, a, b, n = (v.astype(np.float64) for v in (pairs.intersection, pairs.size_a, pairs.size_b, pairs.universe))
    covariance = k - ratio(a * b, n, empty=0.0)
    spread_a, spread_b = a - ratio(a * a, n, empty=0.0), b - ratio(b * b, n, empty=0.0)
    return ratio(_with_total(covariance), np.sqrt(_with_total(spread_a) * _with_total(spread_b)))


def _with_total(values: Array) -> Array:
    return np.column_stack([values, values.sum(axis=1)])
