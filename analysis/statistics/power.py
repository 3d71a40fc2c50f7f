"""What effect a number of seeds can find: the power of the t-test, by the noncentral t distribution."""

import math
from functools import lru_cache
from typing import Final

from scipy import optimize, stats

POWER: Final = 0.8
"""Probability with which an effect that is there shall be found."""


def detectable_effect(num_seeds: int, confidence: float, power: float = POWER) -> float:
    """Return the smallest effect that seeds can find, in standard deviations of the (paired) values; NaN for one seed.

    An effect is found if the two-sided t-interval excludes what it is compared with.

    Args:
        num_seeds: whole runs, or pairs of them.
        confidence: coverage of the interval, in 0..1.
        power: probability of finding the effect, in 0..1.
    """
    if num_seeds < 2:
        return math.nan
    return detectable_errors(num_seeds - 1.0, confidence, power) / math.sqrt(num_seeds)


@lru_cache(maxsize=256)
def detectable_errors(degrees: float, confidence: float, power: float = POWER) -> float:
    """Return the smallest effect that an interval can find, in standard errors of its mean.

    Args:
        degrees: degrees of freedom of the standard error.
        confidence: coverage of the interval, in 0..1.
        power: probability of finding the effect, in 0..1.
    """
    critical = float(stats.t.ppf((1 + confidence) / 2, degrees))

    def missed(effect: float) -> float:
        # The other tail, an effect of the wrong sign, is not a finding.
        return float(stats.nct.cdf(critical, degrees, effect)) - (1 - power)

    return float(optimize.brentq(missed, 0.0, 4 * critical + 10))
