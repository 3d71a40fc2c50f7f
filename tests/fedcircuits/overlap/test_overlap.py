import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fedcircuits.overlap import OverlapValues, SetPairs, overlap_values, pair_sets

Array = NDArray[Any]


def expected(universe: int, size_a: int, size_b: int) -> float:
    return float(figures_of((min(size_a, size_b), size_a, size_b, universe)).expected_iou[0, 0])


def pairs_of(*layers: tuple[int, int, int, int]) -> SetPairs:
    """Make one pair from (intersection, size a, size b, universe) of each layer."""
    return SetPairs(*(np.array([column], dtype=np.int64) for column in zip(*layers, strict=True)))


def figures_of(*layers: tuple[int, int, int, int]) -> OverlapValues:
    return overlap_values(pairs_of(*layers))


def intersection_law(universe: int, size_a: int, size_b: int) -> dict[int, Fraction]:
    """Return the exact law of the intersection of two random sets, from counts of subsets."""
    total = math.comb(universe, size_b)
    ways = {
        k: math.comb(size_a, k) * math.comb(universe - size_a, size_b - k)
        for k in range(max(0, size_a + size_b - universe), min(size_a, size_b) + 1)
    }
    return {k: Fraction(number, total) for k, number in ways.items()}


def plug_in(universe: int, size_a: int, size_b: int) -> float:
    mean = size_a * size_b / universe
    return mean / (size_a + size_b - mean)


set_sizes = st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(0, n)))


@given(set_sizes)
def test_expected_iou_agrees_with_exact_fractions(sizes: tuple[int, int, int]) -> None:
    universe, a, b = sizes
    if a + b == 0:
        assert math.isnan(expected(universe, a, b))
        return
    exact = sum(p * Fraction(k, a + b - k) for k, p in intersection_law(universe, a, b).items())
    # scipy's hypergeometric law is good to about 1e-12; sums of 40 terms lose no more.
    assert expected(universe, a, b) == pytest.approx(float(exact), abs=1e-10)


@given(set_sizes)
def test_the_spread_agrees_with_exact_fractions(sizes: tuple[int, int, int]) -> None:
    universe, a, b = sizes
    if a + b == 0:
        return
    law = intersection_law(universe, a, b)
    figures = figures_of((min(a, b), a, b, universe))
    mean = sum(p * Fraction(k, a + b - k) for k, p in law.items())
    variance = sum(p * (Fraction(k, a + b - k) - mean) ** 2 for k, p in law.items())
    assert figures.expected_sd[0, 0] == pytest.approx(math.sqrt(variance), abs=1e-7)  # the root of an error of 1e-14


@given(set_sizes)
def test_expected_iou_is_symmetric(sizes: tuple[int, int, int]) -> None:
    universe, a, b = sizes
    assert expected(universe, a, b) == pytest.approx(expected(universe, b, a), abs=1e-10, nan_ok=True)


@pytest.mark.parametrize(("universe", "a", "b"), [(20_000, 20, 20), (73_728, 1, 1), (1_000_000, 100, 100)])
def test_expected_iou_of_small_sets_in_a_large_universe_is_exact(universe: int, a: int, b: int) -> None:
    # Here the null is skewed: a few standard deviations are less than one element.
    exact = sum(p * Fraction(k, a + b - k) for k, p in intersection_law(universe, a, b).items())
    assert expected(universe, a, b) == pytest.approx(float(exact), rel=1e-8)


def test_a_single_layer_pooled_is_the_layer() -> None:
    for values in vars(figures_of((2, 3, 3, 10))).values():
        assert values.shape == (1, 2)
        assert values[0, 1] == pytest.approx(values[0, 0])


@given(
    st.lists(
        st.integers(1, 7).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(0, n))),
        min_size=1,
        max_size=3,
    )
)
def test_the_pooled_expectation_agrees_with_all_combinations_of_layers(layers: list[tuple[int, int, int]]) -> None:
    total = sum(a + b for _, a, b in layers)
    laws = [intersection_law(*layer).items() for layer in layers]
    exact = Fraction(0)
    for outcome in product(*laws):
        shared = sum(k for k, _ in outcome)
        probability = math.prod((p for _, p in outcome), start=Fraction(1))
        exact += probability * Fraction(shared, total - shared) if total else 0
    pooled = figures_of(*((min(a, b), a, b, n) for n, a, b in layers)).expected_iou[0, -1]
    if total == 0:
        assert math.isnan(pooled)
    else:
        assert pooled == pytest.approx(float(exact), abs=1e-10)


def test_pooled_phi_sums_covariances_and_variances_within_layers() -> None:
    # Layer 1: covariance 2 - 3*3/10 = 1.1, variances 2.1 and 2.1. Layer 2: 1 - 2*1/4 = 0.5, variances 1 and 0.75.
    figures = figures_of((2, 3, 3, 10), (1, 2, 1, 4))
    assert figures.phi[0, 2] == pytest.approx(1.6 / math.sqrt(3.1 * 2.85))


