"""Masks and their two floors. The densities measured on the authors' code are in fidelity/test_masks.py."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from reference.masks import kept
from scipy import stats
from torch import Tensor

from fedcircuits.networks.cnn import initial_weights
from fedcircuits.networks.spec import ModelSpec
from fedcircuits.settings import Settings, SparsitySettings
from fedcircuits.training.sparsity import (
    densities,
    exact_mask,
    kept_counts,
    magnitude_mask,
    num_kept,
    sparsity_at,
    weight_masks,
)

MakeSettings = Callable[[dict[str, Any]], Settings]

PAPER_CNN = ModelSpec(in_channels=1, image_size=28, channels=(32, 64, 128), num_classes=10)
TINY_CNN = ModelSpec(in_channels=1, image_size=8, channels=(4, 6), num_classes=3)

REFERENCE = SparsitySettings(0.9, min_alive=4, sparsity_floor="reference", sparsity_schedule="round")
INSIDE = replace(REFERENCE, sparsity_floor="inside")

shapes = st.one_of(
    st.tuples(st.integers(1, 5), st.integers(4, 12)),
    st.tuples(st.integers(1, 4), st.integers(1, 3), st.just(3), st.just(3)),
)
sparsities = st.one_of(st.sampled_from([0.0, 0.5, 0.8, 0.9, 0.95, 0.997]), st.floats(0.0, 0.999))
seeds = st.integers(0, 2**31)


def distinct_weights(shape: tuple[int, ...], seed: int) -> Tensor:
    """Draw weights of random signs whose magnitudes are all different."""
    generator = torch.Generator().manual_seed(seed)
    size = math.prod(shape)
    magnitude = (torch.randperm(size, generator=generator) + 1) / size
    sign = torch.randint(0, 2, (size,), generator=generator) * 2 - 1
    return (magnitude * sign).reshape(shape)


def tied_weights(shape: tuple[int, ...], seed: int) -> Tensor:
    """Draw weights of few different magnitudes, so that ties are everywhere."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-2, 3, shape, generator=generator).float()


def magnitudes_by_filter(weight: Tensor) -> list[list[float]]:
    return [[abs(value) for value in row.flatten().tolist()] for row in weight]


def slow_magnitude_mask(weight: Tensor, sparsity: float, min_alive: int) -> list[list[bool]]:
    """Do what the fast function does with sorted lists, one filter at a time."""
    return kept(magnitudes_by_filter(weight), sparsity, min_alive)


def magnitude_at(weight: Tensor, sparsity: float, min_alive: int) -> Tensor:
    return magnitude_mask(weight, num_kept(weight.numel(), sparsity, REFERENCE), min_alive)


def exact_at(weight: Tensor, sparsity: float, min_alive: int) -> Tensor:
    return exact_mask(weight, num_kept(weight.numel(), sparsity, INSIDE), min_alive)


def rows_of(mask: Tensor) -> list[list[bool]]:
    return [row.flatten().tolist() for row in mask]


def test_sparsity_rises_in_the_first_half_and_then_stays() -> None:
    # 10 steps: 5 of them rise by 0.8 / 5 each, from 0.
    values = [sparsity_at(step, 10, 0.8) for step in range(10)]
    assert values == pytest.approx([0, 0.16, 0.32, 0.48, 0.64, 0.8, 0.8, 0.8, 0.8, 0.8])
    assert values[5:] == [0.8] * 5  # the target itself, bit for bit


def test_an_odd_number_of_steps_rounds_the_first_half_down() -> None:
    assert [sparsity_at(step, 5, 0.6) for step in range(5)] == pytest.approx([0, 0.3, 0.6, 0.6, 0.6])


@pytest.mark.parametrize("total_steps", [1, 2])
def test_a_run_of_one_or_two_steps_reaches_the_target(total_steps: int) -> None:
    assert sparsity_at(total_steps - 1, total_steps, 0.9) == 0.9


def test_a_dense_target_is_dense_throughout() -> None:
    assert [sparsity_at(step, 7, 0.0) for step in range(7)] == [0.0] * 7


@given(shapes, sparsities, st.integers(0, 4), seeds)
def test_magnitude_mask_agrees_with_sorted_lists(
    shape: tuple[int, ...], sparsity: float, min_alive: int, seed: int
) -> None:
    weight = distinct_weights(shape, seed)
    assert rows_of(magnitude_at(weight, sparsity, min_alive)) == slow_magnitude_mask(weight, sparsity, min_alive)


@given(shapes, sparsities, seeds)
def test_magnitude_mask_without_a_floor_agrees_with_sorted_lists_also_where_weights_tie(
    shape: tuple[int, ...], sparsity: float, seed: int
) -> None:
    weight = tied_weights(shape, seed)
    assert rows_of(magnitude_at(weight, sparsity, 0)) == slow_magnitude_mask(weight, sparsity, 0)


