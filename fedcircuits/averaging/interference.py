"""What averaging does to the weights of clients, by layer and by circuit: cancellation, conflict, dilution."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool
from torch import Tensor

from fedcircuits.averaging.weight_sums import WeightSums, sum_layer
from fedcircuits.circuits.circuit import Circuits
from fedcircuits.networks.cnn import Weights
from fedcircuits.networks.spec import ModelSpec
from fedcircuits.training.sparsity import Masks


@dataclass(frozen=True, kw_only=True)
class InterferenceValues:
    """Interference in some of a layer's weights; values are None where they divide by zero.

    Args:
        cancellation: norm of the mean update over the mean norm of updates, 0..1; 1 = all pull one way,
            1/sqrt(clients) = unrelated, below that = they oppose each other.
        sign_conflict: share of update mass on weights where clients' largest updates differ in sign, 0..1.
        sign_conflict_null: its mean over shuffles of each client's signs among its largest updates of the layer.
        support_solo: share of the union of supports that exactly one client keeps: the average dilutes them.
        support_agree: share that several clients keep with one sign.
        support_conflict: share that several clients keep with both signs.
        norm_retention: norm of the new global weights over the mean norm of clients' weights.
    """

    cancellation: float | None
    sign_conflict: float | None
    sign_conflict_null: float | None
    support_solo: float | None
    support_agree: float | None
    support_conflict: float | None
    norm_retention: float | None


@dataclass(frozen=True, kw_only=True)
class LayerInterference(InterferenceValues):
    """Interference in all of a layer's weights.

    Args:
        layer: the layer.
        num_clients: clients that were averaged.
        density_clients: mean share of weights that a client keeps.
        density_union: share of weights that any client keeps.
        density_global: share of the new global weights that are not zero.
    """

    layer: str
    num_clients: int
    density_clients: float
    density_union: float
    density_global: float


@dataclass(frozen=True, kw_only=True)
class CircuitInterference(InterferenceValues):
    """Interference in a layer's weights into or out of the channels of one circuit.

    Args:
        partition_id: the client whose circuit it is.
        class_id: the circuit's class.
        layer: the layer.
        num_weights: weights of this kind that any client keeps.
    """

    partition_id: int
    class_id: int
    layer: str
    num_weights: int


class Interference(NamedTuple):
    """One aggregation: an entry per layer, and one per circuit and layer that touches its channels."""

    layers: list[LayerInterference]
    circuits: list[CircuitInterference]


def measure_interference(
    spec: ModelSpec,
    start: Weights,
    clients: Sequence[tuple[Weights, Masks]],
    shares: Sequence[float],
    average: Weights,
    circuits: Mapping[int, Circuits],
) -> Interference:
    """Measure one aggregation.

    Args:
        spec: the network's shape.
        start: the global weights that the round started from.
        clients: each client's weights and masks, at least one client.
        shares: each client's weight in the average; they sum to 1.
        average: the new global weights.
        circuits: partition id to the circuits of that client's model; empty in rounds without circuits.
    """
    layers: list[LayerInterference] = []
    by_circuit: list[CircuitInterference] = []
    for layer in spec.layer_names:
        key = f"{layer}.weight"
        weights, masks = [client[key] for client, _ in clients], [mask[layer] for _, mask in clients]
        sums = sum_layer(start[key], weights, masks, shares, average[key], _num_sources(spec, layer))
        (values,) = _values(sums.whole(), shares)
        layers.append(
            LayerInterference(
                layer=layer,
                num_clients=len(clients),
                density_clients=sum(float(mask.double().mean()) for mask in masks) / len(masks),
                density_union=int(_num_kept(sums).sum()) / start[key].numel(),
                density_global=float(average[key].ne(0).double().mean()),
                **vars(values),
            )
        )
        for partition_id, found in circuits.items():
            by_circuit += _measure_circuits(spec, layer, sums, shares, partition_id, found)
    return Interference(layers, by_circuit)


def _num_sources(spec: ModelSpec, layer: str) -> int:
    """Return how many channels a layer's weights come from; a layer behind hidden units counts as one source."""
    channels = dict(zip((*spec.conv_names, _first_linear(spec)), (spec.in_channels, *spec.channels), strict=True))
    return channels.get(layer, 1)


def _first_linear(spec: ModelSpec) -> str:
    """Return the layer that sees the channels of the last convolution."""
    return spec.layer_names[len(spec.channels)]


def _measure_circuits(
    spec: ModelSpec, layer: str, sums: WeightSums, shares: Sequence[float], partition_id: int, circuits: Circuits
) -> list[CircuitInterference]:
    """Measure the weights of a layer that touch a client's circuits; none do behind hidden units."""
    if layer not in (*spec.conv_names, _first_linear(spec)):
        return []
    device = sums.solo.device
    targets, sources = (end.to(device) for end in _ends(spec, layer, circuits))
    touching = sums.touching(targets, sources)
    return [
        CircuitInterference(
            partition_id=partition_id, class_id=class_id, layer=layer, num_weights=int(num_weights), **vars(values)
        )
        for class_id, num_weights, values in zip(
            circuits.class_ids, _num_kept(touching), _values(touching, shares), strict=True
        )
    ]


def _ends(
    spec: ModelSpec, layer: str, circuits: Circuits
) -> tuple[Bool[Tensor, "circuit target"], Bool[Tensor, "circuit source"]]:
    """Tell which targets and sources of a layer are channels of each circuit; pixels, units and classes are none."""
    number = spec.layer_names.index(layer)
    pixels, outputs = (
        torch.zeros(len(circuits.class_ids), width, dtype=torch.bool)
        for width in (spec.in_channels, spec.weight_shapes[layer][0])
    )
    nodes = [pixels, *circuits.members.split(list(spec.channels), dim=1), outputs]
    return nodes[number + 1], nodes[number]


def _num_kept(sums: WeightSums) -> Tensor:
    """Return how many weights any client keeps, by part or kernel."""
    return sums.solo + sums.agree + sums.conflict


def _values(sums: WeightSums, shares: Sequence[float]) -> list[InterferenceValues]:
    """Return the values of each part of a layer."""
    weights = torch.tensor(shares, dtype=torch.float64, device=sums.mean_square.device)[:, None]
    columns = {
        "cancellation": sums.mean_square.sqrt() / (weights * sums.update_squares.sqrt()).sum(0),
        "sign_conflict": sums.conflict_mass / sums.update_mass,
        "sign_conflict_null": sums.null_mass / sums.update_mass,
        "support_solo": sums.solo / _num_kept(sums),
        "support_agree": sums.agree / _num_kept(sums),
        "support_conflict": sums.conflict / _num_kept(sums),
        "norm_retention": sums.average_square.sqrt() / (weights * sums.weight_squares.sqrt()).sum(0),
    }
    parts = zip(*(column.tolist() for column in columns.values()), strict=True)
    return [
        InterferenceValues(
            **{name: value if math.isfinite(value) else None for name, value in zip(columns, part, strict=True)}
        )
        for part in parts
    ]
