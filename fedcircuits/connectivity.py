"""Which channels feed which: the kernels that are alive, and the edges of a circuit.

An edge joins two nodes of a circuit by at least one non-zero weight, as in arXiv 2512.23043. The linear layer sees
each channel as a block of features; here these count as one channel, so that its edges go from channels to classes.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor

from fedcircuits.circuits import Circuits
from fedcircuits.model_spec import ModelSpec
from fedcircuits.models import Weights

Kernels = dict[str, Bool[Tensor, "target source"]]
"""Layer name to a matrix: does any weight join this source channel to this target channel (or class)?"""


@dataclass(frozen=True)
class LayerEdges:
    """The edges of one circuit that end in one layer.

    Args:
        class_id: the circuit's class.
        layer: the layer in which the edges end; `fc` for edges to the class itself.
        sources: channel of the layer before (of the image for the first), one per edge.
        targets: channel of `layer` (the class id for `fc`), one per edge.
    """

    class_id: int
    layer: str
    sources: list[int]
    targets: list[int]


def alive_kernels(spec: ModelSpec, weights: Weights) -> Kernels:
    """Tell, layer by layer, which pairs of channels are joined by a non-zero weight."""
    kernels = {name: weights[f"{name}.weight"].ne(0).flatten(2).any(2) for name in spec.conv_names}
    head = weights["fc.weight"].ne(0)
    kernels["fc"] = head.view(spec.num_classes, spec.channels[-1], -1).any(2)
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
    to_output = [kernels["fc"].any(0)]
    for kernel in reversed(convs[1:]):
        to_output.insert(0, (kernel & to_output[0][:, None]).any(0))
    return torch.cat([a & b for a, b in zip(from_input, to_output, strict=True)])


def circuit_edges(spec: ModelSpec, kernels: Kernels, circuits: Circuits) -> list[LayerEdges]:
    """Return the edges of every circuit, one entry per circuit and layer, the linear layer included."""
    image = torch.ones(spec.in_channels, dtype=torch.bool)
    entries = []
    for class_id, member in zip(circuits.class_ids, circuits.members, strict=True):
        own_class = torch.zeros(spec.num_classes, dtype=torch.bool)
        own_class[class_id] = True
        nodes = [image, *member.split(list(spec.channels)), own_class]
        for layer, sources, targets in zip(spec.layer_names, nodes[:-1], nodes[1:], strict=True):
            ends = (kernels[layer] & targets[:, None] & sources).nonzero()
            entries.append(LayerEdges(class_id, layer, ends[:, 1].tolist(), ends[:, 0].tolist()))
    return entries
