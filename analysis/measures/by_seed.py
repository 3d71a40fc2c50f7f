"""What a comparison keeps of one run: a value for each round and measure, means over its clients, classes and pairs."""

from typing import Final

import pandas as pd

from analysis import measures
from analysis.measures.of_examinations import EXAMINED_MEASURES, examined_measures
from fedcircuits.records import ALL_LAYERS, Comparison, ModelKind
from fedcircuits.runlog.run import Run

PAIRS: Final = {
    "same_class": "same class",
    "different_class": "different classes",
    "distinct_class": "distinct classes",
    "local_vs_global": "local/global",
    "retest": "retest",
}
"""The kinds of pairs, by the prefix of their columns. Distinct classes are held by one client each, in a run in which
other classes are shared."""

OVERLAP: Final = {
    "iou": "IoU",
    "expected_iou": "chance",
    "adjusted_iou": "adjusted IoU",
    "common_adjusted_iou": "adjusted IoU (common)",
}
"""The figures of each kind of pair, by the ending of their columns; all layers pooled."""

MEASURES: Final[dict[str, str]] = {
    "accuracy": "accuracy, all classes",
    "accuracy_trained": "accuracy, trained classes",
    "num_collapsed": "collapsed classes",
    "density": "density of client models",
    "density_global": "density of the global model",
    "circuit_size": "channels, client circuits",
    "circuit_size_global": "channels, global circuits on clients' data",
    "circuit_size_server": "channels, global circuits on server's data",
    "num_channels": "channels of the model",
    "usable_share": "usable client circuits",
    "false_positive_rate": "false positives, client circuits",
    "sufficiency_client": "sufficiency, local circuit on local weights",
    "sufficiency_transplant": "sufficiency, local circuit on global weights",
    "sufficiency_global": "sufficiency, global model's own circuit",
    "false_positive_rate_transplant": "false positives, local circuit on global weights",
    "drift_gap": "drift gap",
    **{f"{pair}_{figure}": f"{kind}, {title}" for pair, kind in PAIRS.items() for figure, title in OVERLAP.items()},
    **EXAMINED_MEASURES,
}
"""Every measure of a comparison and its title."""


def seed_measures(run: Run) -> pd.DataFrame:
    """Return the measures of a run.

    Returns:
        one row per round, one float column per key of `MEASURES`; NaN where a measure is undefined.
    """
    table = measures.round_measures(run)
    distinct = distinct_pairs(run)
    collapsed = table["collapsed"].map(lambda classes: len(classes) if isinstance(classes, list) else None)
    added = pd.DataFrame(
        {
            "num_collapsed": collapsed,
            "density": measures.by_round(run.clients, "density"),
            "density_global": _global_density(run),
            **_sizes(run),
            **_functions(run),
            **{f"distinct_class_{figure}": measures.by_round(distinct, figure) for figure in OVERLAP},
            **examined_measures(run),
        }
    )
    return table.join(added).reindex(columns=list(MEASURES)).astype("float64")


def distinct_pairs(run: Run) -> pd.DataFrame:
    """Return pairs of clients with classes that nobody else holds, if the run has shared classes beside them."""
    pairs = measures.pooled_pairs(run, Comparison.DIFFERENT_CLASS_ACROSS_CLIENTS)
    if not measures.has_shared_class(run):
        return pairs.iloc[:0]
    num_holders = (measures.holdings(run) > 0).sum()
    distinct = set(num_holders.index[num_holders == 1])
    return pairs[pairs["a_class_id"].isin(distinct) & pairs["b_class_id"].isin(distinct)]


def _sizes(run: Run) -> "dict[str, pd.Series[float]]":
    sizes = measures.circuit_sizes(run)
    everywhere = sizes[sizes["layer"] == ALL_LAYERS]
    average = everywhere[everywhere["model"] == ModelKind.GLOBAL]
    return {
        "circuit_size_global": measures.by_round(average[average["partition_id"].notna()], "num_channels"),
        "circuit_size_server": measures.by_round(average[average["partition_id"].isna()], "num_channels"),
        "num_channels": measures.by_round(everywhere, "layer_width"),
    }


def _functions(run: Run) -> "dict[str, pd.Series[float]]":
    gaps = measures.drift_gaps(run)
    return {
        "sufficiency_client": measures.by_round(gaps, str(ModelKind.CLIENT)),
        "sufficiency_global": measures.by_round(gaps, str(ModelKind.GLOBAL)),
        "false_positive_rate": measures.by_round(measures.client_quality(run), "false_positive_rate"),
    }


def _global_density(run: Run) -> "pd.Series[float]":
    """Return the non-zero share of the average's weights, all layers: the density of each layer weighs its weights."""
    compared = run.overlap["comparison"] == Comparison.PARAMETER_MASK_LOCAL_VS_GLOBAL
    weights = run.overlap[compared & (run.overlap["layer"] != ALL_LAYERS)].drop_duplicates(["round", "layer"])
    layers = run.interference.merge(weights[["round", "layer", "universe"]], on=["round", "layer"])
    layers = layers.dropna(subset=["density_global", "universe"])
    kept = (layers["density_global"] * layers["universe"]).groupby(layers["round"]).sum()
    return (kept / layers.groupby("round")["universe"].sum()).astype("float64")
