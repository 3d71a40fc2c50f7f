"""Who is compared with whom: pairs of circuits and of their edges, for the tables of overlap."""

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, product
from typing import Any, Final

import pyarrow as pa
from numpy.typing import NDArray

from fedcircuits.connectivity import edge_layers, edge_sets
from fedcircuits.found_circuits import Couples, FoundCircuits, kernels_of
from fedcircuits.overlap_table import Item, ItemMatrices, Pair, overlap_table
from fedcircuits.records import TABLES, Comparison

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


def compare_circuits(
    layer_names: Sequence[str],
    layer_sizes: Sequence[int],
    local: Sequence[FoundCircuits],
    global_on_clients: Sequence[FoundCircuits],
    retested: Couples,
    successive: Couples,
    earlier_retested: Couples = (),
) -> pa.Table:
    """Return the overlap rows of one round's circuits; of more than `MAX_PAIR_CLIENTS` clients only those that compare
    a circuit with another of the same client and class.

    Args:
        layer_names: layers that circuits are made of.
        layer_sizes: their channels.
        local: each client's local circuits.
        global_on_clients: the global model's circuits, found on each client's data.
        retested: (first, second) discovery on the same model.
        successive: (earlier, later) circuits of the same model in two rounds.
        earlier_retested: the same as `retested`, of earlier rounds: they have no rows here, but say how reliable the
            earlier circuits of `successive` are.
    """

    def channels(found: FoundCircuits) -> _Sets:
        members = found.circuits.members.numpy()
        universe = found.reachable.expand(found.circuits.members.shape).numpy()
        return members, universe, found.circuits.scores.numpy()

    gathered = _Gathered(ItemMatrices(dict(zip(layer_names, layer_sizes, strict=True))), channels)
    pairs = _across(gathered, local) if len(local) <= MAX_PAIR_CLIENTS else []
    pairs += _pairs(gathered, local, global_on_clients, retested, successive)
    return overlap_table("overlap", gathered.matrices, pairs, _retests(gathered, earlier_retested))


def compare_edges(
    local: Sequence[FoundCircuits],
    global_on_clients: Sequence[FoundCircuits],
    retested: Couples,
    successive: Couples,
    earlier_retested: Couples = (),
) -> pa.Table:
    """Return the rows of edge overlap of one round's circuits, of one class each; arguments as `compare_circuits`.

    A circuit's edges are a set among the kernels that are alive in its model. All circuits must know their kernels.
    """
    known = [*local, *(later for _, later in (*retested, *successive))]
    if not known:
        return TABLES["edge_overlap"].empty_table()
    compared = (local, global_on_clients, retested, successive, earlier_retested)
    if len(local) <= MAX_PAIR_CLIENTS:
        return _edge_table(known[0], *compared, across_clients=True)
    return pa.concat_tables(_edge_table(known[0], *part, across_clients=False) for part in _chunks(compared))


_Compared = tuple[Sequence[FoundCircuits], Sequence[FoundCircuits], Couples, Couples, Couples]
"""Local circuits, the global model's on clients' data, retests, successive circuits and earlier retests."""


def _edge_table(
    example: FoundCircuits,
    local: Sequence[FoundCircuits],
    global_on_clients: Sequence[FoundCircuits],
    retested: Couples,
    successive: Couples,
    earlier_retested: Couples,
    *,
    across_clients: bool,
) -> pa.Table:
    """Return the rows of some clients' edges; all models have kernels as the example has."""

    def edges(found: FoundCircuits) -> _Sets:
        members, alive = edge_sets(kernels_of(found), found.circuits)
        return members.numpy(), alive.numpy(), None

    gathered = _Gathered(ItemMatrices(edge_layers(kernels_of(example))), edges)
    pairs = _across(gathered, local) if across_clients else []
    pairs += _pairs(gathered, local, global_on_clients, retested, successive)
    chosen = [pair for pair in pairs if pair[0] in _EDGE_COMPARISONS]
    return overlap_table("edge_overlap", gathered.matrices, chosen, _retests(gathered, earlier_retested))


def _chunks(compared: _Compared) -> Iterator[_Compared]:
    """Split what is compared client by client into some clients at a time; the server's models are on their own."""
    local, global_on_clients, *couples = compared
    everything = (*local, *global_on_clients, *(first for several in couples for first, _ in several))
    for chunk in sorted({_chunk(found) for found in everything}):
        own_local, own_global = (
            [found for found in several if _chunk(found) == chunk] for several in (local, global_on_clients)
        )
        retested, successive, earlier = (
            [couple for couple in several if _chunk(couple[0]) == chunk] for several in couples
        )
        yield own_local, own_global, retested, successive, earlier


def _chunk(found: FoundCircuits) -> int:
    return -1 if found.partition_id is None else found.partition_id // _CHUNK_CLIENTS


class _Gathered:
    """Models' circuits on their way into the matrices.

    Args:
        matrices: where they go.
        sets_of: what of a model's circuits is compared.
    """

    def __init__(self, matrices: ItemMatrices, sets_of: Callable[[FoundCircuits], _Sets]) -> None:
        self.matrices = matrices
        self._sets_of = sets_of
        self._items: dict[int, list[Item]] = {}

    def items(self, found: FoundCircuits) -> list[Item]:
        """Return one item for each circuit of a model, which is laid out once however often it is compared."""
        if id(found) not in self._items:
            self._items[id(found)] = self._lay_out(found)
        return self._items[id(found)]

    def _lay_out(self, found: FoundCircuits) -> list[Item]:
        members, universe, scores = self._sets_of(found)
        return [
            Item(
                self.matrices.add(members[row], universe[row], None if scores is None else scores[row]),
                found.model,
                found.partition_id,
                class_id,
                found.server_round,
                usable,
            )
            for row, (class_id, usable) in enumerate(zip(found.circuits.class_ids, found.usable, strict=True))
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


def _pairs(
    gathered: _Gathered,
    local: Sequence[FoundCircuits],
    global_on_clients: Sequence[FoundCircuits],
    retested: Couples,
    successive: Couples,
) -> list[Pair]:
    """Pair circuits of the same client and class."""
    pairs: list[Pair] = []
    by_partition = {found.partition_id: gathered.items(found) for found in global_on_clients}
    for found in local:
        on_global = by_partition.get(found.partition_id, [])
        pairs += _same_class(Comparison.LOCAL_VS_GLOBAL, gathered.items(found), on_global)
    pairs += _retests(gathered, retested)
    for earlier, later in successive:
        pairs += _same_class(Comparison.ROUND_TO_ROUND, gathered.items(earlier), gathered.items(later))
    return pairs


def _retests(gathered: _Gathered, retested: Couples) -> list[Pair]:
    return [
        pair
        for first, second in retested
        for pair in _same_class(Comparison.RETEST, gathered.items(first), gathered.items(second))
    ]


def _across_clients(a: Item, b: Item) -> Comparison:
    is_same = a.class_id == b.class_id
    return Comparison.SAME_CLASS_ACROSS_CLIENTS if is_same else Comparison.DIFFERENT_CLASS_ACROSS_CLIENTS


def _same_class(comparison: Comparison, first: list[Item], second: list[Item]) -> list[Pair]:
    by_class = {item.class_id: item for item in second}
    return [(comparison, a, by_class[a.class_id]) for a in first if a.class_id in by_class]
