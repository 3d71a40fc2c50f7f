"""Overlap of every two clients' sets, summarised instead of listed: memory stays flat, however many pairs there are.

The figures are those of `overlap_figures`, with one difference: where sizes and universes take many values, and for all
layers pooled, the expected IoU comes from the first three moments of the number of shared elements (see `_two_point`).
Clients are taken in tiles, a block of them against another, whose arrays fit into the processor's cache.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool
from numpy import ndarray as Array

from fedcircuits.overlap.bits import num_bits, num_shared, pack_words
from fedcircuits.overlap.distribution import Distributions
from fedcircuits.overlap.null import expected_iou
from fedcircuits.overlap.set_pairs import layer_slices

FIGURES = ("iou", "expected_iou", "adjusted_iou", "phi")

_TILE = (128, 256)
"""Clients in the rows and in the columns of a tile: an array takes 128 kB."""

_COUNTED_PAIRS = 2**18
"""Pairs that enter the histograms at least, spread evenly over all: ranks of quantiles are then good to 0.001."""

_MOST_TABULATED = 256
"""Elements of a layer up to which its expected IoU is tabulated: wider ones have more cases than a cache holds, and
sets so large that moments say it as well."""

_MOST_CASES = 2**20
"""The same limit for cases of sizes and universe."""


@dataclass(frozen=True)
class ClientSets:
    """Sets of many clients, one per client and class at most, layer by layer.

    Args:
        members: for each layer `[class, word, client]`, bits of the elements in each set.
        universe: for each layer `[word, client]`, bits of the elements that the client's sets could have had.
        present: `[class, client]`, whether there is a set to compare.
        layer_sizes: elements per layer, in order.
    """

    members: list[Array]
    universe: list[Array]
    present: Array
    layer_sizes: Sequence[int]

    @classmethod
    def pack(
        cls,
        members: Iterable[Bool[Array, "class element"]],
        universe: Iterable[Bool[Array, " element"]],
        present: Bool[Array, "client class"],
        layer_sizes: Sequence[int],
    ) -> "ClientSets":
        """Return sets given as flags, client by client, the layers side by side.

        Elements outside a client's universe do not count.
        """
        parts = layer_slices(layer_sizes)
        kept, allowed = [], []
        for flags, own in zip(members, universe, strict=True):
            kept.append([pack_words((flags & own)[:, part]) for part in parts])
            allowed.append([pack_words(own[part]) for part in parts])
        return cls(
            [np.ascontiguousarray(np.stack(layer).transpose(1, 2, 0)) for layer in zip(*kept, strict=True)],
            [np.ascontiguousarray(np.stack(layer).T) for layer in zip(*allowed, strict=True)],
            np.ascontiguousarray(present.T),
            layer_sizes,
        )


def num_pairs(present: Bool[Array, "class client"]) -> tuple[int, int]:
    """Return how many pairs of sets of two clients there are, of one class and of different classes."""
    by_class, by_client = present.sum(axis=1), present.sum(axis=0)
    same = int((by_class * (by_class - 1)).sum()) // 2
    of_two_clients = (int(present.sum()) ** 2 - int((by_client**2).sum())) // 2
    return same, of_two_clients - same


def summarise_clients(sets: ClientSets, common: bool = False) -> tuple[Distributions, Distributions]:
    """Summarise the overlap of every two clients' sets, of one class and of two classes.

    Args:
        sets: what is compared.
        common: a pair's universe is the intersection of both clients' instead of their union; see `pair_sets`.

    Returns:
        the distributions of pairs of one class, and those of pairs of different classes: of the figures in `FIGURES`
        in the first layer, those in the second, and so on, and those of all layers pooled.
    """
    num_layers, num_classes = len(sets.layer_sizes), len(sets.present)
    same, different = (Distributions(len(FIGURES) * (num_layers + 1)) for _ in range(2))
    # Of how many pairs one enters the histograms.
    steps = [max(1, num // _COUNTED_PAIRS) for num in num_pairs(sets.present)]
    null = [_Expected.of_layer(sets, layer, common) for layer in range(num_layers)]
    # One buffer for all tiles: a fresh one would be mapped into memory anew each time, page by page.
    buffer = np.empty((num_layers + 1) * len(FIGURES) * _TILE[0] * _TILE[1], dtype=np.float32)
    turn = 0
    for rows, columns in _tiles(sets.present.shape[1]):
        tile = _Tile.of(sets, rows, columns, common)
        second = [_Side.of(sets, c, tile, null, is_row=False) for c in range(num_classes)]
        for c in range(num_classes):
            first = _Side.of(sets, c, tile, null, is_row=True)
            for d in range(num_classes):
                is_different = int(c != d)
                turn += 1
                counted = slice(turn % steps[is_different], None, steps[is_different])
                _take_in(different if is_different else same, tile, first, second[d], null, buffer, counted)
    return same, different


def _tiles(num_clients: int) -> Iterator[tuple[slice, slice]]:
    """Return blocks of clients against blocks of later ones, and of the same ones, which form triangles."""
    for start in range(0, num_clients, _TILE[0]):
        stop = min(start + _TILE[0], num_clients)
        yield slice(start, stop), slice(start, stop)
        for begin in range(stop, num_clients, _TILE[1]):
            yield slice(start, stop), slice(begin, min(begin + _TILE[1], num_clients))


@dataclass(frozen=True)
class _Tile:
    """What a tile's pairs of clients have in common whatever the class; arrays are `[row, column]` for each layer."""

    rows: slice
    columns: slice
    is_common: bool
    universe: list[Array]
    inverse: list[Array]
    spread_scale: list[Array]
    skew_scale: list[Array]

    @classmethod
    def of(cls, sets: ClientSets, rows: slice, columns: slice, common: bool) -> "_Tile":
        universe = [_universe(allowed[:, rows], allowed[:, columns], common) for allowed in sets.universe]
        return cls(
            rows,
            columns,
            common,
            universe,
            [1 / np.maximum(n, 1) for n in universe],
            [1 / np.sqrt(np.maximum(n - 1, 1)) for n in universe],
            [1 / np.sqrt(np.maximum(n * (n - 2), 1)) for n in universe],
        )


