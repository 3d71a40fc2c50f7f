"""The collapse ladder of a run: its rungs round by round, and what the gaps between them are due to."""

from typing import Literal

import pandas as pd

from fedcircuits.records import RungName
from fedcircuits.runlog.run import Run

Score = Literal["accuracy", "accuracy_trained"]


def ladder_rungs(run: Run, score: Score = "accuracy_trained") -> pd.DataFrame:
    """Return the accuracy of every rung, of clients their mean.

    Returns:
        one row per round that has a ladder, one column per `RungName`; NaN where a rung was not climbed.
    """
    rows = run.ladder[run.ladder["partition_id"].isna()]
    return rows.pivot_table(index="round", columns="rung", values=score).reindex(columns=[str(n) for n in RungName])


def best_ensemble(rungs: pd.DataFrame) -> "pd.Series[float]":
    """Return the accuracy of the better of the two intact ensembles, from what `ladder_rungs` returns."""
    return rungs[[RungName.ENSEMBLE_LOGITS, RungName.ENSEMBLE_PROBABILITIES]].max(axis=1)


def ladder_gaps(rungs: pd.DataFrame) -> pd.DataFrame:
    """Return what accuracy is lost to.

    Args:
        rungs: as `ladder_rungs` returns them.

    Returns:
        one row per round: `readout` = A2 - A0, lost in the readout; `body` = A3 - A2, lost by averaging the layers
        before it; `negatives` = A4 - E, lost because clients never saw the other classes, E being the better of the two
        intact ensembles; `room` = A3 - R, the most that `body` could show, since untrained features reach R.
    """
    return pd.DataFrame(
        {
            "readout": rungs[RungName.NEW_READOUT] - rungs[RungName.FEDAVG],
            "body": rungs[RungName.CLIENT_READOUT] - rungs[RungName.NEW_READOUT],
            "negatives": rungs[RungName.CENTRAL] - best_ensemble(rungs),
            "room": rungs[RungName.CLIENT_READOUT] - rungs[RungName.UNTRAINED],
        }
    )
