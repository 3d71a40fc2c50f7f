"""What one run says about the claims: means over the second half of its rounds, one number each.

The last round alone would be noise: accuracy under a non-IID split jumps from round to round.
"""

import math
from collections.abc import Collection
from dataclasses import replace
from typing import Final

import pandas as pd

from analysis import measures
from analysis.run import Run
from fedcircuits.records import Comparison, ModelKind

_CIRCUIT: Final = ["round", "partition_id", "class_id"]
_SAME: Final = Comparison.SAME_CLASS_ACROSS_CLIENTS


def second_half(rows: pd.DataFrame, last_round: int) -> pd.DataFrame:
    """Return the rows of the rounds after the middle of the first `last_round` rounds."""
    return rows[(rows["round"] > last_round / 2) & (rows["round"] <= last_round)]


def evidence(run: Run, last_round: int) -> dict[str, float]:
    """Return the numbers that the rules use, by name; NaN where a run does not have one.

    Args:
        run: the run.
        last_round: the last round that counts.

    Returns:
        `accuracy` and `collapsed_share` over trained classes; `own_accuracy` of client models on the classes they hold;
        `sign_conflict` (mean over layers), and `conflict_excess`, what it exceeds its null of shuffled signs by;
        `density` (mean of clients); `usable_share` of the clients' circuits, and the `false_positive_rate` of the
        usable ones; `same_class` and `different_class`, true correlations across clients (see `correlations`),
        `same_class_raw` with the noise of discovery in it, and `left_out`, the share of same-class pairs with an
        unusable circuit; `preserved`, the balanced accuracy of usable local circuits on the global weights minus that
        on the local weights.
    """
    accuracy = second_half(measures.global_accuracy(run).reset_index(), last_round)
    trained = accuracy["round"].map({number: len(classes) for number, classes in measures.trained_classes(run).items()})
    same = correlations(run, _SAME, last_round)
    different = correlations(run, Comparison.DIFFERENT_CLASS_ACROSS_CLIENTS, last_round)
    quality = second_half(measures.compared_quality(run), last_round)
    updates = second_half(run.interference, last_round)
    usable = measures.is_counted(run, quality["usable"])
    return {
        "accuracy": mean_of_known(accuracy["accuracy_trained"]),
        "collapsed_share": mean_of_known(accuracy["collapsed"].map(len, na_action="ignore") / trained),
        "own_accuracy": mean_of_known(second_half(measures.client_accuracy(run), last_round)["accuracy"]),
        "sign_conflict": mean_of_known(updates["sign_conflict"]),
        "conflict_excess": mean_of_known(updates["sign_conflict"] - updates["sign_conflict_null"]),
        "density": mean_of_known(second_half(run.clients, last_round)["density"]),
        "usable_share": mean_of_known(quality["usable"]),
        "false_positive_rate": mean_of_known(quality.loc[usable, "false_positive_rate"]),
        "same_class": mean_of_known(same["true_phi"]),
        "same_class_raw": mean_of_known(same["phi"]),
        "different_class": mean_of_known(different["true_phi"]),
        "left_out": _left_out(run, last_round),
        "preserved": mean_of_known(_preservation(run, last_round)),
    }


def correlations(run: Run, comparison: Comparison, last_round: int) -> pd.DataFrame:
    """Return how similar pairs of usable circuits are, as found and with the noise of discovery taken out.

    The noise is taken out as the log does it, over all layers: `phi_true`.

    Returns:
        one row per pair in the second half of the rounds, or per round in which pairs were summarised: round, class_id
        (of the first circuit), phi, true_phi, and true_common_phi, within the channels that both models reach. The last
        two are NaN for a summary, and for a pair of which a circuit has no retest, or one that hardly finds it again.
    """
    rows = second_half(measures.pooled_means(run, comparison), last_round)
    phi, true_phi = rows["phi"].astype("float64"), rows["phi_true"].astype("float64")
    is_measurable = true_phi.notna()
    return pd.DataFrame(
        {
            "round": rows["round"],
            "class_id": rows["a_class_id"],
            "phi": phi,
            "true_phi": true_phi,
            "true_common_phi": (rows["common_phi"] / rows["reliability"]).astype("float64").where(is_measurable),
        }
    )


def evidence_on(run: Run, last_round: int, shared: Collection[int], trained: Collection[int]) -> dict[str, float]:
    """Return numbers over some classes only, so that splits with different classes can be compared.

    Args:
        run: the run.
        last_round: the last round that counts.
        shared: classes for `shared_class` and `shared_class_common`, true correlations of same-class circuits.
        trained: classes for `common_accuracy`, of the global model.
    """
    pairs = correlations(run, _SAME, last_round)
    pairs = pairs[pairs["class_id"].isin(shared)]
    rows = second_half(run.accuracy[run.accuracy["model"] == ModelKind.GLOBAL], last_round)
    rows = rows[rows["class_id"].isin(trained)].dropna(subset=["recall"])
    hits = (rows["recall"] * rows["num_examples"]).astype("float64").groupby(rows["round"]).sum()
    return {
        "shared_class": mean_of_known(pairs["true_phi"]),
        "shared_class_common": mean_of_known(pairs["true_common_phi"]),
        "common_accuracy": mean_of_known(hits / rows.groupby("round")["num_examples"].sum()),
    }


def compared_classes(run: Run) -> frozenset[int]:
    """Return the classes of which circuits were compared across clients, usable or not."""
    rows = run.overlap[run.overlap["comparison"] == _SAME]
    return frozenset(int(class_id) for class_id in rows["a_class_id"].dropna().unique())


def _left_out(run: Run, last_round: int) -> float:
    half = replace(
        run,
        overlap=second_half(run.overlap, last_round),
        overlap_summary=second_half(run.overlap_summary, last_round),
    )
    excluded, total = measures.left_out(half, [_SAME])
    return excluded / total if total else math.nan


def _preservation(run: Run, last_round: int) -> "pd.Series[float]":
    """Return what each usable local circuit gains in balanced accuracy on the global weights; negative: it loses."""
    quality = measures.on_own_images(run).quality
    rows = second_half(quality[quality["partition_id"].notna()], last_round)
    by_model = rows.pivot_table(index=_CIRCUIT, columns="model", values="balanced_accuracy")
    by_model = by_model.reindex(columns=[str(ModelKind.CLIENT), str(ModelKind.TRANSPLANT)])
    local = rows[rows["model"] == ModelKind.CLIENT].set_index(_CIRCUIT)["usable"]
    local = measures.is_counted(run, local)
    gain = by_model[ModelKind.TRANSPLANT] - by_model[ModelKind.CLIENT]
    return gain[gain.index.isin(local.index[local])]


def mean_of_known(values: "pd.Series[float]") -> float:
    """Return the mean of the values that there are; NaN if there are none."""
    known = values.astype("Float64").dropna()
    return float(known.mean()) if len(known) else math.nan
