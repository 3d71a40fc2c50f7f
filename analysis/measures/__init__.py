"""The figures that summary and charts share, computed from a run's tables. Nothing is drawn or printed here."""

from analysis.measures.absences import why_no_pairs, why_unusable
from analysis.measures.accuracy import client_accuracy, global_accuracy, global_recall
from analysis.measures.averaging import averaging_losses, retention
from analysis.measures.checks import check_verdicts, failed_checks
from analysis.measures.circuits import circuit_sizes, client_quality, drift_gaps, usable_share
from analysis.measures.correlations import of_one_question, true_correlation, true_correlations
from analysis.measures.holdings import found_classes, has_shared_class, holdings, trained_classes
from analysis.measures.overlaps import (
    OVERLAPS,
    layers_of,
    left_out,
    mean_rows,
    of_client_models,
    pairs,
    pooled_means,
    pooled_pairs,
    summarised,
)
from analysis.measures.rounds import by_round, client_counts, round_measures, second_half

__all__ = [
    "OVERLAPS",
    "averaging_losses",
    "by_round",
    "check_verdicts",
    "circuit_sizes",
    "client_accuracy",
    "client_counts",
    "client_quality",
    "drift_gaps",
    "failed_checks",
    "found_classes",
    "global_accuracy",
    "global_recall",
    "has_shared_class",
    "holdings",
    "layers_of",
    "left_out",
    "mean_rows",
    "of_client_models",
    "of_one_question",
    "pairs",
    "pooled_means",
    "pooled_pairs",
    "retention",
    "round_measures",
    "second_half",
    "summarised",
    "trained_classes",
    "true_correlation",
    "true_correlations",
    "usable_share",
    "why_no_pairs",
    "why_unusable",
]
