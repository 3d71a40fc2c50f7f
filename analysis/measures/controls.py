"""Controls of overlap: how alike one model's circuits are under another question, and those of a copy with some noise.

Overlap between models says nothing about the models where either control is as low.
"""

from typing import Final

import pandas as pd

from analysis.measures.correlations import true_correlation
from analysis.measures.overlaps import pooled_pairs
from fedcircuits.records import Comparison
from fedcircuits.runlog.run import Run

IDENTIFIABLE: Final = 0.7
"""Least true correlation of a model's circuits with those of its perturbed copy at which circuits can be identified:
half of the variance of membership is then common."""


def last_control(run: Run, comparison: Comparison) -> float:
    """Return the true correlation of a control's pairs in the last round that has any; NaN where there is none."""
    rows = pooled_pairs(run, comparison)
    return true_correlation(rows[rows["round"] == rows["round"].max()])


def identifiability_note(run: Run) -> str:
    """Say that circuits cannot be identified, if those of slightly changed copies differ; empty if they can be."""
    correlation = last_control(run, Comparison.PERTURBED_COPY)
    if pd.isna(correlation) or correlation >= IDENTIFIABLE:
        return ""
    return (
        f"circuits are not identifiable here: those of a copy with 1 % of noise on its weights agree with the model's "
        f"by a true φ of only {correlation:.2f} (needed {IDENTIFIABLE:g}), so φ between clients says little, and what "
        "counts is whether circuits work in each other's weights (transfer)"
    )
