"""The expected IoU of millions of pairs: looked up where sizes take few values, from moments where they take many."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray as Array
from scipy import linalg, special

from fedcircuits.overlap.bits import num_bits
from fedcircuits.overlap.client_sets import ClientSets
from fedcircuits.overlap.tiles import tiles

MOST_TABULATED = 256
"""Elements of a layer up to which its expected IoU is tabulated: wider ones have more cases than a cache holds, and
sets so large that moments say it as well."""

_MOST_CASES = 2**20
"""The same limit for cases of sizes and universe."""


@dataclass(frozen=True)
class IouTables:
    """The expected IoU by universe and sizes, in one table after the other for the layers that have few cases.

    Args:
        values: float32, all tables; within one by universe, first and second size.
        starts: for each layer that has a table, the place of its lowest universe with two sets of no elements.
        lowest: for each layer that has a table, its lowest universe.
        num_sizes: for each layer that has a table, the sizes in it.
    """

    values: Float[Array, " case"] = field(repr=False)
    starts: dict[int, int]
    lowest: dict[int, int]
    num_sizes: dict[int, int]

    @classmethod
    def of(cls, sets: ClientSets, is_common: bool) -> "IouTables":
        """Tabulate all cases from the lowest to the highest universe and size that sets have."""
        tables: list[Array] = [np.empty(0, dtype=np.float32)]
        starts, lowest, num_sizes = {}, {}, {}
        for layer in (layer for layer, width in enumerate(sets.layer_sizes) if width <= MOST_TABULATED):
            universes, sizes = _ranges(sets, layer, is_common)
            num = len(sizes)
            if len(universes) * num**2 <= _MOST_CASES:
                starts[layer] = sum(map(len, tables)) - sizes[0] * num - sizes[0]
                lowest[layer], num_sizes[layer] = universes[0], num
                tables.append(tabulate_iou(universes, sizes).astype(np.float32).reshape(-1))
        return cls(np.concatenate(tables), starts, lowest, num_sizes)

    def row_place(
        self, layer: int, universe: Float[Array, " pair"], size: Float[Array, "class pair"]
    ) -> Int[Array, "class pair"]:
        """Return the place of pairs whose second set has no elements; that of others is as much further as it has."""
        num = np.float32(self.num_sizes[layer])
        start = (universe - np.float32(self.lowest[layer])) * num**2 + np.float32(self.starts[layer])
        return (size * num + start).astype(np.int64)

    def look_up(self, first: Int[Array, "..."], second: Int[Array, "..."], out: Float[Array, "..."]) -> None:
        """Write down the expected IoU of each pair, from the place of the first set and the size of the second."""
        np.take(self.values, first + second, out=out, mode="clip")


def _ranges(sets: ClientSets, layer: int, is_common: bool) -> tuple[range, range]:
    """Return the universes that pairs may have, and the sizes that sets may have."""
    allowed, sizes = sets.universe[layer], num_bits(sets.members[layer])
    universes = [tile.universe(allowed, is_common) for tile in tiles(allowed.shape[1], num_classes=1)]
    lowest = int(min((n.min() for n in universes), default=0))
    highest = int(max((n.max() for n in universes), default=0))
    return range(lowest, highest + 1), range(0 if is_common else int(sizes.min()), int(sizes.max()) + 1)


def tabulate_iou(universes: range, sizes: range) -> Float[Array, "universe first second"]:
    """Return the mean IoU of two random sets for all universes n and sizes a and b, each in steps of one.

    Of the C(n, b) second sets, C(n - a, j) C(a, b - j) have j elements outside the first one and an IoU of
    (b - j) / (a + j). As k C(a, k) = a C(a - 1, k - 1), the sum over j is a matrix product for all n and b at once.

    Args:
        universes: elements that can be in a set, 1000 at most: C(n, b) would overflow.
        sizes: of either set; what is returned for sizes above the universe means nothing.

    Returns:
        the means, NaN for two empty sets.
    """
    n, b, outside = np.array(universes), np.array(sizes), np.arange(sizes.stop)
    binomials = special.comb(np.arange(universes.stop)[:, None], outside)
    means = np.empty((len(n), len(b), len(b)))
    for place, a in enumerate(sizes):
        second_sets = binomials[np.maximum(n - a, 0)] / np.maximum(a + outside, 1)
        inside = linalg.toeplitz(special.comb(a - 1, outside - 1), np.zeros(len(outside)))[b]
        means[:, place] = a * second_sets @ inside.T
    means /= np.maximum(binomials[n][:, None, b], 1)
    if 0 in sizes:
        means[:, 0, 0] = np.nan
    return means


def two_point_iou(
    size: Float[Array, "..."],
    union: Float[Array, "..."],
    variance: Float[Array, "..."],
    third: Float[Array, "..."],
    out: Float[Array, "..."],
) -> None:
    """Write down the expected IoU from moments of the number of shared elements k: E[s / (s - k)] - 1.

    The law is replaced by the one on two points that has the same first three moments (Gauss quadrature). Since
    derivatives of 1 / (s - k) are positive this is a lower bound, and close, because k varies little against s - k.

    Args:
        size: s, both sets' together.
        union: the mean of s - k.
        variance: of k.
        third: its third central moment.
        out: where to write.
    """
    slack = union * variance
    slack -= third
    slack += np.float32(1e-20)  # where nothing varies, 0 / 0 would be left
    np.divide(variance * variance, slack, out=slack)
    np.subtract(union, slack, out=slack)
    with np.errstate(divide="ignore", invalid="ignore"):
        np.divide(size, slack, out=out)
    out -= 1
    # Rounding would leave something to adjust where both sets are everything.
    np.copyto(out, 1, where=out > 1 - 1e-6)
