"""Edges of a circuit, on a network small enough to read them off."""

import torch
from reference.connectivity import edges


def test_edges_are_weights_that_are_not_zero_between_channels_of_the_circuit():
    weights = {
        "conv1.weight": torch.zeros(3, 1, 3, 3),
        "conv1.bias": torch.ones(3),
        "conv2.weight": torch.zeros(2, 3, 3, 3),
        "conv2.bias": torch.ones(2),
        "fc.weight": torch.zeros(2, 8),  # two maps of four positions
        "fc.bias": torch.ones(2),
    }
    weights["conv1.weight"][0, 0, 1, 1] = 0.5
    weights["conv1.weight"][1, 0, 0, 0] = -0.5
    weights["conv2.weight"][0, 0, 2, 2] = 1e-9  # however small
    weights["conv2.weight"][1, 0, 0, 0] = 1.0
    weights["conv2.weight"][1, 1, 0, 0] = 1.0
    weights["conv2.weight"][1, 2, 0, 0] = 1.0
    weights["fc.weight"][0, 3] = 1.0  # the last position of map 0
    weights["fc.weight"][1, 4] = 1.0  # the first position of map 1
    weights["fc.weight"][1, 7] = 1.0  # another of the same map: the same edge
    circuit = {"conv1": {0, 2}, "conv2": {0, 1}}
    assert edges(weights, circuit, 1) == {"conv1": {(0, 0)}, "conv2": {(0, 0), (0, 1), (2, 1)}, "fc": {(1, 1)}}
    assert edges(weights, circuit, 0)["fc"] == {(0, 0)}
    assert edges(weights, {"conv1": set(), "conv2": {1}}, 1) == {"conv1": set(), "conv2": set(), "fc": {(1, 1)}}
