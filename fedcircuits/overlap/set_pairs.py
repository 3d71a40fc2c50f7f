"""What pairs of sets share, counted layer by layer."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int
from numpy import ndarray as Array


@dataclass(frozen=True)
class SetPairs:
    """Sizes that describe pairs of sets layer by layer; every value of their overlap follows from them.

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

    def part(self, rows: slice) -> "SetPairs":
        """Return some of the pairs."""
        return SetPairs(self.intersection[rows], self.size_a[rows], self.size_b[rows], self.universe[rows])


def pair_sets(
    members: Bool[Array, "item element"],
    universe: Bool[Array, "item element"],
    layer_sizes: Sequence[int],
    first: Int[Array, " pair"],
    second: Int[Array, " pair"],
    common: bool = False,
) -> SetPairs:
    """Count what pairs of sets share, all pairs at once.

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
    for part in layer_slices(layer_sizes):
        # Eight elements to a byte: pairs of weight masks are then counted as fast as they are read.
        kept = np.packbits(members[:, part] & universe[:, part], axis=1)
        allowed = np.packbits(universe[:, part], axis=1)
        shared = _num_shared(kept, kept, first, second)
        allowed_size, allowed_shared = _sizes(allowed), _num_shared(allowed, allowed, first, second)
        if common:
            within = (_num_shared(kept, allowed, first, second), _num_shared(allowed, kept, first, second))
            counts = (shared, *within, allowed_shared)
        else:
            size, either = _sizes(kept), allowed_size[first] + allowed_size[second] - allowed_shared
            counts = (shared, size[first], size[second], either)
        for column, value in zip(columns, counts, strict=True):
            column.append(value)
    return SetPairs(*(np.stack(column, axis=1) for column in columns))


def layer_slices(sizes: Sequence[int]) -> list[slice]:
    """Return where each layer's elements stand when all layers stand side by side."""
    ends = np.cumsum(sizes)
    return [slice(int(end - size), int(end)) for end, size in zip(ends, sizes, strict=True)]


def _num_shared(one: Array, other: Array, first: Array, second: Array) -> Array:
    """Count the bits that `one` has in row `first[pair]` and `other` in row `second[pair]`."""
    return _sizes(one[first] & other[second])


def _sizes(packed: Array) -> Array:
    sizes: Array = np.bitwise_count(packed).sum(axis=1, dtype=np.int64)
    return sizes
