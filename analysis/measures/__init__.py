"""The figures that summary and charts share, computed from a run's tables. Nothing is drawn or printed here."""

from analysis.measures.absences import why_no_pairs, why_unusable
from analysis.measures.accuracy import client_accuracy, global_accuracy, global_false_positives, global_recall
from analysis.measures.averaging import averaging_losses, retention
from analysis.measures.checks import check_failure, check_verdicts, failed_checks
from analysis.measures.circuits import circuit_sizes, client_quality, compared_quality, drift_gaps
from analysis.measures.controls import IDENTIFIABLE, identifiability_note, last_control
from analysis.measures.correlations import of_one_question, true_correlation, true_correlations
from analysis.measures.holdings import found_classes, has_shared_class, holdings, trained_classes
from analysis.measures.image_kinds import on_common_images, on_own_images
from analysis.measures.overlaps import (
    OVERLAPS,
    layers_of,
    left_out,
    like_with_like,
    of_client_models,
    pairs,
    pooled_pairs,
    question_note,
    sample_note,
)
from analysis.measures.rounds import by_round, client_counts, round_measures, second_half
from analysis.measures.verdicts import is_counted, is_unknown, reasons_in_words, usable_share

__all__ = [
    "IDENTIFIABLE",
    "OVERLAPS",
    "averaging_losses",
    "by_round",
    "check_failure",
    "check_verdicts",
    "circuit_sizes",
    "client_accuracy",
    "client_counts",
    "client_quality",
    "compared_quality",
    "drift_gaps",
    "failed_checks",
    "found_classes",
    "global_accuracy",
    "global_false_positives",
    "global_recall",
    "has_shared_class",
    "holdings",
    "identifiability_note",
    "is_counted",
    "is_unknown",
    "last_control",
    "layers_of",
    "left_out",
    "like_with_like",
    "of_client_models",
    "of_one_question",
    "on_common_images",
    "on_own_images",
    "pairs",
    "pooled_pairs",
    "question_note",
    "reasons_in_words",
    "retention",
    "round_measures",
    "sample_note",
    "second_half",
    "trained_classes",
    "true_correlation",
    "true_correlations",
    "usable_share",
    "why_no_pairs",
    "why_unusable",
]
