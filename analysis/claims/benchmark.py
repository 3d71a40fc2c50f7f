"""The dense sanity check, whether the app reaches published accuracies where nothing is sparse.

Numbers of Flower's own reproduction of NIID-Bench (arXiv 2102.02079), FedAvg: best test accuracy over 50 rounds.
"""

from collections.abc import Sequence
from typing import Final

from analysis.claims.families import Family
from analysis.statistics.seeds import interval

FAMILY: Final = "niid"

FULL_LENGTH: Final = 50
"""Rounds of the published runs."""

PUBLISHED_SEEDS: Final = 3
"""Seeds that the published accuracies are means of."""

TOLERANCE: Final = 0.015

PUBLISHED: Final = {
    "mnist-iid": 0.9909,
    "mnist-dirichlet-0.5": 0.9889,
    "mnist-2class": 0.9686,
    "mnist-3class": 0.9786,
    "fashion-mnist-dirichlet-0.5": 0.8809,
    "fashion-mnist-2class": 0.7810,
    "cifar10-dirichlet-0.5": 0.6247,
    "cifar10-2class": 0.5117,
}
"""Experiment of the family to its published accuracy."""


def benchmark_section(families: Sequence[Family]) -> str:
    """Return the section on the benchmark as Markdown; empty if none of it was run."""
    rows = []
    for family in families:
        if family.name != FAMILY:
            continue
        for role, experiment in family.experiments.items():
            rows.append(_row(role, experiment.rounds, list(family.evidence[role]["best_accuracy"])))
    if not rows:
        return ""
    lines = ["| experiment | rounds | best accuracy by seed | published | verdict |", "|---|---|---|---|---|", *rows]
    return "\n".join(
        [
            "## Dense sanity check: NIID-Bench",
            "",
            f"Rule: the mean over seeds of the best test accuracy lies within {TOLERANCE} of the published one, at "
            f"{FULL_LENGTH} rounds.",
            "",
            *lines,
        ]
    )


def _row(role: str, rounds: int, best: Sequence[float]) -> str:
    published, mean = PUBLISHED.get(role), interval(best).mean
    if published is None:
        verdict = "nothing published to compare with"
    elif rounds < FULL_LENGTH:
        verdict = f"not decided: {rounds} of {FULL_LENGTH} rounds"
    else:
        verdict = "within" if abs(mean - published) <= TOLERANCE else "outside"
        verdict += f" ({mean - published:+.4f}; {len(best)} of {PUBLISHED_SEEDS} seeds)"
    seeds = " ".join(f"{value:.4f}" for value in best)
    return f"| {role} | {rounds} | {seeds} | {published or '–'} | {verdict} |"
