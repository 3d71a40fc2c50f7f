"""Overlap of every two clients' sets, summarised instead of listed: memory stays flat, however many pairs there are.

The figures are those of `overlap_figures`, with one difference: where sizes and universes take many values, and for all
layers pooled, the expected IoU comes from the first three moments of the number of shared elements (`two_point_iou`).
Pairs of clients are taken in tiles, all classes at once, so that arrays are long but stay in the processor's cache.
"""

import numpy as np
from numpy import ndarray as Array

from fedcircuits.overlap.bits import num_shared
from fedcircuits.overlap.client_sets import ClientSets, num_pairs
from fedcircuits.overlap.distribution import Distributions, add_groups
from fedcircuits.overlap.expected import IouTables, two_point_iou
from fedcircuits.overlap.sides import Side, facing_sides
from fedcircuits.overlap.tiles import tiles

FIGURES = ("iou", "expected_iou", "adjusted_iou", "phi")

_COUNTED_PAIRS = 2**18
"""Pairs that enter the histograms at least, spread evenly over all: ranks of quantiles are then good to 0.001."""


def summarise_clients(sets: ClientSets, common: bool = False) -> tuple[Distributions, Distributions]:
    """Summarise the overlap of every two clients' sets, of one class and of two classes.

    Args:
        sets: what is compared.
        common: a pair's universe is the intersection of both clients' instead of their union; see `pair_sets`.

    Returns:
        the distributions of pairs of one class, and those of pairs of different classes: of the figures in `FIGURES`
        in the first layer, those in the second, and so on, and those of all layers pooled.
    """
    num_layers, (num_classes, num_clients) = len(sets.layer_sizes), sets.present.shape
    num_figures = len(FIGURES) * (num_layers + 1)
    same, different = (Distributions(num_figures, max(1, num // _COUNTED_PAIRS)) for num in num_pairs(sets.present))
    tables = IouTables.of(sets, common)
    for tile in tiles(num_clients, num_classes):
        first, second = facing_sides(sets, tile, tables, common)
        present = [tile.laid_out(tile.across(sets.present, is_row)) for is_row in (True, False)]
        figures = np.empty((num_layers + 1, len(FIGURES), num_classes, tile.num_pairs), dtype=np.float32)
        scratch = np.empty((2, 4, num_classes, tile.num_pairs), dtype=np.float32)
        for class_id in range(num_classes):
            with np.errstate(divide="ignore", invalid="ignore"):
                _measure(first.of_class(class_id), second, tables, figures, scratch)
            _leave_out(figures, ~(present[0][class_id] & present[1]))
            others = [d for d in range(num_classes) if d != class_id]
            add_groups(figures.reshape(num_figures, num_classes, -1), [(same, [class_id]), (different, others)])
    return same, different


def _leave_out(figures: Array, is_absent: Array) -> None:
    """Make figures of pairs with a set that is absent undefined."""
    if is_absent.any():
        np.copyto(figures, np.nan, where=is_absent)


def _measure(first: Side, second: Side, tables: IouTables, figures: Array, scratch: Array) -> None:
    """Fill in the figures of one class's sets in the rows and all classes' sets in the columns.

    Args:
        first: the sets in the rows.
        second: the sets in the columns.
        tables: of expected IoUs.
        figures: `[layer + 1, figure, class, pair]`, the last layer being all of them pooled.
        scratch: `[2, 4, class, pair]`, overwritten: of all layers and of one, the shared elements, their excess over
            the mean that random sets share, and the variance and third central moment of that.
    """
    totals = scratch[0]
    for layer, (one, other) in enumerate(zip(first.words, second.words, strict=True)):
        sums = shared, excess, variance, third = scratch[1] if layer else totals
        num_shared(one, other, out=shared.reshape(np.broadcast_shapes(one.shape[1:], other.shape[1:])))
        np.multiply(first.share[layer], second.size[layer], out=excess)
        np.subtract(shared, excess, out=excess)
        np.multiply(first.deviation[layer], second.deviation[layer], out=variance)
        np.multiply(first.skew[layer], second.skew[layer], out=third)
        _fill(figures, layer, first, second, tables, sums)
        if layer:
            totals += sums
    _fill(figures, len(first.words), first, second, tables, totals)


def _fill(figures: Array, layer: int, first: Side, second: Side, tables: IouTables, sums: Array) -> None:
    """Fill in the figures of one layer, or of all pooled, from what `_measure` has summed up of it."""
    iou, expected, adjusted, phi = figures[layer]
    shared, excess, variance, third = sums
    size = np.add(first.size[layer], second.size[layer], out=adjusted)
    union = np.subtract(size, shared, out=phi)
    np.divide(shared, union, out=iou)
    if layer in first.place:
        tables.look_up(first.place[layer], second.place[layer], expected)
    else:
        two_point_iou(size, union + excess, variance, third, expected)
    np.subtract(iou, expected, out=adjusted)
    np.subtract(1, expected, out=phi)
    adjusted /= phi
    np.multiply(excess, first.weight[layer], out=phi)
    phi *= second.weight[layer]
