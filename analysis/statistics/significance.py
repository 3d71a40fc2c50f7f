"""Tests of differences paired by seed: t, Wilcoxon's signed ranks, Holm's adjustment. Pure functions.

Few seeds can say little: of five differences, all of one sign, the exact two-sided p of Wilcoxon's test is 2 / 2⁵ =
0.0625 and cannot be less.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

ALPHA: Final = 0.05
"""The level of every test."""

MIN_RANKED: Final = 5
"""Fewest differences other than zero that signed ranks are computed of."""

NO_SPREAD: Final = 1e-12
"""Differences that spread less differ by rounding only; t is undefined."""

_MOST_EXACT: Final = 13
"""Up to here all 2ⁿ signs are enumerated, ties and all; above, p is exact without ties only."""


def standard_error(differences: Iterable[Any]) -> tuple[float, float, int]:
    """Return mean, its standard error and the number of known differences; NaN errors where t is undefined.

    Args:
        differences: one per seed; NaN and None are left out.
    """
    known = _known(differences)
    if len(known) < 2:
        return float(known[0]) if len(known) else math.nan, math.nan, len(known)
    sd = float(known.std(ddof=1))
    error = sd / math.sqrt(len(known)) if sd > NO_SPREAD else math.nan
    return float(known.mean()), error, len(known)


def paired_t(differences: Iterable[Any]) -> float:
    """Return the two-sided p of the paired t-test; NaN for fewer than two differences, or equal ones.

    Args:
        differences: one per seed; NaN and None are left out.
    """
    mean, error, number = standard_error(differences)
    return math.nan if math.isnan(error) else float(2 * stats.t.sf(abs(mean) / error, number - 1))


def signed_ranks(differences: Iterable[Any]) -> float:
    """Return the two-sided p of Wilcoxon's signed-rank test, for few seeds exact also where ranks are tied.

    Args:
        differences: one per seed; NaN, None and zeros are left out.

    Returns:
        p; NaN for fewer than `MIN_RANKED` differences, of which no result could come near 0.05.
    """
    known = _known(differences)
    known = known[np.abs(known) > NO_SPREAD]
    if len(known) < MIN_RANKED:
        return math.nan
    if len(known) <= _MOST_EXACT:
        return float(stats.wilcoxon(known, method=stats.PermutationMethod(n_resamples=2**_MOST_EXACT)).pvalue)
    return float(stats.wilcoxon(known, method="auto").pvalue)


def holm(p_values: Sequence[float]) -> NDArray[np.float64]:
    """Return p adjusted for their number (Holm 1979): some may be called significant, and the risk stays one test's.

    In ascending order the i-th of m is multiplied by m − i + 1, is no less than the one before it, and at most 1.

    Args:
        p_values: in 0..1; NaN, a test that was not made, stays NaN and does not count.
    """
    given = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full(given.shape, np.nan)
    known = np.flatnonzero(~np.isnan(given))
    ascending = known[np.argsort(given[known], kind="stable")]
    steps = given[ascending] * np.arange(len(ascending), 0, -1)
    adjusted[ascending] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def _known(differences: Iterable[Any]) -> NDArray[np.float64]:
    values = np.array([math.nan if one is None else one for one in differences], dtype=np.float64)
    return values[~np.isnan(values)]
