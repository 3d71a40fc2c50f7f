"""One round's overlap across clients, summarised, where there are too many of them for a row per pair."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from fedcircuits.circuits.circuit import pack_bits
from fedcircuits.circuits.connectivity import edge_layers, edge_sets
from fedcircuits.circuits.found import FoundCircuits, kernels_of
from fedcircuits.comparisons.circuits import MAX_PAIR_CLIENTS
from fedcircuits.comparisons.overlap_summary import across_clients_rows, mask_rows, summary_table, within_client_rows
from fedcircuits.comparisons.rows import Row
from fedcircuits.overlap.client_sets import ClientSets
from fedcircuits.records import Comparison, ModelKind
from fedcircuits.training.sparsity import Masks

_Group = tuple[ClientSets, NDArray[Any]]
"""Sets to compare, and `[class, client]`, whether there is one, usable or not."""


def summarise_circuits(
    server_round: int, layer_names: Sequence[str], layer_sizes: Sequence[int], local: Sequence[FoundCircuits]
) -> pa.Table:
    """Return the rows of `overlap_summary` about local circuits; none for `MAX_PAIR_CLIENTS` clients or fewer.

    Args:
        server_round: the round, 1-based.
        layer_names: layers that circuits are made of.
        layer_sizes: their channels.
        local: each client's local circuits.
    """
    if len(local) <= MAX_PAIR_CLIENTS:
        return summary_table("overlap_summary", [])
    sets_of = [(found.circuits.members.numpy(), found.reachable.numpy(), found.usable) for found in local]
    rows = across_clients_rows(server_round, layer_names, [_circuit_group(layer_sizes, local)])
    rows += within_client_rows(server_round, layer_names, layer_sizes, sets_of)
    return summary_table("overlap_summary", rows)


def summarise_edges(server_round: int, local: Sequence[FoundCircuits]) -> pa.Table:
    """Return the rows of `edge_overlap_summary`, of circuits of one class each; none for few clients."""
    if len(local) <= MAX_PAIR_CLIENTS:
        return summary_table("edge_overlap_summary", [])
    layers = edge_layers(kernels_of(local[0]))
    rows = across_clients_rows(server_round, list(layers), _edge_groups(layers, local))
    same = [row for row in rows if row["comparison"] == Comparison.SAME_CLASS_ACROSS_CLIENTS]
    return summary_table("edge_overlap_summary", same)


def summarise_masks(server_round: int, client_masks: dict[int, Masks]) -> pa.Table:
    """Return the rows of `overlap_summary` about clients' weight masks; none for few clients."""
    if len(client_masks) <= MAX_PAIR_CLIENTS:
        return summary_table("overlap_summary", [])
    names = list(next(iter(client_masks.values())))
    flags = (_in_a_row(mask).numpy()[None] for mask in client_masks.values())
    sizes = [mask.numel() for mask in next(iter(client_masks.values())).values()]
    everything = [np.ones(sum(sizes), dtype=np.bool_)] * len(client_masks)
    present = np.ones((len(client_masks), 1), dtype=np.bool_)
    return summary_table(
        "overlap_summary", mask_rows(server_round, names, ClientSets.pack(flags, everything, present, sizes))
    )


def logged_masks(server_round: int, client_masks: dict[int, Masks]) -> list[Row]:
    """Return the rows of `masks`: every client's, from which any pair can be compared later."""
    return [
        {
            "round": server_round,
            "model": str(ModelKind.CLIENT),
            "partition_id": partition_id,
            "mask": pack_bits(_in_a_row(mask)),
        }
        for partition_id, mask in client_masks.items()
    ]


def _in_a_row(mask: Masks) -> torch.Tensor:
    return torch.cat([layer.flatten() for layer in mask.values()])


def _circuit_group(layer_sizes: Sequence[int], local: Sequence[FoundCircuits]) -> _Group:
    """Lay all clients' circuits out by class."""
    place = {c: position for position, c in enumerate(sorted({c for found in local for c in found.circuits.class_ids}))}
    found_at, usable_at = np.zeros((2, len(local), len(place)), dtype=np.bool_)
    members = np.zeros((len(local), len(place), sum(layer_sizes)), dtype=np.bool_)
    for client, found in enumerate(local):
        own = [place[class_id] for class_id in found.circuits.class_ids]
        members[client, own] = found.circuits.members.numpy()
        found_at[client, own] = True
        usable_at[client, own] = [bool(verdict) for verdict in found.usable]
    universe = [found.reachable.numpy() for found in local]
    return ClientSets.pack(members, universe, usable_at, layer_sizes), found_at.T


def _edge_groups(layers: dict[str, int], local: Sequence[FoundCircuits]) -> Iterator[_Group]:
    """Lay clients' edges out class by class: which edges lead to the class differs between classes."""
    for class_id in sorted({class_id for found in local for class_id in found.circuits.class_ids}):
        holders = [
            (found, found.circuits.class_ids.index(class_id)) for found in local if class_id in found.circuits.class_ids
        ]
        edges, alive = zip(
            *(edge_sets(kernels_of(found), found.circuits.only(row)) for found, row in holders), strict=True
        )
        usable = np.array([[bool(found.usable[row])] for found, row in holders])
        sets = ClientSets.pack([e.numpy() for e in edges], [a[0].numpy() for a in alive], usable, list(layers.values()))
        yield sets, np.ones_like(usable.T)
