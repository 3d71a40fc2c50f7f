"""Values of the overlap's figures that are known from elsewhere, to the digits that are known."""

import math
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from fedcircuits.comparisons.stability import stability
from fedcircuits.overlap import OverlapValues, SetPairs, overlap_values, pair_sets

SIX_DECIMALS = 5e-7


class Golden(NamedTuple):
    universe: int
    size_a: int
    size_b: int
    mean: float
    sd: float
    lower_bound: float  # IoU of the mean intersection


GOLDEN = [
    Golden(10, 3, 4, 0.228333, 0.168828, 0.206897),
    Golden(32, 5, 5, 0.092651, 0.096839, 0.084746),
    Golden(64, 8, 8, 0.070542, 0.066135, 0.066667),
    Golden(128, 6, 6, 0.026079, 0.048093, 0.024000),
    Golden(128, 6, 14, 0.035544, 0.041836, 0.033926),
    Golden(64, 10, 20, 0.119175, 0.057498, 0.116279),
    Golden(128, 64, 64, 0.334503, 0.039576, 0.333333),
]

each_golden = pytest.mark.parametrize("golden", GOLDEN, ids=lambda g: f"{g.universe}-{g.size_a}-{g.size_b}")


def figures_of(*layers: tuple[int, int, int, int]) -> OverlapValues:
    """Return the figures of one pair from (intersection, size a, size b, universe) of each layer."""
    return overlap_values(SetPairs(*(np.array([column], dtype=np.int64) for column in zip(*layers, strict=True))))


def nested(golden: Golden) -> OverlapValues:
    return figures_of((min(golden.size_a, golden.size_b), golden.size_a, golden.size_b, golden.universe))


@each_golden
def test_the_mean_iou_of_random_sets(golden: Golden) -> None:
    assert nested(golden).expected_iou[0] == pytest.approx([golden.mean] * 2, abs=SIX_DECIMALS)


@each_golden
def test_the_spread_of_the_iou_of_random_sets(golden: Golden) -> None:
    assert nested(golden).expected_sd[0] == pytest.approx([golden.sd] * 2, abs=SIX_DECIMALS)


@each_golden
def test_the_iou_of_the_mean_intersection_is_a_lower_bound(golden: Golden) -> None:
    mean = golden.size_a * golden.size_b / golden.universe
    assert mean / (golden.size_a + golden.size_b - mean) == pytest.approx(golden.lower_bound, abs=SIX_DECIMALS)
    assert nested(golden).expected_iou[0, 0] > golden.lower_bound  # k / (a + b - k) is convex in k


def test_all_sets_of_four_out_of_ten_against_one_of_three() -> None:
    first = {0, 1, 2}
    values = [len(first & set(b)) / len(first | set(b)) for b in combinations(range(10), 4)]
    assert len(values) == 210
    figures = figures_of((2, 3, 4, 10))
    assert figures.expected_iou[0, 0] == pytest.approx(np.mean(values), abs=1e-12)
    assert figures.expected_sd[0, 0] == pytest.approx(np.std(values), abs=1e-12)


def test_three_layers_pooled() -> None:
    figures = figures_of((1, 5, 5, 32), (2, 8, 8, 64), (0, 6, 6, 128))
    assert figures.expected_iou[0, 3] == pytest.approx(0.0587361, abs=5e-8)
    assert figures.iou[0, 3] == pytest.approx(3 / 35)  # 3 shared, 38 - 3 in the union


def rows(*texts: str) -> NDArray[Any]:
    return np.array([[letter == "1" for letter in text] for text in texts])


def test_two_sets_of_three_out_of_ten() -> None:
    members = rows("1110000000", "1101000000")
    pairs = pair_sets(members, np.ones_like(members), [10], np.array([0]), np.array([1]))
    figures = overlap_values(pairs)
    assert figures.iou[0, 0] == 0.5
    assert figures.expected_iou[0, 0] == pytest.approx(0.200833, abs=SIX_DECIMALS)
    assert figures.phi[0, 0] == pytest.approx(0.523810, abs=SIX_DECIMALS)
    assert figures.phi[0, 0] == pytest.approx(np.corrcoef(members)[0, 1])
    assert figures.adjusted_iou[0, 0] == pytest.approx((0.5 - 0.200833) / (1 - 0.200833), abs=2e-6)


def test_stability_of_three_sets_out_of_eight() -> None:
    agreement = stability([rows("11001000", "10001100", "11000010")])
    assert agreement.value == pytest.approx(0.2888889, abs=5e-8)
    assert agreement.variance == pytest.approx(0.009364426, abs=5e-10)
    reach = 1.959964 * math.sqrt(0.009364426)
    assert (agreement.low, agreement.high) == pytest.approx((0.2888889 - reach, 0.2888889 + reach), abs=1e-6)
