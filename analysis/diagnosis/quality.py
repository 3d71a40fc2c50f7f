"""How good are the circuits? Each is tested against the whole model, its own complement, and random sets."""

from dataclasses import dataclass
from typing import Final

import pandas as pd

from analysis.diagnosis.findings import Findings, counted, mean, measured_rows, share_below
from fedcircuits.records import ModelKind
from fedcircuits.runlog.run import Run

FAITHFUL: Final = 0.8
"""A circuit with at least this faithfulness stands in for the whole model."""

COMPLETE: Final = 0.8
"""Without a circuit of at least this completeness, the rest of the model cannot do the task."""

SIGNIFICANT: Final = 0.05
"""Level of the tests against random circuits of the same sizes; so many of random ones pass it, too."""

_CIRCUIT: Final = ["round", "model", "partition_id", "data", "class_id"]


@dataclass(frozen=True)
class CircuitQuality:
    """Means over the circuits of one kind of model.

    Args:
        model: `client` or `global`.
        num_circuits: how many were looked at closely.
        size_share: channels, as a share of the reachable ones.
        recall: of the class, with only the circuit on.
        false_positive_rate: with only the circuit on.
        balanced_accuracy: from these two.
        faithfulness: F, what the circuit does of what the whole model does.
        cpr: area under F over sizes of nested circuits.
        cmd: area between F and 1.
        completeness: K; 1 = the rest cannot do the task.
        stochastic_50: F with a random half of the rest off.
        rank_agreement: Spearman correlation of the ranking with exact ablation.
        sufficient_share: share of circuits that beat random ones at doing the task, p < `SIGNIFICANT`.
        necessary_share: share of circuits that are missed more than random ones, likewise.
    """

    model: str
    num_circuits: int
    size_share: float
    recall: float
    false_positive_rate: float
    balanced_accuracy: float
    faithfulness: float
    cpr: float
    cmd: float
    completeness: float
    stochastic_50: float
    rank_agreement: float
    sufficient_share: float
    necessary_share: float


@dataclass(frozen=True)
class Quality(Findings):
    """One entry per kind of model that has circuits, clients first."""

    models: list[CircuitQuality]

    @property
    def meaning(self) -> str:
        """Say what the first kind of model's circuits are worth."""
        own = self.models[0]
        if pd.isna(own.faithfulness):
            return f"Faithfulness of {own.model} circuits is undefined: the whole models do not tell classes apart."
        does = "stand in for the whole model" if own.faithfulness >= FAITHFUL else "do only part of the model's work"
        clauses = [f"{does} (F {own.faithfulness:.2f})", _rest(own), _against_chance(own)]
        evidence = f"{counted(own.num_circuits, 'circuit')}, one seed"
        return f"Circuits of {own.model} models {'; '.join(clause for clause in clauses if clause)} ({evidence})."


def _rest(own: CircuitQuality) -> str:
    if pd.isna(own.completeness):
        return ""
    can = "the rest cannot do the task" if own.completeness >= COMPLETE else "the rest still does some of the task"
    return f"{can} (K {own.completeness:.2f})"


def _against_chance(own: CircuitQuality) -> str:
    if pd.isna(own.sufficient_share):
        return ""
    return f"{own.sufficient_share:.0%} beat random sets of their sizes, against {SIGNIFICANT:.0%} by chance"


def examine_quality(run: Run, server_round: int) -> Quality:
    """Return the quality of the circuits that were looked at closely in a round.

    Raises:
        NotMeasuredError: if there were none.
    """
    rows = measured_rows(run, "scrutiny", server_round)
    rates = run.quality[[*_CIRCUIT, "sufficiency", "false_positive_rate", "balanced_accuracy"]]
    rows = rows.merge(rates, on=_CIRCUIT, how="left")
    kinds = [str(kind) for kind in (ModelKind.CLIENT, ModelKind.GLOBAL)]
    return Quality([_of_model(kind, rows[rows["model"] == kind]) for kind in kinds if (rows["model"] == kind).any()])


def _of_model(model: str, rows: pd.DataFrame) -> CircuitQuality:
    means = ("false_positive_rate", "balanced_accuracy", "faithfulness", "cpr", "cmd", "completeness", "stochastic_50")
    return CircuitQuality(
        model=model,
        num_circuits=len(rows),
        size_share=mean(rows["num_channels"] / rows["num_reachable"]),
        recall=mean(rows["sufficiency"]),
        rank_agreement=mean(rows["rank_agreement"]),
        sufficient_share=share_below(rows["p_sufficiency"], SIGNIFICANT),
        necessary_share=share_below(rows["p_necessity"], SIGNIFICANT),
        **{column: mean(rows[column]) for column in means},
    )
