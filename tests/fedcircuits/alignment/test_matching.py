from collections.abc import Mapping

import numpy as np
import pytest
import torch
from permutations import inverse_permutations
from torch import Tensor

from fedcircuits.alignment.matching import channel_correlations, match_activations
from fedcircuits.alignment.relabelling import Permutations, identity_permutations, permute_weights
from fedcircuits.alignment.weight_matching import match_weights
from fedcircuits.networks import cnn as models
from fedcircuits.networks.cnn import SparseCNN, build_model, initial_weights
from fedcircuits.networks.spec import ModelSpec

SPEC = ModelSpec(1, 8, (8, 12), 4, hidden_units=(10, 9))


def images(count: int = 40) -> Tensor:
    return torch.randn(count, 1, 8, 8, generator=torch.Generator().manual_seed(9))


def network(weights: Mapping[str, Tensor], spec: ModelSpec = SPEC) -> SparseCNN:
    return build_model(spec, weights, torch.device("cpu"))


def dense(seed: int, spec: ModelSpec = SPEC) -> dict[str, Tensor]:
    weights = initial_weights(spec, torch.Generator().manual_seed(seed))
    for name in spec.hidden_names:
        weights[f"{name}.bias"] += 3.0  # so that no unit is dead by accident
    return weights


def sparse_with_dead_channels(seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    weights = dense(seed)
    for name in SPEC.layer_names:
        weight = weights[f"{name}.weight"]
        weight *= torch.rand(weight.shape, generator=generator) < 0.5
    weights["conv1.weight"][2] = 0.0
    weights["conv2.weight"][[1, 7]] = 0.0
    weights["hidden1.weight"][4] = 0.0
    return weights


def random_orders(spec: ModelSpec, seed: int) -> Permutations:
    rng = np.random.default_rng(seed)
    return {name: rng.permutation(order) for name, order in identity_permutations(spec).items()}


def by_activations(first: Mapping[str, Tensor], second: Mapping[str, Tensor], spec: ModelSpec = SPEC) -> Permutations:
    return match_activations(channel_correlations(network(first, spec), network(second, spec), images()))


def by_weights(first: Mapping[str, Tensor], second: Mapping[str, Tensor], spec: ModelSpec = SPEC) -> Permutations:
    return match_weights(spec, first, second, torch.Generator().manual_seed(0))


METHODS = {"activations": by_activations, "weights": by_weights}
either_method = pytest.mark.parametrize("match", METHODS.values(), ids=METHODS.keys())


@either_method
@pytest.mark.parametrize("seed", range(3))
def test_a_permuted_copy_is_found_out_exactly(match, seed: int):
    first = dense(seed)
    orders = random_orders(SPEC, seed)
    second = permute_weights(SPEC, first, orders)
    found = match(first, second)
    for name, order in inverse_permutations(orders).items():
        assert found[name].tolist() == order.tolist()
    assert all(torch.equal(value, first[name]) for name, value in permute_weights(SPEC, second, found).items())


@pytest.mark.parametrize("seed", range(3))
def test_a_permuted_sparse_copy_is_found_out_by_its_weights(seed: int):
    first = sparse_with_dead_channels(seed)
    second = permute_weights(SPEC, first, random_orders(SPEC, seed + 10))
    aligned = permute_weights(SPEC, second, by_weights(first, second))
    assert all(torch.equal(aligned[name], first[name]) for name in first)


@pytest.mark.parametrize("seed", range(3))
def test_activations_find_out_the_living_channels_of_a_permuted_sparse_copy(seed: int):
    first = sparse_with_dead_channels(seed)
    orders = random_orders(SPEC, seed + 10)
    second = permute_weights(SPEC, first, orders)
    correlations = channel_correlations(network(first), network(second), images())
    found = match_activations(correlations)
    assert not correlations["conv1"].alive_a[2]
    assert not correlations["conv2"].alive_a[[1, 7]].any()
    for name, order in inverse_permutations(orders).items():
        alive = correlations[name].alive_a
        assert found[name][alive].tolist() == order[alive].tolist()
        assert sorted(found[name].tolist()) == list(range(len(order)))


@either_method
def test_a_network_is_matched_with_itself_channel_by_channel(match):
    weights = sparse_with_dead_channels(0)
    for name, order in match(weights, weights).items():
        assert order.tolist() == list(range(len(order))), name


@either_method
def test_twins_keep_their_places(match):
    weights = dense(0)
    for name in ("conv2.weight", "conv2.bias"):  # two channels that do the same and are used alike
        weights[name][3] = weights[name][8]
    weights["hidden1.weight"].view(10, 12, 4)[:, 3] = weights["hidden1.weight"].view(10, 12, 4)[:, 8]
    assert match(weights, weights)["conv2"].tolist() == list(range(12))


@either_method
def test_independent_networks_keep_places_as_often_as_chance(match):
    spec = ModelSpec(1, 8, (16, 16), 4)
    found = [match(dense(2 * seed, spec), dense(2 * seed + 1, spec), spec) for seed in range(10)]
    kept = [float((order == np.arange(16)).mean()) for orders in found for order in orders.values()]
    # 1 of 16 channels by chance; a random permutation has 1 ± 1 fixed points, so the mean of 20 has sd 0.014.
    assert np.mean(kept) == pytest.approx(1 / 16, abs=4 * 0.014)


def test_the_order_of_visits_does_not_matter_where_there_is_one_answer():
    first = dense(0)
    second = permute_weights(SPEC, first, random_orders(SPEC, 3))
    found = [match_weights(SPEC, first, second, torch.Generator().manual_seed(seed)) for seed in range(3)]
    assert all((orders[name] == found[0][name]).all() for orders in found for name in orders)


def test_correlations_in_batches_are_those_of_all_activations_at_once(monkeypatch: pytest.MonkeyPatch):
    first, second, pixels = network(dense(0)), network(sparse_with_dead_channels(1)), images()
    monkeypatch.setitem(models._PASS_VALUES, "cpu", 7 * first.spec.largest_map)
    correlations = channel_correlations(first, second, pixels)
    with torch.no_grad():
        parts = [[net.activations(part) for part in pixels.split(7)] for net in (first, second)]
    for name, layer in correlations.items():
        a, b = (torch.cat([part[name] for part in net]).double().movedim(1, 0).flatten(1) for net in parts)
        direct = torch.corrcoef(torch.cat([a, b]))[: len(a), len(a) :]
        alive = direct.isfinite().numpy()
        assert (alive == layer.alive_a[:, None] & layer.alive_b).all()
        np.testing.assert_allclose(layer.matrix[alive], direct.numpy()[alive], rtol=0, atol=1e-10)
        assert (layer.matrix[~alive] == 0).all()


def test_a_large_constant_does_not_drown_a_small_signal():
    spec = ModelSpec(1, 8, (2,), 2)
    weights = dense(0, spec)
    weights["conv1.bias"][0] = 1000.0
    plain = channel_correlations(network(weights, spec), network(weights, spec), images())["conv1"]
    assert plain.alive_a.all()
    assert plain.matrix.diagonal() == pytest.approx(1.0, abs=1e-9)


def test_networks_without_a_living_channel_are_matched_place_by_place():
    dead = {name: torch.zeros_like(value) for name, value in dense(0).items()}
    correlations = channel_correlations(network(dead), network(dense(1)), images())
    assert not correlations["conv1"].alive_a.any()
    for orders in (match_activations(correlations), by_weights(dead, dense(1)), by_weights(dead, dead)):
        assert all(order.tolist() == list(range(len(order))) for order in orders.values())


def test_layer_activations_lead_to_the_logits():
    net, pixels = network(dense(0)), images(3)
    handed_on = net.activations(pixels)
    assert list(handed_on) == ["conv1", "conv2", "hidden1", "hidden2"]
    torch.testing.assert_close(net.get_submodule("fc")(handed_on["hidden2"]), net(pixels))
