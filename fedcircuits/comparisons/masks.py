"""Weight masks of a round: which of them are compared with which, for the table of overlap."""

from itertools import combinations

import pyarrow as pa
import torch

from fedcircuits.comparisons.circuits import MAX_PAIR_CLIENTS
from fedcircuits.comparisons.overlap_table import Item, ItemMatrices, Pair, overlap_table
from fedcircuits.records import Comparison, ModelKind
from fedcircuits.training.sparsity import Masks


def compare_masks(server_round: int, client_masks: dict[int, Masks], global_support: Masks | None) -> pa.Table:
    """Return the overlap rows of one round's weight masks, across clients for `MAX_PAIR_CLIENTS` clients at most.

    Args:
        server_round: the round, 1-based.
        client_masks: partition id to its masks.
        global_support: non-zero weights of the new global model; None if there is none.
    """
    return overlap_table("overlap", *mask_pairs(server_round, client_masks, global_support))


def mask_pairs(
    server_round: int, client_masks: dict[int, Masks], global_support: Masks | None
) -> tuple[ItemMatrices, list[Pair]]:
    """Return which masks are compared; arguments as `compare_masks`."""
    masks = [*client_masks.values(), *([] if global_support is None else [global_support])]
    if not masks:
        return ItemMatrices({}), []
    matrices = ItemMatrices({name: mask.numel() for name, mask in masks[0].items()})
    rows = []
    for mask in masks:
        members = torch.cat([mask[name].flatten() for name in matrices.layer_sizes])
        rows.append(matrices.add(members.numpy(), torch.ones_like(members).numpy()))
    items = [
        Item(row, ModelKind.CLIENT, partition_id, None, server_round, None)
        for row, partition_id in zip(rows, client_masks, strict=False)
    ]
    pairs: list[Pair] = []
    if len(items) <= MAX_PAIR_CLIENTS:
        pairs += [(Comparison.PARAMETER_MASK_ACROSS_CLIENTS, a, b) for a, b in combinations(items, 2)]
    if global_support is not None:
        average = Item(rows[-1], ModelKind.GLOBAL, None, None, server_round, None)
        pairs += [(Comparison.PARAMETER_MASK_LOCAL_VS_GLOBAL, item, average) for item in items]
    return matrices, pairs
