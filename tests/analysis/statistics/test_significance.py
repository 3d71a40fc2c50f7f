"""Tests of paired differences, Holm's adjustment and equivalence, against numbers worked out by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from analysis.statistics.equivalence import margin_of, tost
from analysis.statistics.significance import holm, paired_t, signed_ranks


def test_holm_multiplies_step_by_step_and_never_falls() -> None:
    # Ascending 0.005, 0.01, 0.03, 0.04 times 4, 3, 2, 1: 0.02, 0.03, 0.06, and 0.04 raised to the one before it.
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_leaves_out_tests_that_were_not_made() -> None:
    adjusted = holm([0.02, math.nan, 0.03])
    assert adjusted[[0, 2]].tolist() == pytest.approx([0.04, 0.04])
    assert math.isnan(adjusted[1])
    assert holm([]).size == 0
    assert np.isnan(holm([math.nan])).all()


def test_holm_is_at_most_one_and_never_below_what_it_adjusts() -> None:
    given = np.random.default_rng(0).random(50)
    adjusted = holm(list(given))
    assert (adjusted >= given).all()
    assert adjusted.max() == 1.0
    assert (np.diff(adjusted[np.argsort(given)]) >= 0).all()


def test_the_p_of_t_has_a_closed_form_for_two_degrees_of_freedom() -> None:
    # Mean 2, standard error 1 / √3, t = 2 √3; with 2 degrees of freedom p = 1 − t / √(2 + t²).
    t = 2 * math.sqrt(3)
    assert paired_t([1.0, 2.0, 3.0, math.nan, None]) == pytest.approx(1 - t / math.sqrt(2 + t * t))


@pytest.mark.parametrize("differences", [[], [0.3], [math.nan, 0.3], [0.0, 0.0, 0.0], [0.7 - 0.6, 0.3 - 0.2]])
def test_without_spread_there_is_no_t(differences: list[float]) -> None:
    assert math.isnan(paired_t(differences))
    assert math.isnan(tost(differences, 0.05))


def test_five_seeds_of_one_sign_have_the_least_p_that_ranks_can_give() -> None:
    assert signed_ranks([0.1, 0.2, 0.3, 0.4, 0.5]) == pytest.approx(2 / 2**5)
    assert math.isnan(signed_ranks([0.1, 0.2, 0.3, 0.4]))
    assert math.isnan(signed_ranks([0.1, 0.2, 0.3, 0.4, 0.0]))


def test_signed_ranks_are_exact_where_ranks_are_tied() -> None:
    # Ranks 2, 2, 2, 4, 5 with the last negative: of 32 signs, W− is 5 or less for none, {2} three times, {4}, {5},
    # {2, 2} has 4 three times: 1 + 3 + 1 + 1 + 3 = 9, and as many on the other side.
    assert signed_ranks([1.0, 1.0, 1.0, 2.0, -3.0]) == pytest.approx(18 / 32)


def test_many_seeds_are_not_enumerated() -> None:
    differences = np.random.default_rng(1).normal(0.5, 1.0, 40)
    assert signed_ranks(differences) == pytest.approx(stats.wilcoxon(differences).pvalue)


def test_equivalence_takes_both_one_sided_tests() -> None:
    differences = [0.01, -0.01, 0.02, 0.0, 0.005]
    above = stats.ttest_1samp(differences, -0.05, alternative="greater").pvalue
    below = stats.ttest_1samp(differences, 0.05, alternative="less").pvalue
    assert tost(differences, 0.05) == pytest.approx(max(above, below))
    assert max(above, below) < 0.05


def test_equivalent_means_that_the_ninety_percent_interval_lies_within_the_margin() -> None:
    differences = [0.01, 0.03, 0.02, 0.06]
    error = stats.sem(differences)
    high = np.mean(differences) + stats.t.ppf(0.95, 3) * error
    assert tost(differences, high + 1e-9) < 0.05 < tost(differences, high - 1e-9)


def test_a_wide_spread_is_neither_a_difference_nor_equivalence() -> None:
    differences = [0.2, -0.2, 0.1, -0.1, 0.05]
    assert paired_t(differences) > 0.05
    assert tost(differences, 0.05) > 0.05


def test_margins_are_fixed_by_measure() -> None:
    assert margin_of("same_class_adjusted_iou") == margin_of("local_vs_global_phi_true") == 0.05
    assert (margin_of("accuracy"), margin_of("num_collapsed")) == (0.02, 0.5)
    assert math.isnan(margin_of("circuit_size"))
    assert math.isnan(tost([0.1, 0.2, 0.3], margin_of("circuit_size")))
