"""Overlap of two models' circuits once the second's channels are called by the first's names, with its controls."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from jaxtyping import Bool
from numpy import ndarray as Array
from torch import Tensor

from fedcircuits.alignment.random_circuits import random_circuits
from fedcircuits.alignment.relabelling import Permutations, identity_permutations, permute_members
from fedcircuits.circuits.circuit import Circuits
from fedcircuits.networks.cnn import Weights
from fedcircuits.networks.spec import ModelSpec
from fedcircuits.overlap import overlap_values, pair_sets
from fedcircuits.records import ALL_LAYERS


@dataclass(frozen=True)
class AlignedModel:
    """One model of a pair.

    Args:
        partition_id: the client; None for the global model.
        weights: its parameters.
        circuits: its circuits.
        reachable: `[channel]`, channels that carry signal.
        usable: one verdict per circuit; those without a good one are left out.
    """

    partition_id: int | None
    weights: Weights
    circuits: Circuits
    reachable: Bool[Tensor, " channel"]
    usable: tuple[bool | None, ...]


@dataclass(frozen=True)
class AlignedValues:
    """Mean overlap of two models' circuits in one layer; the values of `LayerAlignment` of the same names."""

    phi: float | None
    matched_phi: float | None
    other_class_phi: float | None
    random_phi: float | None
    num_circuits: int


NO_VALUES = AlignedValues(None, None, None, None, 0)
"""Of a layer that circuits have no channels in."""


class CircuitComparison:
    """The circuits of two models, those that are usable, and random ones of the second's sizes."""

    def __init__(
        self,
        spec: ModelSpec,
        first: AlignedModel,
        second: AlignedModel,
        num_draws: int,
        generator: torch.Generator,
    ) -> None:
        self.spec, self.reachable = spec, (first.reachable, second.reachable)
        rows_a, rows_b = _rows_by_class(first), _rows_by_class(second)
        self.members = (first.circuits.members, second.circuits.members)
        self.same = [(rows_a[c], rows_b[c]) for c in rows_a if c in rows_b]
        self.other = [(a, b) for (c, a), (d, b) in product(rows_a.items(), rows_b.items()) if c != d]
        # Each random circuit is a row of its own, met by the first model's circuit whose class it stands in for.
        self.drawn = second.circuits.members[:0]
        self.random = [(a, i * num_draws + draw) for i, (a, _) in enumerate(self.same) for draw in range(num_draws)]
        for _, b in self.same:
            member = second.circuits.members[b]
            draws = random_circuits(member, second.reachable, spec.channels, num_draws, generator)
            self.drawn = torch.cat([self.drawn, draws])

    def values(self, orders: Permutations) -> dict[str, AlignedValues]:
        """Return the overlap of circuits in each convolution, and in all, before and after matching."""
        before = self._phi(self.members[1], identity_permutations(self.spec), self.same)
        after = self._phi(self.members[1], orders, self.same)
        other = self._phi(self.members[1], orders, self.other)
        drawn = self._phi(self.drawn, orders, self.random)
        values = {}
        for column, layer in enumerate((*self.spec.conv_names, ALL_LAYERS)):
            known = np.isfinite(before[:, column]) & np.isfinite(after[:, column])
            values[layer] = AlignedValues(
                phi=mean_of_defined(before[known, column]),
                matched_phi=mean_of_defined(after[known, column]),
                other_class_phi=mean_of_defined(other[:, column]),
                random_phi=mean_of_defined(drawn[:, column]),
                num_circuits=int(known.sum()),
            )
        return values

    def _phi(self, second: Tensor, orders: Permutations, pairs: Sequence[tuple[int, int]]) -> Array:
        """Return phi of pairs (row of the first model, row of `second`), `[pair, layer + 1]`."""
        first, layers = self.members[0], self.spec.channels
        if not pairs:
            return np.zeros((0, len(layers) + 1))
        members = torch.cat([first, permute_members(self.spec, second, orders)])
        reachable = permute_members(self.spec, self.reachable[1], orders)
        universe = torch.cat([self.reachable[0].expand_as(first), reachable.expand_as(second)])
        rows_a, rows_b = np.array(pairs).T
        return overlap_values(pair_sets(members.numpy(), universe.numpy(), layers, rows_a, rows_b + len(first))).phi


def _rows_by_class(model: AlignedModel) -> dict[int, int]:
    """Return class to row, of usable circuits."""
    rows = enumerate(zip(model.circuits.class_ids, model.usable, strict=True))
    return {class_id: row for row, (class_id, usable) in rows if usable}


def mean_of_defined(values: Array) -> float | None:
    """Average what is defined; None if nothing is."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None
