"""Figures of very many pairs in constant memory: how many are defined, their mean, spread and quantiles."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray as Array

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)

RESOLUTION = 1 / 1024
"""Width of a bin of the histograms that quantiles are read from. They reach from -1 to 1; lower values count as -1."""

_NUM_BINS = round(2 / RESOLUTION) + 1

_MOST_WAITING = 2**14
"""Values of a figure that wait at most until they are sorted into the histograms, all at once."""

_RUN = 16
"""Pairs side by side that enter the histograms together, if not all do: as many values as a line of the cache holds."""


class Distributions:
    """Collects values of several figures, each between -1 and 1 in nearly all pairs; values that are not finite are
    undefined, and left out.

    Mean and standard deviation are those of all values in single precision; a standard deviation below 0.0005 is no
    better than that. Quantiles are good to `RESOLUTION`, and to what the values that were not counted would change.

    Args:
        num_figures: figures of each pair.
        step: of how many pairs one enters the histograms: counting each of many millions would take longer than
            measuring them.
    """

    def __init__(self, num_figures: int, step: int = 1) -> None:
        # How many values are defined, their sums, and those of their squares.
        self._sums = np.zeros((3, num_figures))
        self._counts = np.zeros((num_figures, _NUM_BINS), dtype=np.int64)
        self._step = step
        self._num_additions = 0
        self._waiting: list[Array] = []
        self._num_waiting = 0

    def add(self, values: Float[Array, "figure pair"]) -> None:
        """Take in some pairs."""
        add_groups(values[:, None], [(self, [0])])

    def include(self, other: "Distributions") -> None:
        """Take in what another has collected of the same figures."""
        self._count()
        other._count()
        self._sums += other._sums
        self._counts += other._counts

    @property
    def num_values(self) -> Int[Array, " figure"]:
        """How many values of each figure are defined."""
        num_values: Array = self._sums[0].astype(np.int64)
        return num_values

    @property
    def mean(self) -> Float[Array, " figure"]:
        """Mean of each figure; NaN where it is never defined."""
        with np.errstate(invalid="ignore"):
            mean: Array = self._sums[1] / self._sums[0]
        return mean

    @property
    def sd(self) -> Float[Array, " figure"]:
        """Standard deviation of each figure; NaN where it is never defined."""
        with np.errstate(invalid="ignore"):
            sd: Array = np.sqrt(np.maximum(self._sums[2] / self._sums[0] - self.mean**2, 0))
        return sd

    def quantiles(self) -> Float[Array, "figure quantile"]:
        """Return the values below which the shares `QUANTILES` of a figure's values lie; NaN without values."""
        self._count()
        return np.stack([_quantiles(counts) for counts in self._counts])

    def _take_in(self, values: Array, groups: Sequence[int], sums: Array) -> None:
        self._sums += sums
        self._waiting.append(self._some(values, groups))
        self._num_waiting += self._waiting[-1].shape[1]
        if self._num_waiting > _MOST_WAITING:
            self._count()

    def _some(self, values: Array, groups: Sequence[int]) -> Array:
        """Return the pairs that enter the histograms, others each time: tiles are alike, and so are their columns."""
        run, turn = _RUN if self._step > 1 else 1, self._num_additions
        self._num_additions += 1
        first, num_runs = turn % run, (values.shape[-1] - turn % run) // run
        runs = values[..., first : first + num_runs * run].reshape(*values.shape[:2], num_runs, run)
        return runs[:, groups, turn % self._step :: self._step].reshape(len(values), -1)

    def _count(self) -> None:
        """Sort the values that wait into the histograms."""
        if not self._waiting:
            return
        values = np.concatenate(self._waiting, axis=1)
        self._waiting, self._num_waiting = [], 0
        for figure, row in enumerate(values):
            bins = (np.clip(row, -1, 1) + 1) * np.float32(1 / RESOLUTION)
            # Undefined values are sorted into a bin of their own, which is cut off.
            np.copyto(bins, _NUM_BINS, where=~np.isfinite(row))
            self._counts[figure] += np.bincount(bins.astype(np.int64), minlength=_NUM_BINS + 1)[:-1]


def add_groups(
    values: Float[Array, "figure group pair"], collections: Sequence[tuple[Distributions, Sequence[int]]]
) -> None:
    """Take in groups of pairs, each into its own collection, after summing them all up together.

    Args:
        values: what to take in.
        collections: collections, and which groups each takes in.
    """
    sums = _sums(values)
    for collection, groups in collections:
        if groups:
            collection._take_in(values, groups, sums[..., groups].sum(axis=-1))


def _sums(values: Array) -> Float[Array, "3 figure group"]:
    """Return how many values along the last axis are defined, their sums, and those of their squares."""
    ones = np.ones(values.shape[-1], dtype=values.dtype)
    sums = np.empty((3, *values.shape[:-1]))
    sums[0], sums[1], sums[2] = len(ones), values @ ones, np.vecdot(values, values)
    partial = ~np.isfinite(sums[2])
    if partial.any():
        own = values[partial]
        defined = np.isfinite(own)
        # As bits, all ones or none: a product with 0 would leave NaN, and choosing one by one is ten times slower.
        bits = own.view(f"i{own.itemsize}")
        bits &= -defined.astype(bits.dtype)
        sums[:, partial] = defined.astype(values.dtype) @ ones, own @ ones, np.vecdot(own, own)
    return sums


def _quantiles(counts: Array) -> Array:
    """Read quantiles off a histogram; values are taken to lie evenly within their bin."""
    below = np.cumsum(counts)
    if below[-1] == 0:
        return np.full(len(QUANTILES), np.nan)
    target = np.array(QUANTILES) * below[-1]
    bins = np.searchsorted(below, target)
    places = bins + 1 - (below[bins] - target) / counts[bins]
    quantiles: Array = np.minimum(places * RESOLUTION - 1, 1.0)
    return quantiles
