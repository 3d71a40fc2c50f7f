"""The network under study, its layers as circuits see them, and its forward pass through gates.

Convolutions, each followed by ReLU and 2x2 max pooling, then linear layers with ReLU between them. By default it is the
network of arXiv 2512.23043: 3x3 convolutions with padding 1 and one linear layer. Pooling runs before ReLU here: the
two commute, and ReLU then has a quarter of the work.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from fedcircuits.networks.spec import READOUT, ModelSpec
from fedcircuits.networks.subnetworks import Subnetworks

Weights = Mapping[str, Tensor]
"""A model's state: parameter name to tensor, on any device."""

_LARGE_MAP = 2**13
"""Values in the largest map of an image from which it counts as large: 28x28 with 32 channels has 25,088."""

_PASS_VALUES = {"cpu": 2**21, "cuda": 2**26}
"""Values in the largest map of one pass. On a CPU maps of 8 MB stay in its caches, and below the size at which malloc
fetches every map anew from the kernel, page by page; a GPU wants more images at once than it has cores."""


class GateSite(StrEnum):
    """Where a gate acts on its channel."""

    PRE = "pre"
    "On the convolution's output, before ReLU, as in the paper: a closed gate also removes the channel's bias."
    POST = "post"
    "On the activation: a closed gate still gets a gradient, so it can open again."


@dataclass(frozen=True)
class Gating:
    """Which channels each sample may use, and what stands in for the others.

    Args:
        gates: `[group, channel]`, 1 = on and 0 = off, channels of all convolutions side by side.
        group: `[batch]`, the row of `gates` that each sample goes through.
        ablation: `[channel]`, the value that an off channel takes everywhere.
        site: where the gates act.
    """

    gates: Float[Tensor, "group channel"]
    group: Int[Tensor, " batch"]
    ablation: Float[Tensor, " channel"]
    site: GateSite


