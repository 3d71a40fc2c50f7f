"""Which classes the global model lost, and when."""

from collections.abc import Sequence
from dataclasses import dataclass

from analysis import measures
from fedcircuits.runlog.run import Run


@dataclass(frozen=True)
class Collapse:
    """One class that collapsed.

    Args:
        class_id: the class.
        rounds: those after which the global model did not recognise it, ascending.
        is_lost: whether the last round is one of them.
    """

    class_id: int
    rounds: list[int]
    is_lost: bool


def collapses(run: Run) -> list[Collapse] | None:
    """Return every class that collapsed in some round, by class; None where nobody knows which were trained on."""
    lost: dict[int, list[int]] = {}
    table = measures.global_accuracy(run).dropna(subset="collapsed")
    if table.empty:
        return None
    for server_round, classes in table["collapsed"].items():
        for class_id in classes:
            lost.setdefault(class_id, []).append(int(str(server_round)))
    last = int(table.index.max())
    return [Collapse(class_id, rounds, rounds[-1] == last) for class_id, rounds in sorted(lost.items())]


def class_names(class_ids: Sequence[int]) -> str:
    """Show classes: `class 2`, `classes 2, 7`."""
    return f"class{'' if len(class_ids) == 1 else 'es'} {', '.join(map(str, class_ids))}"
