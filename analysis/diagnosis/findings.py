"""What every section of a diagnosis has in common."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import pandas as pd

from analysis.measures.examined import rows_of, why_not_measured
from fedcircuits.errors import FedCircuitsError
from fedcircuits.runlog.run import Run


class NotMeasuredError(FedCircuitsError):
    """A run has not logged what a section needs; the text says why."""


@dataclass(frozen=True)
class Findings(ABC):
    """The numbers of one section: plain values, NaN where undefined."""

    @property
    @abstractmethod
    def meaning(self) -> str:
        """One sentence that says what the numbers mean for this run, by the thresholds of the section's module."""


def measured_rows(run: Run, table: str, server_round: int) -> pd.DataFrame:
    """Return one round of a table.

    Raises:
        NotMeasuredError: if it has no rows.
    """
    rows = rows_of(run, table, server_round)
    if rows.empty:
        raise NotMeasuredError(why_not_measured(run, table))
    return rows


def mean(values: "pd.Series[float]") -> float:
    """Return the mean of the known values; NaN if there are none."""
    return float(values.astype("float64").mean())


def share_below(values: "pd.Series[float]", bound: float) -> float:
    """Return the share of the known values below a bound; NaN if there are none."""
    known = values.dropna()
    return float((known < bound).mean()) if len(known) else float("nan")


def counted(number: int, noun: str) -> str:
    """Show a number with its noun, in the plural unless it is one."""
    plural = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"


def points(fraction: float) -> str:
    """Show a difference of fractions in percentage points, with its sign."""
    # Rounding comes first: adding zero then turns the -0 of a small loss into +0.
    return "?" if pd.isna(fraction) else f"{round(100 * fraction, 0) + 0.0:+.0f}"
