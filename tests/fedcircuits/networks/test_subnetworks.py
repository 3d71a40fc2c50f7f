"""A circuit as a network of its own says what the whole network says through gates: its slow twin."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fedcircuits.circuits.scores import circuit_logits
from fedcircuits.networks import cnn as models
from fedcircuits.networks.cnn import GateSite, Gating, SparseCNN, build_model, in_passes, initial_weights
from fedcircuits.networks.spec import ModelSpec

CPU = torch.device("cpu")
SPECS = {
    "the paper's": ModelSpec(1, 12, (5, 6, 7), 4),
    "without padding": ModelSpec(3, 20, (4, 5), 4, kernel_size=5, padding="valid"),
    "with hidden layers": ModelSpec(1, 8, (5, 6), 3, hidden_units=(9, 8)),
    "of one convolution": ModelSpec(1, 6, (6,), 3),
}


def network(spec: ModelSpec, seed: int = 0) -> SparseCNN:
    model = build_model(spec, initial_weights(spec, torch.Generator().manual_seed(seed)), CPU)
    return model.double().requires_grad_(False)


def pictures(spec: ModelSpec, count: int = 7) -> torch.Tensor:
    shape = (count, spec.in_channels, spec.image_size, spec.image_size)
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def through_gates(
    model: SparseCNN, images: torch.Tensor, member: torch.Tensor, ablation: torch.Tensor, site: GateSite
) -> torch.Tensor:
    gating = Gating(member.to(images.dtype)[None], torch.zeros(len(images), dtype=torch.int64), ablation, site)
    return model(images, gating)


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("site", GateSite)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**20), share=st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]), is_zero=st.booleans())
def test_a_circuit_of_its_own_says_what_the_gated_network_says(name, site, seed, share, is_zero):
    spec, generator = SPECS[name], torch.Generator().manual_seed(seed)
    model, images = network(spec), pictures(spec)
    member = torch.rand(spec.num_channels, generator=generator) < share
    # Means before the activation can be negative; those after it cannot, but nothing here relies on that.
    ablation = torch.randn(spec.num_channels, generator=generator, dtype=torch.float64) * (not is_zero)
    logits = model.subnetworks(ablation, site).of(member)(model.stem(images))
    torch.testing.assert_close(logits, through_gates(model, images, member, ablation, site), rtol=1e-9, atol=1e-9)


def test_layers_without_any_channel_leave_a_constant():
    spec = SPECS["the paper's"]
    model, images, ablation = network(spec), pictures(spec), torch.rand(18, dtype=torch.float64)
    for layer in range(3):
        member = torch.cat([torch.full((width,), i != layer) for i, width in enumerate(spec.channels)])
        logits = model.subnetworks(ablation, GateSite.POST).of(member)(model.stem(images))
        torch.testing.assert_close(logits, logits[:1].expand_as(logits))
        torch.testing.assert_close(logits, through_gates(model, images, member, ablation, GateSite.POST))


@pytest.mark.parametrize("name", SPECS)
def test_open_gates_have_the_gradients_of_the_gated_network_and_closed_ones_none(name):
    # Zero ablation before ReLU, where a closed gate makes ReLU's input 0 and learns nothing.
    spec = SPECS[name]
    model, images, zeros = network(spec), pictures(spec), torch.zeros(spec.num_channels, dtype=torch.float64)
    member = torch.arange(spec.num_channels) % 3 > 0
    own, whole = (member.double().requires_grad_() for _ in range(2))
    circuit = model.subnetworks(zeros, GateSite.PRE).of(member)
    circuit(model.stem(images), own.split(list(spec.channels)))[:, 1].sum().backward()
    through_gates(model, images, whole, zeros, GateSite.PRE)[:, 1].sum().backward()
    torch.testing.assert_close(own.grad, whole.grad)
    assert not whole.grad[~member].any()


def test_circuits_are_run_image_by_image_whatever_the_passes(monkeypatch: pytest.MonkeyPatch):
    spec = SPECS["the paper's"]
    model, images = network(spec), pictures(spec)
    members = torch.rand((4, 18), generator=torch.Generator().manual_seed(2)) < 0.5
    ablation = torch.rand(18, dtype=torch.float64)
    at_once = circuit_logits(model, images, members, ablation, GateSite.POST)
    monkeypatch.setitem(models._PASS_VALUES, "cpu", 2 * spec.largest_map)
    torch.testing.assert_close(circuit_logits(model, images, members, ablation, GateSite.POST), at_once)
    for row, member in enumerate(members):
        torch.testing.assert_close(at_once[row], through_gates(model, images, member, ablation, GateSite.POST))


def test_passes_are_even_and_as_many_as_it_takes(monkeypatch: pytest.MonkeyPatch):
    spec = SPECS["the paper's"]
    monkeypatch.setitem(models._PASS_VALUES, "cpu", 4 * spec.largest_map)
    assert [len(part) for part in in_passes(torch.arange(9), spec)] == [3, 3, 3]
    assert [len(part) for part in in_passes(torch.arange(0), spec)] == [0]
    assert spec.largest_map == 5 * 12 * 12
