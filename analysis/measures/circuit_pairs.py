"""Overlap of circuits that the overlap table does not compare, from the channels that the run log holds.

The figures are the core's own (`fedcircuits.overlap`), with the same universe: channels reachable in either model.
"""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from analysis import measures
from fedcircuits.overlap import overlap_values, pair_sets
from fedcircuits.records import ALL_LAYERS, Comparison, ModelKind
from fedcircuits.runlog.run import Run

_COLUMNS = ["round", "a_partition_id", "a_class_id", "b_partition_id", "b_class_id", "layer", "iou", "expected_iou"]


def circuits_of(run: Run, model: ModelKind) -> pd.DataFrame:
    """Return the rows of the last circuits of a kind of model whose channels were logged, with their verdicts.

    Returns:
        rows of the circuits table of one round, `usable` and `reason`.
    """
    circuits = measures.on_common_images(run).circuits
    rows = circuits[(circuits["model"] == model) & circuits["channels"].notna()]
    return with_verdicts(run, rows[rows["round"] == rows["round"].max()])


def with_verdicts(run: Run, circuits: pd.DataFrame) -> pd.DataFrame:
    """Add the columns `usable`, whether a circuit counts (see `is_counted`), and `reason` to rows of circuits."""
    key = ["round", "model", "partition_id", "data", "class_id"]
    rows = circuits.merge(run.quality[[*key, "usable", "reason"]], on=key, how="left")
    return rows.assign(usable=measures.is_counted(run, rows["usable"]))


def compare(circuits: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Compare every two of the circuits.

    Args:
        circuits: each circuit's rows of the circuits table, one per layer, from the input to the output.

    Returns:
        columns round, a_… and b_… identifiers, layer (`all` = pooled), iou and expected_iou; NaN where undefined.
    """
    if len(circuits) < 2:
        return pd.DataFrame(columns=_COLUMNS)
    layers = list(circuits[0]["layer"])
    first, second = np.array(list(combinations(range(len(circuits)), 2))).T
    figures = overlap_values(pair_sets(*circuit_sets(circuits), first, second))
    table = pd.DataFrame({"layer": [*layers, ALL_LAYERS] * len(first)})
    for column in ("round", "partition_id", "class_id"):
        values = [rows[column].iloc[0] for rows in circuits]
        for end, chosen in (("a", first), ("b", second)):
            name = column if column == "round" else f"{end}_{column}"
            table[name] = pd.array([values[i] for i in chosen for _ in range(len(layers) + 1)], dtype="Int64")
    return table.assign(iou=figures.iou.reshape(-1), expected_iou=figures.expected_iou.reshape(-1))[_COLUMNS]


def circuit_sets(circuits: Sequence[pd.DataFrame]) -> tuple[NDArray[np.bool_], NDArray[np.bool_], list[int]]:
    """Return members and reachable channels, `[circuit, channel]` each, and the widths of their layers.

    Args:
        circuits: as `compare`; one or more.
    """
    widths = [int(width) for width in circuits[0]["layer_width"]]
    members = np.stack([_flags(rows["channels"], widths) for rows in circuits])
    reachable = np.stack([_flags(rows["reachable"], widths) for rows in circuits])
    return members, reachable, widths


def global_class_pairs(run: Run) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compare the classes of the global model, on the server's data or, if it has none, on each client's.

    Returns:
        the last circuits, as `circuits_of`; pairs of usable ones that were found on the same data, as `compare`, and
        where a discovery was repeated, a pair of a class with itself.
    """
    circuits = circuits_of(run, ModelKind.GLOBAL)
    is_server = circuits["partition_id"].isna()
    if is_server.any():
        circuits = circuits[is_server]
    usable = circuits[circuits["usable"]]
    on_same_data = [
        compare([rows for _, rows in found.groupby("class_id")])
        for _, found in usable.groupby("partition_id", dropna=False)
    ]
    retests = measures.pairs(run, Comparison.RETEST)
    retests = retests[(retests["a_model"] == ModelKind.GLOBAL) & retests["round"].isin(circuits["round"])]
    retests = retests[retests["a_partition_id"].isna() == bool(is_server.any())]
    return circuits, pd.concat([*on_same_data, retests[_COLUMNS]], ignore_index=True)


def _flags(positions: "pd.Series[Any]", widths: Sequence[int]) -> NDArray[np.bool_]:
    """Return membership as one row, layers side by side; channels that were not logged count as members."""
    flags = []
    for chosen, width in zip(positions, widths, strict=True):
        layer = np.ones(width, dtype=np.bool_)
        if chosen is not None:
            layer = np.isin(np.arange(width), chosen)
        flags.append(layer)
    return np.concatenate(flags)
