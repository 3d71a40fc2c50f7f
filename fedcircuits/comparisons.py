"""Who is compared with whom: builds the rows of the overlap table from circuits and weight masks."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Bool
from numpy.typing import NDArray
from torch import Tensor

from fedcircuits.circuits import Circuits
from fedcircuits.overlap import overlap_figures, pair_sets
from fedcircuits.records import ALL_LAYERS, TABLES, Comparison, ModelKind
from fedcircuits.sparsity import Masks


@dataclass(frozen=True)
class FoundCircuits:
    """The circuits of one model in one round, with what is needed to compare them.

    Args:
        model: whose weights.
        partition_id: whose data; None for the server.
        server_round: the round they belong to, 1-based.
        circuits: one per class.
        reachable: `[channel]`, channels of this model that carry signal.
        usable: one verdict per circuit; None where it is not known.
    """

    model: ModelKind
    partition_id: int | None
    server_round: int
    circuits: Circuits
    reachable: Bool[Tensor, " channel"]
    usable: tuple[bool | None, ...]


@dataclass(frozen=True)
class _Item:
    """One circuit or one mask as a comparison sees it: where it stands in the matrix, and its identifiers."""

    row: int
    model: ModelKind
    partition_id: int | None
    class_id: int | None
    server_round: int
    usable: bool | None


_Pair = tuple[Comparison, _Item, _Item]


def compare_circuits(
    layer_names: Sequence[str],
    layer_sizes: Sequence[int],
    local: Sequence[FoundCircuits],
    global_on_clients: Sequence[FoundCircuits],
    retested: Sequence[tuple[FoundCircuits, FoundCircuits]],
    successive: Sequence[tuple[FoundCircuits, FoundCircuits]],
) -> pa.Table:
    """Return the overlap rows of one round's circuits.

    Args:
        layer_names: layers that circuits are made of.
        layer_sizes: their channels.
        local: each client's local circuits.
        global_on_clients: the global model's circuits, found on each client's data.
        retested: (first, second) discovery on the same model.
        successive: (earlier, later) circuits of the same model in two rounds.
    """
    matrix = _CircuitMatrix()
    local_items = [matrix.add(found) for found in local]
    pairs: list[_Pair] = []
    for items in local_items:
        pairs += [(Comparison.DIFFERENT_CLASS_WITHIN_CLIENT, a, b) for a, b in combinations(items, 2)]
    for first, second in combinations(local_items, 2):
        pairs += [(_across_clients(a, b), a, b) for a, b in product(first, second)]
    by_partition = {found.partition_id: matrix.add(found) for found in global_on_clients}
    for found, items in zip(local, local_items, strict=True):
        pairs += _same_class(Comparison.LOCAL_VS_GLOBAL, items, by_partition.get(found.partition_id, []))
    for comparison, couples in ((Comparison.RETEST, retested), (Comparison.ROUND_TO_ROUND, successive)):
        for earlier, later in couples:
            pairs += _same_class(comparison, matrix.add(earlier), matrix.add(later))
    return _table(pairs, matrix.members, matrix.reachable, layer_names, layer_sizes)


def compare_masks(server_round: int, client_masks: dict[int, Masks], global_support: Masks | None) -> pa.Table:
    """Return the overlap rows of one round's weight masks.

    Args:
        server_round: the round, 1-based.
        client_masks: partition id to its masks.
        global_support: non-zero weights of the new global model; None if there is none.
    """
    items = [
        _Item(row, ModelKind.CLIENT, partition_id, None, server_round, None)
        for row, partition_id in enumerate(client_masks)
    ]
    pairs: list[_Pair] = [(Comparison.PARAMETER_MASK_ACROSS_CLIENTS, a, b) for a, b in combinations(items, 2)]
    masks = list(client_masks.values())
    if global_support is not None:
        average = _Item(len(items), ModelKind.GLOBAL, None, None, server_round, None)
        pairs += [(Comparison.PARAMETER_MASK_LOCAL_VS_GLOBAL, item, average) for item in items]
        masks.append(global_support)
    names = list(masks[0]) if masks else []
    members = [torch.cat([mask[name].flatten() for name in names]).numpy() for mask in masks]
    sizes = [masks[0][name].numel() for name in names]
    return _table(pairs, members, [np.ones_like(m) for m in members], names, sizes)


class _CircuitMatrix:
    """Collects circuits as rows of one matrix, so that all pairs are counted at once."""

    def __init__(self) -> None:
        self.members: list[NDArray[Any]] = []
        self.reachable: list[NDArray[Any]] = []

    def add(self, found: FoundCircuits) -> list[_Item]:
        """Append a model's circuits and return one item for each."""
        items = []
        for class_id, member, usable in zip(
            found.circuits.class_ids, found.circuits.members, found.usable, strict=True
        ):
            items.append(
                _Item(len(self.members), found.model, found.partition_id, class_id, found.server_round, usable)
            )
            self.members.append(member.numpy())
            self.reachable.append(found.reachable.numpy())
        return items