def _universe(one: Array, other: Array, common: bool) -> Array:
    shared = num_shared(one, other)
    return shared if common else num_bits(one)[:, None] + num_bits(other) - shared


@dataclass(frozen=True)
class _Side:
    """One class's sets of the clients at one side of a tile, as the pairs of clients see them.

    Args:
        words: for each layer `[word, client]`.
        present: `[client]`.
        size: for each layer, elements in the set and the pair's universe.
        share: for each layer, size over universe.
        deviation: for each layer; the variance of the shared elements is the product of both sides'.
        skew: for each layer; their third central moment is the product of both sides'.
        weight: for each layer and pooled, one over the root of the variance of membership.
        place: for each layer, the side's part of the place in the table of expected IoUs.
    """

    words: list[Array]
    present: Array
    size: list[Array]
    share: list[Array]
    deviation: list[Array]
    skew: list[Array]
    weight: list[Array]
    place: list[Array]

    @classmethod
    def of(cls, sets: ClientSets, class_id: int, tile: _Tile, null: "Sequence[_Expected]", is_row: bool) -> "_Side":
        clients = tile.rows if is_row else tile.columns
        words = [members[class_id][:, clients] for members in sets.members]
        size = [_sizes(sets, layer, tile, kept, is_row) for layer, kept in enumerate(words)]
        share = [a * inverse for a, inverse in zip(size, tile.inverse, strict=True)]
        variance = [part * (n - a) for part, n, a in zip(share, tile.universe, size, strict=True)]
        deviation = [v * scale for v, scale in zip(variance, tile.spread_scale, strict=True)]
        skew = [
            x * (n - 2 * a) * scale
            for x, n, a, scale in zip(deviation, tile.universe, size, tile.skew_scale, strict=True)
        ]
        with np.errstate(divide="ignore"):
            weight = [1 / np.sqrt(v) for v in (*variance, sum(variance))]
        place = [table.place(n, a, is_row) for table, n, a in zip(null, tile.universe, size, strict=True)]
        return cls(words, sets.present[class_id][clients], size, share, deviation, skew, weight, place)


def _sizes(sets: ClientSets, layer: int, tile: _Tile, words: Array, is_row: bool) -> Array:
    """Return the sizes of sets within each pair's universe, `[row, column]` or broadcast to it."""
    if not tile.is_common:
        return num_bits(words)[:, None] if is_row else num_bits(words)[None]
    others = sets.universe[layer][:, tile.columns if is_row else tile.rows]
    return num_shared(words, others) if is_row else num_shared(others, words)


def _take_in(
    summary: Distributions,
    tile: _Tile,
    first: _Side,
    second: _Side,
    null: "Sequence[_Expected]",
    buffer: Array,
    counted: slice,
) -> None:
    """Measure all pairs of a row's set with a column's, and add them to the summary."""
    kept = _kept(tile, first, second)
    if kept is not None and not len(kept):
        return
    shape = (len(null) + 1, len(FIGURES), *tile.universe[0].shape)
    figures = buffer[: math.prod(shape)].reshape(shape)
    _measure(first, second, null, figures)
    by_client = figures.reshape(-1, *shape[2:])
    summary.add(by_client if kept is None else by_client.reshape(len(by_client), -1).take(kept, axis=1), counted)


def _kept(tile: _Tile, first: _Side, second: _Side) -> Array | None:
    """Return the places of the pairs that there are among a tile's, row after row; None = all."""
    is_triangle = tile.rows == tile.columns
    if not is_triangle and first.present.all() and second.present.all():
        return None
    keep = first.present[:, None] & second.present
    return np.flatnonzero(np.triu(keep, k=1) if is_triangle else keep)