def test_two_empty_sets_have_no_iou() -> None:
    for values in vars(figures_of((0, 0, 0, 10))).values():
        assert np.isnan(values).all()


def test_an_empty_set_against_another_has_an_iou_of_zero() -> None:
    figures = figures_of((0, 0, 3, 10))
    assert figures.iou[0].tolist() == [0.0, 0.0]
    assert figures.expected_iou[0].tolist() == [0.0, 0.0]
    assert figures.adjusted_iou[0].tolist() == [0.0, 0.0]
    assert figures.expected_sd[0].tolist() == [0.0, 0.0]
    assert np.isnan(figures.phi).all()  # an indicator that never varies correlates with nothing


def test_two_sets_that_are_the_whole_universe_say_nothing() -> None:
    figures = figures_of((6, 6, 6, 6))
    assert figures.iou[0, 0] == 1.0
    assert figures.expected_iou[0, 0] == 1.0
    assert np.isnan(figures.adjusted_iou[0]).all()
    assert np.isnan(figures.phi[0]).all()


@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_layer_without_a_universe_does_not_disturb_the_pooled_figures(position: int) -> None:
    layers = [(2, 3, 3, 10), (1, 2, 1, 4)]
    with_empty = [*layers[:position], (0, 0, 0, 0), *layers[position:]]
    pooled, disturbed = figures_of(*layers), figures_of(*with_empty)
    for name in vars(pooled):
        assert getattr(disturbed, name)[0, -1] == pytest.approx(getattr(pooled, name)[0, -1])
        assert np.isnan(getattr(disturbed, name)[0, position])


def test_no_pairs_give_figures_without_rows() -> None:
    empty = np.zeros((0, 2), dtype=np.int64)
    figures = overlap_values(SetPairs(empty, empty, empty, empty))
    assert {values.shape for values in vars(figures).values()} == {(0, 3)}


@given(st.integers(2, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n - 1))))
def test_identical_sets_have_the_highest_figures(case: tuple[int, int]) -> None:
    universe, size = case
    figures = figures_of((size, size, size, universe))
    assert figures.iou[0].tolist() == [1.0, 1.0]
    assert figures.adjusted_iou[0] == pytest.approx([1.0, 1.0])
    assert figures.phi[0] == pytest.approx([1.0, 1.0])


@given(set_sizes, st.data())
def test_figures_are_symmetric_and_in_range(sizes: tuple[int, int, int], data: st.DataObject) -> None:
    universe, a, b = sizes
    shared = data.draw(st.integers(max(0, a + b - universe), min(a, b)))
    one, other = figures_of((shared, a, b, universe)), figures_of((shared, b, a, universe))
    for name in vars(one):
        value = getattr(one, name)[0, 0]
        assert getattr(other, name)[0, 0] == pytest.approx(value, abs=1e-9, nan_ok=True)
        assert math.isnan(value) or value <= 1 + 1e-9
    if a + b:
        assert 0 <= one.iou[0, 0] <= 1
        assert 0 <= one.expected_iou[0, 0] <= 1 + 1e-12


@given(set_sizes)
def test_adjusted_iou_and_phi_average_to_zero_over_the_null(sizes: tuple[int, int, int]) -> None:
    universe, a, b = sizes
    if not (0 < a < universe and 0 < b < universe):
        return
    law = intersection_law(universe, a, b)
    counts = np.array(list(law))[:, None]
    figures = overlap_values(SetPairs(*(np.broadcast_to(v, counts.shape) for v in (counts, a, b, universe))))
    weights = np.array([float(p) for p in law.values()])
    assert weights @ figures.adjusted_iou[:, 0] == pytest.approx(0, abs=1e-9)
    assert weights @ figures.phi[:, 0] == pytest.approx(0, abs=1e-9)


def test_random_sets_of_fixed_sizes_average_to_zero_per_layer_and_pooled() -> None:
    layers, draws = [(12, 4, 5), (20, 3, 6)], 1500
    generator = np.random.default_rng(0)
    members = np.zeros((2 * draws, 32), dtype=np.bool_)
    for row in range(2 * draws):
        start = 0
        for universe, *sizes in layers:
            members[row, start + generator.permutation(universe)[: sizes[row % 2]]] = True
            start += universe
    first, second = np.arange(0, 2 * draws, 2), np.arange(1, 2 * draws, 2)
    figures = overlap_values(pair_sets(members, np.ones_like(members), [12, 20], first, second))
    for values in (figures.adjusted_iou, figures.phi):
        # Four standard errors of a mean over independent pairs.
        tolerance = 4 * values.std(axis=0) / math.sqrt(draws)
        assert (np.abs(values.mean(axis=0)) < tolerance).all()


def sets_of(row: Array, part: range) -> set[int]:
    return {i for i in part if row[i]}


