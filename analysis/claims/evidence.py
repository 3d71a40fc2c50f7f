"""What one run says about the claims: means over the second half of its rounds, one number each.

The last round alone would be noise: accuracy under a non-IID split jumps from round to round.
"""

import math
from typing import Final

import pandas as pd

from analysis import measures
from analysis.run import Run
from fedcircuits.records import Comparison, ModelKind

MIN_RELIABILITY: Final = 0.3
"""Below this retest correlation, a circuit is not measurable and its pairs are left out."""

_CIRCUIT: Final = ["round", "partition_id", "class_id"]


def second_half(rows: pd.DataFrame, last_round: int) -> pd.DataFrame:
    """Return the rows of the rounds after the middle of a run."""
    return rows[rows["round"] > last_round / 2]


def evidence(run: Run) -> dict[str, float]:
    """Return the numbers that the rules use, by name; NaN where a run does not have one.

    Returns:
        `accuracy` and `collapsed_share` over trained classes, `own_accuracy` of client models on the classes they hold,
        `sign_conflict` (mean over layers), `density` (mean of clients), `usable_share` of the clients' circuits, their
        `false_positive_rate`, `same_class` and `different_class` (see `true_correlations`, mean over pairs),
        `preserved` (balanced accuracy of local circuits on the global weights minus that on the local weights), and
        `same_class_common`, within channels that both models reach; `is_corrected`, 1 if noise was taken out.
    """
    last_round = int(run.info["last_round"])
    accuracy = second_half(measures.global_accuracy(run).reset_index(), last_round)
    trained = accuracy["round"].map({number: len(classes) for number, classes in measures.trained_classes(run).items()})
    same = true_correlations(run, Comparison.SAME_CLASS_ACROSS_CLIENTS)
    different = true_correlations(run, Comparison.DIFFERENT_CLASS_ACROSS_CLIENTS)
    quality = second_half(measures.client_quality(run), last_round)
    return {
        "accuracy": _mean(accuracy["accuracy_trained"]),
        "collapsed_share": _mean(accuracy["collapsed"].map(len) / trained),
        "own_accuracy": _mean(second_half(measures.client_accuracy(run), last_round)["accuracy"]),
        "sign_conflict": _mean(second_half(run.interference, last_round)["sign_conflict"]),
        "density": _mean(second_half(run.clients, last_round)["density"]),
        "usable_share": _mean(quality["usable"]),
        "false_positive_rate": _mean(quality["false_positive_rate"]),
        "same_class": _mean(same["phi"]),
        "same_class_common": _mean(same["common_phi"]),
        "different_class": _mean(different["phi"]),
        "preserved": _mean(_preservation(run, last_round)),
        "is_corrected": float(_reliability(run).notna().any()),
    }


def true_correlations(run: Run, comparison: Comparison) -> pd.DataFrame:
    """Return how similar pairs of usable circuits are once the noise of discovery is taken out.

    phi / sqrt(retest_a * retest_b) over all layers, the correction for attenuation (Spearman 1904). Where a run has no
    retests, phi is returned as it is.

    Returns:
        one row per pair in the second half of the run: round, class_id (of the first circuit), phi, common_phi.
    """
    rows = second_half(measures.pooled_pairs(run, comparison), int(run.info["last_round"]))
    reliability = _reliability(run)
    ceiling = pd.Series(1.0, index=rows.index)
    if len(reliability):
        ceiling = (_look_up(reliability, rows, "a") * _look_up(reliability, rows, "b")) ** 0.5
    return pd.DataFrame(
        {
            "round": rows["round"],
            "class_id": rows["a_class_id"],
            "phi": rows["phi"].astype("float64") / ceiling,
            "common_phi": rows["common_phi"].astype("float64") / ceiling,
        }
    )


def same_class_of(run: Run, classes: frozenset[int], column: str = "phi") -> float:
    """Return the mean true correlation of same-class circuits across clients, over some classes only."""
    rows = true_correlations(run, Comparison.SAME_CLASS_ACROSS_CLIENTS)
    return _mean(rows.loc[rows["class_id"].isin(classes), column])


def compared_classes(run: Run) -> frozenset[int]:
    """Return the classes of which circuits were compared across clients, usable or not."""
    rows = run.overlap[run.overlap["comparison"] == Comparison.SAME_CLASS_ACROSS_CLIENTS]
    return frozenset(int(class_id) for class_id in rows["a_class_id"].dropna().unique())


def _reliability(run: Run) -> "pd.Series[float]":
    """Return the retest correlation of each client circuit that is measurable, by round, partition and class."""
    rows = measures.pooled_pairs(run, Comparison.RETEST)
    rows = rows[rows["a_model"] == ModelKind.CLIENT]
    key = [rows["round"], rows["a_partition_id"].rename("partition_id"), rows["a_class_id"].rename("class_id")]
    phi = rows["phi"].astype("float64").groupby(key).mean()
    return phi.where(phi >= MIN_RELIABILITY)


def _look_up(reliability: "pd.Series[float]", rows: pd.DataFrame, side: str) -> "pd.Series[float]":
    key = pd.MultiIndex.from_frame(rows[["round", f"{side}_partition_id", f"{side}_class_id"]])
    return pd.Series(reliability.reindex(key).to_numpy(), index=rows.index)


def _preservation(run: Run, last_round: int) -> "pd.Series[float]":
    """Return what each local circuit's balanced accuracy gains on the global weights; negative where it loses."""
    rows = second_half(run.quality[run.quality["partition_id"].notna()], last_round)
    by_model = rows.pivot_table(index=_CIRCUIT, columns="model", values="balanced_accuracy")
    by_model = by_model.reindex(columns=[str(ModelKind.CLIENT), str(ModelKind.TRANSPLANT)])
    return by_model[ModelKind.TRANSPLANT] - by_model[ModelKind.CLIENT]


def _mean(values: "pd.Series[float]") -> float:
    known = values.astype("Float64").dropna()
    return float(known.mean()) if len(known) else math.nan
