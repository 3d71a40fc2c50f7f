import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from fedcircuits.networks.cnn import (
    GateSite,
    Gating,
    SparseCNN,
    build_model,
    detached_weights,
    initial_weights,
    is_faster_in_blocks,
)
from fedcircuits.networks.spec import ModelSpec

CPU = torch.device("cpu")
SPEC = ModelSpec(in_channels=1, image_size=8, channels=(3, 4, 5), num_classes=10)
THREE_LAYERS = ModelSpec(
    in_channels=1, image_size=16, channels=(3, 4), num_classes=10, kernel_size=5, padding="valid", hidden_units=(7, 6)
)
NIID_BENCH = {"channels": "6,16", "kernel-size": 5, "padding": "valid", "hidden-units": "120,84"}


def seeded_weights(spec: ModelSpec, seed: int = 0) -> dict[str, torch.Tensor]:
    return initial_weights(spec, torch.Generator().manual_seed(seed))


def slow_forward(spec, weights, images, gates, ablation, site):
    """The network as the paper writes it: convolution, (gate), ReLU, pooling, (gate), one image after the other."""
    logits = []
    for image, gate in zip(images, gates, strict=True):
        maps, offset = image[None], 0
        for name, width in zip(spec.conv_names, spec.channels, strict=True):
            on = gate[offset : offset + width].view(1, -1, 1, 1)
            instead = ablation[offset : offset + width].view(1, -1, 1, 1)
            maps = F.conv2d(maps, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=spec.padding)
            if site is GateSite.PRE:
                maps = torch.where(on > 0, maps, instead.expand_as(maps))
            maps = F.max_pool2d(F.relu(maps), 2)
            if site is GateSite.POST:
                maps = torch.where(on > 0, maps, instead.expand_as(maps))
            offset += width
        features = maps.flatten(1)
        for name in spec.hidden_names:
            features = F.linear(features, weights[f"{name}.weight"], weights[f"{name}.bias"]).relu()
        logits.append(F.linear(features, weights["fc.weight"], weights["fc.bias"])[0])
    return torch.stack(logits)


@given(seed=st.integers(0, 2**20), site=st.sampled_from(list(GateSite)), spec=st.sampled_from([SPEC, THREE_LAYERS]))
def test_gated_forward_agrees_with_the_paper_order_of_operations(seed, site, spec):
    generator = torch.Generator().manual_seed(seed)
    weights = seeded_weights(spec, seed)
    images = torch.randn(6, 1, spec.image_size, spec.image_size, generator=generator)
    rows = (torch.rand(2, spec.num_channels, generator=generator) > 0.5).float()
    group = torch.tensor([0, 1, 1, 0, 1, 0])
    ablation = torch.randn(spec.num_channels, generator=generator)
    fast = build_model(spec, weights, CPU)(images, Gating(rows, group, ablation, site))
    slow = slow_forward(spec, weights, images, rows[group], ablation, site)
    # Float32 sums in another order: a few units in the last place of numbers of order 1.
    torch.testing.assert_close(fast, slow, rtol=1e-4, atol=1e-5)


def test_open_gates_change_nothing():
    weights = seeded_weights(SPEC)
    images = torch.randn(4, 1, 8, 8)
    model = build_model(SPEC, weights, CPU)
    for site in GateSite:
        gating = Gating(
            torch.ones(1, SPEC.num_channels), torch.zeros(4, dtype=torch.int64), torch.randn(SPEC.num_channels), site
        )
        torch.testing.assert_close(model(images, gating), model(images))


def test_closed_gates_leave_a_constant():
    model = build_model(SPEC, seeded_weights(SPEC), CPU)
    gating = Gating(
        torch.zeros(1, SPEC.num_channels),
        torch.zeros(5, dtype=torch.int64),
        torch.rand(SPEC.num_channels),
        GateSite.POST,
    )
    logits = model(torch.randn(5, 1, 8, 8), gating)
    torch.testing.assert_close(logits, logits[:1].expand(5, -1))


def test_channel_means_are_those_of_the_gates_site():
    weights = seeded_weights(SPEC)
    model = build_model(SPEC, weights, CPU)
    images = torch.randn(7, 1, 8, 8)
    first = F.conv2d(images, weights["conv1.weight"], weights["conv1.bias"], padding=1)
    torch.testing.assert_close(model.channel_means(images, GateSite.PRE)[:3], first.mean((0, 2, 3)))
    pooled = F.max_pool2d(first.relu(), 2)
    torch.testing.assert_close(model.channel_means(images, GateSite.POST)[:3], pooled.mean((0, 2, 3)))


def test_linear_layer_follows_from_the_image(make_settings):
    widths = {
        dataset: make_settings({"dataset": dataset}).spec.weight_shapes["fc"]
        for dataset in ("digits", "mnist", "cifar10")
    }
    assert widths == {"digits": (10, 128), "mnist": (10, 128 * 9), "cifar10": (10, 128 * 16)}


