"""What happened in a run, in a few numbers and words: the first screen of its page."""

from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from analysis import measures
from analysis.report.collapse import class_names, collapses
from analysis.text.table import number
from analysis.text.words import DRIFT_GAP, RETEST, named_rounds
from fedcircuits.records import COLLAPSED_RECALL, Comparison
from fedcircuits.runlog.run import Run


@dataclass(frozen=True)
class Card:
    """One figure of the first screen.

    Args:
        title: what it is.
        value: the figure, as text.
        details: what to hold it against, a sentence each.
    """

    title: str
    value: str
    details: tuple[str, ...]


_NOTHING: Final = "–"


def story(run: Run) -> list[Card]:
    """Return the figures that sum a run up, each of the last round that has it."""
    table = measures.round_measures(run)
    if table.empty:
        return []
    return [
        _accuracy(run, table),
        _collapsed(run, table),
        _same_class(run, table),
        _local_vs_global(run, table),
        _usable(run),
        _transplants(table),
    ]


def last_known(table: pd.DataFrame, column: str) -> "tuple[int, pd.Series[Any]] | None":
    """Return the last round in which a column is known, and its row."""
    known = table[table[column].notna()]
    return None if known.empty else (int(str(known.index[-1])), known.iloc[-1])


def _accuracy(run: Run, table: pd.DataFrame) -> Card:
    last = last_known(table, "accuracy")
    if last is None:
        return Card("Accuracy of the global model", _NOTHING, ("not in this log",))
    server_round, row = last
    details = [
        f"round {server_round}, all classes; {number(row['accuracy_trained'], 3)} over classes that clients have"
    ]
    own = measures.client_accuracy(run)
    own = own[own["round"] == server_round]
    if len(own):
        details.append(
            f"{number(own['accuracy'].mean(), 3)}: clients' own models on their own classes, before averaging"
        )
    return Card("Accuracy of the global model", number(row["accuracy"], 3), tuple(details))


def _collapsed(run: Run, table: pd.DataFrame) -> Card:
    title = "Collapsed classes at the end"
    if last_known(table, "accuracy") is None:
        return Card(title, _NOTHING, ("not in this log",))
    lost = collapses(run)
    if lost is None:
        return Card(title, _NOTHING, ("not known: clients did not say which classes they trained on",))
    still = [str(own.class_id) for own in lost if own.is_lost]
    together: dict[str, list[int]] = {}
    for own in lost:
        together.setdefault(named_rounds(own.rounds), []).append(own.class_id)
    when = [f"{class_names(class_ids)}: {rounds}" for rounds, class_ids in together.items()]
    meaning = f"collapsed = trained on, but recall below {COLLAPSED_RECALL:.0%}"
    return Card(title, ", ".join(still) or "none", (*when, meaning, *_default_answers(table)))


def _default_answers(table: pd.DataFrame) -> list[str]:
    """Say when a class was the answer to most other images: its own recall says nothing then."""
    by_class = table["default_answers"].explode().dropna()
    return [
        f"class {class_id} is the answer to most images of other classes: {named_rounds([*rounds.index])}"
        for class_id, rounds in by_class.groupby(by_class)
    ]


def _same_class(run: Run, table: pd.DataFrame) -> Card:
    title = "Same class in two clients, IoU"
    return _overlap(run, table, title, "same_class", Comparison.SAME_CLASS_ACROSS_CLIENTS)


def _local_vs_global(run: Run, table: pd.DataFrame) -> Card:
    title = "Client against global model, IoU"
    return _overlap(run, table, title, "local_vs_global", Comparison.LOCAL_VS_GLOBAL)


def _overlap(run: Run, table: pd.DataFrame, title: str, prefix: str, comparison: Comparison) -> Card:
    last = last_known(table, f"{prefix}_iou")
    if last is None:
        return Card(title, _NOTHING, (measures.why_no_pairs(run, comparison),))
    server_round, row = last
    expected, adjusted = (number(row[f"{prefix}_{figure}"], 2) for figure in ("expected_iou", "adjusted_iou"))
    chance = f"{expected} by chance; adjusted for it {adjusted}"
    details = [f"round {server_round}", chance]
    if pd.notna(row["retest_iou"]):
        details.append(f"{number(row['retest_iou'], 2)} in the retest: {RETEST}")
    return Card(title, number(row[f"{prefix}_iou"], 2), tuple(details))


def _usable(run: Run) -> Card:
    title = "Usable client circuits"
    quality = measures.compared_quality(run)
    if quality.empty:
        return Card(title, _NOTHING, ("no circuits were found",))
    server_round = int(quality["round"].max())
    last = quality[quality["round"] == server_round]
    if measures.is_unknown(last).any():
        return Card(title, "unknown", ("the log lacks the false-positive rates that decide it",))
    shares = measures.usable_share(quality)
    all_usable = [int(str(known)) for known in shares.index[shares == 1]]
    since = f"all usable for the first time in round {all_usable[0]}" if all_usable else "never all of them"
    why = measures.reasons_in_words(last)
    others = (f"others: {why}",) if why else ()
    return Card(title, f"{int(last['usable'].sum())} of {len(last)}", (f"round {server_round}", *others, since))


def _transplants(table: pd.DataFrame) -> Card:
    title = "Client circuits on global weights, recall / false positives"
    last = last_known(table, "sufficiency_transplant")
    if last is None:
        return Card(title, _NOTHING, ("no circuit was transplanted",))
    server_round, row = last
    gap = f"drift gap {number(row['drift_gap'], 2)}: {DRIFT_GAP}"
    rates = f"{number(row['sufficiency_transplant'], 2)} / {number(row['false_positive_rate_transplant'], 2)}"
    what = f"images of their class, and of others, that are taken for it, round {server_round}"
    return Card(title, rates, (what, gap))