def _across_clients(a: _Item, b: _Item) -> Comparison:
    is_same = a.class_id == b.class_id
    return Comparison.SAME_CLASS_ACROSS_CLIENTS if is_same else Comparison.DIFFERENT_CLASS_ACROSS_CLIENTS


def _same_class(comparison: Comparison, first: list[_Item], second: list[_Item]) -> list[_Pair]:
    by_class = {item.class_id: item for item in second}
    return [(comparison, a, by_class[a.class_id]) for a in first if a.class_id in by_class]


def _table(
    pairs: Sequence[_Pair],
    members: Sequence[NDArray[Any]],
    universe: Sequence[NDArray[Any]],
    layer_names: Sequence[str],
    layer_sizes: Sequence[int],
) -> pa.Table:
    """Measure the pairs and lay them out, one row per pair and layer."""
    if not pairs:
        return TABLES["overlap"].empty_table()
    first, second = np.array([a.row for _, a, _ in pairs]), np.array([b.row for _, _, b in pairs])
    sets = (np.stack(members), np.stack(universe), layer_sizes, first, second)
    counted, in_common = pair_sets(*sets), pair_sets(*sets, common=True)
    figures, common_figures = overlap_figures(counted), overlap_figures(in_common)
    columns = [*layer_names, ALL_LAYERS]
    width = len(columns)
    table: dict[str, Any] = {
        "round": _repeat([max(a.server_round, b.server_round) for _, a, b in pairs], width),
        "comparison": _repeat([str(comparison) for comparison, _, _ in pairs], width),
        "layer": columns * len(pairs),
        "usable": _repeat([_both(a.usable, b.usable) for _, a, b in pairs], width),
    }
    for name, items in (("a", [a for _, a, _ in pairs]), ("b", [b for _, _, b in pairs])):
        table[f"{name}_model"] = _repeat([str(item.model) for item in items], width)
        table[f"{name}_partition_id"] = _repeat([item.partition_id for item in items], width)
        table[f"{name}_class_id"] = _repeat([item.class_id for item in items], width)
        table[f"{name}_round"] = _repeat([item.server_round for item in items], width)
    for name in ("intersection", "size_a", "size_b", "universe"):
        table[name] = _with_total(getattr(counted, name)).reshape(-1)
    for name in ("iou", "expected_iou", "adjusted_iou", "phi"):
        table[name] = _nullable(getattr(figures, name))
    table["common_universe"] = _with_total(in_common.universe).reshape(-1)
    table["common_adjusted_iou"] = _nullable(common_figures.adjusted_iou)
    table["common_phi"] = _nullable(common_figures.phi)
    schema = TABLES["overlap"]
    return pa.table({name: table[name] for name in schema.names}, schema=schema)


def _nullable(figures: NDArray[Any]) -> pa.Array:
    """Turn NaN into null: an undefined figure is missing from every mean that is taken later."""
    return pa.array(figures.reshape(-1), from_pandas=True)


def _both(a: bool | None, b: bool | None) -> bool | None:
    """Tell whether both circuits of a pair are usable: one that is not decides, whatever the other is."""
    if a is False or b is False:
        return False
    return None if a is None or b is None else True


def _repeat(values: Sequence[Any], times: int) -> list[Any]:
    return [value for value in values for _ in range(times)]


def _with_total(counts: NDArray[Any]) -> NDArray[Any]:
    return np.column_stack([counts, counts.sum(1)])
