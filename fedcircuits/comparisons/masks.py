"""Weight masks of a round: which of them are compared, and what the log says of them, with noise on them or without."""

from itertools import combinations

import numpy as np
import pyarrow as pa
import torch

from fedcircuits.circuits.circuit import pack_bits
from fedcircuits.comparisons.overlap_table import Item, ItemMatrices, Pair, estimated_table, overlap_table
from fedcircuits.comparisons.rows import Row
from fedcircuits.comparisons.sampled_pairs import MAX_PAIR_CLIENTS, SAMPLED_MASK_PAIRS, sampled_couples
from fedcircuits.records import TABLES, Comparison, ModelKind
from fedcircuits.training.sparsity import Masks


def compare_masks(
    server_round: int,
    client_masks: dict[int, Masks],
    global_support: Masks,
    flip_probability: float,
    generator: np.random.Generator,
) -> pa.Table:
    """Return the overlap rows of one round's weight masks, of more than `MAX_PAIR_CLIENTS` clients of a sample.

    Args:
        server_round: the round, 1-based.
        client_masks: partition id to its masks; empty if clients send none.
        global_support: non-zero weights of the new global model.
        flip_probability: with which clients flipped each bit of what they sent; 0 = masks as they are.
        generator: draws the sample.
    """
    if not client_masks:
        return TABLES["overlap"].empty_table()
    matrices, pairs = _mask_pairs(server_round, client_masks, global_support, generator)
    return estimated_table(matrices, pairs, flip_probability) if flip_probability else overlap_table(matrices, pairs)


def logged_masks(server_round: int, client_masks: dict[int, Masks]) -> list[Row]:
    """Return the rows of `masks`: every client's as they came, from which any pair can be compared later."""
    return [
        {
            "round": server_round,
            "model": str(ModelKind.CLIENT),
            "partition_id": partition_id,
            "mask": pack_bits(torch.cat([layer.flatten() for layer in mask.values()])),
        }
        for partition_id, mask in client_masks.items()
    ]


def _mask_pairs(
    server_round: int, client_masks: dict[int, Masks], global_support: Masks, generator: np.random.Generator
) -> tuple[ItemMatrices, list[Pair]]:
    """Return the masks, and which of them are compared."""
    matrices = ItemMatrices({name: mask.numel() for name, mask in global_support.items()})
    rows = []
    for mask in (*client_masks.values(), global_support):
        members = torch.cat([mask[name].flatten() for name in matrices.layer_sizes])
        rows.append(matrices.add(members.numpy(), torch.ones_like(members).numpy()))
    items = [
        Item(row, ModelKind.CLIENT, partition_id, None, server_round, None)
        for row, partition_id in zip(rows, client_masks, strict=False)
    ]
    average = Item(rows[-1], ModelKind.GLOBAL, None, None, server_round, None)
    is_sample = len(items) > MAX_PAIR_CLIENTS
    couples = (
        [(items[a], items[b]) for a, b in sampled_couples(len(items), SAMPLED_MASK_PAIRS, generator)]
        if is_sample
        else combinations(items, 2)
    )
    across: list[Pair] = [(Comparison.PARAMETER_MASK_ACROSS_CLIENTS, a, b) for a, b in couples]
    return matrices, across + [(Comparison.PARAMETER_MASK_LOCAL_VS_GLOBAL, item, average) for item in items]
