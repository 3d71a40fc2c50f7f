"""Measures pairs of circuits or weight masks, and lays them out as rows of the table `overlap` or `edge_overlap`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fedcircuits.overlap import SetPairs, adjusted_iou, membership_phi, overlap_figures, pair_sets
from fedcircuits.overlap.graded import graded_figures
from fedcircuits.overlap.noisy_pairs import estimate_pairs, estimated_figures
from fedcircuits.overlap.ratio import ratio
from fedcircuits.records import ALL_LAYERS, MIN_RELIABILITY, TABLES, Comparison, ModelKind


@dataclass(frozen=True)
class Item:
    """One circuit or one mask as a comparison sees it: where it stands in the matrices, and its identifiers."""

    row: int
    model: ModelKind
    partition_id: int | None
    class_id: int | None
    server_round: int
    usable: bool | None

    @property
    def key(self) -> tuple[ModelKind, int | None, int | None, int]:
        """Tells which circuit it is, whichever of two discoveries found it."""
        return self.model, self.partition_id, self.class_id, self.server_round


Pair = tuple[Comparison, Item, Item]


class ItemMatrices:
    """Collects circuits or masks as rows of matrices, so that all pairs are counted at once.

    Args:
        layer_sizes: layer name to its elements, which stand side by side in a row.
    """

    def __init__(self, layer_sizes: dict[str, int]) -> None:
        self.layer_sizes = layer_sizes
        self._members: list[NDArray[Any]] = []
        self._universe: list[NDArray[Any]] = []
        self._scores: list[NDArray[Any]] = []

    def __len__(self) -> int:
        return len(self._members)

    def add(self, members: NDArray[Any], universe: NDArray[Any], scores: NDArray[Any] | None = None) -> int:
        """Append an item and return its row; either every item has graded scores or none has."""
        self._members.append(members)
        self._universe.append(universe)
        if scores is not None:
            self._scores.append(scores)
        return len(self) - 1

    def count(self, pairs: Sequence[Pair], common: bool = False) -> SetPairs:
        """Count what pairs share; see `pair_sets`."""
        sizes = list(self.layer_sizes.values())
        return pair_sets(np.stack(self._members), np.stack(self._universe), sizes, *_rows(pairs), common=common)

    def graded(self, pairs: Sequence[Pair]) -> dict[str, NDArray[Any]]:
        """Return the columns of graded overlap: undefined for items without scores."""
        if not self._scores:
            undefined = np.full((len(pairs), len(self.layer_sizes) + 1), np.nan)
            return {"graded_overlap": undefined, "expected_graded_overlap": undefined}
        sizes = list(self.layer_sizes.values())
        figures = graded_figures(np.stack(self._scores), np.stack(self._universe), sizes, *_rows(pairs))
        return {"graded_overlap": figures.overlap, "expected_graded_overlap": figures.expected}


def overlap_table(
    name: str, items: ItemMatrices, pairs: Sequence[Pair], earlier_retests: Sequence[Pair] = ()
) -> pa.Table:
    """Measure the pairs and lay them out, one row per pair and layer, and one that pools the layers.

    Args:
        name: `overlap` or `edge_overlap`.
        items: what is compared.
        pairs: the rows' pairs; the retests among them say how reliable the circuits of the others are.
        earlier_retests: further retests, which have no rows: of circuits of earlier rounds.
    """
    schema = TABLES[name]
    if not pairs:
        return schema.empty_table()
    counted, in_common = items.count(pairs), items.count(pairs, common=True)
    figures = vars(overlap_figures(counted)) | items.graded(pairs)
    figures |= _corrected(figures["phi"], *_retest_phi(items, pairs, earlier_retests))
    figures |= {"common_adjusted_iou": adjusted_iou(in_common), "common_phi": membership_phi(in_common)}
    table = _identifiers(pairs, [*items.layer_sizes, ALL_LAYERS])
    for column in ("intersection", "size_a", "size_b", "universe"):
        table[column] = _with_total(getattr(counted, column)).reshape(-1)
    table["common_universe"] = _with_total(in_common.universe).reshape(-1)
    # An undefined figure is missing from every mean that is taken later.
    table |= {column: pa.array(values.reshape(-1), from_pandas=True) for column, values in figures.items()}
    undefined = pa.nulls(len(table["layer"]))
    return pa.table({column: table.get(column, undefined) for column in schema.names}, schema=schema)


def estimated_table(items: ItemMatrices, pairs: Sequence[Pair], flip_probability: float) -> pa.Table:
    """Lay out pairs of weight masks as `overlap_table` does, where clients flipped each bit with a probability.

    Counts are estimates, rounded. What would need the law of the noise as well is missing: `expected_sd`, `p_over`,
    `p_under`, `size_adjusted_iou`.
    """
    schema = TABLES["overlap"]
    if not pairs:
        return schema.empty_table()
    is_noisy_b = np.array([b.model is ModelKind.CLIENT for _, _, b in pairs])
    estimated = estimate_pairs(items.count(pairs), flip_probability, is_noisy_b)
    figures = vars(estimated_figures(estimated))
    # Every weight could be in every mask, so that the common universe is the whole one.
    figures |= {"common_adjusted_iou": figures["adjusted_iou"], "common_phi": figures["phi"]}
    counts = vars(estimated) | {"common_universe": estimated.universe}
    table = _identifiers(pairs, [*items.layer_sizes, ALL_LAYERS])
    table |= {name: np.rint(_with_total(values)).astype(np.int64).reshape(-1) for name, values in counts.items()}
    table |= {name: pa.array(values.reshape(-1), from_pandas=True) for name, values in figures.items()}
    undefined = pa.nulls(len(table["layer"]))
    return pa.table({column: table.get(column, undefined) for column in schema.names}, schema=schema)


def _identifiers(pairs: Sequence[Pair], layers: Sequence[str]) -> dict[str, Any]:
    """Return the columns that say what each row is about."""
    width = len(layers)
    table: dict[str, Any] = {
        "round": _repeat([max(a.server_round, b.server_round) for _, a, b in pairs], width),
        "comparison": _repeat([str(comparison) for comparison, _, _ in pairs], width),
        "layer": pa.array(layers).take(np.tile(np.arange(width), len(pairs))),
        "usable": _repeat([_both(a.usable, b.usable) for _, a, b in pairs], width),
    }
    for name, items in (("a", [a for _, a, _ in pairs]), ("b", [b for _, _, b in pairs])):
        table[f"{name}_model"] = _repeat([str(item.model) for item in items], width)
        table[f"{name}_partition_id"] = _repeat([item.partition_id for item in items], width)
        table[f"{name}_class_id"] = _repeat([item.class_id for item in items], width)
        table[f"{name}_round"] = _repeat([item.server_round for item in items], width)
    return table


def _retest_phi(
    items: ItemMatrices, pairs: Sequence[Pair], earlier_retests: Sequence[Pair]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the retest correlations of each pair's two circuits, `[pair, layer + 1]` each; NaN without a retest."""
    retests = [pair for pair in (*pairs, *earlier_retests) if pair[0] is Comparison.RETEST]
    unknown = np.full((1, len(items.layer_sizes) + 1), np.nan)
    phi = np.vstack([membership_phi(items.count(retests)), unknown]) if retests else unknown
    row_of = {first.key: row for row, (_, first, _) in enumerate(retests)}
    # A retest is what reliability is read from; corrected by itself it would be 1 whatever was found.
    ends = [
        (-1, -1) if comparison is Comparison.RETEST else (row_of.get(a.key, -1), row_of.get(b.key, -1))
        for comparison, a, b in pairs
    ]
    first, second = np.array(ends).T
    return phi[first], phi[second]


def _corrected(phi: NDArray[Any], first: NDArray[Any], second: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Return the columns of the correction for attenuation (Spearman 1904); nothing is clipped."""
    has_root = (first >= 0) & (second >= 0)
    reliability = np.sqrt(np.where(has_root, first * second, np.nan))
    is_measurable = (first >= MIN_RELIABILITY) & (second >= MIN_RELIABILITY)
    return {"reliability": reliability, "phi_true": ratio(phi, np.where(is_measurable, reliability, 0.0))}


def _rows(pairs: Sequence[Pair]) -> tuple[NDArray[Any], NDArray[Any]]:
    return np.array([a.row for _, a, _ in pairs]), np.array([b.row for _, _, b in pairs])


def _both(a: bool | None, b: bool | None) -> bool | None:
    """Tell whether both circuits of a pair are usable: one that is not decides, whatever the other is."""
    if a is False or b is False:
        return False
    return None if a is None or b is None else True


def _repeat(values: Sequence[Any], times: int) -> pa.Array:
    return pa.array(values).take(np.repeat(np.arange(len(values)), times))


def _with_total(counts: NDArray[Any]) -> NDArray[Any]:
    return np.column_stack([counts, counts.sum(1)])
