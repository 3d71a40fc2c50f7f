"""Circuits run as networks of their own: only channels that are on are computed.

A channel that is off hands on the same value everywhere in every image. What it adds to the layer after it is therefore
worked out once per circuit, not once per image; at the edges of a map padding makes a difference, hence a map of it. A
convolution then costs the share of channels on before it times the share on after it. What the first convolution hands
on is the same for all circuits and is computed once. The logits are those of the gated network up to rounding.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fedcircuits.model_spec import READOUT, ModelSpec

_BLOCK = 8
"""Channels are computed in multiples of this."""


class Subnetwork:
    """One circuit of a network, frozen.

    Args:
        spec: the network's shape.
        weights: its parameters, on the device to compute on.
        member: `[channel]`, the channels that are on.
        constants: `[channel]`, what a channel that is off hands on, after the activation.
    """

    def __init__(
        self,
        spec: ModelSpec,
        weights: Mapping[str, Tensor],
        member: Bool[Tensor, " channel"],
        constants: Float[Tensor, " channel"],
    ) -> None:
        self._widths = list(spec.channels)
        members = member.split(self._widths)
        handed_on = constants.masked_fill(member, 0).split(self._widths)
        self._computed = [_computed(kept) for kept in members]
        self._margin = spec.margin
        self._convs = []
        for i, name in enumerate(spec.conv_names[1:], start=1):
            source, computed = i - 1, self._computed[i]
            weight, bias = weights[f"{name}.weight"][computed], weights[f"{name}.bias"][computed]
            size = spec.map_sizes[source] // 2
            constant = _constant_map(weight, handed_on[source], size, spec.margin) + bias[:, None, None]
            self._convs.append((self._from_computed(weight, members[source], source), constant))
        linears = [(weights[f"{name}.weight"], weights[f"{name}.bias"]) for name in (*spec.hidden_names, READOUT)]
        weight, bias = linears[0]
        weight, last = weight.view(len(weight), spec.channels[-1], -1), len(spec.channels) - 1
        bias = bias + torch.einsum("ocp,c->o", weight, handed_on[last])
        self._linears = [(self._from_computed(weight, members[last], last).flatten(1), bias), *linears[1:]]

    def __call__(
        self, stem: Float[Tensor, "image num_filters size size"], gates: Float[Tensor, " channel"] | None = None
    ) -> Float[Tensor, "image num_classes"]:
        """Return the logits of images, given what the model's first convolution hands on.

        Args:
            stem: from `SparseCNN.stem`.
            gates: 1 for channels that are on: factors of what these hand on, for their gradients.
        """
        maps = self._gated(stem[:, self._computed[0]], gates, 0)
        for layer, (weight, constant) in enumerate(self._convs, start=1):
            maps = F.relu(F.max_pool2d(F.conv2d(maps, weight, padding=self._margin) + constant, 2))
            maps = self._gated(maps, gates, layer)
        (weight, bias), *others = self._linears
        logits = F.linear(maps.flatten(1), weight, bias)
        for weight, bias in others:
            logits = F.linear(F.relu(logits), weight, bias)
        return logits

    def _gated(self, maps: Tensor, gates: Tensor | None, layer: int) -> Tensor:
        """Multiply what a layer hands on by the gates of its computed channels."""
        if gates is None:
            return maps
        factors: Tensor = gates.split(self._widths)[layer][self._computed[layer]]
        return maps * factors[:, None, None]

    def _from_computed(self, weight: Tensor, member: Tensor, layer: int) -> Tensor:
        """Return the part of the next layer's weight, `[target, source, ...]`, that comes from computed channels."""
        computed = self._computed[layer]
        # With channels last in memory, as everywhere in the network.
        kept = weight.movedim(1, -1)[..., computed].contiguous() * member[computed]
        return kept.movedim(-1, 1)


def _computed(member: Bool[Tensor, " channel"]) -> Int[Tensor, " computed"]:
    """Return the channels to compute: those that are on, and some that are off, which nothing then looks at.

    The latter make up full blocks: a convolution of a new shape has to be compiled first, so few shapes are better.
    """
    num_computed = max(1, -(-int(member.sum()) // _BLOCK)) * _BLOCK
    return member.int().argsort(descending=True, stable=True)[:num_computed]


def _constant_map(weight: Tensor, constants: Tensor, size: int, margin: int) -> Tensor:
    """Return what channels of constant value add to each channel of a convolution, `[target, height, width]`."""
    kernel = torch.einsum("tshw,s->thw", weight, constants)
    return F.conv2d(weight.new_ones(1, 1, size, size), kernel[:, None], padding=margin)[0]
