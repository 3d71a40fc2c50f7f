"""Correlations of circuits with the noise of discovery taken out."""

import math

import pandas as pd

from fedcircuits.records import MIN_RELIABILITY
from fedcircuits.runlog.run import Run


def true_correlations(pairs: pd.DataFrame, column: str = "phi") -> "pd.Series[float]":
    """Return the correlation of each pair over the mean reliability of all of them (correction for attenuation).

    Their mean is a ratio of means, not a mean of ratios: a pair whose retest happened to come out low does not count
    more than the others. Nothing is clipped, so that equal models give 1 in expectation.

    Args:
        pairs: overlap rows of one layer or of all pooled, one per pair.
        column: `phi`, which is averaged with `phi_swapped` where a pair was compared both ways; or `common_phi`.

    Returns:
        one value for each pair; NaN where a pair lacks its correlation or its reliability, and everywhere if the mean
        reliability is below `MIN_RELIABILITY`: then nothing is measurable.
    """
    both = pairs[[column, "phi_swapped"]] if column == "phi" else pairs[[column]]
    found = both.astype("float64").mean(axis=1)
    reliability = pairs["reliability"].astype("float64")
    is_known = found.notna() & reliability.notna()
    mean_reliability = float(reliability[is_known].mean()) if is_known.any() else math.nan
    if not mean_reliability >= MIN_RELIABILITY:
        return pd.Series(math.nan, index=pairs.index, dtype="float64")
    return (found / mean_reliability).where(is_known)


def true_correlation(pairs: pd.DataFrame, column: str = "phi") -> float:
    """Return the mean of `true_correlations`: the mean correlation of pairs over their mean reliability."""
    return float(true_correlations(pairs, column).mean())


def of_one_question(run: Run, pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the pairs of circuits that were asked the same question.

    That is, found on images of one source and told from the same classes. A pair of which this is not known is left
    out, but for a log that was imported: the authors' objective has no negatives.
    """
    is_same = pairs["same_question"].astype("boolean").fillna("imported-from" in run.settings)
    return pairs[is_same.astype(bool)]
