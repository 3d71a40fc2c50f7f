"""What a run's clients did not report, and what noise is on the rest: said wherever something is missing for it."""

from fedcircuits.records import Comparison
from fedcircuits.runlog.run import Run
from fedcircuits.settings.privacy import bit_epsilon

MASK_COMPARISONS = frozenset({Comparison.PARAMETER_MASK_ACROSS_CLIENTS, Comparison.PARAMETER_MASK_LOCAL_VS_GLOBAL})
"""Comparisons of weight masks, which name no class."""


def withheld(run: Run) -> str:
    """Say what clients kept to themselves; empty if they reported everything, as they do in older runs."""
    report = run.settings.get("client-report", "full")
    if report == "full":
        return ""
    what = "their weights only" if report == "weights" else "nothing by class"
    return f'clients report {what} (client-report = "{report}")'


def reports_on(run: Run, comparison: Comparison) -> bool:
    """Tell whether clients report what a comparison needs."""
    report = run.settings.get("client-report", "full")
    return report == "full" or (report == "masks" and comparison in MASK_COMPARISONS)


def mask_noise(run: Run) -> str:
    """Say how masks were changed at random before they were sent; empty if they were not."""
    flips = run.settings.get("mask-flip-probability", 0)
    if not flips:
        return ""
    epsilon = f"epsilon {bit_epsilon(flips):.2f} a bit and round"
    return f"bits flipped with probability {flips} ({epsilon}), overlaps estimated"


def average_noise(run: Run) -> str:
    """Say how updates were clipped and what noise is on the average; empty without differential privacy."""
    dp = run.settings.get("dp", "off")
    if dp == "off":
        return ""
    return f"{dp} at {run.settings.get('dp-clipping-norm')}, noise multiplier {run.settings.get('dp-noise-multiplier')}"
