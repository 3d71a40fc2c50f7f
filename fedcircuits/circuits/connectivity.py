"""Which channels feed which: the kernels that are alive, and the edges of a circuit.

An edge joins two nodes of a circuit by at least one non-zero weight, as in arXiv 2512.23043. The first linear layer
sees each channel as a block of features; here these count as one channel. Hidden units are no nodes of a circuit: an
edge from a channel to a class is a path of non-zero weights through them.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Bool
from torch import Tensor

from fedcircuits.circuits.circuit import Circuits
from fedcircuits.networks.cnn import Weights
from fedcircuits.networks.spec import READOUT, ModelSpec

Kernels = dict[str, Bool[Tensor, "target source"]]
"""Convolution, or `fc` for the classes, to a matrix: is this source channel joined to this target?"""


@dataclass(frozen=True)
class LayerEdges:
    """The edges of one circuit that end in one layer.

    Args:
        class_id: the circuit's class.
        layer: the convolution in which the edges end; `fc` for edges to the class itself.
        sources: channel of the convolution before (of the image for the first), one per edge.
        targets: channel of `layer` (the class id for `fc`), one per edge.
    """

    class_id: int
    layer: str
    sources: list[int]
    targets: list[int]


def alive_kernels(spec: ModelSpec, weights: Weights) -> Kernels:
    """Tell which pairs of channels are joined in each convolution, and which channels lead to which class after it."""
    kernels = {name: weights[f"{name}.weight"].ne(0).flatten(2).any(2) for name in spec.conv_names}
    first, *others = (weights[f"{name}.weight"].ne(0) for name in (*spec.hidden_names, READOUT))
    paths = first.view(len(first), spec.channels[-1], -1).any(2)
    for alive in others:
        # A product of counts: above 0 where some unit between the two has a weight to both.
        paths = alive.float() @ paths.float() > 0
    kernels[READOUT] = paths
    return kernels


def reachable_channels(spec: ModelSpec, kernels: Kernels) -> Bool[Tensor, " num_channels"]:
    """Tell which channels lie on a path of non-zero weights from the image to some logit.

    A channel that is not reachable cannot carry anything about the image, so it never counts as shared.
    """
    convs = [kernels[name] for name in spec.conv_names]
    from_input, known = [], torch.ones(spec.in_channels, dtype=torch.bool)
    for kernel in convs:
        known = (kernel & known).any(1)
        from_input.append(known)
    to_output = [kernels[READOUT].any(0)]
    for kernel in reversed(convs[1:]):
        to_output.insert(0, (kernel & to_output[0][:, None]).any(0))
    return torch.cat([a & b for a, b in zip(from_input, to_output, strict=True)])


def circuit_edges(spec: ModelSpec, kernels: Kernels, circuits: Circuits) -> list[LayerEdges]:
    """Return the edges of every circuit, one entry per circuit and convolution, and one for the edges to the class."""
    image = torch.ones(spec.in_channels, dtype=torch.bool)
    entries = []
    for class_id, member in zip(circuits.class_ids, circuits.members, strict=True):
        own_class = torch.zeros(spec.num_classes, dtype=torch.bool)
        own_class[class_id] = True
        nodes = [image, *member.split(list(spec.channels)), own_class]
        for (layer, kernel), (sources, targets) in zip(kernels.items(), pairwise(nodes), strict=True):
            ends = (kernel & targets[:, None] & sources).nonzero()
            entries.append(LayerEdges(class_id, layer, ends[:, 1].tolist(), ends[:, 0].tolist()))
    return entries
