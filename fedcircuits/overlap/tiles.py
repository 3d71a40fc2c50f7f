"""Every two of many clients in blocks of pairs, whose arrays fit into the processor's cache."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Shaped, UInt64
from numpy import ndarray as Array

from fedcircuits.overlap.bits import num_bits, num_shared

_PAIRS = 2**16
"""Pairs of one class's sets with all classes' sets in a tile at most: an array takes 256 kB."""


@dataclass(frozen=True)
class Tile:
    """A block of pairs of clients, `[row, column]`: each of some clients with those that follow it at some distances.

    Clients stand in a circle. Each is paired with the others up to half way around, so that all blocks are full: of a
    square of all clients, half would be left out, and the blocks across its diagonal would be half empty.

    Args:
        rows: the clients in the rows.
        distances: from them to those in the columns.
    """

    rows: slice
    distances: slice

    @property
    def shape(self) -> tuple[int, int]:
        """How many rows and columns there are."""
        return self.rows.stop - self.rows.start, self.distances.stop - self.distances.start

    @property
    def num_pairs(self) -> int:
        """How many pairs there are."""
        return math.prod(self.shape)

    def across(self, values: Shaped[Array, "*axes client"], is_row: bool) -> Shaped[Array, "*axes row column"]:
        """Return clients' values as the pairs see those of one side: views, of one column for the rows' side."""
        if is_row:
            return values[..., self.rows, None]
        followers = np.arange(self.rows.start + self.distances.start, self.rows.stop + self.distances.stop - 1)
        return np.lib.stride_tricks.sliding_window_view(
            values.take(followers, axis=-1, mode="wrap"), self.shape[1], axis=-1
        )

    def laid_out(self, values: Shaped[Array, "*axes _ _"]) -> Shaped[Array, "*axes pair"]:
        """Return values that are the same in a row or in a column for each pair, row after row."""
        pairs = np.broadcast_to(values, values.shape[:-2] + self.shape)
        return np.ascontiguousarray(pairs).reshape(*values.shape[:-2], -1)

    def universe(self, allowed: UInt64[Array, "word client"], is_common: bool) -> Float[Array, " pair"]:
        """Return the size of every pair's universe, from the bits of the clients' own."""
        if (allowed == allowed[:, :1]).all():
            # All elements of wide layers are in reach as a rule, and intersecting universes takes as long as sets.
            return self.laid_out(num_bits(allowed[:, :1, None]))
        one, other = (self.across(allowed, is_row) for is_row in (True, False))
        shared = num_shared(one, other)
        return self.laid_out(shared if is_common else num_bits(one) + num_bits(other) - shared)


def tiles(num_clients: int, num_classes: int) -> Iterator[Tile]:
    """Return tiles of all pairs of clients, of about the same shape."""
    num_rows = max(1, math.isqrt(_PAIRS // (4 * num_classes)))
    half_way = num_clients // 2
    for rows in _blocks(0, num_clients, num_rows):
        for distances in _blocks(1, (num_clients + 1) // 2, 4 * num_rows):
            yield Tile(rows, distances)
    if num_clients == 2 * half_way:
        # Who stands opposite is half way around for both.
        for rows in _blocks(0, half_way, 4 * num_rows**2):
            yield Tile(rows, slice(half_way, half_way + 1))


def _blocks(start: int, stop: int, most: int) -> Iterator[slice]:
    """Return the numbers from `start` to `stop` in even blocks of `most` at most."""
    bounds = np.linspace(start, stop, -(-(stop - start) // most) + 1).astype(int).tolist()
    return (slice(low, high) for low, high in pairwise(bounds))
