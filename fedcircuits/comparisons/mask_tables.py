"""What a round's log says of clients' weight masks, whether these came as they are or with noise on them."""

from dataclasses import dataclass, field

import pyarrow as pa

from fedcircuits.comparisons.client_summaries import logged_masks, summarise_masks
from fedcircuits.comparisons.masks import compare_masks, mask_pairs
from fedcircuits.comparisons.overlap_table import estimated_table
from fedcircuits.comparisons.rows import Row
from fedcircuits.overlap.randomised_response import estimated_shares
from fedcircuits.records import TABLES
from fedcircuits.training.sparsity import Masks


@dataclass(frozen=True)
class MaskTables:
    """Rows about the masks of one round, by table.

    Args:
        overlap: those of the table `overlap`.
        overlap_summary: those of `overlap_summary`; none for few clients, and none for masks with noise.
        masks: those of `masks`: the masks as they came.
        mask_shares: those of `mask_shares`; only for masks with noise.
    """

    overlap: pa.Table = field(default_factory=TABLES["overlap"].empty_table)
    overlap_summary: pa.Table = field(default_factory=TABLES["overlap_summary"].empty_table)
    masks: list[Row] = field(default_factory=list)
    mask_shares: list[Row] = field(default_factory=list)


def mask_tables(
    server_round: int, client_masks: dict[int, Masks], global_support: Masks, flip_probability: float
) -> MaskTables:
    """Compare the masks of a round with each other and with the average's support.

    Args:
        server_round: the round, 1-based.
        client_masks: partition id to its masks; empty if clients send none.
        global_support: non-zero weights of the new global model.
        flip_probability: with which clients flipped each bit of what they sent; 0 = masks as they are.
    """
    if not client_masks:
        return MaskTables()
    logged = logged_masks(server_round, client_masks)
    if flip_probability:
        overlap = estimated_table(*mask_pairs(server_round, client_masks, global_support), flip_probability)
        shares = _share_rows(server_round, client_masks, flip_probability)
        return MaskTables(overlap, masks=logged, mask_shares=shares)
    return MaskTables(
        compare_masks(server_round, client_masks, global_support), summarise_masks(server_round, client_masks), logged
    )


def _share_rows(server_round: int, client_masks: dict[int, Masks], flip_probability: float) -> list[Row]:
    """Return, layer by layer, the estimated share of clients that keep each weight."""
    rows = []
    for layer in next(iter(client_masks.values())):
        answers = [masks[layer].flatten() for masks in client_masks.values()]
        shares = estimated_shares(answers, flip_probability)
        rows.append({"round": server_round, "layer": layer, "num_clients": len(answers), "share": shares.tolist()})
    return rows
