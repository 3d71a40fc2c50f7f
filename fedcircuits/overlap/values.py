"""The values of an overlap: IoU and correlation of membership, each against chance."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray as Array

from fedcircuits.overlap.arithmetic import ratio, with_total
from fedcircuits.overlap.null import null_iou
from fedcircuits.overlap.set_pairs import SetPairs


@dataclass(frozen=True)
class OverlapValues:
    """Overlap of pairs of sets; the last column pools all layers. NaN = undefined.

    Args:
        iou: `[pair, layer + 1]`, intersection over union, 0..1.
        expected_iou: its mean under the null with the same sizes, 0..1.
        expected_sd: its standard deviation under the null.
        adjusted_iou: (iou - expected) / (1 - expected): 0 = chance, 1 = identical, negative = avoidance.
        phi: Pearson correlation of membership, -1..1, 0 in the mean under the null.
    """

    iou: Float[Array, "pair columns"]
    expected_iou: Float[Array, "pair columns"]
    expected_sd: Float[Array, "pair columns"]
    adjusted_iou: Float[Array, "pair columns"]
    phi: Float[Array, "pair columns"]


def overlap_values(pairs: SetPairs) -> OverlapValues:
    """Return the overlap of every pair and its null, per layer and pooled over layers."""
    shared, sizes = with_total(pairs.intersection), with_total(pairs.size_a + pairs.size_b)
    iou, null = ratio(shared, sizes - shared), null_iou(pairs)
    return OverlapValues(
        iou=iou,
        expected_iou=null.mean,
        expected_sd=null.sd,
        adjusted_iou=ratio(iou - null.mean, 1 - null.mean),
        phi=membership_phi(pairs),
    )


def membership_phi(pairs: SetPairs) -> Float[Array, "pair columns"]:
    """Return the correlation of membership of every pair, per layer and pooled; NaN where a set cannot vary.

    Pooled, covariances and variances are taken within layers and then added up.
    """
    k, a, b, n = (v.astype(np.float64) for v in (pairs.intersection, pairs.size_a, pairs.size_b, pairs.universe))
    covariance = k - ratio(a * b, n, empty=0.0)
    spread_a, spread_b = a - ratio(a * a, n, empty=0.0), b - ratio(b * b, n, empty=0.0)
    return ratio(with_total(covariance), np.sqrt(with_total(spread_a) * with_total(spread_b)))
