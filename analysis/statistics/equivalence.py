"""Equivalence of two experiments: two one-sided t-tests (TOST, Schuirmann 1987) against margins fixed beforehand.

An interval that holds 0 does not say that there is no difference. That takes both one-sided tests: the mean difference
is surely above −margin and surely below it, which is to say that its 90 % interval lies within the margin.
"""

import math
from collections.abc import Iterable
from typing import Any, Final

from scipy import stats

from analysis.statistics.significance import standard_error

OVERLAP_MARGIN: Final = 0.05
"""Of adjusted IoU and phi, and of rates in 0..1 of which nothing better is known."""

ACCURACY_MARGIN: Final = 0.02
"""Of accuracies."""

MARGINS: Final[dict[str, float]] = {
    **dict.fromkeys(("accuracy", "accuracy_trained"), ACCURACY_MARGIN),
    **dict.fromkeys(("ladder_readout", "ladder_body", "ladder_negatives"), ACCURACY_MARGIN),
    **dict.fromkeys(("usable_share", "false_positive_rate", "false_positive_rate_transplant"), OVERLAP_MARGIN),
    **dict.fromkeys(("sufficiency_client", "sufficiency_transplant", "sufficiency_global"), OVERLAP_MARGIN),
    **dict.fromkeys(("drift_gap", "stability", "faithfulness", "cpr"), OVERLAP_MARGIN),
    "num_collapsed": 0.5,
    "density": 0.01,
}
"""Measure to the largest difference that does not count. What is counted in channels or measured in loss has none."""

_OF_OVERLAP: Final = ("adjusted_iou", "phi", "phi_true")


def margin_of(measure: str) -> float:
    """Return the margin of a measure; NaN if none is fixed."""
    return OVERLAP_MARGIN if measure.endswith(_OF_OVERLAP) else MARGINS.get(measure, math.nan)


def tost(differences: Iterable[Any], margin: float) -> float:
    """Return the p of equivalence: the larger one of the two one-sided tests.

    Args:
        differences: one per seed; NaN and None are left out.
        margin: above 0, in the unit of the differences.

    Returns:
        p; NaN without a margin, for fewer than two differences, or for equal ones.
    """
    mean, error, number = standard_error(differences)
    if math.isnan(error) or math.isnan(margin):
        return math.nan
    above, below = (mean + margin) / error, (mean - margin) / error
    return float(max(stats.t.sf(above, number - 1), stats.t.cdf(below, number - 1)))
