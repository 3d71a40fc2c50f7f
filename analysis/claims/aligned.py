"""Which correlation of circuits is judged: as they are, or after the channels of both models were matched.

All clients start a round from the same weights, so that channels should keep their places; whether they did is measured
by matching them by their weights. Where they did, the true correlation stands. Where not, circuits are compared by
matched channels, less what the same matching does to circuits of different classes, for matching alone raises overlap.
"""

from collections.abc import Sequence
from typing import Final

from analysis.claims.families import Family
from analysis.statistics.seeds import interval

IRRELEVANT: Final = 0.9
"""Least share of pairs of clients, in the mean over seeds, whose alignment must be irrelevant for it to be left out."""

RULE: Final = (
    f"if less than {100 * IRRELEVANT:g} % of the pairs of clients are called `alignment irrelevant` after matching by "
    "weights, the correlation by matched channels minus that of different classes, retest noise taken out, takes the "
    "place of the true correlation"
)


def is_alignment_irrelevant(family: Family, roles: Sequence[str]) -> bool:
    """Tell whether circuits of all these experiments may be compared by the numbers of their channels."""
    return all(interval(family.judged(role)["irrelevant"]).mean >= IRRELEVANT for role in roles)


def alignment_remark(family: Family, roles: Sequence[str]) -> str:
    """Say what matching found, and which correlation was used therefore."""
    shares = "; ".join(_shares(family, role) for role in roles)
    if is_alignment_irrelevant(family, roles):
        used = "So alignment is irrelevant, and the true correlation is judged as it is, without alignment"
    else:
        used = (
            "So alignment is not irrelevant, and what is judged is not the true correlation but the "
            "correlation by matched channels minus that of different classes, over the reliability of retests"
        )
    return f"Alignment: {shares}. {used}."


def _shares(family: Family, role: str) -> str:
    table = family.judged(role)
    pairs, by_weights, by_activations = (
        interval(table[number]).mean for number in ("irrelevant", "fixed_points", "fixed_points_activations")
    )
    return (
        f"in {role}, matching by weights leaves {100 * by_weights:.1f} % of channels in place (by activations "
        f"{100 * by_activations:.1f} %), and {100 * pairs:.0f} % of pairs of clients are `alignment irrelevant`"
    )
