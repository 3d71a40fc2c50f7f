"""Statistics over seeds: mean, spread, t-interval, and differences paired by seed. Pure functions, no files, no runs.

The unit of replication is the seed, that is one whole federated run. Pairs of circuits within a run share clients,
classes and the weights they started from, so they are averaged to one value per seed first and are never counted as if
they were independent. Two experiments with the same seeds are compared by their differences seed by seed, which takes
out what a seed does to both.

Where seeds share their test images, the variance that these give to the mean (`analysis.statistics.image_variance`) is
added to that of seeds, and degrees of freedom are Satterthwaite's: the interval is about other images too.

What an interval does not do: it takes seeds as draws from a normal distribution, which few seeds cannot confirm, and it
is not corrected for the number of intervals that somebody looks at.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy import stats

from analysis.statistics.image_variance import ImageVariance

CONFIDENCE: Final = 0.95
"""Probability that an interval covers the true mean, if its assumptions hold."""


@dataclass(frozen=True)
class Interval:
    """A mean over seeds with its spread and its two-sided t-interval; NaN where undefined.

    Args:
        mean: over the seeds that have a value; undefined without any.
        sd: standard deviation of the seeds (n − 1 below the line); undefined for fewer than two.
        low: lower end of the interval of the mean; undefined for fewer than two seeds.
        high: upper end; likewise.
        num_seeds: seeds that have a value.
        num_missing: seeds that were asked about but have none.
    """

    mean: float
    sd: float
    low: float
    high: float
    num_seeds: int
    num_missing: int = 0

    @property
    def is_bounded(self) -> bool:
        """Tell whether there is an interval at all: one seed has a value but no interval."""
        return not math.isnan(self.low)

    @property
    def excludes_zero(self) -> bool:
        """Tell whether zero lies outside of the interval; never so without an interval."""
        return self.low > 0 or self.high < 0


def interval(values: Iterable[Any], confidence: float = CONFIDENCE, images: ImageVariance | None = None) -> Interval:
    """Return mean, standard deviation and t-interval of one value per seed.

    mean ± t(1 − (1 − confidence) / 2, degrees) · √(sd² / n + variance of images)

    Args:
        values: one per seed; NaN, None and NA are seeds without a value, which are left out and counted.
        confidence: coverage of the interval, in 0..1.
        images: what the test images that seeds share add to the variance of the mean; None = nothing.
    """
    everything = [math.nan if pd.isna(value) else float(value) for value in values]
    known = np.array([value for value in everything if not math.isnan(value)])
    num_missing = len(everything) - len(known)
    if len(known) < 2:
        mean = float(known[0]) if len(known) else math.nan
        return Interval(mean, math.nan, math.nan, math.nan, len(known), num_missing)
    mean, sd = float(known.mean()), float(known.std(ddof=1))
    error, degrees = error_of_mean(sd, len(known), images)
    reach = float(stats.t.ppf((1 + confidence) / 2, degrees)) * error
    return Interval(mean, sd, mean - reach, mean + reach, len(known), num_missing)


def error_of_mean(sd: float, num_seeds: int, images: ImageVariance | None = None) -> tuple[float, float]:
    """Return the standard error of a mean over seeds, and its degrees of freedom (Satterthwaite's with images).

    Args:
        sd: standard deviation of the seeds.
        num_seeds: at least two.
        images: what the test images that seeds share add to the variance of the mean; None = nothing.
    """
    of_seeds, degrees = sd**2 / num_seeds, num_seeds - 1.0
    if images is None or images.variance == 0:
        return math.sqrt(of_seeds), degrees
    total = of_seeds + images.variance
    return math.sqrt(total), total**2 / (of_seeds**2 / degrees + images.variance**2 / images.degrees)


def paired_differences(values: "pd.Series[float]", baseline: "pd.Series[float]") -> "pd.Series[float]":
    """Return value minus baseline for every seed that either has; NaN for a seed that is not in both.

    Args:
        values: one per seed, indexed by seed.
        baseline: likewise.

    Raises:
        ValueError: if a seed occurs twice in one of them.
    """
    if not (values.index.is_unique and baseline.index.is_unique):
        raise ValueError("a seed occurs twice: differences paired by seed need one value for each")
    return values.astype("float64").sub(baseline.astype("float64"))


def paired_interval(
    values: "pd.Series[float]", baseline: "pd.Series[float]", confidence: float = CONFIDENCE
) -> Interval:
    """Return the interval of the differences paired by seed; `num_missing` counts the seeds without a pair.

    Args:
        values: one per seed, indexed by seed.
        baseline: likewise.
        confidence: coverage of the interval, in 0..1.

    Raises:
        ValueError: if a seed occurs twice in one of them.
    """
    return interval(paired_differences(values, baseline), confidence)
