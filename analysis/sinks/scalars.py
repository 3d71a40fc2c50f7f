"""A round in single numbers, by names that group them, for tools that draw numbers over rounds.

Every figure is one that summary, comparison or the run log has; none is computed here in a way of its own.
"""

import math
from collections.abc import Iterable
from typing import Any, Final

import pandas as pd

from analysis import measures
from analysis.measures.by_seed import MEASURES, OVERLAP, PAIRS, seed_measures
from analysis.measures.of_examinations import EXAMINED_MEASURES
from fedcircuits.runlog.run import Run

_GROUPS: Final[dict[str, Iterable[str]]] = {
    "accuracy": ("accuracy", "accuracy_trained", "num_collapsed"),
    "density": ("density", "density_global"),
    "overlap": [f"{pair}_{figure}" for pair in PAIRS for figure in OVERLAP],
    "examination": EXAMINED_MEASURES,
}
"""Measures by their group; all others are about circuits."""

_GROUP_OF: Final = {name: group for group, names in _GROUPS.items() for name in names}

_SECONDS: Final = tuple((what, f"{what}_seconds") for what in ("train", "discovery", "evaluate"))


def round_scalars(run: Run, server_round: int) -> dict[str, float]:
    """Return the figures of one round.

    Args:
        run: the run; of other rounds, only the clients and checks of those before matter.
        server_round: the round.

    Returns:
        `group/name` to figure; fractions are in 0..1, losses in nats. Figures that are undefined are left out.
    """
    figures = seed_measures(run)
    named = {f"{_GROUP_OF.get(name, 'circuits')}/{name}": _at(figures[name], server_round) for name in MEASURES}
    named |= _recalls(run, server_round) | _clients(run, server_round)
    named |= _interference(run, server_round) | _costs(run, server_round)
    return {name: value for name, value in named.items() if math.isfinite(value)}


def _recalls(run: Run, server_round: int) -> dict[str, float]:
    recall = measures.global_recall(run)
    return {f"recall/class_{class_id}": _at(recall[class_id], server_round) for class_id in recall.columns}


def _clients(run: Run, server_round: int) -> dict[str, float]:
    """Return how many clients took part, and means over those that were accepted."""
    accepted = run.clients[run.clients["accepted"].fillna(False).astype(bool)]
    return {
        **{f"clients/{name}": _at(counts, server_round) for name, counts in measures.client_counts(run).items()},
        "clients/train_loss": _at(measures.by_round(accepted, "train_loss"), server_round),
        **{f"seconds/client_{what}": _at(measures.by_round(accepted, name), server_round) for what, name in _SECONDS},
    }


def _interference(run: Run, server_round: int) -> dict[str, float]:
    """Return what averaging did to each layer's weights, as it is logged."""
    rows = run.interference[run.interference["round"] == server_round].set_index("layer").drop(columns="round")
    return {
        f"{'density' if str(name).startswith('density_') else 'interference'}/{name}/{layer}": _number(value)
        for name, column in rows.items()
        for layer, value in column.items()
    }


def _costs(run: Run, server_round: int) -> dict[str, float]:
    rows = run.costs[run.costs["round"] == server_round]
    pairs = zip(rows["measure"], rows["seconds"], strict=True)
    return {f"seconds/{measure}": _number(seconds) for measure, seconds in pairs}


def _at(by_round: "pd.Series[Any]", server_round: int) -> float:
    """Return the figure of a round; NaN if it has none."""
    return _number(by_round.get(server_round))


def _number(value: Any) -> float:
    return math.nan if pd.isna(value) else float(value)