@given(shapes, sparsities, st.integers(0, 4), seeds)
def test_where_weights_tie_the_floor_keeps_the_same_weights_as_sorted_lists(
    shape: tuple[int, ...], sparsity: float, min_alive: int, seed: int
) -> None:
    weight = tied_weights(shape, seed)
    assert rows_of(magnitude_at(weight, sparsity, min_alive)) == slow_magnitude_mask(weight, sparsity, min_alive)


def test_weights_that_tie_with_the_smallest_kept_one_stay() -> None:
    weight = torch.tensor([[3.0, -2.0, 2.0, 1.0]])
    # Half of four is two: 3 and one of the twos, but the other two ties with it.
    assert magnitude_at(weight, 0.5, 0).tolist() == [[True, True, True, False]]


def test_at_least_one_weight_is_kept() -> None:
    weight = torch.tensor([[0.1, -0.4], [0.3, 0.2]])
    assert magnitude_at(weight, 0.999, 0).tolist() == [[False, True], [False, False]]


@pytest.mark.parametrize(("sparsity", "num_weights", "exact"), [(0.8, 10, 2), (0.9, 20, 2), (0.9, 1000, 100)])
def test_the_budget_is_python_float_arithmetic_one_short_of_the_exact_value(
    sparsity: float, num_weights: int, exact: int
) -> None:
    # 1 - 0.8 = 0.19999999999999996 and 1 - 0.9 = 0.09999999999999998, as in the reference code.
    weight = distinct_weights((1, num_weights), seed=0)
    assert int(magnitude_at(weight, sparsity, 0).sum()) == exact - 1
    assert int(exact_at(weight, sparsity, 0).sum()) == exact - 1


def test_the_floor_adds_weights_back_beyond_the_target() -> None:
    weight = torch.tensor([[9.0, 8.0, 7.0, 6.0], [0.4, -0.3, 0.2, 0.1]])
    assert magnitude_at(weight, 0.5, 0).tolist() == [[True] * 4, [False] * 4]
    assert magnitude_at(weight, 0.5, 2).tolist() == [[True] * 4, [True, True, False, False]]


def test_weights_that_tie_at_the_floor_of_their_filter_all_come_back() -> None:
    weight = torch.tensor([[9.0, 8.0, 7.0, 6.0], [0.4, -0.3, 0.3, 0.3]])
    assert magnitude_at(weight, 0.5, 2).tolist() == [[True] * 4, [True] * 4]
    assert magnitude_at(weight, 0.5, 1).tolist() == [[True] * 4, [True, False, False, False]]


def test_the_floor_leaves_a_filter_with_enough_survivors_alone() -> None:
    weight = torch.tensor([[9.0, 8.0, 0.5, 0.4], [7.0, 6.0, 5.0, 0.1]])
    assert magnitude_at(weight, 0.5, 2).tolist() == [[True, True, False, False], [True, True, False, False]]


def test_zero_sparsity_keeps_everything() -> None:
    weight = distinct_weights((3, 2, 3, 3), seed=1)
    assert bool(magnitude_at(weight, 0.0, 4).all())
    assert bool(exact_at(weight, 0.0, 4).all())


@pytest.mark.parametrize("rule", [magnitude_at, exact_at])
def test_the_memory_format_of_weights_does_not_change_their_mask(rule: Callable[[Tensor, float, int], Tensor]) -> None:
    weight = tied_weights((6, 5, 3, 3), seed=2)
    moved = weight.contiguous(memory_format=torch.channels_last)
    assert moved.stride() != weight.stride()
    assert torch.equal(rule(moved, 0.8, 4), rule(weight, 0.8, 4))


@given(shapes, sparsities, st.integers(0, 3), seeds, st.booleans())
def test_exact_mask_keeps_exactly_its_budget_and_protects_every_filter_inside_it(
    shape: tuple[int, ...], sparsity: float, min_alive: int, seed: int, has_ties: bool
) -> None:
    weight = tied_weights(shape, seed) if has_ties else distinct_weights(shape, seed)
    budget = int((1 - sparsity) * weight.numel())
    if budget < max(1, min_alive * shape[0]):
        return  # refused before training
    mask = exact_at(weight, sparsity, min_alive)
    assert int(mask.sum()) == budget
    assert int(mask.flatten(1).sum(1).min()) >= min_alive


@given(shapes, sparsities, seeds)
def test_exact_mask_without_a_floor_keeps_the_largest_and_the_earlier_one_of_two_equal_weights(
    shape: tuple[int, ...], sparsity: float, seed: int
) -> None:
    weight = tied_weights(shape, seed)
    values = weight.abs().flatten().tolist()
    budget = int((1 - sparsity) * len(values))
    if budget < 1:
        return
    order = sorted(range(len(values)), key=lambda i: (-values[i], i))
    assert exact_at(weight, sparsity, 0).flatten().nonzero().flatten().tolist() == sorted(order[:budget])


