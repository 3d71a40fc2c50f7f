"""Who is compared with whom: pairs of circuits, for the table of overlap."""

from collections.abc import Mapping, Sequence
from itertools import combinations, product
from typing import Final

import numpy as np
import pyarrow as pa

from fedcircuits.circuits.circuit import Circuits
from fedcircuits.circuits.found import Couples, FoundCircuits
from fedcircuits.comparisons.overlap_table import Item, ItemMatrices, Pair, overlap_table
from fedcircuits.comparisons.sampled_pairs import MAX_PAIR_CLIENTS, different_class, same_class, within_client
from fedcircuits.records import Comparison, DataKind

_DRAWS: Final = {
    Comparison.DIFFERENT_CLASS_WITHIN_CLIENT: within_client,
    Comparison.SAME_CLASS_ACROSS_CLIENTS: same_class,
    Comparison.DIFFERENT_CLASS_ACROSS_CLIENTS: different_class,
}
"""What draws a sample of each comparison across clients and classes."""

Compared = Mapping[Comparison, Couples]
"""Circuits that are compared class by class, by the comparison that they are."""


def compare_circuits(
    layer_names: Sequence[str],
    layer_sizes: Sequence[int],
    local: Sequence[FoundCircuits],
    couples: Compared,
    generator: np.random.Generator,
) -> pa.Table:
    """Return the overlap rows of one round's circuits.

    Args:
        layer_names: layers that circuits are made of.
        layer_sizes: their channels.
        local: circuits of the clients' models, compared across clients and classes: those found on clients' own images
            among each other, and those found on the probe set; of more than `MAX_PAIR_CLIENTS` clients a sample.
        couples: what else is compared.
        generator: draws the sample.
    """
    gathered = _Gathered(ItemMatrices(dict(zip(layer_names, layer_sizes, strict=True))))
    pairs = [pair for several in by_data(local) for pair in _across(gathered, several, generator)]
    return overlap_table(gathered.matrices, pairs + _of_couples(gathered, couples))


def by_data(local: Sequence[FoundCircuits]) -> list[list[FoundCircuits]]:
    """Split circuits of clients' models into those found on clients' own images and those found on the probe set."""
    return [[found for found in local if found.question.data is data] for data in DataKind]


class _Gathered:
    """Models' circuits on their way into the matrices.

    Args:
        matrices: where they go.
    """

    def __init__(self, matrices: ItemMatrices) -> None:
        self.matrices = matrices
        self._items: dict[int, list[Item]] = {}

    def items(self, found: FoundCircuits) -> list[Item]:
        """Return one item for each circuit of a model, which is laid out once however often it is compared."""
        if id(found) not in self._items:
            self._items[id(found)] = self._lay_out(found)
        return self._items[id(found)]

    def _lay_out(self, found: FoundCircuits) -> list[Item]:
        rows = self._add(found, found.circuits)
        retest_rows = [None] * len(rows) if found.retest is None else self._add(found, found.retest)
        return [
            Item(row, found.model, found.partition_id, class_id, found.server_round, usable, found.question, retest_row)
            for row, class_id, usable, retest_row in zip(
                rows, found.circuits.class_ids, found.usable, retest_rows, strict=True
            )
        ]

    def _add(self, found: FoundCircuits, circuits: Circuits) -> list[int]:
        universe = found.reachable.numpy()
        return [self.matrices.add(members, universe) for members in circuits.members.numpy()]


def _across(gathered: _Gathered, local: Sequence[FoundCircuits], generator: np.random.Generator) -> list[Pair]:
    """Pair local circuits: of few clients every two, of many a sample."""
    circuits = [dict(zip(found.circuits.class_ids, gathered.items(found), strict=True)) for found in local]
    if len(local) > MAX_PAIR_CLIENTS:
        return [(comparison, a, b) for comparison, draw in _DRAWS.items() for a, b in draw(circuits, generator)]
    pairs: list[Pair] = []
    for own in circuits:
        pairs += [(Comparison.DIFFERENT_CLASS_WITHIN_CLIENT, a, b) for a, b in combinations(own.values(), 2)]
    for first, second in combinations(circuits, 2):
        pairs += [(_across_clients(a, b), a, b) for a, b in product(first.values(), second.values())]
    return pairs


def _of_couples(gathered: _Gathered, couples: Compared) -> list[Pair]:
    """Pair circuits of the same class of every couple."""
    return [
        pair
        for comparison, several in couples.items()
        for first, second in several
        for pair in _same_class(comparison, gathered.items(first), gathered.items(second))
    ]


def _across_clients(a: Item, b: Item) -> Comparison:
    is_same = a.class_id == b.class_id
    return Comparison.SAME_CLASS_ACROSS_CLIENTS if is_same else Comparison.DIFFERENT_CLASS_ACROSS_CLIENTS


def _same_class(comparison: Comparison, first: list[Item], second: list[Item]) -> list[Pair]:
    by_class = {item.class_id: item for item in second}
    return [(comparison, a, by_class[a.class_id]) for a in first if a.class_id in by_class]