class SparseCNN(nn.Module):
    """The network; its layers are attributes of the names that its spec gives them."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.spec = spec
        for name, shape in spec.weight_shapes.items():
            if name in spec.conv_names:
                self.add_module(name, nn.Conv2d(shape[1], shape[0], spec.kernel_size, padding=spec.margin))
            else:
                self.add_module(name, nn.Linear(shape[1], shape[0]))
        self.to(memory_format=torch.channels_last)

    def forward(
        self, images: Float[Tensor, "batch channel height width"], gating: Gating | None = None
    ) -> Float[Tensor, "batch num_classes"]:
        """Return logits; with `gating`, through the circuits that it describes."""
        logits: Tensor = self.get_submodule(READOUT)(self.features(images, gating))
        return logits

    def features(
        self, images: Float[Tensor, "batch channel height width"], gating: Gating | None = None
    ) -> Float[Tensor, "batch feature"]:
        """Return what the readout sees."""
        return self._features(images, gating, first=0)

    def forward_in_blocks(
        self, images: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch num_classes"]:
        """Return logits, with maps in oneDNN's own layout, in which gradients of weights and of pooling are faster."""
        maps = images.contiguous().to_mkldnn()
        for name in self.spec.conv_names:
            weight, bias = self.get_parameter(f"{name}.weight"), self.get_parameter(f"{name}.bias")
            maps = F.relu(F.max_pool2d(F.conv2d(maps, weight, bias, padding=self.spec.margin), 2, stride=2))
        logits: Tensor = self.get_submodule(READOUT)(self._hidden(maps.to_dense()))
        return logits

    @torch.no_grad()
    def stem(self, images: Float[Tensor, "batch channel height width"]) -> Float[Tensor, "batch num_filters size size"]:
        """Return the output of the first convolution, which gates after the activation do not change."""
        parts = [self._output(self.spec.conv_names[0], part) for part in in_passes(images, self.spec)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def from_stem(
        self, stem: Float[Tensor, "batch num_filters size size"], gating: Gating
    ) -> Float[Tensor, "batch num_classes"]:
        """Return the logits of images whose stem is known, through gates that act after the activation."""
        gates, ablations = self._per_layer(gating)
        logits: Tensor = self.get_submodule(READOUT)(
            self._features(_gate(stem, gates[0], ablations[0]), gating, first=1)
        )
        return logits

    def subnetworks(self, ablation: Float[Tensor, " channel"], site: GateSite) -> Subnetworks:
        """Return what makes networks of their own of circuits; they take stems."""
        # A constant before the activation is its ReLU after it, pooled or not.
        constants = ablation.relu() if site is GateSite.PRE else ablation
        return Subnetworks(self.spec, {name: p.detach() for name, p in self.named_parameters()}, constants)

    def _output(self, name: str, maps: Tensor) -> Tensor:
        """Return the output of a convolution, pooled and activated."""
        weight, bias = self.get_parameter(f"{name}.weight"), self.get_parameter(f"{name}.bias")
        # A constant commutes with the maximum, and pooling leaves a quarter of the places to add the bias to.
        return F.relu(F.max_pool2d(F.conv2d(maps, weight, padding=self.spec.margin), 2) + bias[:, None, None])

    def _features(self, maps: Tensor, gating: Gating | None, first: int) -> Tensor:
        """Run the output of the convolution before `first`, or the images, through the other layers."""
        gates, ablations = self._per_layer(gating)
        for i, name in list(enumerate(self.spec.conv_names))[first:]:
            if gating is not None and gating.site is GateSite.PRE:
                maps = F.relu(F.max_pool2d(_gate(self.get_submodule(name)(maps), gates[i], ablations[i]), 2))
            else:
                maps = self._output(name, maps)
            if gating is not None and gating.site is GateSite.POST:
                maps = _gate(maps, gates[i], ablations[i])
        return self._hidden(maps)

    def _hidden(self, maps: Tensor) -> Tensor:
        """Run the output of the last convolution through the hidden layers."""
        # Flattened channel by channel whatever the memory format, so that a channel owns a block of columns.
        features = maps.flatten(1)
        for name in self.spec.hidden_names:
            features = F.relu(self.get_submodule(name)(features))
        return features

    def channel_means(
        self, images: Float[Tensor, "batch channel height width"], site: GateSite
    ) -> Float[Tensor, " num_channels"]:
        """Return the mean of every channel over images and positions at the gates' site, for mean ablation."""
        sums = torch.zeros(self.spec.num_channels, device=images.device)
        for part in in_passes(images, self.spec):
            means, maps = [], part
            for name in self.spec.conv_names:
                maps = self.get_submodule(name)(maps)
                before = maps
                maps = F.relu(F.max_pool2d(maps, 2))
                means.append((before if site is GateSite.PRE else maps).mean((0, 2, 3)))
            sums += torch.cat(means) * len(part)
        return sums / len(images)

    def activations(self, images: Float[Tensor, "batch channel height width"]) -> dict[str, Tensor]:
        """Return the output of each layer but the readout: pooled maps `[batch, channel, h, w]`, `[batch, unit]`."""
        outputs, maps = {}, images
        for name in self.spec.conv_names:
            maps = outputs[name] = self._output(name, maps)
        features = maps.flatten(1)
        for name in self.spec.hidden_names:
            features = outputs[name] = F.relu(self.get_submodule(name)(features))
        return outputs

    def _per_layer(self, gating: Gating | None) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Split each sample's gates and the ablation values by layer."""
        if gating is None:
            return (), ()
        sizes = list(self.spec.channels)
        per_sample = gating.gates.index_select(0, gating.group)
        return per_sample.split(sizes, dim=1), gating.ablation.split(sizes)


def _gate(maps: Tensor, gates: Tensor, ablation: Tensor) -> Tensor:
    """Blend `maps` with the ablation value where gates are off; exact for gates of 0 and 1."""
    open_ = gates[:, :, None, None]
    return maps * open_ + ablation[None, :, None, None] * (1 - open_)


def is_faster_in_blocks(spec: ModelSpec, images: Tensor) -> bool:
    """Tell whether training should use `SparseCNN.forward_in_blocks`: for large maps in single precision, with AVX-512.

    There a step on MNIST takes an eighth less time; small maps gain nothing, and elsewhere it has not been measured.
    """
    is_known = torch.backends.mkldnn.is_available() and torch.backends.cpu.get_cpu_capability() == "AVX512"
    is_float = images.device.type == "cpu" and images.dtype == torch.float32
    return is_known and is_float and spec.largest_map >= _LARGE_MAP


def in_passes(samples: Tensor, spec: ModelSpec) -> tuple[Tensor, ...]:
    """Split samples, or what stands for them, into even parts of as many as should go through a network at once."""
    per_pass = max(1, _PASS_VALUES[samples.device.type] // spec.largest_map)
    return samples.chunk(max(1, -(-len(samples) // per_pass)))


def build_model(spec: ModelSpec, weights: Weights, device: torch.device) -> SparseCNN:
    """Return a network that holds a copy of `weights`, on `device`."""
    model = SparseCNN(spec)
    model.load_state_dict(dict(weights))
    return model.to(device)


def initial_weights(spec: ModelSpec, generator: torch.Generator) -> dict[str, Tensor]:
    """Draw PyTorch's default initial weights (uniform in ±1/sqrt(fan-in), biases too) from `generator`."""
    weights = {}
    for name, shape in spec.weight_shapes.items():
        bound = 1 / math.sqrt(math.prod(shape[1:]))
        weights[f"{name}.weight"] = torch.empty(shape).uniform_(-bound, bound, generator=generator)
        weights[f"{name}.bias"] = torch.empty(shape[0]).uniform_(-bound, bound, generator=generator)
    return weights


def detached_weights(model: SparseCNN) -> dict[str, Tensor]:
    """Return the model's weights as contiguous CPU tensors of their own."""
    return {
        name: value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)
        for name, value in model.state_dict().items()
    }
