"""Overlaps that may be shown, pair by pair or as means, and how many are left out."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import pandas as pd

from analysis.measures.circuits import compared_quality
from analysis.measures.verdicts import is_counted
from fedcircuits.records import ALL_LAYERS, Comparison, DataKind, ModelKind
from fedcircuits.runlog.run import Run

OVERLAPS: Final = {
    "same_class": Comparison.SAME_CLASS_ACROSS_CLIENTS,
    "different_class": Comparison.DIFFERENT_CLASS_ACROSS_CLIENTS,
    "local_vs_global": Comparison.LOCAL_VS_GLOBAL,
    "retest": Comparison.RETEST,
}
"""The comparisons of the summary, by the prefix of their columns."""


_MASKS: Final = (Comparison.PARAMETER_MASK_ACROSS_CLIENTS, Comparison.PARAMETER_MASK_LOCAL_VS_GLOBAL)


def pairs(run: Run, comparison: Comparison) -> pd.DataFrame:
    """Return the overlap rows of a comparison that may be shown: those of two usable circuits (see `is_counted`).

    Nor is a pair whose circuits were asked different questions, where the run has pairs that were asked the same on the
    probe set. Weight masks have neither verdict nor question and are all kept.
    """
    rows = run.overlap[run.overlap["comparison"] == comparison]
    rows = rows[_is_shown(run, rows)]
    return rows if comparison is Comparison.OTHER_NEGATIVES else like_with_like(rows)


def like_with_like(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the pairs that were asked one question, on the probe set; all of them if there are none."""
    is_alike = (rows["data"] == DataKind.SERVER) & rows["same_question"].fillna(False).astype(bool)
    return rows[is_alike] if is_alike.any() else rows


def question_note(run: Run) -> str:
    """Say that circuits of different clients were asked different questions; empty if some were asked the same."""
    across = (Comparison.SAME_CLASS_ACROSS_CLIENTS, Comparison.DIFFERENT_CLASS_ACROSS_CLIENTS)
    rows = run.overlap[run.overlap["comparison"].isin(across)]
    if rows.empty or rows["same_question"].fillna(False).any():
        return ""
    return (
        "circuits were found on each client's own images, so overlap across clients shows what these images and "
        "classes are as much as what the models are"
    )


def sample_note(run: Run) -> str:
    """Say of how many pairs of one class in two clients the log has how many; empty if it has all of them.

    Where clients are many, a sample of the pairs is compared.
    """
    rows = run.overlap[
        (run.overlap["layer"] == ALL_LAYERS) & (run.overlap["comparison"] == Comparison.SAME_CLASS_ACROSS_CLIENTS)
    ]
    newest = like_with_like(rows[rows["round"] == rows["round"].max()])
    if newest.empty:
        return ""
    circuits = compared_quality(run)
    holders = circuits[circuits["round"] == newest["round"].iloc[0]].groupby("class_id").size()
    num_pairs = int((holders * (holders - 1) // 2).sum())
    if len(newest) >= num_pairs:
        return ""
    return (
        "clients are so many that a sample of their pairs is compared: of one class in two clients "
        f"{len(newest):,} of {num_pairs:,} in round {newest['round'].iloc[0]}"
    )


def layers_of(rows: pd.DataFrame) -> list[str]:
    """Return the layers of a table from the input to the output, then all pooled."""
    layers = [str(layer) for layer in rows["layer"].unique()]
    return sorted(layers, key=lambda layer: layer == ALL_LAYERS)


def pooled_pairs(run: Run, comparison: Comparison) -> pd.DataFrame:
    """Return the rows of `pairs` that pool all layers: one per pair and round."""
    rows = pairs(run, comparison)
    return rows[rows["layer"] == ALL_LAYERS]


def of_client_models(run: Run) -> Run:
    """Return the run without the overlaps of the global model's circuits with each other."""
    return replace(run, overlap=run.overlap[run.overlap["a_model"] == ModelKind.CLIENT])


def left_out(run: Run, comparisons: Iterable[Comparison]) -> tuple[int, int]:
    """Return how many pairs of circuits are left out, since one of the two is not usable, and out of how many."""
    chosen = list(comparisons)
    rows = like_with_like(run.overlap[(run.overlap["layer"] == ALL_LAYERS) & run.overlap["comparison"].isin(chosen)])
    return int((~_is_shown(run, rows)).sum()), len(rows)


def _is_shown(run: Run, rows: pd.DataFrame) -> "pd.Series[bool]":
    return is_counted(run, rows["usable"]) | rows["comparison"].isin(_MASKS)
