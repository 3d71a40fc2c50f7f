"""Statistics over seeds, against numbers worked out by hand."""

import math

import pandas as pd
import pytest

from analysis.statistics.seeds import interval, paired_differences, paired_interval


def test_mean_spread_and_t_interval_of_three_seeds() -> None:
    found = interval([1.0, 2.0, 3.0])
    assert (found.mean, found.sd, found.num_seeds, found.num_missing) == (2.0, 1.0, 3, 0)
    # The 0.975 quantile of t with 2 degrees of freedom is 4.302653 (any table).
    assert found.high - found.mean == pytest.approx(4.302653 / math.sqrt(3), abs=1e-6)
    assert found.low == pytest.approx(2 - 4.302653 / math.sqrt(3), abs=1e-6)


def test_less_confidence_gives_a_narrower_interval() -> None:
    # The 0.9 quantile of t with 1 degree of freedom is tan(0.4 π) = 3.077684; sd / √n is 1.
    found = interval([0.0, 2.0], confidence=0.8)
    assert (found.low, found.high) == (pytest.approx(1 - 3.077684), pytest.approx(1 + 3.077684))


def test_one_seed_has_a_mean_but_no_spread_and_no_interval() -> None:
    found = interval([0.7])
    assert (found.mean, found.num_seeds) == (0.7, 1)
    assert math.isnan(found.sd)
    assert not found.is_bounded
    assert not found.excludes_zero


@pytest.mark.parametrize("values", [[], [math.nan], [None, pd.NA]])
def test_without_any_value_all_is_undefined_but_the_seeds_are_counted(values: list[object]) -> None:
    found = interval(values)
    assert math.isnan(found.mean)
    assert (found.num_seeds, found.num_missing) == (0, len(values))


def test_seeds_without_a_value_are_left_out_and_counted() -> None:
    found = interval([1.0, math.nan, 3.0, None])
    assert (found.mean, found.num_seeds, found.num_missing) == (2.0, 2, 2)


def test_zero_is_excluded_only_where_the_whole_interval_lies_on_one_side() -> None:
    assert interval([1.0, 1.1, 0.9]).excludes_zero
    assert interval([-1.0, -1.1, -0.9]).excludes_zero
    assert not interval([1.0, -1.0, 0.5]).excludes_zero


def test_equal_seeds_give_an_interval_without_width() -> None:
    found = interval([0.5, 0.5])
    assert (found.sd, found.low, found.high) == (0.0, 0.5, 0.5)


def test_pairing_takes_out_what_a_seed_does_to_both() -> None:
    easy_and_hard = pd.Series({0: 0.9, 1: 0.5, 2: 0.7})
    found = paired_interval(easy_and_hard + pd.Series({0: 0.1, 1: 0.2, 2: 0.3}), easy_and_hard)
    assert (found.mean, found.sd) == (pytest.approx(0.2), pytest.approx(0.1))


def test_seeds_are_paired_by_number_not_by_place() -> None:
    differences = paired_differences(pd.Series({1: 1.0, 0: 5.0}), pd.Series({0: 3.0, 1: 0.0}))
    assert differences.to_dict() == {0: 2.0, 1: 1.0}


def test_seeds_of_one_side_only_count_as_missing() -> None:
    found = paired_interval(pd.Series({0: 1.0, 1: 2.0, 2: math.nan}), pd.Series({1: 1.5, 2: 1.0, 3: 9.0}))
    assert (found.mean, found.num_seeds, found.num_missing) == (0.5, 1, 3)


def test_a_seed_that_occurs_twice_cannot_be_paired() -> None:
    with pytest.raises(ValueError, match="occurs twice"):
        paired_differences(pd.Series([1.0, 2.0], index=[0, 0]), pd.Series({0: 1.0}))