@given(shapes, st.integers(1, 400), st.integers(0, 4), seeds, st.booleans())
def test_a_count_on_a_device_gives_the_same_masks_bit_for_bit(
    shape: tuple[int, ...], budget: int, min_alive: int, seed: int, has_ties: bool
) -> None:
    weight = tied_weights(shape, seed) if has_ties else distinct_weights(shape, seed)
    num_keep = min(budget, weight.numel())
    for rule in (magnitude_mask, exact_mask):
        assert torch.equal(rule(weight, torch.tensor(num_keep), min_alive), rule(weight, num_keep, min_alive))


@pytest.mark.parametrize("num_keep", [1, 5, 12])
def test_a_count_on_a_device_gives_the_same_masks_of_weights_that_are_all_zero(num_keep: int) -> None:
    weight = torch.zeros(3, 4)
    for rule in (magnitude_mask, exact_mask):
        assert torch.equal(rule(weight, torch.tensor(num_keep), 1), rule(weight, num_keep, 1))


def test_exact_mask_pays_for_the_floor_with_the_smallest_of_the_others() -> None:
    weight = torch.tensor([[9.0, 8.0, 7.0, 6.0], [0.4, -0.3, 0.2, 0.1]])
    # A budget of four: one weight of the second filter is protected, so 6 has to go.
    assert exact_at(weight, 0.5, 1).tolist() == [[True, True, True, False], [True, False, False, False]]


def test_exact_mask_is_all_floor_where_the_floor_is_the_whole_budget() -> None:
    weight = torch.tensor([[9.0, 8.0, 7.0, 6.0], [0.4, -0.3, 0.2, 0.1]])
    assert exact_at(weight, 0.5, 2).tolist() == [[True, True, False, False], [True, True, False, False]]


@pytest.mark.parametrize("sparsity", [0.95, 0.99, 0.997])
def test_the_reference_floor_has_the_density_that_random_weights_predict(
    make_settings: MakeSettings, sparsity: float
) -> None:
    settings = make_settings({"sparsity": sparsity}).sparsity
    draws = []
    for seed in range(4):
        weights = initial_weights(PAPER_CNN, torch.Generator().manual_seed(seed))
        draws.append(densities(weight_masks(PAPER_CNN, weights, kept_counts(PAPER_CNN, sparsity, settings), settings)))
    for name in PAPER_CNN.conv_names:
        num_filters, *fan_in = PAPER_CNN.weight_shapes[name]
        num_inputs = math.prod(fan_in)
        budget = max(1, int((1 - sparsity) * num_filters * num_inputs))
        # Survivors of one filter before the floor are hypergeometric; the floor lifts them to 4.
        law = stats.hypergeom(num_filters * num_inputs, budget, num_inputs)
        lifted = [(max(k, 4), float(law.pmf(k))) for k in range(num_inputs + 1)]
        mean = sum(k * p for k, p in lifted)
        variance = sum((k - mean) ** 2 * p for k, p in lifted)
        measured = sum(draw[name] for draw in draws) / len(draws)
        # Four standard errors of a mean over 4 draws of all filters (which are not quite independent: an upper bound).
        tolerance = 4 * math.sqrt(variance / (4 * num_filters)) / num_inputs
        assert measured == pytest.approx(mean / num_inputs, abs=tolerance + 1e-12)


def test_linear_layers_have_no_floor_in_the_reference_and_one_inside(make_settings: MakeSettings) -> None:
    spec = replace(TINY_CNN, hidden_units=(7,))
    weights = {f"{name}.weight": distinct_weights(shape, seed=4) for name, shape in spec.weight_shapes.items()}
    weights["hidden1.weight"][0] = 0.0  # the first unit has the smallest weights of all
    weights["fc.weight"][0] = 0.0  # and so has the first class
    for floor, alive in (("reference", 0), ("inside", 3)):
        settings = make_settings({"sparsity": 0.5, "min-alive": 3, "sparsity-floor": floor}).sparsity
        masks = weight_masks(spec, weights, kept_counts(spec, 0.5, settings), settings)
        assert [int(masks[name][0].sum()) for name in ("hidden1", "fc")] == [alive, alive]
        assert all(int(masks[name].flatten(1).sum(1).min()) >= 3 for name in spec.conv_names)


def test_masks_have_the_shapes_of_their_weights(make_settings: MakeSettings) -> None:
    weights = initial_weights(TINY_CNN, torch.Generator().manual_seed(0))
    settings = make_settings({"sparsity": 0.5}).sparsity
    masks = weight_masks(TINY_CNN, weights, kept_counts(TINY_CNN, 0.5, settings), settings)
    assert {name: tuple(mask.shape) for name, mask in masks.items()} == TINY_CNN.weight_shapes
    assert list(masks) == list(TINY_CNN.layer_names)


def test_densities_weigh_layers_by_their_size() -> None:
    masks = {"conv1": torch.tensor([[True, False]]), "fc": torch.tensor([[True, True, True], [True, False, True]])}
    assert densities(masks) == {"conv1": 0.5, "fc": pytest.approx(5 / 6), "all": pytest.approx(6 / 8)}
