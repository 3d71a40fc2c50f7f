"""The tables behind a page's plots: what `measures` says of a run, down to the single client, pair and class.

Figures by layer are columns, named by figure and layer (`iou:conv1`), so that keys are written once for all layers.
"""

from collections.abc import Sequence
from typing import Any, Final

import pandas as pd

from analysis import measures
from analysis.report.embedding import encode_table
from analysis.report.thinning import Thinned, grouped_means, rounds_within, thin
from fedcircuits.records import REASON_WORDS, Comparison
from fedcircuits.runlog.run import Run

FIGURES: Final = ("iou", "expected_iou", "adjusted_iou", "phi")

_PAIR_KEYS: Final = ["round", "comparison", "model", "a", "b", "class_id"]
_CIRCUIT_KEYS: Final = ["round", "model", "partition_id", "class_id"]
_QUALITY: Final = ["sufficiency", "necessity", "false_positive_rate", "balanced_accuracy", "usable"]
_INTERFERENCE: Final = ["cancellation", "sign_conflict", "sign_conflict_null", "norm_retention", "activation_retention"]
_CLIENT_FIGURES: Final = ["num_examples", "train_loss", "density", "train_seconds", "discovery_seconds"]

_PAIRWISE: Final = (
    Comparison.SAME_CLASS_ACROSS_CLIENTS,
    Comparison.LOCAL_VS_GLOBAL,
    Comparison.RETEST,
    Comparison.ROUND_TO_ROUND,
    Comparison.PARAMETER_MASK_ACROSS_CLIENTS,
)


def plot_tables(run: Run, budget: int) -> tuple[dict[str, Any], list[int]]:
    """Return everything that is plotted over rounds or between clients.

    Args:
        run: the run.
        budget: bytes that rows about single clients, pairs and circuits may take; means of every round come on top.

    Returns:
        encoded tables by name, those of single rows as a list of rows and means; and the rounds kept in full.
    """
    single = {
        "overlap": (_pairs(run), ["a", "b"], _PAIR_KEYS),
        "quality": (_quality(run), ["partition_id", "reason"], [*_CIRCUIT_KEYS, "reason"]),
        "sizes": (_sizes(run), ["partition_id"], _CIRCUIT_KEYS),
        "recall": (_recall(run), ["partition_id"], _CIRCUIT_KEYS),
    }
    sizes = pd.concat([_bytes_by_round(frame) for frame, _, _ in single.values()]).groupby(level=0).sum()
    kept = rounds_within(budget, {int(str(server_round)): int(size) for server_round, size in sizes.items()})
    thinned = {name: thin(frame, kept, over, keys) for name, (frame, over, keys) in single.items()}
    thinned["overlap"] = _with_different_classes(run, thinned["overlap"])
    return {
        **{name: [encode_table(part.rows), encode_table(part.means)] for name, part in thinned.items()},
        "interference": encode_table(_by_round_and_layer(run.interference, _INTERFERENCE)),
        "stability": encode_table(_stability(run)),
        "clients": encode_table(_clients(run)),
        "clientAccuracy": encode_table(measures.client_accuracy(run)),
    }, kept


def _bytes_by_round(frame: pd.DataFrame) -> "pd.Series[int]":
    """Estimate what each round takes as base64: four bytes a float, one a code."""
    row = sum(4 if pd.api.types.is_float_dtype(dtype) else 1 for dtype in frame.dtypes)
    return frame.groupby("round").size() * row * 4 // 3


def _pairs(run: Run) -> pd.DataFrame:
    """Return usable pairs that are compared one by one, layers as columns."""
    return pd.concat([_by_pair(measures.pairs(run, comparison)) for comparison in _PAIRWISE], ignore_index=True)


def _by_pair(rows: pd.DataFrame) -> pd.DataFrame:
    named = rows.rename(columns={"a_model": "model", "a_partition_id": "a", "b_partition_id": "b"})
    named = named.assign(class_id=named["a_class_id"].where(named["a_class_id"] == named["b_class_id"]))
    return _layers_as_columns(named, _PAIR_KEYS, FIGURES)


def _with_different_classes(run: Run, thinned: Thinned) -> Thinned:
    """Add the comparison of different classes: as means over all class pairs of two clients, for they are many."""
    rows = measures.pairs(run, Comparison.DIFFERENT_CLASS_ACROSS_CLIENTS)
    keys = ["round", "comparison", "model", "a_partition_id", "b_partition_id", "a_class_id", "b_class_id"]
    wide = _layers_as_columns(rows.rename(columns={"a_model": "model"}), keys, FIGURES)
    means = grouped_means(wide, ["a_class_id", "b_class_id"], keys)
    means = means.rename(columns={"a_partition_id": "a", "b_partition_id": "b"})
    return Thinned(thinned.rows, pd.concat([thinned.means, means], ignore_index=True))


def _layers_as_columns(rows: pd.DataFrame, keys: list[str], figures: Sequence[str]) -> pd.DataFrame:
    known = rows.astype(dict.fromkeys(figures, "float64"))
    # A pivot drops rows whose keys are missing, as the server's partition is; a number of the group does instead.
    number = known.groupby(keys, dropna=False, sort=False).ngroup()
    wide = known.assign(number=number).pivot(index="number", columns="layer", values=list(figures))
    wide.columns = pd.Index([f"{name[0]}:{name[1]}" for name in wide.columns])
    subjects = known.assign(number=number).drop_duplicates("number").set_index("number")[keys]
    return subjects.join(wide).reset_index(drop=True)


def _by_round_and_layer(rows: pd.DataFrame, figures: list[str]) -> pd.DataFrame:
    return rows[["round", "layer", *figures]].astype(dict.fromkeys(figures, "float64"))


def _quality(run: Run) -> pd.DataFrame:
    rows = measures.on_common_images(run).quality[[*_CIRCUIT_KEYS, "reason", *_QUALITY]]
    words = rows["reason"].map(REASON_WORDS, na_action="ignore")
    return rows.astype(dict.fromkeys(_QUALITY, "float64")).assign(reason=words.astype("object"))


def _sizes(run: Run) -> pd.DataFrame:
    return _layers_as_columns(measures.circuit_sizes(run), _CIRCUIT_KEYS, ("num_channels",))


def _recall(run: Run) -> pd.DataFrame:
    figures = ["recall", "false_positive_rate"]
    return run.accuracy[[*_CIRCUIT_KEYS, *figures]].astype(dict.fromkeys(figures, "float64"))


def _clients(run: Run) -> pd.DataFrame:
    rows = run.clients[["round", "partition_id", "accepted", "reason", *_CLIENT_FIGURES]]
    return rows.astype(dict.fromkeys(_CLIENT_FIGURES, "float64"))


def _stability(run: Run) -> pd.DataFrame:
    figures = ["stability", "low", "high"]
    return run.stability[["round", "class_id", "layer", *figures]].astype(dict.fromkeys(figures, "float64"))
