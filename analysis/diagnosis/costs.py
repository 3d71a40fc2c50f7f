"""What did it cost: seconds of every examination."""

from dataclasses import dataclass

from analysis.diagnosis.findings import Findings, counted, measured_rows
from analysis.measures.examined import rows_of
from fedcircuits.runlog.run import Run


@dataclass(frozen=True)
class Cost:
    """One measure and the seconds it took the server."""

    measure: str
    seconds: float


@dataclass(frozen=True)
class Costs(Findings):
    """Every measure of a round, the costliest first.

    Args:
        measures: with their seconds.
        client_seconds: what the round's clients spent on training, discovery and evaluation, added up.
    """

    measures: list[Cost]
    client_seconds: float

    @property
    def total(self) -> float:
        """Seconds of all measures."""
        return sum(cost.seconds for cost in self.measures)

    @property
    def meaning(self) -> str:
        """Name the costliest measure, and compare with the round's ordinary work."""
        most = self.measures[0]
        against = f", against {self.client_seconds:.0f} s that its clients worked" if self.client_seconds > 0 else ""
        share = most.seconds / self.total if self.total else 0
        return (
            f"{counted(len(self.measures), 'examination')} took {self.total:.0f} s in this round{against}; "
            f"{most.measure} took {share:.0%} of that."
        )


def examine_costs(run: Run, server_round: int) -> Costs:
    """Return what the examinations of a round took.

    Raises:
        NotMeasuredError: if no cost was logged in it.
    """
    rows = measured_rows(run, "costs", server_round)
    seconds = rows.groupby("measure")["seconds"].sum().sort_values(ascending=False)
    clients = rows_of(run, "clients", server_round)
    worked = clients[["train_seconds", "discovery_seconds", "evaluate_seconds"]].sum().sum()
    return Costs([Cost(str(measure), float(value)) for measure, value in seconds.items()], float(worked))
