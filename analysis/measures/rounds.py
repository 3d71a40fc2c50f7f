"""The figures of the summary, a row per round."""

import pandas as pd

from analysis.measures.accuracy import global_accuracy
from analysis.measures.circuits import circuit_sizes, compared_quality, drift_gaps
from analysis.measures.overlaps import OVERLAPS, pooled_pairs
from analysis.measures.verdicts import usable_share
from fedcircuits.records import ALL_LAYERS, ModelKind
from fedcircuits.runlog.run import Run


def round_measures(run: Run) -> pd.DataFrame:
    """Return the figures of the summary, one row per round, NaN where a figure is undefined.

    Overlaps pool all layers and are means over pairs; `retest` is the mean over client models and global model.
    """
    rounds = sorted({*run.clients["round"], *run.accuracy["round"]})
    sizes = circuit_sizes(run)
    sizes = sizes[(sizes["model"] == ModelKind.CLIENT) & (sizes["layer"] == ALL_LAYERS)]
    gaps = drift_gaps(run)
    columns: dict[str, pd.Series] = {
        **client_counts(run),
        "circuit_size": by_round(sizes, "num_channels"),
        "usable_share": usable_share(compared_quality(run)),
        "sufficiency_transplant": by_round(gaps, str(ModelKind.TRANSPLANT)),
        "false_positive_rate_transplant": by_round(_transplants(run), "false_positive_rate"),
        "drift_gap": by_round(gaps, "drift_gap"),
    }
    for prefix, comparison in OVERLAPS.items():
        rows = pooled_pairs(run, comparison)
        for figure in ("iou", "expected_iou", "adjusted_iou", "common_adjusted_iou"):
            columns[f"{prefix}_{figure}"] = by_round(rows, figure)
    table = pd.DataFrame(columns).reindex(rounds).rename_axis("round")
    return global_accuracy(run).reindex(rounds).join(table)


def _transplants(run: Run) -> pd.DataFrame:
    return run.quality[run.quality["model"] == ModelKind.TRANSPLANT]


def second_half(rows: pd.DataFrame, last_round: int) -> pd.DataFrame:
    """Return the rows of the rounds after the middle of the first `last_round` rounds, with which runs are compared.

    The last round alone would be noise: accuracy under a non-IID split jumps from round to round.
    """
    return rows[(rows["round"] > last_round / 2) & (rows["round"] <= last_round)]


def client_counts(run: Run) -> "dict[str, pd.Series[int]]":
    """Return, by round, how many clients were `asked`, and of how many the reply to train was `accepted`."""
    accepted = run.clients["accepted"].fillna(False).astype(int)
    return {"accepted": accepted.groupby(run.clients["round"]).sum(), "asked": run.clients.groupby("round").size()}


def by_round(rows: pd.DataFrame, column: str) -> "pd.Series[float]":
    """Return the mean of a column in each round."""
    return rows[column].astype("Float64").astype("float64").groupby(rows["round"]).mean()
