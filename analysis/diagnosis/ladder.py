"""Where does the accuracy go? Each rung repairs one thing more; the steps between them say what was broken."""

from dataclasses import dataclass
from typing import Final

import pandas as pd

from analysis.diagnosis.findings import Findings, NotMeasuredError, points
from analysis.measures.examined import rows_of, why_not_measured
from analysis.measures.ladder import ladder_gaps, ladder_rungs
from fedcircuits.runlog.run import Run

LOSS: Final = 0.02
"""Accuracy; a smaller gap is not called a loss."""

ROOM: Final = 0.10
"""Accuracy; where an untrained network's features come closer than this to the clients', no damage could be seen."""

RUNGS: Final = {
    "A0": "the average as it is",
    "A1": "+ a scale and a bias per class",
    "A2": "+ a new linear readout on the averaged features",
    "A3": "linear readouts on each client's own features, mean",
    "A3c": "linear readout on all clients' features together",
    "A4": "trained centrally, as many steps",
    "E_logits": "clients' models side by side, logits averaged",
    "E_probabilities": "clients' models side by side, probabilities averaged",
    "R": "linear readout on an untrained network's features",
    "overlap_count": "averaged over the clients that keep a weight",
}
"""The rungs in the order shown, and what each is."""


@dataclass(frozen=True)
class Rung:
    """One rung: accuracy over all classes, and over those that clients trained on."""

    name: str
    accuracy: float
    accuracy_trained: float


@dataclass(frozen=True)
class Ladder(Findings):
    """The rungs that were logged, and the gaps between them over trained classes; NaN where a rung is missing.

    Args:
        rungs: in the order of `RUNGS`.
        readout_gap: A2 − A0, lost by the averaged readout.
        body_gap: A3 − A2, lost by the averaged body.
        negatives_gap: A4 − E_logits, lost by local objectives that never saw the other classes.
        room: A3 − R, the most that damage to the body could cost on this data.
    """

    rungs: list[Rung]
    readout_gap: float
    body_gap: float
    negatives_gap: float
    room: float

    @property
    def meaning(self) -> str:
        """Say which gaps are losses, and whether a loss in the body could have been seen at all."""
        if pd.isna(self.readout_gap) and pd.isna(self.body_gap) and pd.isna(self.negatives_gap):
            return "No gap is defined: rungs that it lies between were not measured, or trained classes are not known."
        gaps = (
            f"On trained classes, a new readout on the averaged body is worth {points(self.readout_gap)} points, "
            f"clients' own bodies in its place {points(self.body_gap)}, and having seen all classes "
            f"{points(self.negatives_gap)}"
        )
        return f"{gaps}: {self._body()} (one run, one seed)."

    def _body(self) -> str:
        """Judge the one gap that a collapse of circuits would show in."""
        if pd.isna(self.body_gap):
            return "whether the body was damaged is not known"
        if self.room < ROOM:
            return "an untrained body does about as well on this data, so no damage to the body could be seen"
        if self.body_gap > LOSS:
            return "the averaged features have lost something, as a collapse of circuits would have it"
        return "no damage to the body, so accuracy says nothing for a collapse of circuits"


def examine_ladder(run: Run, server_round: int) -> Ladder:
    """Return the rungs of a round and the gaps between them.

    Raises:
        NotMeasuredError: if no rung was logged in it.
    """
    rows = rows_of(run, "ladder", server_round)
    rows = rows[rows["partition_id"].isna()].drop_duplicates("rung").set_index("rung")
    if rows.empty:
        raise NotMeasuredError(why_not_measured(run, "ladder"))
    gaps = ladder_gaps(ladder_rungs(run)).reindex([server_round]).iloc[0]
    figures = rows[["accuracy", "accuracy_trained"]].astype("float64")
    return Ladder(
        rungs=[Rung(name, *map(float, figures.loc[name])) for name in RUNGS if name in rows.index],
        readout_gap=float(gaps["readout"]),
        body_gap=float(gaps["body"]),
        negatives_gap=float(gaps["negatives"]),
        room=float(gaps["room"]),
    )
