"""Do clients agree? Stability of all clients' circuits of a class at once, beside how well one model repeats itself.

Stability is that of Nogueira, Sechidis and Brown (JMLR 18(174), 2018), who take 0.40 and 0.75 from Fleiss as bounds of
poor and excellent agreement.
"""

from dataclasses import dataclass
from typing import Final

import pandas as pd

from analysis.diagnosis.findings import Findings, counted, mean, measured_rows
from analysis.measures import layers_of, of_client_models, pairs
from fedcircuits.records import Comparison
from fedcircuits.runlog.run import Run

POOR: Final = 0.40
"""Stability below this is poor agreement."""

EXCELLENT: Final = 0.75
"""Stability above this is excellent agreement."""

MEASURABLE: Final = 0.3
"""With a retest correlation below this, discovery is too noisy for a difference between clients to be seen."""


@dataclass(frozen=True)
class LayerAgreement:
    """Agreement in one layer, or in all of them pooled.

    Args:
        layer: its name, or `all`.
        num_classes: classes with circuits of two clients or more.
        stability: Φ, mean over classes; 1 = the same circuits, 0 = chance.
        lowest: the class with the least.
        highest: the class with the most.
        num_above_chance: classes whose 95 % interval lies above 0.
        same_class_phi: correlation of two clients' circuits of one class, mean over usable pairs.
        retest_phi: the same in the retest: one client's model on two halves of the images.
    """

    layer: str
    num_classes: int
    stability: float
    lowest: float
    highest: float
    num_above_chance: int
    same_class_phi: float
    retest_phi: float


@dataclass(frozen=True)
class Agreement(Findings):
    """One entry per layer, from the input to the output, then all pooled."""

    layers: list[LayerAgreement]

    @property
    def meaning(self) -> str:
        """Judge the pooled stability, and whether noise of discovery could explain it."""
        pooled = self.layers[-1]
        if pd.isna(pooled.stability):
            return "Stability is undefined: the circuits are empty, or have every channel."
        level = "excellently" if pooled.stability > EXCELLENT else "fairly" if pooled.stability >= POOR else "poorly"
        found = f"Clients agree {level} on the channels of a class (Φ {pooled.stability:.2f}; 0 = chance)"
        return f"{found}, {_against_retest(pooled)} ({counted(pooled.num_classes, 'shared class')}, one seed)."


def examine_agreement(run: Run, server_round: int) -> Agreement:
    """Return how well clients agree in a round.

    Raises:
        NotMeasuredError: if no stability was logged in it.
    """
    rows = measured_rows(run, "stability", server_round)
    same = pairs(run, Comparison.SAME_CLASS_ACROSS_CLIENTS)
    retest = pairs(of_client_models(run), Comparison.RETEST)
    layers = []
    for layer in layers_of(rows):
        own = rows[rows["layer"] == layer].dropna(subset=["stability"])
        ends = (_phi(overlap, server_round, layer) for overlap in (same, retest))
        values = own["stability"]
        figures = (mean(values), float(values.min()), float(values.max()), int((own["low"] > 0).sum()))
        layers.append(LayerAgreement(layer, len(own), *figures, *ends))
    return Agreement(layers)


def _phi(overlap: pd.DataFrame, server_round: int, layer: str) -> float:
    return mean(overlap.loc[(overlap["round"] == server_round) & (overlap["layer"] == layer), "phi"])


def _against_retest(pooled: LayerAgreement) -> str:
    """Say what the retest allows to conclude."""
    if pd.isna(pooled.retest_phi):
        return "but discovery was not repeated, so its noise is unknown"
    if pooled.retest_phi < MEASURABLE:
        return f"but discovery hardly repeats itself on one model (φ {pooled.retest_phi:.2f}), so that says little"
    if pooled.stability >= pooled.retest_phi:
        return f"as much as two discoveries on one model do (φ {pooled.retest_phi:.2f})"
    return f"where two discoveries on one model reach φ {pooled.retest_phi:.2f}"
