"""The edges of a circuit: weights that are not zero and whose two ends are both in the circuit."""

from torch import Tensor

from reference.discovery import Circuit
from reference.masks import Weights
from reference.network import conv_names

Edges = dict[str, set[tuple[int, int]]]
"""Name of a layer to pairs (source, target): the channel that is read, and the channel or class that reads it."""


def edges(weights: Weights, circuit: Circuit, class_id: int) -> Edges:
    """Return the edges of a class's circuit, by the layer whose weights they are.

    Args:
        weights: of the network.
        circuit: the channels of every convolution that are kept.
        class_id: the class; the linear layer has edges to it alone.

    Returns:
        One set per layer. The sources of the first convolution are the image's channels, which are never gated. The
        linear layer reads the maps channel by channel: all its weights from the positions of one map are one edge.
    """
    names = conv_names(weights)
    sources = set(range(weights["conv1.weight"].shape[1]))
    found: Edges = {}
    for name in names:
        kernels = weights[f"{name}.weight"]
        found[name] = {
            (source, target) for target in circuit[name] for source in sources if _has_weight(kernels[target, source])
        }
        sources = circuit[name]
    num_positions = weights["fc.weight"].shape[1] // len(weights[f"{names[-1]}.weight"])
    row = weights["fc.weight"][class_id]
    found["fc"] = {
        (source, class_id)
        for source in sources
        if _has_weight(row[source * num_positions : (source + 1) * num_positions])
    }
    return found


def _has_weight(values: Tensor) -> bool:
    return any(value != 0 for value in values.flatten().tolist())
