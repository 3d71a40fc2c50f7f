"""Who holds what, as a table or, where classes are many, as lists."""

from collections.abc import Iterable
from typing import Any, Final

import pandas as pd

from analysis.measures import found_classes, holdings
from fedcircuits.runlog.run import Run

_NUM_HELD_CLASSES: Final = 16
"""Above this many classes the table of who holds what gives way to lists of classes."""

_NUM_HELD_CLIENTS: Final = 30
"""Clients that the summary lists at most: a federation may have thousands."""


def holdings_section(run: Run) -> str:
    """Return the images that clients hold of each class, or the classes of their circuits where that is not known."""
    held = holdings(run)
    if held.empty:
        found = [f"  partition {partition}: {_listed(classes)}" for partition, classes in found_classes(run).items()]
        return "\n".join(["Classes with circuits, by client (numbers of images unknown)", *found]) if found else ""
    shown, num_more = held.head(_NUM_HELD_CLIENTS), len(held) - _NUM_HELD_CLIENTS
    more = [f"  … and {num_more} more (class_counts in the table clients)"] if num_more > 0 else []
    if held.shape[1] > _NUM_HELD_CLASSES:
        labels = client_labels(run)
        lines = [
            _held_classes(int(str(partition)), counts) + labels.get(int(str(partition)), "")
            for partition, counts in shown.iterrows()
        ]
        return "\n".join(["Who holds what: classes (images)", *lines, *more])
    titles = "".join(f"{class_id:>5}" for class_id in held.columns)
    lines = [f"  {'partition':>9} {titles}  {'total':>6}"]
    labels = client_labels(run)
    for partition, counts in shown.iterrows():
        lines.append(f"  {partition!s:>9} {_counts(counts)}  {counts.sum():>6}{labels.get(int(str(partition)), '')}")
    lines += more
    nobody = held.columns[held.sum() == 0]
    note = [f"  Held by nobody: class {_listed(nobody)}"] if len(nobody) else []
    return "\n".join(["Who holds what: images of each class", *lines, *note])


def client_labels(run: Run) -> dict[int, str]:
    """Return ` (label)` of each client that has one; run.json of older runs has none."""
    return {
        client["partition_id"]: f" ({client['label']})" for client in run.info.get("clients", []) if client["label"]
    }


def _counts(values: Any) -> str:
    """Lay out the images of each class; a dot stands for none."""
    return "".join(f"{value:>5}" if value else "    ." for value in values)


def _held_classes(partition: int, counts: "pd.Series[int]") -> str:
    text = f"  partition {partition}: {_listed(counts.index[counts > 0])} ({counts.sum()})"
    return text if len(text) <= 100 else f"  partition {partition}: {int((counts > 0).sum())} classes ({counts.sum()})"


def _listed(class_ids: Iterable[Any]) -> str:
    return ", ".join(str(class_id) for class_id in class_ids)