def test_paper_model_on_mnist_has_the_published_size(make_settings):
    shapes = make_settings({"dataset": "mnist"}).spec.weight_shapes
    assert [torch.Size(shape).numel() for shape in shapes.values()] == [288, 18432, 73728, 11520]


def test_the_benchmark_model_has_the_layers_and_the_size_of_niid_benchs(make_settings):
    specs = {name: make_settings({"dataset": name, **NIID_BENCH}).spec for name in ("mnist", "cifar10")}
    assert specs["mnist"].weight_shapes == {
        "conv1": (6, 1, 5, 5),
        "conv2": (16, 6, 5, 5),
        "hidden1": (120, 256),
        "hidden2": (84, 120),
        "fc": (10, 84),
    }
    assert specs["cifar10"].weight_shapes["conv1"] == (6, 3, 5, 5)
    assert specs["cifar10"].weight_shapes["hidden1"] == (120, 400)
    sizes = {name: sum(math.prod(shape) for shape in spec.state_shapes.values()) for name, spec in specs.items()}
    # conv1 6 * 26 (CIFAR-10: 6 * 76), conv2 16 * 151, then 120 * 257 (120 * 401), 84 * 121 and 10 * 85.
    assert sizes == {"mnist": 44_426, "cifar10": 62_006}


@pytest.mark.parametrize(
    ("kernel_size", "padding", "size"),
    [(3, "same", 7), (5, "same", 7), (5, "valid", 4), (3, "valid", 5), (1, "valid", 7)],
)
def test_features_shrink_with_kernels_without_padding(kernel_size, padding, size):
    # 28 pixels, two layers: 5 without padding leaves 24, 12, 8, 4; 3 leaves 26, 13, 11, 5.
    assert ModelSpec(1, 28, (2, 2), 10, kernel_size, padding).feature_size == size


@pytest.mark.parametrize("spec", [SPEC, THREE_LAYERS])
def test_state_shapes_are_the_models_own(spec):
    state = SparseCNN(spec).state_dict()
    assert [(name, tuple(value.shape)) for name, value in state.items()] == list(spec.state_shapes.items())


def test_initial_weights_are_pytorchs_default_law():
    torch.manual_seed(0)
    ours = seeded_weights(ModelSpec(1, 28, (32, 64, 128), 10))
    theirs = SparseCNN(ModelSpec(1, 28, (32, 64, 128), 10)).state_dict()
    for name in ("conv2.weight", "conv3.weight", "fc.weight"):
        assert torch.allclose(ours[name].abs().max(), theirs[name].abs().max(), rtol=0.01)
        # The standard deviation of 11,520 or more uniform draws varies by under 1 %.
        assert torch.allclose(ours[name].std(), theirs[name].std(), rtol=0.03)


def test_weights_survive_the_model_unchanged_and_uncoupled():
    weights = seeded_weights(SPEC)
    model = build_model(SPEC, weights, CPU)
    taken = detached_weights(model)
    for name, value in weights.items():
        assert torch.equal(taken[name], value)
    taken["fc.bias"].zero_()
    assert torch.equal(model.state_dict()["fc.bias"], weights["fc.bias"])


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this PyTorch has no oneDNN")
@pytest.mark.parametrize(
    "spec",
    [
        ModelSpec(1, 28, (32, 64, 128), 10),
        ModelSpec(3, 21, (5, 9), 4, kernel_size=5, padding="valid", hidden_units=(7,)),
    ],
)
def test_maps_in_blocks_give_the_same_logits_and_gradients(spec):
    images = torch.randn(6, spec.in_channels, spec.image_size, spec.image_size)
    images[:, :, :10] = 0.5  # an even background: maxima of windows are often taken twice
    images = images.contiguous(memory_format=torch.channels_last)
    plain, blocks = (build_model(spec, initial_weights(spec, torch.Generator().manual_seed(0)), CPU) for _ in range(2))
    expected, logits = plain(images), blocks.forward_in_blocks(images)
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)
    expected[:, 1].sum().backward()
    logits[:, 1].sum().backward()
    for one, other in zip(plain.parameters(), blocks.parameters(), strict=True):
        torch.testing.assert_close(other.grad, one.grad, rtol=1e-4, atol=1e-4)


def test_only_large_maps_in_single_precision_are_computed_in_blocks():
    images = torch.zeros(1, 1, 28, 28)
    large, small = ModelSpec(1, 28, (32, 64, 128), 10), ModelSpec(1, 8, (32, 64, 128), 10)
    assert not is_faster_in_blocks(small, images)
    assert not is_faster_in_blocks(large, images.double())
    assert is_faster_in_blocks(large, images) == (torch.backends.cpu.get_cpu_capability() == "AVX512")
