import re

import pytest

from fedcircuits.errors import SettingsError
from fedcircuits.networks.spec import ModelSpec
from fedcircuits.settings.feasibility import sparsity_problems

# Filters of conv1 have 9 weights, of conv2 36; the layers have 36, 72 and 216 weights.
TINY_CNN = ModelSpec(in_channels=1, image_size=8, channels=(4, 2), num_classes=27)
PAPER_CNN = ModelSpec(in_channels=1, image_size=28, channels=(32, 64, 128), num_classes=10)


def test_a_dense_model_is_always_feasible():
    assert sparsity_problems(TINY_CNN, 0.0, min_alive=1000, is_inside=True) == []


def test_a_floor_above_a_filters_weights_names_the_layers_concerned():
    problems = sparsity_problems(TINY_CNN, 0.5, min_alive=10, is_inside=False)
    assert problems == ["min-alive = 10: a filter of conv1 has only 9 weights"]


def test_a_floor_concerns_linear_layers_only_if_it_lies_inside_the_target():
    spec = ModelSpec(in_channels=1, image_size=8, channels=(4, 2), num_classes=27, hidden_units=(8,))
    assert sparsity_problems(spec, 0.1, min_alive=9, is_inside=False) == []
    inside = sparsity_problems(spec, 0.1, min_alive=9, is_inside=True)
    assert "min-alive = 9: a filter of fc has only 8 weights" in inside


def test_every_layer_that_cannot_be_met_is_listed():
    problems = sparsity_problems(TINY_CNN, 0.997, min_alive=5, is_inside=True)
    assert [re.findall(r"conv1|conv2|fc", problem)[0] for problem in problems] == ["conv1", "conv2", "fc"]


def test_the_reference_floor_takes_any_target_that_its_filters_can_hold():
    assert sparsity_problems(PAPER_CNN, 0.999, min_alive=4, is_inside=False) == []


def test_an_inside_floor_refuses_a_target_that_is_too_small_for_it():
    (problem,) = sparsity_problems(PAPER_CNN, 0.9, min_alive=4, is_inside=True)
    assert problem.startswith(
        "sparsity = 0.9: conv1 keeps 28 of 288 weights, but min-alive = 4 needs 128; at most 0.55"
    )
    assert sparsity_problems(PAPER_CNN, 0.5, min_alive=4, is_inside=True) == []


@pytest.mark.parametrize("channels", [(32, 64, 128), (8, 16), (7, 13, 29)])
@pytest.mark.parametrize("min_alive", [0, 1, 3, 4])
def test_the_highest_sparsity_that_the_message_calls_possible_is_possible(channels, min_alive):
    spec = ModelSpec(in_channels=1, image_size=28, channels=channels, num_classes=10)
    problems = sparsity_problems(spec, 0.9999, min_alive, is_inside=True)
    most = min(float(number) for problem in problems for number in re.findall(r"at most ([0-9.]+) is", problem))
    assert sparsity_problems(spec, most, min_alive, is_inside=True) == []


def test_an_impossible_target_is_listed_with_the_other_mistakes(make_settings):
    with pytest.raises(SettingsError) as caught:
        make_settings({"sparsity": 0.99, "sparsity-floor": "inside", "circuit-classes": "12"})
    assert any("conv1 keeps" in problem for problem in caught.value.problems)
    assert any("no class [12]" in problem for problem in caught.value.problems)
