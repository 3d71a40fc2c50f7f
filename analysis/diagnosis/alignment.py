"""Is it relabelling: do circuits differ only because the same mechanism sits in other channels.

Matching raises the overlap of anything, so a gain counts only beyond that of circuits of another class under the same
matching.
"""

from dataclasses import dataclass
from typing import Final

import pandas as pd

from analysis.diagnosis.findings import Findings, NotMeasuredError, counted, mean
from analysis.measures.examined import rows_of, why_not_measured
from fedcircuits.records import ALL_LAYERS
from fedcircuits.runlog.run import Run

IN_PLACE: Final = 0.95
"""With at least this share of channels matched to themselves, there is nothing to relabel."""

GAIN: Final = 0.1
"""Matching must raise the correlation of circuits by this much, and lift it this far above another class's."""

_MEANS: Final = (
    "fixed_points",
    "correlation",
    "matched_correlation",
    "phi",
    "matched_phi",
    "other_class_phi",
    "random_phi",
)


@dataclass(frozen=True)
class Matching:
    """Means over pairs of models and the classes they share, all layers pooled.

    Args:
        method: what channels are matched by: `activations` or `weights`.
        partner: `client` for pairs of clients, `global` for clients and the global model.
        num_pairs: pairs of models.
        fixed_points: share of channels that are matched to themselves.
        correlation: of channels in place.
        matched_correlation: of channels with their partners.
        phi: correlation of circuits of one class, in place.
        matched_phi: after matching.
        other_class_phi: of circuits of different classes, after matching.
        random_phi: of random circuits of equal sizes, after matching.
        verdicts: how many pairs were given each verdict by the run itself.
    """

    method: str
    partner: str
    num_pairs: int
    fixed_points: float
    correlation: float
    matched_correlation: float
    phi: float
    matched_phi: float
    other_class_phi: float
    random_phi: float
    verdicts: dict[str, int]

    @property
    def reading(self) -> str:
        """Say what the matching shows, without a full stop."""
        if self.fixed_points >= IN_PLACE:
            return f"{self.fixed_points:.0%} of channels match themselves, so there is nothing to relabel"
        gain = self.matched_phi - self.phi
        # A missing control counts as none: pd.Series.max leaves it out.
        control_phi = pd.Series([self.other_class_phi, self.random_phi]).max()
        excess = self.matched_phi - control_phi
        if pd.isna(gain):
            return "no circuits of one class can be compared"
        rise = f"matching moves φ from {self.phi:.2f} to {self.matched_phi:.2f}"
        if gain < GAIN:
            return f"{rise}, so circuits are no relabelling of each other"
        if pd.isna(excess):
            return f"{rise}, without controls to compare with"
        control = f"controls reach {control_phi:.2f}"
        if excess < GAIN:
            return f"{rise}, but {control}, so the gain is not the class's"
        return f"{rise} where {control}, so part of the difference is relabelling"


@dataclass(frozen=True)
class Alignment(Findings):
    """One entry per method and kind of partner, pairs of clients first."""

    matchings: list[Matching]

    @property
    def meaning(self) -> str:
        """Read every method for the first kind of partner."""
        chosen = [own for own in self.matchings if own.partner == self.matchings[0].partner]
        readings = "; ".join(f"by {own.method}, {own.reading}" for own in chosen)
        between = "Between clients" if chosen[0].partner == "client" else "Between clients and the average"
        return f"{between}: {readings} ({counted(chosen[0].num_pairs, 'pair')}, one seed)."


def examine_alignment(run: Run, server_round: int) -> Alignment:
    """Return what matching the channels of models changes in a round.

    Raises:
        NotMeasuredError: if none were matched in it.
    """
    rows = rows_of(run, "alignment", server_round)
    pooled = rows[rows["layer"] == ALL_LAYERS]
    if pooled.empty:
        raise NotMeasuredError(why_not_measured(run, "alignment"))
    partner = pooled["b_partition_id"].isna().map({True: "global", False: "client"})
    groups = pooled.groupby([partner, "method"])
    return Alignment([_matching(str(method), str(kind), own) for (kind, method), own in groups])


def _matching(method: str, partner: str, rows: pd.DataFrame) -> Matching:
    return Matching(
        method=method,
        partner=partner,
        num_pairs=len(rows),
        verdicts={str(verdict): int(number) for verdict, number in rows["verdict"].value_counts().items()},
        **{column: mean(rows[column]) for column in _MEANS},
    )