@given(st.data())
def test_pair_sets_agrees_with_python_sets(data: st.DataObject) -> None:
    layer_sizes: Sequence[int] = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=3))
    num_items = data.draw(st.integers(1, 4))
    generator = np.random.default_rng(data.draw(st.integers(0, 2**31)))
    shape = (num_items, sum(layer_sizes))
    members, universe = generator.random(shape) < 0.5, generator.random(shape) < 0.6
    couples = list(product(range(num_items), repeat=2))
    first, second = (np.array(column) for column in zip(*couples, strict=True))
    counted = pair_sets(members, universe, layer_sizes, first, second)
    assert len(counted) == len(couples)
    start = 0
    for layer, size in enumerate(layer_sizes):
        part = range(start, start + size)
        start += size
        for pair, (i, j) in enumerate(couples):
            allowed_i, allowed_j = sets_of(universe[i], part), sets_of(universe[j], part)
            a, b = sets_of(members[i], part) & allowed_i, sets_of(members[j], part) & allowed_j
            assert counted.intersection[pair, layer] == len(a & b)
            assert counted.size_a[pair, layer] == len(a)
            assert counted.size_b[pair, layer] == len(b)
            assert counted.universe[pair, layer] == len(allowed_i | allowed_j)


def test_the_universe_of_a_pair_is_the_union_and_elements_outside_an_items_own_do_not_count() -> None:
    members = np.array([[1, 1, 1, 0], [1, 1, 0, 0]], dtype=np.bool_)
    reachable = np.array([[1, 0, 1, 0], [1, 1, 0, 0]], dtype=np.bool_)
    counted = pair_sets(members, reachable, [4], np.array([0]), np.array([1]))
    assert counted.universe.tolist() == [[3]]
    assert counted.size_a.tolist() == [[2]]  # element 1 cannot be reached in the first item
    assert counted.size_b.tolist() == [[2]]
    assert counted.intersection.tolist() == [[1]]


def test_a_large_universe_is_finite_and_close_to_the_mean_intersection() -> None:
    universe = 73_728  # weights of a layer with 64 inputs and 128 outputs
    size_a, size_b = np.full(100, 3700), 3600 + np.arange(100)
    shared = np.round(size_a * size_b / universe).astype(np.int64)
    pairs = SetPairs(*(v[:, None] for v in (shared, size_a, size_b, np.full(100, universe))))
    figures = overlap_values(pairs)
    for values in vars(figures).values():
        assert np.isfinite(values).all()
    # The gap to the IoU of the mean intersection is half the curvature times the variance, about 4e-6 here.
    bound = [plug_in(universe, 3700, int(b)) for b in size_b]
    assert (figures.expected_iou[:, 0] >= bound).all()
    assert figures.expected_iou[:, 0] == pytest.approx(bound, abs=1e-5)
    assert figures.expected_iou[:, 1] == pytest.approx(figures.expected_iou[:, 0])
    assert np.abs(figures.phi).max() < 1e-3


def test_layers_of_very_different_size_pool_to_a_finite_expectation() -> None:
    figures = figures_of((90, 144, 180, 288), (60, 921, 921, 18_432), (185, 3686, 3686, 73_728), (3, 57, 57, 11_520))
    assert np.isfinite(figures.expected_iou).all()
    mean = sum(a * b / n for a, b, n in [(144, 180, 288), (921, 921, 18_432), (3686, 3686, 73_728), (57, 57, 11_520)])
    total = 144 + 180 + 2 * (921 + 3686 + 57)
    assert figures.expected_iou[0, 4] == pytest.approx(mean / (total - mean), abs=1e-4)
    assert figures.expected_iou[0, 4] > mean / (total - mean)


def test_the_common_universe_is_what_both_items_can_have_and_sets_are_cut_to_it() -> None:
    members = np.array([[1, 1, 1, 0, 0], [0, 1, 0, 1, 1]], dtype=np.bool_)
    reachable = np.array([[1, 1, 1, 0, 1], [0, 1, 1, 1, 0]], dtype=np.bool_)
    counted = pair_sets(members, reachable, [5], np.array([0]), np.array([1]), common=True)
    assert counted.universe.tolist() == [[2]]
    assert (counted.size_a.tolist(), counted.size_b.tolist(), counted.intersection.tolist()) == ([[2]], [[1]], [[1]])


def test_random_circuits_of_models_that_reach_different_channels_are_at_chance_in_the_common_universe_only() -> None:
    generator = np.random.default_rng(0)
    reach = np.zeros((2, 71), dtype=np.bool_)
    reach[0, :47], reach[1, 25:] = True, True  # 22 channels in common
    couples = 1000
    members = np.tile(reach, (couples, 1)) & (generator.random((2 * couples, 71)) < 0.5)
    universe = np.tile(reach, (couples, 1))
    first = np.arange(0, 2 * couples, 2)
    in_union, in_common = (
        overlap_values(pair_sets(members, universe, [71], first, first + 1, common=common)) for common in (False, True)
    )
    # Standard error of a mean of 1,000 phis of spread 1/sqrt(21): 0.007.
    assert np.nanmean(in_union.phi[:, 0]) < -0.1
    assert abs(np.nanmean(in_common.phi[:, 0])) < 0.03
