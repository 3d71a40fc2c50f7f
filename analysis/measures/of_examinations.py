"""Measures of a comparison that come from examinations, which a run may not have: then they are NaN.

The ladder's gaps say where accuracy went: averaging's share lies in the readout (A2 − A0: a new readout on the
average's features) or in the body (A3 − A2: new readouts on the clients' own features), and local training without the
other classes has its own (A4 − E: central training over the clients' models kept apart, their logits averaged).
"""

import math
from typing import Final

import pandas as pd

from analysis import measures
from analysis.measures.ladder import ladder_gaps, ladder_rungs
from fedcircuits.records import ALL_LAYERS, ModelKind
from fedcircuits.runlog.run import Run

_PHI: Final = {"phi": "phi", "phi_true": "phi without noise"}

_PHI_PAIRS: Final = {
    "same_class": "same class",
    "different_class": "diff. classes",
    "local_vs_global": "local/global",
}

EXAMINED_MEASURES: Final[dict[str, str]] = {
    **{f"{pair}_{column}": f"{kind}, {title}" for pair, kind in _PHI_PAIRS.items() for column, title in _PHI.items()},
    "stability": "agreement of all circuits",
    "faithfulness": "faithfulness, client circuits",
    "cpr": "CPR, client circuits",
    "patch_gain_excess": "patching, gain over random",
    "barrier": "loss barrier between clients",
    "ladder_readout": "lost in the readout, A2 − A0",
    "ladder_body": "lost in the body, A3 − A2",
    "ladder_negatives": "lost for negatives, A4 − E",
    "validity_passed": "rounds with a valid discovery",
}
"""Every measure of this module and its title."""


def examined_measures(run: Run) -> "dict[str, pd.Series[float]]":
    """Return every measure of `EXAMINED_MEASURES` by its name, indexed by round; empty where nothing was logged."""
    stability = run.stability[run.stability["layer"] == ALL_LAYERS]
    return {
        **dict.fromkeys(EXAMINED_MEASURES, pd.Series(dtype="float64")),
        **{name: measures.by_round(rows, "value") for name, rows in examined_rows(run).items()},
        "stability": measures.by_round(stability, "stability"),
        **_ladder_gaps(run),
        "validity_passed": _validity_passed(run),
    }


def examined_rows(run: Run) -> dict[str, pd.DataFrame]:
    """Return the rows of which measures are means, by measure.

    Returns:
        tables with the round, identifiers of a circuit or of two, as the run log has them, and `value`; no table for a
        figure that the log does not know.
    """
    scrutiny = run.scrutiny[run.scrutiny["model"] == ModelKind.CLIENT]
    between = run.barriers.dropna(subset=["a_partition_id", "b_partition_id"])
    return {
        **_phi_rows(run),
        "faithfulness": scrutiny.assign(value=scrutiny["faithfulness"]),
        "cpr": scrutiny.assign(value=scrutiny["cpr"]),
        "patch_gain_excess": run.patching.assign(value=run.patching["gain"] - run.patching["random_gain"]),
        "barrier": between.assign(value=between["barrier"]),
    }


def _phi_rows(run: Run) -> dict[str, pd.DataFrame]:
    """Return pairs that were asked the same question: with phi as found, and over the mean reliability of the round."""
    tables = {}
    for pair in _PHI_PAIRS:
        rows = measures.of_one_question(run, measures.pooled_pairs(run, measures.OVERLAPS[pair]))
        corrected = [measures.true_correlations(of_round) for _, of_round in rows.groupby("round")]
        tables[f"{pair}_phi"] = rows.assign(value=rows[["phi", "phi_swapped"]].astype("float64").mean(axis=1))
        tables[f"{pair}_phi_true"] = rows.assign(value=pd.concat(corrected) if corrected else math.nan)
    return tables


def _ladder_gaps(run: Run) -> "dict[str, pd.Series[float]]":
    """Return the gaps between rungs, in accuracy over trained classes."""
    gaps = ladder_gaps(ladder_rungs(run))
    return {f"ladder_{name}": gaps[name] for name in ("readout", "body", "negatives")}


def _validity_passed(run: Run) -> "pd.Series[float]":
    """Return, for each round, the share of rounds so far in which the newest check had been passed."""
    rounds = sorted({*run.clients["round"], *run.accuracy["round"]})
    standing = measures.check_verdicts(run).astype("float64").reindex(rounds).ffill()
    return standing.expanding().mean()