def _measure(first: _Side, second: _Side, null: "Sequence[_Expected]", figures: Array) -> None:
    """Fill in `[layer + 1, figure, row, column]` of a tile's pairs, the last layer being all of them pooled."""
    totals: list[Array] = []
    for layer, table in enumerate(null):
        shared = num_shared(first.words[layer], second.words[layer])
        mean = first.share[layer] * second.size[layer]
        size = first.size[layer] + second.size[layer]
        moments = (first.deviation[layer] * second.deviation[layer], first.skew[layer] * second.skew[layer])
        sums = [shared, mean, size, *moments]
        table.look_up(first.place[layer], second.place[layer], sums, figures[layer, 1])
        _fill(figures[layer], shared, mean, size, first.weight[layer], second.weight[layer])
        totals = [np.add(total, part, out=total) for total, part in zip(totals, sums, strict=True)] if layer else sums
    shared, mean, size, *_ = totals
    figures[-1, 1] = _two_point(*totals[1:])
    _fill(figures[-1], shared, mean, size, first.weight[-1], second.weight[-1])


def _fill(figures: Array, shared: Array, mean: Array, size: Array, first_weight: Array, second_weight: Array) -> None:
    """Work out one column's figures, of which the expected IoU is there already."""
    iou, expected, adjusted, phi = figures
    with np.errstate(divide="ignore", invalid="ignore"):
        np.divide(shared, size - shared, out=iou)
        np.subtract(iou, expected, out=adjusted)
        adjusted /= 1 - expected
        np.subtract(shared, mean, out=phi)
        phi *= first_weight
        phi *= second_weight


def _two_point(mean: Array, size: Array, variance: Array, third: Array) -> Array:
    """Return the expected IoU from moments of the number of shared elements k: E[s / (s - k)] - 1 for sizes s.

    The law is replaced by the one on two points that has the same first three moments (Gauss quadrature). Since
    derivatives of 1 / (s - k) are positive this is a lower bound, and close, because k varies little against s - k.
    """
    union = size - mean
    slack = union * variance
    slack -= third
    slack += np.float32(1e-20)  # where nothing varies, 0 / 0 would be left
    np.divide(variance * variance, slack, out=slack)
    union -= slack
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = size / union - 1
    # Rounding would leave something to adjust where both sets are everything.
    result: Array = np.where(expected > 1 - 1e-6, np.float32(1), expected)
    return result


@dataclass(frozen=True)
class _Expected:
    """The expected IoU of one layer by universe and sizes, or, if there are too many of them, from moments.

    Args:
        lowest: smallest universe and smallest size in the table.
        num_sizes: sizes in it.
        table: float32, expected IoU by universe, first and second size; empty = none.
    """

    lowest: tuple[int, int]
    num_sizes: int
    table: Array = field(repr=False)

    @classmethod
    def of_layer(cls, sets: ClientSets, layer: int, common: bool) -> "_Expected":
        """Tabulate a layer, unless it is too wide."""
        if sets.layer_sizes[layer] > _MOST_TABULATED:
            return cls((0, 0), 0, np.empty(0, dtype=np.float32))
        universes = [
            _universe(sets.universe[layer][:, rows], sets.universe[layer][:, columns], common)
            for rows, columns in _tiles(sets.present.shape[1])
        ]
        sizes = num_bits(sets.members[layer].transpose(1, 0, 2))
        low, high = int(min(n.min() for n in universes)), int(max(n.max() for n in universes))
        smallest, largest = 0 if common else int(sizes.min()), int(sizes.max())
        return cls._tabulate(np.arange(low, high + 1), np.arange(smallest, largest + 1))

    @classmethod
    def _tabulate(cls, universes: Array, sizes: Array) -> "_Expected":
        lowest = int(universes[0]), int(sizes[0])
        if len(universes) * len(sizes) ** 2 > _MOST_CASES:
            return cls(lowest, len(sizes), np.empty(0, dtype=np.float32))
        n, a, b = (axis.reshape(-1) for axis in np.meshgrid(universes, sizes, sizes, indexing="ij"))
        needed = (a <= b) & (b <= n)
        table = np.full((len(universes), len(sizes), len(sizes)), np.nan, dtype=np.float32)
        flat = table.reshape(-1)
        flat[needed] = expected_iou(n[needed], a[needed], b[needed])
        np.copyto(table, table.transpose(0, 2, 1), where=np.isnan(table))
        return cls(lowest, len(sizes), flat)

    def place(self, universe: Array, size: Array, is_row: bool) -> Array:
        """Return one side's part of the place in the table."""
        own = size - self.lowest[1]
        if is_row:
            own = ((universe - self.lowest[0]) * self.num_sizes + own) * self.num_sizes
        return own.astype(np.int64)

    def look_up(self, first: Array, second: Array, sums: Sequence[Array], expected: Array) -> None:
        """Write down the expected IoU of each pair."""
        if self.table.size:
            np.take(self.table, first + second, out=expected, mode="clip")
        else:
            expected[:] = _two_point(*sums[1:])
