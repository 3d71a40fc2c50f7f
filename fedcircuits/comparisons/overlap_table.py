"""Measures pairs of circuits or weight masks, and lays them out as rows of the table `overlap`.

Where circuits were found on two halves of the images, a row compares a circuit of one half with a circuit of the other:
two circuits of one half share the accidents of its images, and would look more alike than a model looks like itself.
With A1, A2 and B1, B2 the circuits of two models from either half, the correlation between the models is the mean of
phi(A1, B2) and phi(A2, B1), the reliability of each is phi(A1, A2) and phi(B1, B2), and without the noise of images
phi_true = mean / sqrt(reliability of A * reliability of B) (Spearman 1904). Two copies of one model have a phi_true
of 1 in expectation.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fedcircuits.circuits.found import Question
from fedcircuits.overlap import SetPairs, membership_phi, overlap_values, pair_sets
from fedcircuits.overlap.arithmetic import ratio, with_total
from fedcircuits.overlap.noisy_pairs import estimate_pairs, estimated_values
from fedcircuits.records import ALL_LAYERS, MIN_RELIABILITY, TABLES, Comparison, ModelKind


@dataclass(frozen=True)
class Item:
    """One circuit or one mask as a comparison sees it: where it stands in the matrices, and its identifiers.

    Args:
        row: of the circuit or mask.
        model: whose.
        partition_id: see `FoundCircuits`.
        class_id: the circuit's class; None for a mask.
        server_round: the round, 1-based.
        usable: the verdict on it; None without one.
        question: what its discovery was asked; None for a mask.
        retest_row: of the circuit that the other half of the images gave; None where there is none.
    """

    row: int
    model: ModelKind
    partition_id: int | None
    class_id: int | None
    server_round: int
    usable: bool | None
    question: Question | None = None
    retest_row: int | None = None

    @property
    def facing_row(self) -> int:
        """The row that other circuits are compared with: that of the retest, where there is one."""
        return self.row if self.retest_row is None else self.retest_row


Pair = tuple[Comparison, Item, Item]

RowPairs = tuple[NDArray[Any], NDArray[Any]]
"""Rows of the matrices: the first and the second of each pair."""


class ItemMatrices:
    """Collects circuits or masks as rows of matrices, so that all pairs are counted at once.

    Args:
        layer_sizes: layer name to its elements, which stand side by side in a row.
    """

    def __init__(self, layer_sizes: dict[str, int]) -> None:
        self.layer_sizes = layer_sizes
        self._members: list[NDArray[Any]] = []
        self._universe: list[NDArray[Any]] = []

    def __len__(self) -> int:
        return len(self._members)

    def add(self, members: NDArray[Any], universe: NDArray[Any]) -> int:
        """Append an item and return its row."""
        self._members.append(members)
        self._universe.append(universe)
        return len(self) - 1

    def count(self, rows: RowPairs, common: bool = False) -> SetPairs:
        """Count what pairs of rows share; see `pair_sets`."""
        sizes = list(self.layer_sizes.values())
        return pair_sets(np.stack(self._members), np.stack(self._universe), sizes, *rows, common=common)


def overlap_table(items: ItemMatrices, pairs: Sequence[Pair]) -> pa.Table:
    """Measure the pairs and lay them out, one row per pair and layer, and one that pools the layers.

    Args:
        items: what is compared.
        pairs: the rows' pairs; a retest is a pair of an item with itself.
    """
    schema = TABLES["overlap"]
    if not pairs:
        return schema.empty_table()
    facing = _rows((a.row, b.facing_row) for _, a, b in pairs)
    counted, in_common = items.count(facing), items.count(facing, common=True)
    measured, common = vars(overlap_values(counted)), overlap_values(in_common)
    measured |= _without_noise(items, pairs, measured["phi"])
    measured |= {"common_adjusted_iou": common.adjusted_iou, "common_phi": common.phi}
    table = _identifiers(pairs, [*items.layer_sizes, ALL_LAYERS])
    for column in ("intersection", "size_a", "size_b", "universe"):
        table[column] = with_total(getattr(counted, column)).reshape(-1)
    table["common_universe"] = with_total(in_common.universe).reshape(-1)
    # An undefined value is missing from every mean that is taken later.
    table |= {column: pa.array(values.reshape(-1), from_pandas=True) for column, values in measured.items()}
    undefined = pa.nulls(len(table["layer"]))
    return pa.table({column: table.get(column, undefined) for column in schema.names}, schema=schema)


def estimated_table(items: ItemMatrices, pairs: Sequence[Pair], flip_probability: float) -> pa.Table:
    """Lay out pairs of weight masks as `overlap_table` does, where clients flipped each bit with a probability.

    Counts are estimates, rounded.
    """
    schema = TABLES["overlap"]
    if not pairs:
        return schema.empty_table()
    is_noisy_b = np.array([b.model is ModelKind.CLIENT for _, _, b in pairs])
    rows = _rows((a.row, b.row) for _, a, b in pairs)
    estimated = estimate_pairs(items.count(rows), flip_probability, is_noisy_b)
    measured = vars(estimated_values(estimated))
    # Every weight could be in every mask, so that the common universe is the whole one.
    measured |= {"common_adjusted_iou": measured["adjusted_iou"], "common_phi": measured["phi"]}
    counts = vars(estimated) | {"common_universe": estimated.universe}
    table = _identifiers(pairs, [*items.layer_sizes, ALL_LAYERS])
    table |= {name: np.rint(with_total(values)).astype(np.int64).reshape(-1) for name, values in counts.items()}
    table |= {name: pa.array(values.reshape(-1), from_pandas=True) for name, values in measured.items()}
    undefined = pa.nulls(len(table["layer"]))
    return pa.table({column: table.get(column, undefined) for column in schema.names}, schema=schema)


def _identifiers(pairs: Sequence[Pair], layers: Sequence[str]) -> dict[str, Any]:
    """Return the columns that say what each row is about."""
    width = len(layers)
    table: dict[str, Any] = {
        "round": _repeat([max(a.server_round, b.server_round) for _, a, b in pairs], width),
        "comparison": _repeat([str(comparison) for comparison, _, _ in pairs], width),
        "layer": pa.array(layers).take(np.tile(np.arange(width), len(pairs))),
        "data": _repeat([_common_data(a, b) for _, a, b in pairs], width),
        "same_question": _repeat([_is_same_question(a, b) for _, a, b in pairs], width),
        "usable": _repeat([_both(a.usable, b.usable) for _, a, b in pairs], width),
    }
    for name, items in (("a", [a for _, a, _ in pairs]), ("b", [b for _, _, b in pairs])):
        table[f"{name}_model"] = _repeat([str(item.model) for item in items], width)
        table[f"{name}_partition_id"] = _repeat([item.partition_id for item in items], width)
        table[f"{name}_class_id"] = _repeat([item.class_id for item in items], width)
        table[f"{name}_round"] = _repeat([item.server_round for item in items], width)
    return table


def _without_noise(items: ItemMatrices, pairs: Sequence[Pair], phi: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Return the columns in which the noise of images is taken out; nothing is clipped.

    A retest is what reliability is read from; corrected by itself it would be 1 whatever was found.
    """
    is_retested = np.array([a.retest_row is not None and b.retest_row is not None for _, a, b in pairs])[:, None]
    is_corrected = is_retested & np.array([comparison is not Comparison.RETEST for comparison, _, _ in pairs])[:, None]
    swapped = membership_phi(items.count(_rows((a.facing_row, b.row) for _, a, b in pairs)))
    first, second = _retest_phi(items, [a for _, a, _ in pairs]), _retest_phi(items, [b for _, _, b in pairs])
    has_root = is_corrected & (first >= 0) & (second >= 0)
    reliability = np.sqrt(np.where(has_root, first * second, np.nan))
    is_measurable = (first >= MIN_RELIABILITY) & (second >= MIN_RELIABILITY)
    return {
        "phi_swapped": np.where(is_retested, swapped, np.nan),
        "reliability": reliability,
        "phi_true": ratio((phi + swapped) / 2, np.where(is_measurable, reliability, 0.0)),
    }


