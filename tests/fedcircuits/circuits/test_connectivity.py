import torch

from fedcircuits.circuits.circuit import Circuits
from fedcircuits.circuits.connectivity import LayerEdges, alive_kernels, circuit_edges, reachable_channels
from fedcircuits.networks.spec import ModelSpec

SPEC = ModelSpec(1, 4, (3, 2), 2)


def no_weights(spec: ModelSpec = SPEC) -> dict[str, torch.Tensor]:
    return {name: torch.zeros(shape) for name, shape in spec.state_shapes.items()}


def wired() -> dict[str, torch.Tensor]:
    weights = no_weights()
    weights["conv1.weight"][0, 0, 0, 0] = 1.0  # 0: lit, leads on
    weights["conv1.weight"][1, 0, 0, 0] = -1.0  # 1: lit, leads nowhere; 2: leads on, but dark
    weights["conv2.weight"][0, 0, 1, 1] = 1.0
    weights["conv2.weight"][0, 0, 2, 2] = 1.0  # a second weight of the same kernel is the same edge
    weights["conv2.weight"][0, 2, 1, 1] = 1.0
    weights["conv2.weight"][1, 0, 1, 1] = 1.0  # conv2 channel 1 is lit, but no logit reads it
    weights["fc.weight"][1, 0] = 1.0
    return weights


def circuits_of(class_id: int, *members: int) -> Circuits:
    member = torch.zeros(1, SPEC.num_channels, dtype=torch.bool)
    member[0, list(members)] = True
    return Circuits.ranked_by_score((class_id,), member, member.float())


def edges_of(circuits: Circuits) -> list[LayerEdges]:
    return circuit_edges(SPEC, alive_kernels(SPEC, wired()), circuits)


def test_reachable_channels_need_a_path_from_image_to_logit():
    assert reachable_channels(SPEC, alive_kernels(SPEC, wired())).tolist() == [True, False, False, True, False]


def test_a_bias_alone_does_not_make_a_channel_reachable():
    spec = ModelSpec(1, 4, (2,), 2)
    weights = no_weights(spec)
    weights["conv1.bias"][:] = 1.0
    weights["fc.weight"][:] = 1.0
    assert not reachable_channels(spec, alive_kernels(spec, weights)).any()


def test_an_edge_joins_two_channels_of_the_circuit_by_any_weight():
    everything = edges_of(circuits_of(1, 0, 1, 2, 3, 4))
    assert everything == [
        LayerEdges(1, "conv1", [0, 0], [0, 1]),
        LayerEdges(1, "conv2", [0, 2, 0], [0, 0, 1]),
        LayerEdges(1, "fc", [0], [1]),
    ]


def test_channels_outside_the_circuit_take_their_edges_with_them():
    assert edges_of(circuits_of(1, 2, 3, 4)) == [
        LayerEdges(1, "conv1", [], []),
        LayerEdges(1, "conv2", [2], [0]),
        LayerEdges(1, "fc", [0], [1]),
    ]


def test_a_circuit_has_no_edges_to_the_logit_of_another_class():
    assert edges_of(circuits_of(0, 0, 3))[-1] == LayerEdges(0, "fc", [], [])


def with_hidden_units() -> tuple[ModelSpec, dict[str, torch.Tensor]]:
    """Two channels of four features each, two hidden layers of three and two units, two classes."""
    spec = ModelSpec(1, 4, (2,), 2, hidden_units=(3, 2))
    weights = no_weights(spec)
    weights["conv1.weight"][:, 0, 1, 1] = 1.0
    weights["hidden1.weight"][0, 3] = 1.0  # the first channel's last feature to unit 0
    weights["hidden1.weight"][1, 4] = -1.0  # the second channel's first feature to unit 1
    weights["hidden2.weight"][0, 0] = 1.0  # unit 0 leads on; unit 1 does not
    weights["hidden2.weight"][1, 2] = 1.0  # unit 2 leads on, but nothing leads to it
    weights["fc.weight"][1, 0] = 1.0
    weights["fc.weight"][0, 1] = 1.0
    return spec, weights


def test_a_path_through_hidden_units_joins_a_channel_to_a_class():
    spec, weights = with_hidden_units()
    kernels = alive_kernels(spec, weights)
    assert list(kernels) == ["conv1", "fc"]
    assert kernels["fc"].tolist() == [[False, False], [True, False]]
    assert reachable_channels(spec, kernels).tolist() == [True, False]
    both = Circuits.ranked_by_score((1,), torch.ones(1, 2, dtype=torch.bool), torch.ones(1, 2))
    assert circuit_edges(spec, kernels, both)[-1] == LayerEdges(1, "fc", [0], [1])


def test_two_paths_to_a_class_are_one_edge_and_one_of_them_is_enough():
    spec, weights = with_hidden_units()
    weights["hidden2.weight"][0, 1] = 1.0  # now unit 1 leads on as well
    weights["hidden1.weight"][1, 0] = 1.0  # and the first channel has a second way
    assert alive_kernels(spec, weights)["fc"].tolist() == [[False, False], [True, True]]
    weights["hidden1.weight"][0] = 0.0
    assert alive_kernels(spec, weights)["fc"].tolist() == [[False, False], [True, True]]


def test_features_of_the_linear_layer_belong_to_their_channel():
    spec = ModelSpec(1, 4, (2,), 1)  # four features per channel
    weights = no_weights(spec)
    weights["fc.weight"][0, 5] = 1.0  # the second channel's second feature
    assert alive_kernels(spec, weights)["fc"].tolist() == [[False, True]]
