"""Who is compared with whom: pairs of circuits and of their edges, for the tables of overlap."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations, product
from typing import Any, Final

import pyarrow as pa
from numpy.typing import NDArray

from fedcircuits.circuits.circuit import Circuits
from fedcircuits.circuits.connectivity import edge_layers, edge_sets
from fedcircuits.circuits.found import Couples, FoundCircuits, kernels_of
from fedcircuits.comparisons.overlap_table import Item, ItemMatrices, Pair, overlap_table
from fedcircuits.records import TABLES, Comparison, DataKind

MAX_PAIR_CLIENTS: Final = 100
"""Above this many clients in a round, overlap across them and between one client's classes is summarised (see
`client_summaries`): a million rows a round would be written that nobody reads one by one."""

_CHUNK_CLIENTS: Final = 100
"""Clients whose edges are compared at once: each of their circuits takes a byte per kernel."""

_EDGE_COMPARISONS: Final = frozenset(
    {
        Comparison.SAME_CLASS_ACROSS_CLIENTS,
        Comparison.LOCAL_VS_GLOBAL,
        Comparison.RETEST,
        Comparison.ROUND_TO_ROUND,
    }
)
"""Edges of circuits of different classes end in different classes, and their pairs are by far the most."""

_Sets = tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None]
"""Members, universe and, if there are any, graded scores of a model's circuits, a row for each."""

Compared = Mapping[Comparison, Couples]
"""Circuits that are compared class by class, by the comparison that they are."""


def compare_circuits(
    layer_names: Sequence[str], layer_sizes: Sequence[int], local: Sequence[FoundCircuits], couples: Compared
) -> pa.Table:
    """Return the overlap rows of one round's circuits; of more than `MAX_PAIR_CLIENTS` clients only those that compare
    a circuit with another of the same client and class.

    Args:
        layer_names: layers that circuits are made of.
        layer_sizes: their channels.
        local: circuits of the clients' models, compared across clients and classes: those found on clients' own images
            among each other, and those found on the probe set.
        couples: what else is compared.
    """

    def channels(found: FoundCircuits, circuits: Circuits) -> _Sets:
        universe = found.reachable.expand(circuits.members.shape).numpy()
        return circuits.members.numpy(), universe, circuits.scores.numpy()

    gathered = _Gathered(ItemMatrices(dict(zip(layer_names, layer_sizes, strict=True))), channels)
    pairs = [
        pair for several in by_data(local) if len(several) <= MAX_PAIR_CLIENTS for pair in _across(gathered, several)
    ]
    return overlap_table("overlap", gathered.matrices, pairs + _of_couples(gathered, couples))


def compare_edges(local: Sequence[FoundCircuits], couples: Compared) -> pa.Table:
    """Return the rows of edge overlap of one round's circuits, of one class each; arguments as `compare_circuits`.

    A circuit's edges are a set among the kernels that are alive in its model. All circuits must know their kernels.
    """
    chosen = {comparison: several for comparison, several in couples.items() if comparison in _EDGE_COMPARISONS}
    known = [*local, *(first for several in chosen.values() for first, _ in several)]
    if not known:
        return TABLES["edge_overlap"].empty_table()
    if all(len(several) <= MAX_PAIR_CLIENTS for several in by_data(local)):
        return _edge_table(known[0], local, chosen)
    return pa.concat_tables(_edge_table(known[0], [], part) for part in _chunks(chosen))


def by_data(local: Sequence[FoundCircuits]) -> list[list[FoundCircuits]]:
    """Split circuits of clients' models into those found on clients' own images and those found on the probe set."""
    return [[found for found in local if found.question.data is data] for data in DataKind]


def _edge_table(example: FoundCircuits, local: Sequence[FoundCircuits], couples: Compared) -> pa.Table:
    """Return the rows of some clients' edges; all models have kernels as the example has."""

    def edges(found: FoundCircuits, circuits: Circuits) -> _Sets:
        members, alive = edge_sets(kernels_of(found), circuits)
        return members.numpy(), alive.numpy(), None

    gathered = _Gathered(ItemMatrices(edge_layers(kernels_of(example))), edges)
    across = [pair for several in by_data(local) for pair in _across(gathered, several)]
    pairs = [pair for pair in across if pair[0] in _EDGE_COMPARISONS] + _of_couples(gathered, couples)
    return overlap_table("edge_overlap", gathered.matrices, pairs)


def _chunks(couples: Compared) -> Iterator[Compared]:
    """Split what is compared client by client into some clients at a time; the server's models are on their own."""
    for chunk in sorted({_chunk(first) for several in couples.values() for first, _ in several}):
        yield {
            comparison: [couple for couple in several if _chunk(couple[0]) == chunk]
            for comparison, several in couples.items()
        }


def _chunk(found: FoundCircuits) -> int:
    return -1 if found.partition_id is None else found.partition_id // _CHUNK_CLIENTS


class _Gathered:
    """Models' circuits on their way into the matrices.

    Args:
        matrices: where they go.
        sets_of: what of a model's circuits is compared.
    """

    def __init__(self, matrices: ItemMatrices, sets_of: Callable[[FoundCircuits, Circuits], _Sets]) -> None:
        self.matrices = matrices
        self._sets_of = sets_of
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
        members, universe, scores = self._sets_of(found, circuits)
        return [
            self.matrices.add(members[row], universe[row], None if scores is None else scores[row])
            for row in range(len(circuits.class_ids))
        ]


def _across(gathered: _Gathered, local: Sequence[FoundCircuits]) -> list[Pair]:
    """Pair every two local circuits."""
    local_items = [gathered.items(found) for found in local]
    pairs: list[Pair] = []
    for items in local_items:
        pairs += [(Comparison.DIFFERENT_CLASS_WITHIN_CLIENT, a, b) for a, b in combinations(items, 2)]
    for first, second in combinations(local_items, 2):
        pairs += [(_across_clients(a, b), a, b) for a, b in product(first, second)]
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
