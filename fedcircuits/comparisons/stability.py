"""How well many circuits agree at once: one value for a class and a layer in place of all pairs of clients.

Nogueira, Sechidis and Brown 2018 (JMLR 18(174)): 1 = all circuits are the same, 0 = what random circuits of these sizes
show in the mean. With two circuits of one size it is their phi.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool
from numpy import ndarray as Array

from fedcircuits.circuits.found import FoundCircuits
from fedcircuits.comparisons.rows import Row
from fedcircuits.overlap.set_pairs import layer_slices
from fedcircuits.records import ALL_LAYERS

_NORMAL_95 = 1.959963984540054
"""A normal variable lies within this many standard deviations of its mean with a probability of 95 %."""


@dataclass(frozen=True)
class Agreement:
    """The stability of a group of sets; NaN where no set varies: all are empty, or all are full.

    Args:
        value: the estimate; at most 1.
        variance: of the estimate, for many sets (the delta method); a few sets look more certain than they are.
    """

    value: float
    variance: float

    @property
    def low(self) -> float:
        """Lower end of the 95 % confidence interval; not clipped."""
        return self.value - _NORMAL_95 * float(np.sqrt(self.variance))

    @property
    def high(self) -> float:
        """Upper end of the 95 % confidence interval; not clipped."""
        return self.value + _NORMAL_95 * float(np.sqrt(self.variance))


def stability(layers: Sequence[Bool[Array, "item _"]]) -> Agreement:
    """Return the stability of sets over one layer, or pooled over several.

    Pooled, the variances of membership are summed over the elements of all layers, and what they would be by chance
    within each layer: layers of different density do not count as agreement. One layer gives the paper's formulas.

    Args:
        layers: which elements each of two or more sets has, a matrix per layer; its columns are the universe.
    """
    filled = [layer.astype(np.float64) for layer in layers if layer.shape[1]]
    # In the paper's letters: M sets, column means p, row sums k with mean k_bar, D = k_bar / n * (1 - k_bar / n).
    chance = sum(_chance_variance(members) for members in filled)
    if chance < 1e-12:
        return Agreement(np.nan, np.nan)
    num_sets = len(layers[0])
    frequencies = [members.mean(axis=0) for members in filled]
    observed = sum(float((p * (1 - p)).sum()) for p in frequencies)
    value = 1 - num_sets / (num_sets - 1) * observed / chance
    influence = np.sum([_influence(members, value) for members in filled], axis=0) / chance
    return Agreement(value, 4 / num_sets**2 * float(((influence - influence.mean()) ** 2).sum()))


def stability_rows(
    server_round: int, layer_names: Sequence[str], layer_sizes: Sequence[int], local: Sequence[FoundCircuits]
) -> list[Row]:
    """Return how well clients agree on each class of which two or more have a usable circuit.

    The universe is the channels that can be reached in any of their models.

    Args:
        server_round: the round, 1-based.
        layer_names: layers that circuits are made of.
        layer_sizes: their channels.
        local: each client's local circuits.
    """
    by_class: dict[int, list[tuple[Array, Array]]] = defaultdict(list)
    for found in local:
        reachable = found.reachable.numpy()
        for class_id, member, usable in zip(
            found.circuits.class_ids, found.circuits.members.numpy(), found.usable, strict=True
        ):
            if usable:
                by_class[class_id].append((member & reachable, reachable))
    return [
        row
        for class_id, circuits in sorted(by_class.items())
        if len(circuits) > 1
        for row in _class_rows(server_round, class_id, layer_names, layer_sizes, circuits)
    ]


def _class_rows(
    server_round: int,
    class_id: int,
    layer_names: Sequence[str],
    layer_sizes: Sequence[int],
    circuits: Sequence[tuple[Array, Array]],
) -> list[Row]:
    """Return a row per layer and one that pools them."""
    members, reachable = (np.stack(column) for column in zip(*circuits, strict=True))
    parts = layer_slices(layer_sizes)
    layers = [members[:, part][:, reachable[:, part].any(axis=0)] for part in parts]
    groups = [(name, [layer]) for name, layer in zip(layer_names, layers, strict=True)] + [(ALL_LAYERS, layers)]
    rows = []
    for name, group in groups:
        agreement = stability(group)
        values = {"stability": agreement.value, "low": agreement.low, "high": agreement.high}
        known = {column: None if np.isnan(value) else value for column, value in values.items()}
        identity = {"round": server_round, "class_id": class_id, "layer": name, "num_circuits": len(circuits)}
        rows.append({**identity, **known})
    return rows


def _chance_variance(members: Array) -> float:
    """Return n D: the variances of membership, summed, if every element were equally likely to be in a set."""
    density = float(members.mean())
    return float(members.shape[1] * density * (1 - density))


def _influence(members: Array, value: float) -> Array:
    """Return each set's share in a layer's part of the estimate: n D phi_i of the paper."""
    n = members.shape[1]
    frequency, size, mean_size = members.mean(axis=0), members.sum(axis=1), members.sum(axis=1).mean()
    shared = members @ frequency - size * mean_size / n
    result: Array = shared + value / 2 * (2 * size * mean_size / n - size - mean_size + n)
    return result
