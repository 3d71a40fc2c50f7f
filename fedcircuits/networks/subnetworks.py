"""Circuits run as networks of their own: only channels that are on are computed.

A channel that is off outputs the same value everywhere in every image. What it adds to the layer after it is therefore
worked out once per circuit, not once per image; at the edges of a map padding makes a difference, hence a map of it. A
convolution then costs the share of channels on before it times the share on after it. The output of the first
convolution (the stem) is the same for all circuits and is computed once. The logits are those of the gated network up
to rounding.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from fedcircuits.networks.spec import READOUT, ModelSpec

_BLOCK = 8
"""Channels are computed in multiples of this: a convolution of a new shape has to be compiled first."""


@dataclass(frozen=True)
class _Convolution:
    """A convolution after the first, laid out so that channels can be picked.

    Args:
        weight: `[target, kernel place, source + 1]`; the last source is none, its weights are 0.
        bias: `[target]`.
        takes: `[map place, kernel place]`, 1 where a place of the kernel lies inside the map and not in its padding.
        size: height and width of the map.
    """

    weight: Tensor
    bias: Tensor
    takes: Tensor
    size: int


@dataclass(frozen=True)
class _Picked:
    """The channels of a layer that are computed: those that are on, in order, and others that make up a full block.

    Args:
        computed: which channels these are.
        seen: the same for the layer after it, which takes nothing from the others: they are `num_channels` there.
    """

    computed: Tensor
    seen: Tensor


class Subnetworks:
    """The circuits of one network, frozen, for one way of switching channels off.

    Args:
        spec: the network's shape.
        weights: its parameters, on the device to compute on.
        constants: `[channel]`, the output of a channel that is off, after the activation.
    """

    def __init__(self, spec: ModelSpec, weights: Mapping[str, Tensor], constants: Float[Tensor, " channel"]) -> None:
        self._spec = spec
        self._widths = list(spec.channels)
        self._constants = constants
        self._convs = [
            _convolution(weights[f"{name}.weight"], weights[f"{name}.bias"], size // 2, spec.margin)
            for name, size in zip(spec.conv_names[1:], spec.map_sizes, strict=False)
        ]
        linears = [(weights[f"{name}.weight"], weights[f"{name}.bias"]) for name in (*spec.hidden_names, READOUT)]
        (weight, self._bias), *self._linears = linears
        # [target, channel + 1, place]: a block of columns for each channel of the last map, and one more of zeros, for
        # channels that only fill up a block.
        self._features = F.pad(weight.view(len(weight), self._widths[-1], -1), (0, 0, 0, 1))
        # [target, channel]: what a channel adds that has the value 1 everywhere.
        self._of_constants = self._features[:, :-1].sum(2)

    def of(self, member: Bool[Tensor, " channel"]) -> "Subnetwork":
        """Return the circuit of the channels that are on, on the same device."""
        picked = [_pick(kept, width) for kept, width in zip(member.split(self._widths), self._widths, strict=True)]
        off = self._constants.masked_fill(member, 0).split(self._widths)
        convs = []
        for conv, constants, source, target in zip(self._convs, off, picked, picked[1:], strict=False):
            # [computed target, kernel place, source + 1]
            weight = conv.weight[target.computed]
            # Sources that are off, each with its constant, leave [target, kernel place]; summed over the places of the
            # kernel that lie inside the map, [target, map place].
            from_off = (weight[..., :-1] @ constants) @ conv.takes.T + conv.bias[target.computed, None]
            # Sources that are on: [target, kernel height, kernel width, computed source].
            kernel = weight.index_select(2, source.seen).unflatten(1, (self._spec.kernel_size, -1))
            # With channels last in memory, as everywhere in the network.
            constant = from_off.T.contiguous().T.unflatten(1, (conv.size, -1))
            convs.append((kernel.permute(0, 3, 1, 2), constant))
        weight = self._features.index_select(1, picked[-1].seen).flatten(1)
        linears = [(weight, self._bias + self._of_constants @ off[-1]), *self._linears]
        return Subnetwork([each.computed for each in picked], convs, linears, self._spec.margin)


class Subnetwork:
    """One circuit; made by `Subnetworks`."""

    def __init__(
        self,
        computed: Sequence[Tensor],
        convs: Sequence[tuple[Tensor, Tensor]],
        linears: Sequence[tuple[Tensor, Tensor]],
        margin: int,
    ) -> None:
        self._computed = computed
        self._convs = convs
        self._linears = linears
        self._margin = margin

    def __call__(
        self,
        stem: Float[Tensor, "image num_filters size size"],
        gates: Sequence[Float[Tensor, " _"]] | None = None,
    ) -> Float[Tensor, "image num_classes"]:
        """Return the logits of images, given the output of the network's first convolution.

        Args:
            stem: from `SparseCNN.stem`.
            gates: a tensor per convolution, 1 for channels that are on: their outputs are multiplied by them,
                for gradients.
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

    def _gated(self, maps: Tensor, gates: Sequence[Tensor] | None, layer: int) -> Tensor:
        """Multiply the output of a layer by the gates of its computed channels."""
        return maps if gates is None else maps * gates[layer][self._computed[layer]][:, None, None]


def _convolution(weight: Tensor, bias: Tensor, size: int, margin: int) -> _Convolution:
    by_place = weight.flatten(2).transpose(1, 2)  # [target, kernel place, source]
    # Unfolding a map of ones tells, for each place of the map, which places of the kernel do not fall into the padding.
    inside = F.unfold(weight.new_ones(1, 1, size, size), weight.shape[2:], padding=margin)[0].T
    return _Convolution(F.pad(by_place, (0, 1)), bias, inside, size - weight.shape[2] + 1 + 2 * margin)


def _pick(member: Tensor, width: int) -> _Picked:
    on = member.nonzero().flatten()
    # Channel 0 stands in where a block is filled up; the next layer looks for it at `width`, where weights are 0.
    num_more = -len(on) % _BLOCK if len(on) else _BLOCK
    return _Picked(F.pad(on, (0, num_more)), F.pad(on, (0, num_more), value=width))
