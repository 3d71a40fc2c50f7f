"""The summary's table: one row of figures per round."""

import textwrap
from typing import Any, Final

import pandas as pd

from analysis.measures import round_measures
from analysis.text.table import UNDEFINED, number
from analysis.text.words import named_rounds
from fedcircuits.runlog.run import Run

_COLUMNS: Final = {
    "round": ("", "round", 5),
    "accuracy": ("acc.", "all", 5),
    "seen": ("", "seen", 5),
    "collapsed": ("collapsed", "classes", 9),
    "clients": ("cli-", "ents", 5),
    "size": ("circuits", "size", 4),
    "usable": ("", "usable", 6),
    "same": ("same class", "IoU", 4),
    "same_chance": ("", "chance", 6),
    "same_adjusted": ("", "adj.", 5),
    "different": ("diff. class", "IoU", 4),
    "different_chance": ("", "chance", 6),
    "local_vs_global": ("local/", "global", 6),
    "retest": ("re-", "test", 5),
    "transplant": ("transplant", "recall", 6),
    "false_positives": ("", "FPR", 4),
}
"""Two header lines and the width of each column; a first line reaches over the columns after it that have none."""


def rounds_section(run: Run) -> str:
    """Return the table, under two lines of titles."""
    measures = round_measures(run)
    if measures.empty:
        return "No whole round yet."
    rows = [_cells(int(str(server_round)), row) for server_round, row in measures.iterrows()]
    is_seen_shown = any(row["seen"] not in {row["accuracy"], UNDEFINED} for row in rows)
    shown = [name for name in _COLUMNS if name != "seen" or is_seen_shown]
    widths = {name: _COLUMNS[name][2] for name in shown}
    lines = [_groups(widths), " ".join(f"{_COLUMNS[name][1]:>{width}}" for name, width in widths.items())]
    lines += [" ".join(f"{row[name]:>{width}}" for name, width in widths.items()) for row in rows]
    seen = ["seen: accuracy over the classes that clients have trained on."] if "seen" in shown else []
    return "\n".join([*lines, *seen, *_default_answers(measures)])


def _default_answers(measures: pd.DataFrame) -> list[str]:
    """Say which classes the global model answers by default, one line each: their recall says nothing."""
    by_class = measures["default_answers"].explode().dropna()
    return [
        textwrap.fill(
            f"class {class_id}: answered to most images of other classes, too, after {named_rounds([*rounds.index])}; "
            "that its own are recognised says nothing.",
            98,
        )
        for class_id, rounds in by_class.groupby(by_class)
    ]


def _groups(widths: dict[str, int]) -> str:
    """Lay out the first header line: a lone title to the right like its column, one over several to the left."""
    line, start = "", 0
    for name, width in widths.items():
        title = _COLUMNS[name][0]
        line = (line.ljust(start) + title.rjust(width if len(title) <= width else 0)) if title else line
        start += width + 1
    return line


def _cells(server_round: int, row: "pd.Series[Any]") -> dict[str, str]:
    return {
        "round": str(server_round),
        "accuracy": number(row["accuracy"], 3),
        "seen": number(row["accuracy_trained"], 3),
        "collapsed": _collapsed(row["collapsed"]),
        "clients": UNDEFINED if pd.isna(row["asked"]) else f"{row['accepted']:.0f}/{row['asked']:.0f}",
        "size": number(row["circuit_size"], 0),
        "usable": number(row["usable_share"], 2),
        "same": number(row["same_class_iou"], 2),
        "same_chance": number(row["same_class_expected_iou"], 2),
        "same_adjusted": number(row["same_class_adjusted_iou"], 2),
        "different": number(row["different_class_iou"], 2),
        "different_chance": number(row["different_class_expected_iou"], 2),
        "local_vs_global": number(row["local_vs_global_adjusted_iou"], 2),
        "retest": number(row["retest_adjusted_iou"], 2),
        "transplant": number(row["sufficiency_transplant"], 2),
        "false_positives": number(row["false_positive_rate_transplant"], 2),
    }


def _collapsed(classes: Any) -> str:
    """List the collapsed classes, or count them where the list does not fit."""
    if not isinstance(classes, list):
        return UNDEFINED
    listed = ",".join(str(class_id) for class_id in classes)
    return (listed if len(listed) <= 9 else f"{len(classes)} lost") or "none"
