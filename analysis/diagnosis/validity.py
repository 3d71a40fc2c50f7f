"""Is the discovery valid? Its circuits must tell their classes better than random ones of the same sizes."""

from dataclasses import dataclass, replace

import pandas as pd

from analysis.diagnosis.findings import Findings, NotMeasuredError, mean
from analysis.measures import check_failure
from analysis.measures.examined import newest_rows, why_not_measured
from fedcircuits.circuits.check_verdict import CheckResult
from fedcircuits.runlog.run import Run


@dataclass(frozen=True)
class Checked:
    """Circuits against random ones of their sizes; means over circuits.

    Args:
        partition_id: the client; None for the server, or where all are pooled.
        num_circuits: circuits that were scored.
        balanced_accuracy: of the circuits.
        random_balanced_accuracy: of random circuits in the same weights.
        effect: the difference.
        smallest_effect: of the circuit that has the least of it.
    """

    partition_id: int | None
    num_circuits: int
    balanced_accuracy: float
    random_balanced_accuracy: float
    effect: float
    smallest_effect: float


@dataclass(frozen=True)
class Validity(Findings):
    """The newest check, which may be older than the rest of the page.

    Args:
        checked_in_round: the round, 1-based.
        clients: each client's circuits, or the server's.
        pooled: all of them.
        z: the pooled effect in standard errors.
        has_passed: the verdict; None if nothing could be scored.
        failure: the sentence that says what failed and what follows; empty if nothing did.
    """

    checked_in_round: int
    clients: list[Checked]
    pooled: Checked
    z: float
    has_passed: bool | None
    failure: str

    @property
    def meaning(self) -> str:
        """Say whether circuits are better than random ones."""
        if self.has_passed is None:
            return "Nothing could be scored, so the discovery is not yet shown to be valid."
        if self.has_passed:
            found = CheckResult(self.checked_in_round, self.pooled.effect, self.z).finding
            return f"{found[0].upper()}{found[1:]}: which channels are chosen matters (one run, one seed)."
        failure = f"{self.failure[0].upper()}{self.failure[1:]}"
        return f"{failure}, and nothing below should be read as a mechanism (one run, one seed)."


def examine_validity(run: Run, server_round: int) -> Validity:
    """Return the outcome of the newest check up to a round: checks have a schedule of their own.

    Raises:
        NotMeasuredError: if there was none.
    """
    rows = newest_rows(run, "validity", server_round)
    if rows.empty:
        raise NotMeasuredError(why_not_measured(run, "validity"))
    circuits, whole = rows[rows["class_id"].notna()], rows[rows["class_id"].isna()]
    verdicts = whole["passed"].dropna()
    checked_in = int(rows["round"].iloc[0])
    has_passed = bool(verdicts.iloc[0]) if len(verdicts) else None
    return Validity(
        checked_in_round=checked_in,
        clients=[_checked(own) for _, own in circuits.groupby("partition_id", dropna=False)],
        pooled=replace(_checked(circuits), partition_id=None),
        z=mean(whole["z"]),
        has_passed=has_passed,
        failure="" if has_passed is not False else check_failure(run, [checked_in]),
    )


def _checked(rows: pd.DataFrame) -> Checked:
    """Return the means of some circuits, and whose the first of them is."""
    owner = rows["partition_id"].dropna()
    return Checked(
        partition_id=int(owner.iloc[0]) if len(owner) else None,
        num_circuits=int(rows["num_circuits"].sum()),
        balanced_accuracy=mean(rows["balanced_accuracy"]),
        random_balanced_accuracy=mean(rows["random_balanced_accuracy"]),
        effect=mean(rows["effect"]),
        smallest_effect=float(rows["effect"].astype("float64").min()),
    )
