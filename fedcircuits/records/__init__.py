"""The names that everything else relies on: tables and columns of the run log, and keys of messages.

Column names and key strings are defined here and nowhere else; docs/run-log.md explains every column.
"""

from fedcircuits.records.keys import Key
from fedcircuits.records.names import (
    ALL_LAYERS,
    COLLAPSED_RECALL,
    DEFAULT_ANSWER_RATE,
    MIN_RELIABILITY,
    REASON_WORDS,
    AlignmentVerdict,
    Comparison,
    DataKind,
    MatchingMethod,
    ModelKind,
    RungName,
    UnusableReason,
    count_reasons,
)
from fedcircuits.records.schemas import TABLES

__all__ = [
    "ALL_LAYERS",
    "COLLAPSED_RECALL",
    "DEFAULT_ANSWER_RATE",
    "MIN_RELIABILITY",
    "REASON_WORDS",
    "TABLES",
    "AlignmentVerdict",
    "Comparison",
    "DataKind",
    "Key",
    "MatchingMethod",
    "ModelKind",
    "RungName",
    "UnusableReason",
    "count_reasons",
]
