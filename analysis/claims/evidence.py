"""What one run says about the claims: means over the second half of its rounds, one number each."""

import math
from dataclasses import replace
from typing import Final

import pandas as pd

from analysis import measures
from analysis.measures import second_half
from fedcircuits.records import ALL_LAYERS, Comparison, ModelKind
from fedcircuits.runlog.run import Run

_CIRCUIT: Final = ["round", "partition_id", "data", "class_id"]
_SAME: Final = Comparison.SAME_CLASS_ACROSS_CLIENTS


def evidence(run: Run, last_round: int) -> dict[str, float]:
    """Return the numbers that the rules use, by name; NaN where a run does not have one.

    Args:
        run: the run.
        last_round: the last round that counts.

    Returns:
        `accuracy` and `collapsed_share` over trained classes; `best_accuracy`, the highest of any round over all
        classes; `conflict_excess`, what sign conflict exceeds its null of shuffled signs by (mean over layers);
        `density` (mean of clients); `usable_share` of the clients' circuits, and the `false_positive_rate` of the
        usable ones; `preserved`, the balanced accuracy of usable local circuits on the global weights minus that on
        the local weights; and what `_averaging` and `_correlations` return.
    """
    accuracy = second_half(measures.global_accuracy(run).reset_index(), last_round)
    trained = accuracy["round"].map({number: len(classes) for number, classes in measures.trained_classes(run).items()})
    quality = second_half(measures.compared_quality(run), last_round)
    updates = second_half(run.interference, last_round)
    usable = measures.is_counted(run, quality["usable"])
    return {
        "accuracy": mean_of_known(accuracy["accuracy_trained"]),
        "best_accuracy": _best_accuracy(run, last_round),
        "collapsed_share": mean_of_known(accuracy["collapsed"].map(len, na_action="ignore") / trained),
        **_averaging(run, last_round),
        "conflict_excess": mean_of_known(updates["sign_conflict"] - updates["sign_conflict_null"]),
        "density": mean_of_known(second_half(run.clients, last_round)["density"]),
        "usable_share": mean_of_known(quality["usable"]),
        "false_positive_rate": mean_of_known(quality.loc[usable, "false_positive_rate"]),
        **_correlations(run, last_round),
        "preserved": mean_of_known(_preservation(run, last_round)),
    }


def correlated_pairs(run: Run, comparison: Comparison, last_round: int) -> pd.DataFrame:
    """Return the overlap rows of usable circuits that were asked the same question, all layers pooled. One row per
    pair, in the second half of the rounds.
    """
    rows = measures.of_one_question(run, measures.pooled_pairs(run, comparison))
    return second_half(rows, last_round)


def mean_of_known(values: "pd.Series[float]") -> float:
    """Return the mean of the values that there are; NaN if there are none."""
    known = values.astype("Float64").dropna()
    return float(known.mean()) if len(known) else math.nan


def _best_accuracy(run: Run, last_round: int) -> float:
    accuracy = measures.global_accuracy(run)["accuracy"]
    return float(accuracy[accuracy.index <= last_round].max())


def _averaging(run: Run, last_round: int) -> dict[str, float]:
    """Return what averaging costs the classes that clients hold, and what it leaves in layers before the readout.

    Returns:
        over clients, `own_accuracy` of their models, `own_global` of the global model, `averaging_loss` (own minus
        global), `learned` of `measures.averaging_losses`; `updates_left`, `norm_retention` and `activation_retention`
        of `measures.retention`, and `opposition`, how much less is left of updates than if they were unrelated.
    """
    losses = second_half(measures.averaging_losses(run), last_round)
    kept = second_half(measures.retention(run), last_round)
    return {
        "own_accuracy": mean_of_known(losses["own"]),
        "own_global": mean_of_known(losses["averaged"]),
        "averaging_loss": mean_of_known(losses["own"] - losses["averaged"]),
        "learned": mean_of_known(losses["learned"]),
        "updates_left": mean_of_known(kept["updates_left"]),
        "opposition": mean_of_known(kept["unrelated"] - kept["updates_left"]),
        "norm_retention": mean_of_known(kept["norm_retention"]),
        "activation_retention": mean_of_known(kept["activation_retention"]),
    }


def _correlations(run: Run, last_round: int) -> dict[str, float]:
    """Return how similar circuits are.

    Returns:
        `same_class` and `different_class`, true correlations across clients (see `measures.true_correlations`);
        `same_class_raw` with the noise of discovery in it; `left_out`, the share of same-class pairs with an unusable
        circuit; and two controls within client models: `other_negatives`, circuits found against other negatives, and
        `perturbed_copy`, circuits of a copy with some noise on its weights.
    """
    same = correlated_pairs(run, _SAME, last_round)
    return {
        "same_class": measures.true_correlation(same),
        "same_class_raw": mean_of_known(same[["phi", "phi_swapped"]].astype("float64").mean(axis=1)),
        "different_class": measures.true_correlation(
            correlated_pairs(run, Comparison.DIFFERENT_CLASS_ACROSS_CLIENTS, last_round)
        ),
        "left_out": _left_out(run, last_round),
        # These two ask one model twice: the first asks two questions by intention.
        "other_negatives": measures.true_correlation(_control(run, Comparison.OTHER_NEGATIVES, last_round)),
        "perturbed_copy": measures.true_correlation(_control(run, Comparison.PERTURBED_COPY, last_round)),
    }


def _control(run: Run, comparison: Comparison, last_round: int) -> pd.DataFrame:
    rows = run.overlap[(run.overlap["comparison"] == comparison) & (run.overlap["layer"] == ALL_LAYERS)]
    rows = rows[(rows["a_model"] == ModelKind.CLIENT) & rows["usable"].fillna(True).astype(bool)]
    return second_half(rows, last_round)


def _left_out(run: Run, last_round: int) -> float:
    half = replace(run, overlap=second_half(run.overlap, last_round))
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
