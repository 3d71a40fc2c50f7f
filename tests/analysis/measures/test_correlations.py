"""The true correlation of circuits: a ratio of means over pairs."""

import math

import pandas as pd
import pytest

from analysis.measures import true_correlation, true_correlations


def pairs(*rows):
    """Take phi, phi_swapped and reliability of each pair."""
    return pd.DataFrame(rows, columns=["phi", "phi_swapped", "reliability"]).assign(common_phi=0.35)


def test_it_is_the_mean_correlation_over_the_mean_reliability():
    # Means: (0.5 + 0.3) / 2 and 0.6 of correlations, 0.8 and 0.6 of reliabilities. The mean of ratios would be 0.75.
    found = pairs((0.5, 0.3, 0.8), (0.6, 0.6, 0.6))
    assert true_correlation(found) == pytest.approx(0.5 / 0.7)
    assert true_correlations(found).tolist() == pytest.approx([0.4 / 0.7, 0.6 / 0.7])
    assert true_correlation(found, "common_phi") == pytest.approx(0.35 / 0.7)


def test_a_pair_that_was_compared_one_way_only_counts_as_it_is():
    assert true_correlation(pairs((0.4, None, 0.8), (0.2, 0.6, 0.8))) == pytest.approx(0.5)


def test_pairs_without_a_retest_do_not_count():
    found = pairs((0.4, 0.4, 0.8), (0.9, 0.9, None))
    assert true_correlation(found) == pytest.approx(0.5)
    assert math.isnan(true_correlations(found).iloc[1])


def test_below_the_least_reliability_nothing_is_measurable():
    # One pair of 0.1 is no reason to drop the others; it is their mean that counts.
    assert true_correlation(pairs((0.3, 0.3, 0.1), (0.3, 0.3, 0.5))) == pytest.approx(1.0)
    assert math.isnan(true_correlation(pairs((0.3, 0.3, 0.1), (0.3, 0.3, 0.4))))
    assert math.isnan(true_correlation(pairs()))
