"""A run in two sentences: how well the global model does, and how much circuits overlap."""

from typing import Final

import pandas as pd

from analysis import measures
from analysis.report.collapse import Collapse, class_names, collapses
from analysis.report.story import last_known
from analysis.text.table import number
from fedcircuits.records import Comparison
from fedcircuits.runlog.run import Run

_WHOSE: Final = {"same_class": "of one class in two clients", "local_vs_global": "of clients and of the global model"}
"""Comparisons, the more telling one first, by the prefix of their columns."""


def headline(run: Run) -> str:
    """Return the sentences."""
    table = measures.round_measures(run)
    if table.empty:
        return "No round was finished, so there is nothing to show but the settings."
    return f"{_accuracy_sentence(run, table)} {_overlap_sentence(run, table)}"


def _accuracy_sentence(run: Run, table: pd.DataFrame) -> str:
    if table["accuracy"].isna().all():
        return "How well the global model does was not logged."
    share = f"{100 * float(table['accuracy'].iloc[-1]):.1f} %"
    lead = f"After {_counted(len(table), 'round')} the global model recognises {share} of the test images"
    return f"{lead}; {_collapse_clause(collapses(run))}{_default_clause(table)}."


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _collapse_clause(lost: list[Collapse] | None) -> str:
    if lost is None:
        return "whether a class collapsed is not known, as clients did not say which classes they trained on"
    still = [own.class_id for own in lost if own.is_lost]
    if still:
        return f"{class_names(still)} {'is' if len(still) == 1 else 'are'} collapsed"
    if lost:
        return f"no class is collapsed at the end, though {class_names([own.class_id for own in lost])} had been"
    return "no class ever collapsed"


def _default_clause(table: pd.DataFrame) -> str:
    """Name the classes that the last global model answers by default."""
    answers = table["default_answers"].iloc[-1]
    if not isinstance(answers, list) or not answers:
        return ""
    return f", and {class_names(answers)} {'is' if len(answers) == 1 else 'are'} its answer to most other images"


def _overlap_sentence(run: Run, table: pd.DataFrame) -> str:
    """Speak of one class in two clients, or where no class is shared, of clients and the global model."""
    for prefix, whose in _WHOSE.items():
        last = last_known(table, f"{prefix}_iou")
        if last is not None:
            server_round, row = last
            iou, chance = number(row[f"{prefix}_iou"], 2), number(row[f"{prefix}_expected_iou"], 2)
            return f"Circuits {whose} overlap with an IoU of {iou} in round {server_round}; chance would give {chance}."
    why = measures.why_no_pairs(run, Comparison.LOCAL_VS_GLOBAL).removeprefix("no pairs: ")
    return f"Circuits could not be compared: {why}."
