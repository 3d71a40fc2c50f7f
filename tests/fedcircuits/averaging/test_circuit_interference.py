"""Interference in the weights that touch a circuit, against the same figures with all other weights cut out."""

from dataclasses import asdict

import pytest
import torch
from torch import Tensor

from fedcircuits.averaging.interference import CircuitInterference, Interference, measure_interference
from fedcircuits.circuits.circuit import Circuits, no_circuits
from fedcircuits.networks.cnn import initial_weights
from fedcircuits.networks.spec import ModelSpec
from fedcircuits.training.sparsity import Masks

SPEC = ModelSpec(in_channels=2, image_size=8, channels=(3, 4), num_classes=5)
FIGURES = ["cancellation", "support_solo", "support_agree", "support_conflict", "norm_retention"]

Weights = dict[str, Tensor]


def sparse_weights(seed: int, spec: ModelSpec = SPEC) -> Weights:
    generator = torch.Generator().manual_seed(seed)
    weights = initial_weights(spec, generator)
    return {key: value * (torch.rand(value.shape, generator=generator) < 0.6) for key, value in weights.items()}


def masks_of(weights: Weights, spec: ModelSpec = SPEC) -> Masks:
    return {layer: weights[f"{layer}.weight"] != 0 for layer in spec.layer_names}


def circuit_of(channels: list[int], class_id: int = 1, num_channels: int = 7) -> Circuits:
    members = torch.zeros(1, num_channels, dtype=torch.bool)
    members[0, channels] = True
    return Circuits.ranked_by_score((class_id,), members, members.float())


def measure(circuits: dict[int, Circuits], cut: Masks | None = None, spec: ModelSpec = SPEC) -> Interference:
    """Measure three sparse clients; `cut` names the weights that stay, the others are zero everywhere."""
    start, *trained = (sparse_weights(seed, spec) for seed in range(4))
    if cut is not None:
        start, *trained = (
            {key: value * cut.get(key.removesuffix(".weight"), 1) for key, value in weights.items()}
            for weights in (start, *trained)
        )
    shares = [0.5, 0.3, 0.2]
    average = {key: sum(s * w[key] for s, w in zip(shares, trained, strict=True)) for key in start}
    clients = [(weights, masks_of(weights, spec)) for weights in trained]
    return measure_interference(spec, start, clients, shares, average, circuits)


def figures(entry: object) -> list[float]:
    return [getattr(entry, name) for name in FIGURES]


def test_every_circuit_has_an_entry_for_each_layer_that_touches_channels() -> None:
    circuits = {0: circuit_of([0, 3], class_id=2), 4: circuit_of([1], class_id=3)}
    entries = [(e.partition_id, e.class_id, e.layer) for e in measure(circuits).circuits]
    assert sorted(entries) == [(p, c, layer) for p, c in ((0, 2), (4, 3)) for layer in ("conv1", "conv2", "fc")]


def test_a_circuits_figures_are_those_of_a_layer_in_which_only_its_weights_are_left() -> None:
    channels = [0, 2, 4]  # channels 0 and 2 of conv1, channel 1 of conv2
    cut = {layer: torch.zeros(shape, dtype=torch.bool) for layer, shape in SPEC.weight_shapes.items()}
    cut["conv1"][[0, 2]] = True
    cut["conv2"][1] = True
    cut["conv2"][:, [0, 2]] = True
    cut["fc"].view(5, 4, -1)[:, 1] = True
    measured = measure({0: circuit_of(channels)}).circuits
    assert [entry.layer for entry in measured] == ["conv1", "conv2", "fc"]
    for entry, alone in zip(measured, measure({}, cut).layers, strict=True):
        assert figures(entry) == pytest.approx(figures(alone))
        union = sum(w[f"{entry.layer}.weight"].ne(0) for w in map(sparse_weights, (1, 2, 3))) > 0
        assert entry.num_weights == int((union & cut[entry.layer]).sum())


def test_a_circuit_of_all_channels_has_the_figures_of_the_layers() -> None:
    measured = measure({0: circuit_of(list(range(7)))})
    for entry, layer in zip(measured.circuits, measured.layers, strict=True):
        names = [*FIGURES, "sign_conflict", "sign_conflict_null"]
        assert [getattr(entry, n) for n in names] == pytest.approx([getattr(layer, n) for n in names])


def test_an_empty_circuit_touches_nothing() -> None:
    for entry in measure({0: circuit_of([])}).circuits:
        left = {key: value for key, value in asdict(entry).items() if value is not None}
        assert left == {"partition_id": 0, "class_id": 1, "layer": entry.layer, "num_weights": 0}


def test_a_client_without_circuits_has_no_entry() -> None:
    assert measure({0: no_circuits(7)}).circuits == []


def test_layers_behind_hidden_units_touch_no_channel() -> None:
    spec = ModelSpec(in_channels=2, image_size=8, channels=(3, 4), num_classes=5, hidden_units=(6,))
    measured = measure({0: circuit_of([0, 5])}, spec=spec)
    assert [entry.layer for entry in measured.layers] == ["conv1", "conv2", "hidden1", "fc"]
    assert [entry.layer for entry in measured.circuits] == ["conv1", "conv2", "hidden1"]


def test_a_conflict_outside_of_a_circuit_is_not_its_own() -> None:
    spec = ModelSpec(in_channels=1, image_size=2, channels=(2,), num_classes=2)

    def trained(row: list[float]) -> tuple[Weights, Masks]:
        weights = {"conv1.weight": torch.ones(2, 1, 3, 3), "fc.weight": torch.tensor([row, [0.0, 0.0]])}
        return weights, masks_of(weights, spec)

    start = trained([0.0, 0.0])[0]
    # Both move the weight of channel 0 together and pull the one of channel 1 apart.
    clients = [trained([1.0, 9.0]), trained([1.0, -9.0])]
    circuits = {0: circuit_of([0], num_channels=2), 1: circuit_of([1], num_channels=2)}
    measured = measure_interference(spec, start, clients, [0.5, 0.5], start, circuits).circuits
    quiet, torn = (entry for entry in measured if entry.layer == "fc")
    assert isinstance(quiet, CircuitInterference)
    assert (quiet.sign_conflict, quiet.cancellation, quiet.support_agree) == (0.0, pytest.approx(1.0), 1.0)
    assert (torn.sign_conflict, torn.cancellation, torn.support_conflict) == (1.0, 0.0, 1.0)
