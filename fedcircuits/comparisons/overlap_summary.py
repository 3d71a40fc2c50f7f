"""Overlap across many clients as rows of `overlap_summary` and `edge_overlap_summary`, in place of pairs."""

import math
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fedcircuits.overlap import overlap_figures, pair_sets
from fedcircuits.overlap.client_sets import ClientSets, num_pairs
from fedcircuits.overlap.distribution import Distributions
from fedcircuits.overlap.summaries import FIGURES, summarise_clients
from fedcircuits.records import ALL_LAYERS, TABLES, Comparison

_COMMON_FIGURES = {"common_adjusted_iou": "adjusted_iou", "common_phi": "phi"}
"""Columns of the table, by the figure that they are within the common universe."""

_Rows = list[dict[str, Any]]


def across_clients_rows(
    server_round: int, layer_names: Sequence[str], groups: Iterable[tuple[ClientSets, NDArray[Any]]]
) -> _Rows:
    """Summarise the overlap of every two clients' circuits.

    Args:
        server_round: the round, 1-based.
        layer_names: layers of the sets, in order.
        groups: sets to compare among each other, those that are present being the usable ones; with `[class, client]`,
            whether there is a set at all.
    """
    union, common = _no_pairs(len(layer_names)), _no_pairs(len(layer_names))
    num_left_out = [0, 0]
    for sets, found in groups:
        shown = num_pairs(sets.present)
        num_left_out = [
            out + total - kept for out, total, kept in zip(num_left_out, num_pairs(found), shown, strict=True)
        ]
        for collected, is_common in ((union, False), (common, True)):
            for summary, part in zip(collected, summarise_clients(sets, is_common), strict=True):
                summary.include(part)
    comparisons = (Comparison.SAME_CLASS_ACROSS_CLIENTS, Comparison.DIFFERENT_CLASS_ACROSS_CLIENTS)
    return [
        row
        for which, comparison in enumerate(comparisons)
        for row in _rows(server_round, comparison, layer_names, union[which], common[which], num_left_out[which])
    ]


def within_client_rows(
    server_round: int,
    layer_names: Sequence[str],
    layer_sizes: Sequence[int],
    clients: Iterable[tuple[NDArray[Any], NDArray[Any], Sequence[bool | None]]],
) -> _Rows:
    """Summarise the overlap of circuits of two classes in one client.

    Args:
        server_round: the round, 1-based.
        layer_names: layers that circuits are made of.
        layer_sizes: their channels.
        clients: of each client `[circuit, channel]` members, `[channel]` universe and the verdict on each circuit.
    """
    summary, num_left_out = _no_pairs(len(layer_names))[0], 0
    kept: list[NDArray[Any]] = []
    allowed: list[NDArray[Any]] = []
    pairs: list[tuple[int, int]] = []
    for members, universe, usable in clients:
        shown = [row for row, verdict in enumerate(usable) if verdict]
        num_left_out += math.comb(len(usable), 2) - math.comb(len(shown), 2)
        pairs += list(combinations(range(len(kept), len(kept) + len(shown)), 2))
        kept += [members[row] for row in shown]
        allowed += [universe] * len(shown)
    if pairs:
        counted = pair_sets(np.stack(kept), np.stack(allowed), layer_sizes, *np.array(pairs).T)
        figures = vars(overlap_figures(counted))
        summary.add(np.stack([figures[name].T for name in FIGURES], axis=1).reshape(-1, len(pairs)))
    # In one model the union of both universes is their intersection.
    return _rows(server_round, Comparison.DIFFERENT_CLASS_WITHIN_CLIENT, layer_names, summary, summary, num_left_out)


def mask_rows(server_round: int, layer_names: Sequence[str], sets: ClientSets) -> _Rows:
    """Summarise the overlap of every two clients' weight masks: sets of one class, within one universe."""
    summary, _ = summarise_clients(sets)
    return _rows(server_round, Comparison.PARAMETER_MASK_ACROSS_CLIENTS, layer_names, summary, summary, 0)


def summary_table(name: str, rows: _Rows) -> pa.Table:
    """Return rows as a table of the log; figures that are undefined for all pairs are missing."""
    return pa.Table.from_pylist(rows, TABLES[name])


def _no_pairs(num_layers: int) -> tuple[Distributions, Distributions]:
    num_figures = len(FIGURES) * (num_layers + 1)
    return Distributions(num_figures), Distributions(num_figures)


def _rows(
    server_round: int,
    comparison: Comparison,
    layer_names: Sequence[str],
    union: Distributions,
    common: Distributions,
    num_left_out: int,
) -> _Rows:
    """Return a row per layer and figure, and those that pool the layers; none if there is no pair at all."""
    if not union.num_values.any() and not num_left_out:
        return []
    columns = {name: (union, name) for name in FIGURES} | {name: (common, own) for name, own in _COMMON_FIGURES.items()}
    described = {id(summary): _described(summary) for summary in (union, common)}
    return [
        {
            "round": server_round,
            "comparison": str(comparison),
            "layer": layer,
            "figure": name,
            "num_left_out": num_left_out,
            **described[id(summary)][len(FIGURES) * position + FIGURES.index(figure)],
        }
        for position, layer in enumerate([*layer_names, ALL_LAYERS])
        for name, (summary, figure) in columns.items()
    ]


def _described(summary: Distributions) -> list[dict[str, Any]]:
    """Return the columns of every figure."""
    columns = np.column_stack([summary.mean, summary.sd, summary.quantiles()])
    names = ("mean", "sd", "q05", "q25", "q50", "q75", "q95")
    return [
        {"num_pairs": int(num), **{name: None if np.isnan(v) else float(v) for name, v in zip(names, row, strict=True)}}
        for num, row in zip(summary.num_values, columns, strict=True)
    ]