def _retest_phi(items: ItemMatrices, ends: Sequence[Item]) -> NDArray[Any]:
    """Return the correlation of each item with its retest, `[item, layer + 1]`; an item is counted once."""
    distinct, place = np.unique([(end.row, end.facing_row) for end in ends], axis=0, return_inverse=True)
    phi: NDArray[Any] = membership_phi(items.count((distinct[:, 0], distinct[:, 1])))[place]
    return phi


def _rows(rows: Iterable[tuple[int, int]]) -> RowPairs:
    first, second = np.array(list(rows)).T
    return first, second


def _is_same_question(a: Item, b: Item) -> bool | None:
    """Tell whether two circuits were asked the same question; None of masks, which nobody asked."""
    return None if a.question is None or b.question is None else a.question == b.question


def _common_data(a: Item, b: Item) -> str | None:
    """Return whose images both circuits were found on; None if that differs, and of masks."""
    kinds = {None if end.question is None else str(end.question.data) for end in (a, b)}
    return kinds.pop() if len(kinds) == 1 else None


def _both(a: bool | None, b: bool | None) -> bool | None:
    """Tell whether both circuits of a pair are usable: one that is not decides, whatever the other is."""
    if a is False or b is False:
        return False
    return None if a is None or b is None else True


def _repeat(values: Sequence[Any], times: int) -> pa.Array:
    return pa.array(values).take(np.repeat(np.arange(len(values)), times))
