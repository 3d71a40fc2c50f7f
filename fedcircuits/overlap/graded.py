"""Overlap of graded membership: the weighted Jaccard index (Ružička), sum of minima over sum of maxima, and its null.

No threshold decides here which channels belong to a circuit, so circuits that differ only in where they were cut agree.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray as Array

from fedcircuits.overlap.ratio import ratio
from fedcircuits.overlap.set_pairs import layer_slices

_BLOCK_PAIRS = 4096
_BLOCK_LEVELS = 256
"""A block of pairs at a block of levels takes 8 MB, however many pairs and levels there are."""


@dataclass(frozen=True)
class GradedFigures:
    """Graded overlap of pairs; the last column pools all layers. NaN where no score is above 0.

    Args:
        overlap: `[pair, layer + 1]`, sum of minima over sum of maxima, 0..1.
        expected: the same with the mean sum of minima when scores are shuffled within their layer. The mean is exact;
            the ratio at the mean is a plug-in, a little below the mean of the ratio, which is convex in the sum.
    """

    overlap: Float[Array, "pair columns"]
    expected: Float[Array, "pair columns"]


def graded_figures(
    scores: Float[Array, "item element"],
    universe: Bool[Array, "item element"],
    layer_sizes: Sequence[int],
    first: Int[Array, " pair"],
    second: Int[Array, " pair"],
) -> GradedFigures:
    """Return the graded overlap of pairs, within the union of their universes.

    Args:
        scores: graded membership, 0..1; outside an item's own universe it counts as 0.
        universe: which elements each item could have.
        layer_sizes: elements per layer, in order.
        first: index of each pair's first item.
        second: index of each pair's second item.
    """
    columns = []
    for part in layer_slices(layer_sizes):
        allowed = universe[:, part]
        columns.append(_sums(np.where(allowed, scores[:, part], 0.0), allowed, first, second))
    minima, expected, totals = np.stack(columns, axis=-1)
    minima, expected, totals = (np.column_stack([v, v.sum(axis=1)]) for v in (minima, expected, totals))
    return GradedFigures(ratio(minima, totals - minima), ratio(expected, totals - expected))


def _sums(scores: Array, allowed: Array, first: Array, second: Array) -> Array:
    """Return `[3, pair]` of one layer: the sum of minima, its mean over shuffles, and the sum of all scores."""
    minima, num_elements = np.empty(len(first)), np.empty(len(first))
    for rows in _blocks(len(first), _BLOCK_PAIRS):
        a, b = first[rows], second[rows]
        minima[rows] = np.minimum(scores[a], scores[b]).sum(axis=1)
        num_elements[rows] = (allowed[a] | allowed[b]).sum(axis=1)
    expected = ratio(_all_minima(scores, first, second), num_elements, empty=0.0)
    total = scores.sum(axis=1)
    return np.stack([minima, expected, total[first] + total[second]])


def _all_minima(scores: Array, first: Array, second: Array) -> Array:
    """Return the sum of min(g, h) over every score g of the first and every score h of the second of each pair.

    min(g, h) is how far up from 0 both reach. So the sum runs over the steps between distinct scores, each as often as
    there are scores of both that reach over it, instead of over all combinations of elements.
    """
    ordered = np.sort(scores, axis=1)
    levels = np.unique(np.append(scores.reshape(-1), 0.0))
    steps = np.diff(levels)
    sums = np.zeros(len(first))
    for part in _blocks(len(steps), _BLOCK_LEVELS):
        below = [np.searchsorted(row, levels[:-1][part], side="right") for row in ordered]
        num_above = scores.shape[1] - np.array(below, dtype=np.float64)
        weighted = num_above * steps[part]
        for rows in _blocks(len(first), _BLOCK_PAIRS):
            sums[rows] += np.einsum("ps,ps->p", weighted[first[rows]], num_above[second[rows]])
    return sums


def _blocks(length: int, size: int) -> list[slice]:
    return [slice(start, start + size) for start in range(0, length, size)]
